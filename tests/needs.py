"""What a test needs of this machine."""

from __future__ import annotations

import os

import pytest


def need(missing: str | None) -> None:
    """Skip for what this machine lacks; fail instead where nothing may be skipped (``KIT_REQUIRE_LAB=1``)."""
    if missing and os.environ.get("KIT_REQUIRE_LAB") == "1":
        pytest.fail(f"KIT_REQUIRE_LAB=1 but {missing}")
    if missing:
        pytest.skip(missing)
