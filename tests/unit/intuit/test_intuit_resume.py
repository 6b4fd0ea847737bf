"""A reading that did not end is gone on with: the pages that came are not asked for again, and whatever was edited meanwhile,
the company is the one that a whole reading finds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from intuit_lab import Lab
from test_intuit_lists import change, held, large, site

from qbo_sync.config import Settings
from qbo_sync.intuit import Intuit, Page, Snapshot
from qbo_sync.intuit.query import Active

__all__ = ["large", "site"]

WANTED: dict[str, Active] = {"Customer": "all", "Vendor": "all", "Term": "all", "TaxRate": "all"}
PAGES = 3
# The small lists, the count and the vendors; the pages; the look back.
REQUESTS = 2 + PAGES + 1
Company = dict[str, dict[str, Any]]


def read(site: Settings, *, pages: int = 100, clock: Callable[[], datetime] | None = None) -> tuple[Company, int]:
    """What a reading that keeps what it reads finds, and how much it asks; it stops after so many pages of customers."""
    found: Company = {}
    with Intuit.open(site, sleep=lambda _: None) as intuit:
        reading = Snapshot(site, intuit, **({"clock": clock} if clock else {})).read(WANTED)
        for page in reading:
            take(found, page)
            pages -= page.entity == "Customer"
            if not pages:
                break
        return found, intuit.counters.made


def take(found: Company, page: Page) -> None:
    if page.first:
        found[page.entity] = {}
    found[page.entity].update((row["Id"], row) for row in page.rows)


def whole(site: Settings) -> Company:
    found: Company = {}
    with Intuit.open(site, sleep=lambda _: None) as intuit:
        for page in intuit.read(WANTED):
            take(found, page)
    return found


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_pages_that_came_are_not_asked_for_again(site: Settings, pages: int) -> None:
    begun, _ = read(site, pages=pages)
    assert len(begun["Customer"]) == 1000 * pages
    found, asked = read(site)
    assert found == whole(site)
    assert asked == REQUESTS - pages
    assert read(site)[1] == REQUESTS, "what ended is not gone on with"


def nothing(_lab: Lab, _rows: list[dict[str, Any]]) -> None: ...


def renamed(lab: Lab, rows: list[dict[str, Any]]) -> None:
    for row in (rows[0], rows[1500], rows[-1]):
        change(lab, row, DisplayName=f"{row['DisplayName']} Sons", SyncToken="7")


def hidden(lab: Lab, rows: list[dict[str, Any]]) -> None:
    change(lab, next(row for row in rows if row["Active"]), Active=False, SyncToken="7")


def made_at_the_end(lab: Lab, rows: list[dict[str, Any]]) -> None:
    change(lab, rows[0], Id="9000000000000000001", DisplayName="New")


def made_in_front(lab: Lab, rows: list[dict[str, Any]]) -> None:
    """As an import into QuickBooks may: all others move, and the row at the border of what was kept comes twice."""
    change(lab, rows[0], Id="0", DisplayName="New")


def taxes(lab: Lab, _rows: list[dict[str, Any]]) -> None:
    lab.post("entities/TaxRate", {**held(lab, "TaxRate")[0], "RateValue": 9.125})


@pytest.mark.parametrize("edit", [nothing, renamed, hidden, made_at_the_end, made_in_front, taxes])
def test_what_was_edited_before_a_reading_goes_on_is_seen(
    large: Lab, site: Settings, edit: Callable[[Lab, list[dict[str, Any]]], None]
) -> None:
    read(site, pages=2)
    edit(large, sorted(held(large), key=lambda row: int(row["Id"])))
    found, asked = read(site)
    assert found == whole(site)
    assert (asked < REQUESTS) == (edit is not made_in_front)


def test_a_reading_of_long_ago_is_begun_anew(site: Settings) -> None:
    read(site, pages=2)
    assert read(site, pages=1, clock=lambda: datetime.now(UTC) + timedelta(hours=2))[1] >= 2
    assert read(site)[1] == REQUESTS - 1, "of the earlier one nothing is left"


def test_a_reading_of_another_company_is_not_gone_on_with(site: Settings) -> None:
    read(site, pages=2)
    with closing(sqlite3.connect(site.store.directory / "snapshot.db")) as db, db:
        db.execute("UPDATE reading SET company = 'production|https://quickbooks.api.intuit.com|1'")
        db.execute('UPDATE record SET body = \'{"Id":"1","DisplayName":"of another company"}\'')
    found, asked = read(site)
    assert found == whole(site)
    assert asked == REQUESTS


def test_a_disk_that_fills_up_meanwhile_costs_no_request(site: Settings) -> None:
    read(site, pages=1)
    with closing(sqlite3.connect(site.store.directory / "snapshot.db")) as db, db:
        db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON record WHEN (SELECT count(*) FROM record) > 2500"
            " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    found, asked = read(site)
    assert found == whole(site)
    assert asked == REQUESTS - 1
    assert not list(site.store.directory.glob("snapshot*"))
