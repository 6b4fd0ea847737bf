"""Inventory items: the accounts they are booked to, their types and part numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from qbo_sync.switch import names
from qbo_sync.switch.audit.rule import Hit, Rule, Sides, doubled, hit, some
from qbo_sync.switch.model import Kind, Severity

PRODUCTS = "QuickBooks Online: Sales > Products and services > the item"
ITEM = Kind.INVENTORY_ITEM
ACCOUNTS = {"income_account": "income", "expense_account": "expense", "asset_account": "inventory asset"}


def no_income_account(sides: Sides) -> Iterator[Hit]:
    """An item has no account for its sales."""
    for record in sides.records(ITEM):
        if "income_account" not in record.seen:
            yield hit(record, "no income account")


def stock_accounts(sides: Sides) -> Iterator[Hit]:
    """An item that is kept in stock lacks the account of its stock or of its cost."""
    for record in sides.records(ITEM):
        missing = [ACCOUNTS[name] for name in ("expense_account", "asset_account") if name not in record.seen]
        if record.fields.get("item_type") == "Inventory" and missing:
            yield hit(record, f"no {' and no '.join(missing)} account")


def inactive_account(sides: Sides) -> Iterator[Hit]:
    """An item is booked to an account that is inactive."""
    for record in sides.records(ITEM):
        for name, said in ACCOUNTS.items():
            account = sides.company.accounts.get(record.seen.get(name, ""))
            if account and not account.active:
                yield Hit(
                    f"{ITEM}/{record.qbo_id}/{name}", ITEM, record.path, f"its {said} account is '{account.name}' (inactive)"
                )


def part_numbers(sides: Sides) -> Iterator[Hit]:
    """Several active items have one part number."""
    for part, found in doubled(partial(_part_numbers, sides)):
        yield Hit(f"{ITEM}/{part}", ITEM, part, some(found))


def _part_numbers(sides: Sides) -> Iterator[tuple[str, str]]:
    for record in sides.records(ITEM):
        if part := names.normal(str(record.fields.get("part_number") or "")):
            yield part, record.name


def differs(column: str, fires: str) -> Callable[[Sides], Iterable[Hit]]:
    """A check whether an item that both sides have says something else in a field."""

    def check(sides: Sides) -> Iterator[Hit]:
        for planned, miracle in sides.pairs(ITEM, column):
            qbo = str(planned.fields.get(column) or "")
            if qbo and miracle and names.normal(qbo) != names.normal(str(miracle)):
                yield hit(planned, qbo, str(miracle))

    check.__doc__ = fires
    return check


RULES = (
    Rule(
        "ITM-001",
        Severity.WARNING,
        "An item has no income account",
        "Give it one: an invoice with this item cannot be booked without.",
        PRODUCTS,
        no_income_account,
    ),
    Rule(
        "ITM-002",
        Severity.WARNING,
        "A stock item lacks an account",
        "Give it an inventory asset account and an expense account (cost of goods sold).",
        PRODUCTS,
        stock_accounts,
    ),
    Rule(
        "ITM-003",
        Severity.WARNING,
        "An item is booked to an inactive account",
        "Make the account active again, or choose another one on the item; QuickBooks Online refuses invoices with it.",
        PRODUCTS,
        inactive_account,
    ),
    Rule(
        "ITM-004",
        Severity.WARNING,
        "Several items share one part number",
        "Give each its own; a technician who picks by part number may take the wrong one.",
        PRODUCTS,
        part_numbers,
    ),
    Rule(
        "ITM-005",
        Severity.WARNING,
        "An item is of another type in Miracle Service",
        "Make sure both mean the same thing. Stock is counted for 'Inventory' only.",
        PRODUCTS,
        differs("item_type", "An item that both sides have is of another type in Miracle Service."),
    ),
    Rule(
        "ITM-006",
        Severity.WARNING,
        "An item has another part number in Miracle Service",
        "Correct the part number on the side that is wrong, or rename one of the items if they are two.",
        PRODUCTS,
        differs("part_number", "An item that both sides have has another part number in Miracle Service."),
    ),
)
