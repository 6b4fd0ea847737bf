"""What becomes of one record: linked, matched, new, weak, conflict, invalid or removed, and why."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.errors import UsageError
from qbo_sync.switch.match import match, say_term
from qbo_sync.switch.model import Decided, Decision, Kind, Result
from tests.unit.switch.sides import books, company, customer, named, one, row

C = Kind.CUSTOMER
AMY = row(C, "7", "Amy's Bird Sanctuary", email="birds@example.com", phone="(650) 555-3311")


def result(raw: dict[str, Any], *rows: Any, **options: Any) -> tuple[Result, str]:
    found = one(match(company({C: [raw]}), books({C: list(rows)}, **options)), C, raw["Id"])
    return found.result, found.reason


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Amy's Bird Sanctuary", Result.MATCHED),
        (" AMY'S  bird sanctuary", Result.MATCHED),
        ("Amy\u2019s Bird Sanctuary", Result.WEAK),
        ("Amys Bird Sanctuary", Result.WEAK),
        ("Amy's Bird Sanctuary Inc.", Result.WEAK),
        ("Sanctuary, Amy's Bird", Result.WEAK),
        ("Amy's Bird Sanctuary 123", Result.WEAK),
        ("Amy's Dog Sanctuary", Result.NEW),
        ("اَلْعَرَبِيَّةُ", Result.NEW),
        ("🦜", Result.NEW),
        ("x" * 501, Result.INVALID),
        ("a:b", Result.INVALID),
        ("a\tb", Result.INVALID),
        (" ", Result.INVALID),
    ],
)
def test_names(name: str, expected: Result) -> None:
    assert result(customer("1", name), AMY, lengths={"name": 500})[0] is expected


def test_the_numbers_habit_works_both_ways() -> None:
    assert result(customer("1", "Alex Rodriguez"), row(C, "3", "Alex Rodriguez 123"))[0] is Result.WEAK


def test_same_mail_or_phone_is_shown_with_the_reason() -> None:
    mail = customer("1", "Bird Home", PrimaryEmailAddr={"Address": "office@example.com, Birds@Example.com"})
    assert result(mail, AMY) == (Result.WEAK, "same e-mail address as 'Amy's Bird Sanctuary' (row 7)")
    phone = customer("1", "Bird Home", PrimaryPhone={"FreeFormNumber": "650-555-3311"})
    assert result(phone, AMY)[1].startswith("same phone number")


def test_same_name_under_two_parents_is_two_records() -> None:
    parents = [customer("1", "Doe"), customer("2", "Roe")]
    children = [
        customer("3", "House", FullyQualifiedName="Doe:House", ParentRef={"value": "1"}),
        customer("4", "House", FullyQualifiedName="Roe:House", ParentRef={"value": "2"}),
    ]
    rows = match(company({C: parents + children}), books({C: [row(C, "1", "Doe"), row(C, "2", "Doe:House")]}))
    assert one(rows, C, "3").result is Result.MATCHED
    assert one(rows, C, "4").result is Result.NEW


def test_a_saved_link_wins_over_every_name() -> None:
    links = {("customer", "1"): ("7", "made")}
    assert result(customer("1", "Quite Another Name"), AMY, links=links)[0] is Result.LINKED
    gone = {("customer", "1"): ("99", "made")}
    assert result(customer("1", "Amy's Bird Sanctuary"), AMY, links=gone)[0] is Result.REMOVED
    discarded = {("customer", "1"): ("7", "removed")}
    assert result(customer("1", "Amy's Bird Sanctuary"), AMY, links=discarded)[0] is Result.REMOVED


def test_a_name_that_stands_twice_in_miracle_is_a_conflict() -> None:
    found, reason = result(customer("1", "Amy's Bird Sanctuary"), AMY, row(C, "8", "AMY'S BIRD SANCTUARY"))
    assert found is Result.CONFLICT
    assert "7, 8" in reason


def test_two_records_for_one_row_are_a_conflict_for_both() -> None:
    rows = match(company({C: [customer("1", "Amy"), customer("2", "AMY")]}), books({C: [row(C, "7", "amy")]}))
    assert {(one(rows, C, i).result, one(rows, C, i).action) for i in ("1", "2")} == {(Result.CONFLICT, "")}


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ({"name": "Net 30", "due_days": 30}, Result.MATCHED),
        ({"name": "Net 30", "due_days": 31}, Result.CONFLICT),
        ({"name": "30 days", "due_days": 30}, Result.MATCHED),
        ({"name": "30 days", "due_days": 30, "discount_percent": 2, "discount_days": 10}, Result.NEW),
    ],
)
def test_terms_match_by_their_numbers_too(term: dict[str, Any], expected: Result) -> None:
    there = row(Kind.PAYMENT_TERM, "1", term.pop("name"), **term)
    raw = named("3", "Net 30", Type="STANDARD", DueDays=30, DiscountDays=0)
    rows = match(company({Kind.PAYMENT_TERM: [raw]}), books({Kind.PAYMENT_TERM: [there]}))
    assert one(rows, Kind.PAYMENT_TERM, "3").result is expected


@pytest.mark.parametrize("due", [30, Decimal(30), Decimal("30.0"), "30"])
def test_a_term_in_words_has_plain_numbers(due: Any) -> None:
    assert say_term({"due_days": due}) == "due in 30 days"
    discount = {"due_days": due, "discount_percent": Decimal("2.00"), "discount_days": 10}
    assert say_term(discount) == "due in 30 days, 2 % off within 10 days"


def test_a_child_of_an_inactive_parent_is_not_placed_elsewhere() -> None:
    raw = [customer("1", "Old", Active=False), customer("2", "House", FullyQualifiedName="Old:House", ParentRef={"value": "1"})]
    found = one(match(company({C: raw}), books()), C, "2")
    assert found.result is Result.INVALID
    assert "inactive" in found.reason


def test_a_record_waits_for_the_decision_on_what_it_refers_to() -> None:
    types = {Kind.CUSTOMER_TYPE: [named("1", "Non-profit")]}
    raw = {**types, C: [customer("5", "Church", CustomerTypeRef={"value": "1"})]}
    there = books({Kind.CUSTOMER_TYPE: [row(Kind.CUSTOMER_TYPE, "4", "Non profit")]})
    rows = match(company(raw), there)
    assert one(rows, Kind.CUSTOMER_TYPE, "1").result is Result.WEAK
    assert one(rows, C, "5").result is Result.CONFLICT
    decided = match(company(raw), there, {(Kind.CUSTOMER_TYPE, "1"): Decided(Decision.LINK)})
    assert one(decided, Kind.CUSTOMER_TYPE, "1").action == "link"
    assert one(decided, C, "5").result is Result.NEW


def test_a_skipped_reference_holds_nothing_back() -> None:
    raw = {Kind.CUSTOMER_TYPE: [named("1", "Non-profit")], C: [customer("5", "Church", CustomerTypeRef={"value": "1"})]}
    there = books({Kind.CUSTOMER_TYPE: [row(Kind.CUSTOMER_TYPE, "4", "Non profit")]})
    rows = match(company(raw), there, {(Kind.CUSTOMER_TYPE, "1"): Decided(Decision.SKIP)})
    assert one(rows, C, "5").action == "insert"


def test_a_new_record_can_be_linked_or_left_out() -> None:
    """A customer that stands under another parent in Miracle Service looks new; a person may know better."""
    raw = company({C: [customer("1", "House")]})
    there = books({C: [row(C, "1", "Doe"), row(C, "2", "Doe:House")]})
    assert one(match(raw, there), C, "1").action == "insert"
    linked = one(match(raw, there, {(C, "1"): Decided(Decision.LINK, "2")}), C, "1")
    assert (linked.action, linked.miracle_id) == ("link", "2")
    assert one(match(raw, there, {(C, "1"): Decided(Decision.SKIP)}), C, "1").action == ""


def test_a_child_of_a_skipped_parent_is_not_placed_elsewhere() -> None:
    raw = [customer("1", "Doe"), customer("2", "House", FullyQualifiedName="Doe:House", ParentRef={"value": "1"})]
    rows = match(company({C: raw}), books(), {(C, "1"): Decided(Decision.SKIP)})
    assert one(rows, C, "2").result is Result.INVALID


def test_decisions_settle_weak_records() -> None:
    raw, there = company({C: [customer("1", "Amys Bird Sanctuary")]}), books({C: [AMY]})
    for decision, action, target in [("link", "link", "7"), ("create", "insert", ""), ("skip", "", "7")]:
        found = one(match(raw, there, {(C, "1"): Decided(Decision(decision))}), C, "1")
        assert (found.action, found.miracle_id, found.decision) == (action, target, decision)


@pytest.mark.parametrize(
    ("key", "decided", "cause"),
    [
        ((C, "1"), Decided(Decision.LINK, "404"), "there is no row '404'"),
        ((C, "1"), Decided(Decision.LINK, "8"), "another record has it"),
        ((C, "9"), Decided(Decision.SKIP), "not active in QuickBooks"),
    ],
)
def test_decisions_that_are_refused(key: tuple[Kind, str], decided: Decided, cause: str) -> None:
    raw = company({C: [customer("1", "Amys Bird Sanctuary"), customer("2", "Bill")]})
    with pytest.raises(UsageError) as refused:
        match(raw, books({C: [AMY, row(C, "8", "Bill")]}), {key: decided})
    assert cause in str(refused.value)


def test_two_records_cannot_be_linked_with_one_row() -> None:
    raw = company({C: [customer("1", "Amys Bird Sanctuary"), customer("2", "Amy's Bird Sanctuary Inc")]})
    both = {(C, i): Decided(Decision.LINK) for i in ("1", "2")}
    with pytest.raises(UsageError, match="another record has it"):
        match(raw, books({C: [AMY]}), both)


NAMES = st.text(min_size=1, max_size=12).filter(lambda n: n.strip() and ":" not in n and n.isprintable())


@given(st.lists(NAMES, max_size=12, unique=True), st.lists(NAMES, max_size=12))
def test_no_two_records_ever_take_the_same_row(ours: list[str], theirs: list[str]) -> None:
    raw = company({C: [customer(str(n), name) for n, name in enumerate(ours)]})
    rows = match(raw, books({C: [row(C, str(n), name) for n, name in enumerate(theirs)]}))
    taken = [r.miracle_id for r in rows if r.action == "link"]
    assert len(taken) == len(set(taken))
    assert [r.qbo_id for r in rows] == [str(n) for n in range(len(ours))]
