"""Step 2, the thinking: who is used, what is open, what looks entered twice."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.switch import cleanup
from qbo_sync.switch.cleanup import Entry, Usage
from qbo_sync.switch.model import Kind

SINCE = "2024-11-01"


def customer(qbo_id: str, name: str, parent: Entry | None = None, **more: Any) -> Entry:
    path = f"{parent.path}:{name}" if parent else name
    row = {"Id": qbo_id, "DisplayName": name, "FullyQualifiedName": path, "MetaData": {"CreateTime": "2019-01-01T00:00:00Z"}}
    return cleanup.entry(Kind.CUSTOMER, row | ({"ParentRef": {"value": parent.qbo_id}} if parent else {}) | more)


def names(entries: Sequence[Entry]) -> list[str]:
    return [entry.name for entry in entries]


def sort(entries: Sequence[Entry], *transactions: dict[str, Any], opened: Sequence[dict[str, Any]] = ()) -> cleanup.Sorted:
    usage = Usage()
    usage.add(transactions)
    usage.add_open(opened)
    usage.add_parents(entries)
    return cleanup.sort(entries, usage, SINCE)


@pytest.mark.parametrize(
    "transaction",
    [
        {"CustomerRef": {"value": "1"}},
        {"EntityRef": {"value": "1", "type": "Customer"}},
        {"Line": [{"AccountBasedExpenseLineDetail": {"CustomerRef": {"value": "1"}}}]},
        {"Line": [{"GroupLineDetail": {"Line": [{"SalesItemLineDetail": {"CustomerRef": {"value": "1"}}}]}}]},
    ],
)
def test_wherever_a_transaction_names_a_record_it_is_in_use(transaction: dict[str, Any]) -> None:
    found = sort([customer("1", "Amy"), customer("2", "Bob")], transaction)
    assert (names(found.used), names(found.free)) == (["Amy"], ["Bob"])


def test_an_item_inside_a_bundle_is_in_use() -> None:
    usage = Usage()
    bundle = {"GroupItemRef": {"value": "7"}, "Line": [{"SalesItemLineDetail": {"ItemRef": {"value": "8"}}}]}
    usage.add([{"Line": [{"GroupLineDetail": bundle}]}])
    assert usage.used == {(Kind.INVENTORY_ITEM, "7"), (Kind.INVENTORY_ITEM, "8")}


def test_a_purchase_from_an_employee_uses_no_supplier() -> None:
    usage = Usage()
    usage.add([{"EntityRef": {"value": "5", "type": "Employee"}}, {"EntityRef": {"value": "6", "type": "Vendor"}}])
    assert usage.used == {(Kind.SUPPLIER, "6")}


def test_a_used_sub_customer_keeps_its_parents_in_use() -> None:
    top = customer("1", "Top")
    middle = customer("2", "Middle", top)
    leaf = customer("3", "Leaf", middle)
    found = sort([top, middle, leaf], {"CustomerRef": {"value": "3"}})
    assert names(found.used) == ["Top", "Middle", "Leaf"]


def test_who_was_entered_since_the_cut_off_is_not_unused_yet() -> None:
    found = sort([customer("1", "New", MetaData={"CreateTime": "2024-11-01T08:00:00-08:00"}), customer("2", "Old")])
    assert (names(found.used), names(found.free)) == (["New"], ["Old"])


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"Balance": Decimal("-12.5")}, "balance -12.50"),
        ({"BalanceWithJobs": 1200}, "balance 1,200.00"),
        ({"QtyOnHand": Decimal("2.5")}, "2.5 in stock"),
        ({"QtyOnHand": -3, "Balance": 1}, "balance 1.00, -3 in stock"),
    ],
)
def test_a_balance_or_stock_holds_a_record(more: dict[str, Any], why: str) -> None:
    held = customer("1", "Held", **more)
    assert names(sort([held]).held) == ["Held"]
    assert cleanup.holds(held, cleanup.Open()) == why


def test_open_documents_hold_a_record_and_its_parents_and_are_summed() -> None:
    top = customer("1", "Top")
    job = customer("2", "Job", top)
    opened = [{"CustomerRef": {"value": "2"}, "Balance": Decimal("10.10")}, {"CustomerRef": {"value": "2"}, "TotalAmt": 5}]
    found = sort([top, job, customer("3", "Free")], opened=opened)
    assert (names(found.held), names(found.free)) == (["Job", "Top"], ["Free"])
    usage = Usage()
    usage.add_open(opened)
    assert usage.open == {(Kind.CUSTOMER, "2"): cleanup.Open(2, Decimal("15.10"))}


def doubles(*entries: Entry) -> list[tuple[list[str], tuple[str, ...]]]:
    return [(names(double.entries), double.shared) for double in cleanup.doubles(entries)]


def test_what_looks_entered_twice_is_shown_together_with_what_it_shares() -> None:
    mail, phone = {"PrimaryEmailAddr": {"Address": "A@x.org"}}, {"Mobile": {"FreeFormNumber": "+1 (415) 444-6538"}}
    found = doubles(
        customer("1", "Smith, John"),
        customer("2", "John Smith", **mail),
        customer(
            "3", "Jonathan", PrimaryEmailAddr={"Address": "b@x.org, a@X.ORG"}, PrimaryPhone={"FreeFormNumber": "415.444.6538"}
        ),
        customer("4", "Johnny", **phone),
        customer("5", "Somebody else"),
    )
    assert found == [
        (["John Smith", "Johnny", "Jonathan", "Smith, John"], ("the name", "e-mail a@x.org", "phone …4446538")),
    ]


def test_jobs_of_one_family_are_not_doubles_by_their_shared_address() -> None:
    mail = {"PrimaryEmailAddr": {"Address": "a@x.org"}}
    top = customer("1", "Top", **mail)
    assert doubles(top, customer("2", "Job 1", top, **mail), customer("3", "Job 2", top, **mail)) == []
    assert doubles(top, customer("2", "Job", top, **mail), customer("4", "Other", **mail)) == [
        (["Other", "Top"], ("e-mail a@x.org",))
    ]


def test_the_same_job_name_under_two_parents_is_no_double() -> None:
    one, other = customer("1", "One"), customer("2", "Other")
    assert doubles(one, other, customer("3", "Kitchen", one), customer("4", "Kitchen", other)) == []


@given(st.lists(st.tuples(st.sampled_from(["Amy", "amy.", "Bob", "!"]), st.sampled_from(["", "a@x", "b@x", "c@x"])), max_size=8))
def test_doubles_are_groups_of_several_and_no_record_is_in_two(made: list[tuple[str, str]]) -> None:
    entries = [customer(str(n), name, PrimaryEmailAddr={"Address": mail}) for n, (name, mail) in enumerate(made)]
    found = cleanup.doubles(entries)
    ids = [entry.qbo_id for double in found for entry in double.entries]
    assert len(ids) == len(set(ids))
    assert all(len(double.entries) > 1 and double.shared for double in found)
    together = {frozenset(entry.qbo_id for entry in double.entries) for double in found}
    for one in entries:
        for other in entries:
            if one.qbo_id < other.qbo_id and set(one.emails) & set(other.emails):
                assert any({one.qbo_id, other.qbo_id} <= group for group in together)
