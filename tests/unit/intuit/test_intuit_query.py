"""The text of queries, read back by the look-alike's parser, which follows the recorded grammar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.intuit.query import parse
from qbo_sync.intuit import query


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_name_survives_quoting(name: str) -> None:
    statement = parse(query.select("Customer", [f"DisplayName = {query.quote(name)}"]))
    assert [condition.values for condition in statement.conditions] == [(name,)]


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
