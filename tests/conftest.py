"""The lab for every test that needs one: booted once per run, or the one that is up already, which is then left up."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.world import image, world
from lab.world.access import Lab


def require_lab() -> None:
    """Skip with the one-line reason where no lab can be; fail instead when one is demanded (``KIT_REQUIRE_LAB=1``)."""
    if reason := image.available():
        if os.environ.get("KIT_REQUIRE_LAB") == "1":
            pytest.fail(f"KIT_REQUIRE_LAB=1 but {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The running lab."""
    require_lab()
    was_up = world.is_up()
    world.up()
    yield Lab()
    if not was_up:
        world.down()


@pytest.fixture
def no_lab() -> None:
    """For a test that makes and removes a lab of its own: it needs a machine that can, with none up."""
    require_lab()
    if world.is_up():
        pytest.skip("a lab is up that this run did not start, and it stays up")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the lab; what makes and removes one of its own comes first, while none is up."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "lab" in names or "no_lab" in names:
            item.add_marker(pytest.mark.lab)
    items.sort(key=lambda item: "no_lab" not in getattr(item, "fixturenames", ()))
