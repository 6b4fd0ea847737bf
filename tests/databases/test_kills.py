"""A small share of `./kit bench kills`: imports killed, cut off, kept waiting or left without room go on without doubles.

Undo takes all of it back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.bench.kills import SIZE, measure, small_disk
from tests.bench.site import connected
from tests.conftest import require_lab
from tests.databases import servers
from tests.databases.conftest import EVERYWHERE


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_disturbed_import_ends_as_an_undisturbed_one(
    name: str, tmp_path: Path, database_servers: Callable[[str], servers.Server]
) -> None:
    with ExitStack() as stack:
        if name == "sqlite":
            require_lab()
            stack.enter_context(small_disk(tmp_path))
            url, disk = sa.make_url(f"sqlite:///{tmp_path / 'miracle.db'}"), tmp_path
        else:
            url, disk = stack.enter_context(database_servers(name).small_database())
        bench = stack.enter_context(connected(*SIZE, database_url=url, lock_wait_s=1))
        tally = measure(bench, rounds=4, seed=4, disk=disk)
    assert tally.wrong == []
    assert {"kill", "held", "full"} <= set(tally.rounds)
    assert tally.inside["kill"] + tally.inside["held"] + tally.inside["cut"] > 0
    assert tally.stopped["full"] > 0
