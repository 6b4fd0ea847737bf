"""What every test may ask for: the lab, booted once per run (one that is up already is left up), and databases of all kinds."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa

from lab.world import image, world
from lab.world.access import Lab
from tests.databases import servers
from tests.needs import need

# How long an example takes is the machine's matter, and it may be busy.
hypothesis.settings.register_profile("kit", deadline=None)
hypothesis.settings.load_profile("kit")

LAB_TESTS = Path(__file__).parent / "lab"


def require_lab() -> None:
    """Skip with the one-line reason where no lab can be; fail instead when one is demanded (``KIT_REQUIRE_LAB=1``)."""
    need(image.available())


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


@pytest.fixture(scope="session")
def database_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], servers.Server]]:
    """Starts a server of that name, once per run."""
    with ExitStack() as stack:
        started: dict[str, servers.Server] = {}

        def server(name: str) -> servers.Server:
            if name not in started:
                require_lab()
                started[name] = stack.enter_context(servers.running(name, tmp_path_factory.mktemp(name)))
            return started[name]

        yield server


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, database_servers: Callable[[str], servers.Server]
) -> Iterator[sa.URL]:
    """A fresh, empty database: SQLite, or what the test is parametrised with (``indirect``)."""
    name = getattr(request, "param", "sqlite")
    if name == "sqlite":
        yield sa.make_url(f"sqlite:///{tmp_path / 'miracle.db'}")
    else:
        with database_servers(name).database() as url:
            yield url


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the lab; what makes and removes one of its own comes first, while none is up."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        # Elsewhere, tests of the look-alikes have a fixture of that name that is something smaller.
        if ("lab" in names or "no_lab" in names) and item.path.is_relative_to(LAB_TESTS):
            item.add_marker(pytest.mark.lab)
    items.sort(key=lambda item: "no_lab" not in getattr(item, "fixturenames", ()))


def pytest_unconfigure() -> None:
    """A thread that a test forgot must not hold the finished run: all stacks are shown, and the run fails."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # a worker waits for the others; the run that started it ends it
    faulthandler.dump_traceback_later(60, exit=True)
