"""The text of queries, read back by the look-alike's parser, which follows the recorded grammar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intuit_lab import Lab

from lab.intuit.query import parse
from qbo_sync.config import Settings
from qbo_sync.intuit import Intuit, query


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_survives_quoting(name: str) -> None:
    statement = parse(query.select("Customer", [f"DisplayName = {query.quote(name)}"]))
    assert [condition.values for condition in statement.conditions] == [(name,)]


NAMES = st.text(st.characters(exclude_categories=["Cs"])) | st.lists(
    st.sampled_from(["'", "\\", "''", "\\'", "%", "&", "+", "#", ";", "--", " OR ", "\n", "é", "é", "𝄞", "‮", "a"])
).map("".join)


@given(NAMES, NAMES)
def test_a_name_never_becomes_part_of_the_statement(name: str, other: str) -> None:
    statement = parse(query.count("Item", [f"Name = {query.quote(name)}", f"Sku IN ({query.quote(other)}, {query.quote(name)})"]))
    assert [(c.name, c.operator, c.values) for c in statement.conditions] == [
        ("Name", "=", (name,)),
        ("Sku", "in", (other, name)),
    ]
    assert (statement.count, statement.order, statement.start) == (True, (), 1)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES.filter(bool))
def test_a_record_is_found_by_whatever_it_is_called(lab: Lab, connected: Settings, name: str) -> None:
    row = {"Id": "77", "SyncToken": "0", "Name": name, "Active": True}
    lab.post(
        "entities/PaymentMethod",
        {**row, "MetaData": {"CreateTime": "2026-01-01T00:00:00Z", "LastUpdatedTime": "2026-01-01T00:00:00Z"}},
    )
    with Intuit.open(connected, sleep=lambda _seconds: None) as intuit:
        assert [
            found["Name"] for found in intuit.query("PaymentMethod", where=f"Name = {query.quote(name)}") if found["Id"] == "77"
        ] == [name]


@given(st.datetimes(), st.integers(-14 * 4, 14 * 4))
def test_a_moment_keeps_its_offset_to_the_second(at: datetime, quarters: int) -> None:
    aware = at.replace(tzinfo=timezone(timedelta(minutes=15 * quarters)))
    literal = query.moment(aware)
    assert datetime.fromisoformat(literal.strip("'")) == aware.replace(microsecond=0)


def test_a_moment_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        query.moment(datetime(2026, 1, 1))


def test_pages_are_asked_for_in_the_order_of_id() -> None:
    statement = parse(query.select("Item", ["Active = false"], start=1001))
    assert (statement.order, statement.start, statement.limit) == ((("Id", False),), 1001, 1000)


@pytest.mark.parametrize("name", ["", "Customer WHERE Id = '1'", "Customer;", "Kunde1", "../Item"])
def test_only_a_name_is_an_entity(name: str) -> None:
    with pytest.raises(ValueError, match="entity"):
        query.select(name)


@pytest.mark.parametrize("active", ["active", "inactive", "all"])
def test_every_filter_is_one_the_service_takes(active: query.Active) -> None:
    for entity in ("Customer", "TaxCode"):
        for condition in query.filters(entity, active):
            parse(query.count(entity, [condition, f"MetaData.LastUpdatedTime >= {query.moment(datetime.now(UTC))}"]))
