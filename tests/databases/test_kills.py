"""A small share of `./kit bench kills`: imports killed or cut off go on without doubles, and undo takes all of it back."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.bench.kills import SIZE, measure
from tests.bench.site import connected
from tests.databases.conftest import EVERYWHERE


@pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
def test_a_disturbed_import_ends_as_an_undisturbed_one(database_url: sa.URL) -> None:
    with connected(*SIZE, database_url=database_url) as bench:
        tally = measure(bench, rounds=6, seed=4)
    assert tally.wrong == []
    assert tally.inside > 0
