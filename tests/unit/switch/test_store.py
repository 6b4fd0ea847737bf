"""What the site's store keeps, and for how long."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qbo_sync import config
from qbo_sync.switch import steps
from qbo_sync.switch.inactivations import GONE, Inactivations
from qbo_sync.switch.match import Matched
from qbo_sync.switch.model import Decided, Decision, Kind
from qbo_sync.switch.plan import Head, Plan
from qbo_sync.switch.store import SiteStore

SETTINGS = """site = "acme"
[intuit]
environment = "sandbox"
client_id = "app"
client_secret_file = "secret"
redirect_uri = "https://qbo.example.com/qbo/callback"
[miracle]
database_url = "sqlite:///miracle.db"
[store]
directory = "store"
plans_kept = 2
"""


@pytest.fixture
def site(tmp_path: Path) -> steps.Site:
    (tmp_path / "acme.toml").write_text(SETTINGS)
    (tmp_path / "secret").touch(mode=0o600)
    return steps.Site(config.load(tmp_path / "acme.toml"))


def save(store: SiteStore, plan_id: str) -> None:
    with store.new_plan() as shelf:
        store.save_plan(Plan(Head(plan_id, "1", "Acme", datetime(2026, 11, 24, tzinfo=UTC), {}, {}), Matched(shelf)))


def plans(store: SiteStore) -> list[str]:
    return sorted(path.stem for path in (store.directory / "plans").iterdir())


def test_old_plans_go_but_not_one_whose_import_has_not_ended(site: steps.Site) -> None:
    store = site.store
    for day in (1, 2, 3):
        save(store, f"2026110{day}T101500-aaaa")
    assert plans(store) == ["20261102T101500-aaaa", "20261103T101500-aaaa"]
    store.begin_plan("20261102T101500-aaaa")
    save(store, "20261104T101500-aaaa")
    save(store, "20261105T101500-aaaa")
    assert plans(store) == [f"2026110{day}T101500-aaaa" for day in (2, 4, 5)]
    needed = steps.needed_reports(site)
    assert (needed("plan", "20261101-101500"), needed("plan", "20261102-101501")) == (False, True)
    assert not needed("audit", "20261102-101501")
    store.save_import("run", 3)
    save(store, "20261106T101500-aaaa")
    assert plans(store) == ["20261105T101500-aaaa", "20261106T101500-aaaa"]
    assert not steps.needed_reports(site)("plan", "20261102-101501")


def test_the_lists_of_what_was_made_inactive_stay_while_it_can_be_taken_back(site: steps.Site) -> None:
    log = Inactivations(site.store.directory)
    log.begin(Kind.CUSTOMER, "1", "Amy", GONE)
    assert steps.needed_reports(site)("prepare---apply", "20261101-101500")
    log.forget([(Kind.CUSTOMER, "1")])
    assert not steps.needed_reports(site)("prepare---apply", "20261101-101500")


def test_a_store_of_an_earlier_version_still_opens(site: steps.Site) -> None:
    folder = site.settings.store.directory
    folder.mkdir()
    with sqlite3.connect(folder / "switch.db") as database:
        database.execute(
            "CREATE TABLE decision (kind TEXT NOT NULL, qbo_id TEXT NOT NULL, decision TEXT NOT NULL, miracle_id TEXT NOT NULL,"
            " PRIMARY KEY (kind, qbo_id))"
        )
        database.execute("INSERT INTO decision VALUES ('customer', '1', 'skip', '')")
    database.close()
    assert site.store.decisions() == {(Kind.CUSTOMER, "1"): Decided(Decision.SKIP)}
    site.store.decide({(Kind.CUSTOMER, "2"): Decided(Decision.LINK, "8", "ticks.csv")})
    assert site.store.decisions()[Kind.CUSTOMER, "2"].by == "ticks.csv"
