"""A later reading asks only what changed, and gives the same rows as a whole one."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intuit_lab import Lab
from test_intuit_client import held

from qbo_sync.config import Settings
from qbo_sync.errors import Unreachable
from qbo_sync.intuit import Connection, Intuit, Snapshot, changes
from qbo_sync.intuit.changes import Window
from qbo_sync.intuit.query import Active

Row = dict[str, Any]
Company = dict[str, dict[str, Row]]
WANTED: dict[str, Active] = {
    **dict.fromkeys(("CustomerType", "Term", "PaymentMethod", "Class", "Vendor", "Item", "Customer"), "all"),
    "TaxCode": "active",
    "TaxRate": "all",
    "CompanyInfo": "active",
}
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def rows(reader: Intuit | Snapshot) -> Company:
    """What a reader makes of a reading."""
    found: Company = {}
    for page in reader.read(WANTED):
        if page.first:
            found[page.entity] = {}
        found[page.entity].update((row["Id"], row) for row in page.rows)
    return found


def unpaced(site: Settings) -> Intuit:
    """The company, asked as fast as it answers."""
    return Intuit.open(site, sleep=lambda _: None)


def read(site: Settings, *, only_changes: bool = False, clock: Callable[[], datetime] | None = None) -> tuple[Company, Intuit]:
    with unpaced(site) as intuit:
        later = {"clock": clock} if clock else {}
        return rows(Snapshot(site, intuit, only_changes=only_changes, **later)), intuit


def edit(lab: Lab, entity: str, row: Row, **values: Any) -> None:
    """As a person in QuickBooks would."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    meta = {"CreateTime": now, **row.get("MetaData", {}), "LastUpdatedTime": now}
    lab.post(f"entities/{entity}", {**row, **values, "SyncToken": str(int(row.get("SyncToken", 0)) + 1), "MetaData": meta})


def test_a_second_reading_is_two_requests_and_sees_every_change(lab: Lab, connected: Settings) -> None:
    first, whole = read(connected)
    customers = held(lab, "Customer")
    edit(lab, "Customer", customers[0], DisplayName="Renamed", FullyQualifiedName="Renamed")
    edit(lab, "Customer", next(row for row in customers[1:] if row["Active"]), Active=False)
    edit(lab, "Item", held(lab, "Item")[0], UnitPrice=0.1)
    edit(lab, "Vendor", {**held(lab, "Vendor")[0], "Id": "5000000000000085682"}, DisplayName="New")
    edit(lab, "CustomerType", held(lab, "CustomerType")[0], Name="Also renamed")
    edit(lab, "TaxRate", held(lab, "TaxRate")[0], RateValue=9.125)
    second, less = read(connected, only_changes=True)
    with unpaced(connected) as intuit:
        assert second == rows(intuit)
    assert second != first
    assert [entity for entity in WANTED if second[entity] != first[entity]] == [
        *("CustomerType", "Vendor", "Item", "Customer"),
        "TaxRate",
    ]
    assert less.counters.made == 2
    assert less.counters.rows < whole.counters.rows


KINDS = ("Customer", "Vendor", "Item", "Class", "Term", "TaxRate", "CustomerType")
EDITS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from(["rename", "hide", "show", "add"]), st.integers(0, 10**6)), max_size=6
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(EDITS, min_size=1, max_size=3))
def test_whatever_was_edited_the_changes_make_the_same_company(lab: Lab, connected: Settings, rounds: Any) -> None:
    read(connected)
    for edits in rounds:
        for entity, what, number in edits:
            there = held(lab, entity)
            row = there[number % len(there)]
            name = {"DisplayName" if "DisplayName" in row else "Name": f"Name {number}"}
            values: dict[str, Row] = {"rename": name, "hide": {"Active": False}, "show": {"Active": True}}
            edit(lab, entity, row, **values.get(what, {**name, "Id": str(10**6 + number)}))
        after, _ = read(connected, only_changes=True)
        with unpaced(connected) as intuit:
            assert after == rows(intuit)


