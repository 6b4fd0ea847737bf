"""Payment terms: the numbers decide, not the name, since due dates are computed from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from qbo_sync.switch.audit.rule import Hit, Rule, Sides, hit
from qbo_sync.switch.match import numbers, say_term
from qbo_sync.switch.model import Kind, Record, Result, Severity

TERMS = "QuickBooks Online: gear icon > All lists > Terms"
TERM = Kind.PAYMENT_TERM


def other_numbers(sides: Sides) -> Iterator[Hit]:
    """A term of the same name with other days or another discount."""
    terms = {row.miracle_id: row for row in sides.held(TERM)}
    for planned in sides.planned(TERM):
        other = terms.get(planned.miracle_id)
        if other and not planned.decision and numbers(planned.fields) != numbers(other.fields):
            yield hit(planned, say_term(planned.fields), say_term(other.fields))


def other_name(sides: Sides) -> Iterator[Hit]:
    """The same numbers under another name: they will be linked."""
    for planned in sides.planned(TERM):
        if planned.result is Result.MATCHED and planned.reason.startswith("same numbers"):
            yield hit(planned, planned.path, planned.reason.removeprefix("same numbers as "))


def next_month(sides: Sides) -> Iterator[Hit]:
    """QuickBooks can move a day-of-month term into the next month; Miracle Service has no column for it."""
    for record in sides.records(TERM):
        days = record.seen.get("next_month_days", "0")
        if record.seen.get("type") == "DATE_DRIVEN" and days != "0":
            yield hit(record, f"due next month if issued within {days} days before", "no such setting")


def discount_day(sides: Sides) -> Iterator[Hit]:
    """QuickBooks gives a discount until a day of the month; Miracle Service counts days."""
    for record in sides.records(TERM):
        if day := record.seen.get("discount_day", "").removeprefix("0"):
            yield hit(record, f"discount until day {day} of the month", "discount within a number of days only")


def same_numbers(sides: Sides) -> Iterator[Hit]:
    """Several active terms of QuickBooks have the same numbers."""
    same: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in sides.records(TERM):
        same[numbers(record.fields)].append(record)
    for records in same.values():
        if len(records) > 1:
            names = ", ".join(record.name for record in records)
            yield hit(records[0], f"{say_term(records[0].fields)}: {names}")


RULES = (
    Rule(
        "TRM-001",
        Severity.BLOCKER,
        "A payment term has other numbers in Miracle Service",
        "Correct the term on the side that is wrong; due dates of exported invoices depend on it.",
        TERMS,
        other_numbers,
    ),
    Rule(
        "TRM-002",
        Severity.INFO,
        "A payment term has another name in Miracle Service",
        "Both have the same numbers and will be linked. Rename one if you like.",
        TERMS,
        other_name,
    ),
    Rule(
        "TRM-003",
        Severity.WARNING,
        "A payment term moves to the next month in QuickBooks Online",
        "Miracle Service computes the due date in the same month. Check invoices with this term by hand.",
        TERMS,
        next_month,
    ),
    Rule(
        "TRM-004",
        Severity.WARNING,
        "A payment term gives its discount until a day of the month",
        "Miracle Service cannot say that. Tell customers with this term the last day by hand, or use a term that counts days.",
        TERMS,
        discount_day,
    ),
    Rule(
        "TRM-005",
        Severity.INFO,
        "Several payment terms mean the same",
        "Nothing to do; they are told apart by their names. Make those inactive that nobody uses.",
        TERMS,
        same_numbers,
    ),
)
