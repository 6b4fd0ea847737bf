"""A look-alike of Intuit on loopback, and a site that is connected to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from intuit_lab import REDIRECT, Lab, Rests

from lab.intuit.process import running
from qbo_sync.config import Settings


@pytest.fixture(scope="session")
def strict_lab() -> Iterator[Lab]:
    with running("--redirect-uri", REDIRECT, "--strict-rotation", "--limits", "off", "--customers", "60") as base:
        yield Lab(base)


@pytest.fixture
def lab(strict_lab: Lab) -> Lab:
    """Every test starts with the look-alike's own data, clock and counters, and without faults."""
    strict_lab.post("reset", {})
    return strict_lab


@pytest.fixture
def settings(lab: Lab, tmp_path: Path) -> Settings:
    return lab.settings(tmp_path)


@pytest.fixture
def connected(lab: Lab, settings: Settings) -> Settings:
    lab.connect(settings)
    return settings


@pytest.fixture
def rests() -> Rests:
    return Rests()