def test_more_changes_than_an_answer_holds_and_the_list_is_read_whole(lab: Lab, connected: Settings) -> None:
    read(connected)
    one = held(lab, "PaymentMethod")[0]
    times = {**one["MetaData"], "LastUpdatedTime": (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds")}
    lab.post("entities/PaymentMethod", [{**one, "Id": str(9000 + n), "Name": f"M{n}", "MetaData": times} for n in range(1000)])
    edit(lab, "Vendor", held(lab, "Vendor")[0], DisplayName="Renamed")
    after, _ = read(connected, only_changes=True)
    assert len(after["PaymentMethod"]) > 1000
    with unpaced(connected) as intuit:
        assert after == rows(intuit)
    assert read(connected, only_changes=True)[0] == after


def test_a_kept_reading_of_a_month_ago_is_not_asked_to_be_changed(lab: Lab, connected: Settings) -> None:
    first, whole = read(connected)
    later, intuit = read(connected, only_changes=True, clock=lambda: datetime.now(UTC) + timedelta(days=29))
    assert later == first
    assert intuit.counters.rows == whole.counters.rows


def test_a_reading_that_is_cut_off_leaves_what_was_kept_before(lab: Lab, connected: Settings) -> None:
    first, _ = read(connected)
    edit(lab, "Customer", held(lab, "Customer")[0], DisplayName="Renamed")
    lab.fault("closed", path="/batch")
    with unpaced(connected) as intuit, pytest.raises(Unreachable):
        rows(Snapshot(connected, intuit, only_changes=True))
    lab.post("faults", [])
    after, intuit = read(connected, only_changes=True)
    assert intuit.counters.made == 2
    assert after["Customer"] != first["Customer"]


def damage(path: Any) -> None:
    path.write_bytes(b"this is no database" * 100)


def fill(path: Any) -> None:
    """No room for anything more in the file."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON reading BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END")
    db.close()


@pytest.mark.parametrize("harm", [damage, fill])
def test_what_cannot_be_kept_costs_a_whole_reading_and_nothing_else(
    harm: Callable[[Any], None], lab: Lab, connected: Settings
) -> None:
    first, _ = read(connected)
    harm(connected.store.directory / "snapshot.db")
    assert read(connected, only_changes=True)[0] == first
    read(connected)
    assert read(connected, only_changes=True)[1].counters.made == 2


def test_what_is_kept_is_for_this_user_only_and_for_one_company(lab: Lab, connected: Settings) -> None:
    before = os.umask(0)
    try:
        read(connected)
    finally:
        os.umask(before)
    path = connected.store.directory / "snapshot.db"
    assert path.stat().st_mode & 0o077 == 0
    with sqlite3.connect(path) as db:
        db.execute("UPDATE reading SET company = 'production|https://quickbooks.api.intuit.com|1'")
        db.execute('UPDATE record SET body = \'{"Id":"1","DisplayName":"of another company"}\'')
    db.close()
    with unpaced(connected) as intuit:
        assert Snapshot(connected, intuit).catch_up()
        assert intuit.counters.made == 0
    after, _ = read(connected, only_changes=True)
    with unpaced(connected) as intuit:
        assert after == rows(intuit)


def test_disconnecting_forgets_the_rows_that_were_kept(connected: Settings) -> None:
    read(connected)
    assert (connected.store.directory / "snapshot.db").exists()
    connection = Connection(connected)
    connection.revoke()
    connection.close()
    assert not list(connected.store.directory.glob("snapshot*"))


def test_catching_up_is_one_request(lab: Lab, connected: Settings) -> None:
    with unpaced(connected) as intuit:
        assert Snapshot(connected, intuit).catch_up()
        assert intuit.counters.made == 0, "nothing is kept, so there is nothing to bring up to date"
    read(connected)
    edit(lab, "Customer", held(lab, "Customer")[0], DisplayName="Renamed")
    with unpaced(connected) as intuit:
        assert Snapshot(connected, intuit).catch_up()
        assert (intuit.counters.made, intuit.counters.rows) == (1, 1)


# --- the answers themselves, in every order and size ----------------------------------------------------------------


class Captured:
    """Plays change data capture over a known history: cut at ``most`` objects, in no order, old states among the new."""

    def __init__(self, objects: dict[str, list[Row]], most: int, seed: int) -> None:
        self.objects, self.most, self.random = objects, most, random.Random(seed)
        self.asked: list[Sequence[str]] = []

    def __call__(self, entities: Sequence[str]) -> Window:
        self.asked.append(entities)
        groups: dict[str, list[Row]] = {}
        room = self.most
        for entity in entities:
            group = list(self.objects.get(entity, []))
            self.random.shuffle(group)
            groups[entity] = group[:room]
            room -= len(groups[entity])
        return Window(groups, NOW + timedelta(minutes=len(self.asked)))


STATES = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 9), st.booleans()), max_size=12)


@settings(max_examples=500, deadline=None)
@given(history=st.dictionaries(st.sampled_from(sorted(changes.CAPTURED)), STATES), most=st.integers(1, 30), seed=st.integers())
def test_any_answer_leads_to_the_newest_state_or_to_a_whole_reading(
    history: dict[str, list[tuple[int, int, bool]]], most: int, seed: int
) -> None:
    objects = {
        entity: [
            {"Id": str(number), "status": "Deleted"} if gone else {"Id": str(number), "SyncToken": str(token)}
            for number, token, gone in states
        ]
        for entity, states in history.items()
    }
    entities = sorted(changes.CAPTURED)
    found = changes.read(Captured(objects, most, seed), entities, most)
    assert found.at == NOW + timedelta(minutes=1), "the next window begins where the first answer was given"
    for entity in entities:
        states = history.get(entity, [])
        if entity in found.overflown:
            assert len(states) >= most
            assert entity not in found.rows
            continue
        gone = {str(number) for number, _, is_gone in states if is_gone}
        newest = {str(number): str(token) for number, token, is_gone in sorted(states) if not is_gone and str(number) not in gone}
        assert {row_id: row["SyncToken"] for row_id, row in found.rows[entity].items()} == newest
        assert found.deleted[entity] == gone
