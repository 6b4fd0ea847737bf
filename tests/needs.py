"""What a test needs of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.world import image, world


def need(missing: str | None) -> None:
    """Skip for what this machine lacks; fail instead where nothing may be skipped (``KIT_REQUIRE_LAB=1``)."""
    if missing and os.environ.get("KIT_REQUIRE_LAB") == "1":
        pytest.fail(f"KIT_REQUIRE_LAB=1 but {missing}")
    if missing:
        pytest.skip(missing)


def lab_image() -> Path:
    """The image of the lab's hosts, made now where it is not there yet; with it come the machine's own nft and ip."""
    need(image.available())
    if not image.path().is_dir():
        with world.alone():
            image.ensure_packages()
            image.ensure()
    return image.path()
