"""Both sides compared record by record, the differences named field by field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.switch import match
from qbo_sync.switch.audit import Sides
from qbo_sync.switch.model import Decided, Decision, Kind
from qbo_sync.switch.reconcile import Compared, compare, same
from tests.unit.switch import sides as make

NET_30 = make.named("3", "Net 30", Type="STANDARD", DueDays=30)


def compared(qbo: dict[Kind, list[Any]], miracle: dict[Kind, list[Any]], **more: Any) -> dict[tuple[str, str], Compared]:
    decisions = more.pop("decisions", None)
    company, books = make.company(qbo), make.books(miracle, **more)
    found = compare(Sides(company, books, match.match(company, books, decisions)))
    return {(each.result, each.name): each for each in found}


def test_every_record_is_told_once_by_where_it_is() -> None:
    amy = make.customer("1", "Amy", PrimaryEmailAddr={"Address": "Amy@x.org"}, PrimaryPhone={"FreeFormNumber": "(415) 444-6538"})
    here = make.row(Kind.CUSTOMER, "10", "AMY", email="amy@X.org", phone="+1 415 444 6538", taxable=True, currency=None)
    found = compared(
        {Kind.CUSTOMER: [amy, make.customer("2", "Bob")]}, {Kind.CUSTOMER: [here, make.row(Kind.CUSTOMER, "11", "Walk-in")]}
    )
    assert set(found) == {("equal", "Amy"), ("only_qbo", "Bob"), ("only_miracle", "Walk-in")}
    assert found["equal", "Amy"].details == ()


LINKED = {("customer", "1"): ("10", "made"), ("payment_term", "3"): ("7", "matched")}


@pytest.mark.parametrize("links", [{}, LINKED], ids=["matched now", "linked before"])
def test_differences_are_named_field_by_field_and_references_by_their_names(
    links: dict[tuple[str, str], tuple[str, str]],
) -> None:
    address = {"Line1": "4581 Finch St.", "City": "Bayshore"}
    amy = make.customer("1", "Amy", BillAddr=address, SalesTermRef={"value": "3"}, Taxable=False)
    fields = {"bill_line1": "Finch Street 4581", "bill_city": "bayshore", "payment_term_id": 8, "taxable": True}
    terms = [make.row(Kind.PAYMENT_TERM, "7", "Net 30", due_days=30), make.row(Kind.PAYMENT_TERM, "8", "Net 60", due_days=60)]
    found = compared(
        {Kind.CUSTOMER: [amy], Kind.PAYMENT_TERM: [NET_30]},
        {Kind.CUSTOMER: [make.row(Kind.CUSTOMER, "10", "Amy", **fields)], Kind.PAYMENT_TERM: terms},
        links=links,
    )
    details = found["equal", "Amy"].details
    assert [(d.field, d.qbo, d.miracle) for d in details] == [
        ("bill_line1", "4581 Finch St.", "Finch Street 4581"),
        ("taxable", "no", "yes"),
        ("payment_term_id", "Net 30", "Net 60"),
    ]


def test_what_the_export_goes_by_makes_a_record_different() -> None:
    links = {("customer", "1"): ("10", "made"), ("payment_term", "3"): ("7", "made")}
    found = compared(
        {Kind.CUSTOMER: [make.customer("1", "Amy")], Kind.PAYMENT_TERM: [NET_30]},
        {
            Kind.CUSTOMER: [make.row(Kind.CUSTOMER, "10", "Amy's")],
            Kind.PAYMENT_TERM: [make.row(Kind.PAYMENT_TERM, "7", "Thirty", due_days=31)],
        },
        links=links,
    )
    assert found["different", "Amy"].reason == "named 'Amy's' there"
    assert "due in 31 days" in found["different", "Net 30"].reason


def test_a_decision_settles_a_name() -> None:
    rows = {Kind.CUSTOMER: [make.row(Kind.CUSTOMER, "10", "Amy's")]}
    linked = compared({Kind.CUSTOMER: [make.customer("1", "Amy")]}, rows, links={("customer", "1"): ("10", "decided")})
    assert set(linked) == {("equal", "Amy")}
    skipped = compared(
        {Kind.CUSTOMER: [make.customer("1", "Amys")]}, rows, decisions={(Kind.CUSTOMER, "1"): Decided(Decision.SKIP)}
    )
    assert set(skipped) == {("only_miracle", "Amy's")}


@pytest.mark.parametrize(
    ("field", "one", "other", "are"),
    [
        ("email", None, "", True),
        ("email", "a@x.org", None, False),
        ("unit_price", Decimal("12.50"), 12.5, True),
        ("unit_price", Decimal("12.50"), "12.5", True),
        ("unit_price", Decimal(0), None, True),
        ("unit_price", Decimal(1), None, False),
        ("unit_price", Decimal(1), "one", False),
        ("taxable", True, 1, True),
        ("taxable", True, False, False),
        ("phone", "415-444-6538", "4154446538 ", True),
        ("phone", "x1", "x2", False),
        ("bill_line1", "Straße  1", "STRASSE 1", True),
    ],
)
def test_values_that_say_the_same(field: str, one: object, other: object, are: bool) -> None:
    assert same(field, one, other) is are
    assert same(field, other, one) is are


VALUES = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text()


@given(VALUES, st.sampled_from(["email", "phone", "unit_price"]))
def test_a_value_is_the_same_as_itself(value: object, field: str) -> None:
    assert same(field, value, value)
    assert same(field, value, None if value is None else str(value)) or isinstance(value, bool)
