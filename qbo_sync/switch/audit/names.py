"""Names that will make trouble: one name space for customers and suppliers, look-alikes, left-overs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from qbo_sync.switch import names
from qbo_sync.switch.audit.lists import DECISIONS, NUMBERED, shared
from qbo_sync.switch.audit.rule import Hit, Rule, Sides, doubled, hit, row_hit, some
from qbo_sync.switch.model import Kind, Result, Severity

WHERE = "QuickBooks Online: the record itself"
MIRACLE = "Miracle Service: the record itself"
NAMED = (Kind.CUSTOMER, Kind.SUPPLIER, Kind.INVENTORY_ITEM)
COLON_KINDS = (*NAMED, Kind.GROUP_TYPE)
QBO_LENGTH = {
    Kind.CUSTOMER_TYPE: 100,
    Kind.PAYMENT_TERM: 31,
    Kind.PAYMENT_METHOD: 31,
    Kind.GROUP_TYPE: 100,
    Kind.SUPPLIER: 500,
    Kind.INVENTORY_ITEM: 100,
    Kind.CUSTOMER: 500,
}


def deleted_suffix(sides: Sides) -> Iterator[Hit]:
    """Active again, but still named as if it were not."""
    for record in sides.records():
        if names.normal(record.name).endswith("(deleted)"):
            yield hit(record, record.name)


def numbered(sides: Sides) -> Iterator[Hit]:
    """QuickBooks Desktop's habit "Name 123": one side has the name with a number behind it, the other without."""
    for row in sides.planned(*NAMED):
        if row.result is Result.WEAK and not row.decision and row.reason.startswith(NUMBERED):
            yield hit(row, row.path, row.reason.removeprefix(f"{NUMBERED} as "))


def untidy(sides: Sides) -> Iterator[Hit]:
    """Spaces nobody sees."""
    for record in sides.records():
        tidy = record.name.strip()
        if tidy and (record.name != tidy or "  " in tidy):
            yield hit(record, f"'{record.name}'")


def look_alike(sides: Sides) -> Iterator[Hit]:
    """Two active records whose names differ only in ways that nobody sees (case, width, white space)."""
    for kind in Kind:
        for _, found in doubled(partial(_full_names, sides, kind)):
            (first_id, first), *_ = found
            yield Hit(f"{kind}/{first_id}", kind, first, some(f"{path} (id {qbo_id})" for qbo_id, path in found))


def _full_names(sides: Sides, kind: Kind) -> Iterator[tuple[str, tuple[str, str]]]:
    for record in sides.records(kind):
        yield names.normal_path(record.path), (record.qbo_id, record.path)


def shared_name(sides: Sides) -> Iterator[Hit]:
    """A supplier is called like a customer, apart from what nobody sees; QuickBooks has one name space for both."""
    suppliers = {names.loose(record.name): record.name for record in sides.records(Kind.SUPPLIER)}
    for record in sides.records(Kind.CUSTOMER):
        other = suppliers.get(names.loose(record.name)) if record.level == 0 else None
        if other is not None:
            yield hit(record, f"customer '{record.name}', supplier '{other}'")


def several_emails(sides: Sides) -> Iterator[Hit]:
    """Several addresses in one field."""
    for record in sides.records(Kind.CUSTOMER, Kind.SUPPLIER):
        if len(names.emails(str(record.fields.get("email") or ""))) > 1:
            yield hit(record, str(record.fields["email"]), "imported as one text")


def _phone(field: str) -> list[str]:
    return [number] if (number := names.digits(field)) else []


def not_takable(sides: Sides) -> Iterator[Hit]:
    """A name that only Miracle Service has holds a colon or a character that cannot be printed."""
    for row in sides.unknown():
        found = [*names.unprintable(row.name), *(["a colon"] if ":" in row.name and row.kind in COLON_KINDS else [])]
        if found:
            yield row_hit(row, "takes no such name", f"{', '.join(found)} in the name")


def too_long_for_qbo(sides: Sides) -> Iterator[Hit]:
    """A name that only Miracle Service has is longer than QuickBooks takes."""
    for row in sides.unknown():
        if len(row.name) > QBO_LENGTH[row.kind]:
            yield row_hit(row, f"takes {QBO_LENGTH[row.kind]} characters", f"{len(row.name)} characters")


def mixed_scripts(sides: Sides) -> Iterator[Hit]:
    """A word has letters of two scripts that look alike (a Cyrillic А between Latin letters)."""
    for record in sides.records():
        if not record.name.isascii() and (found := names.mixed(record.name)):
            yield hit(record, f"{record.name}: {', '.join(found)}")


def invisible(sides: Sides) -> Iterator[Hit]:
    """A name holds a character that has no width (a mark of direction, a zero-width space)."""
    for record in sides.records():
        if not record.name.isascii() and (found := names.invisible(record.name)):
            yield hit(record, f"{record.name}: {', '.join(found)}")


def taken_name(sides: Sides) -> Iterator[Hit]:
    """A customer or supplier that only Miracle Service has is called like another name in QuickBooks."""
    for kind in (Kind.CUSTOMER, Kind.SUPPLIER):
        wanted = {names.normal(row.name): row.miracle_id for row in sides.unknown(kind) if row.fields.get("parent_id") is None}
        for name, holder in _other_names(sides, kind) if wanted else ():
            miracle_id = wanted.pop(names.normal(name), None)
            if miracle_id is not None:
                yield Hit(f"{kind}/row-{miracle_id}", kind, name, f"{holder} '{name}'", f"{kind} '{name}'")


def _other_names(sides: Sides, kind: Kind) -> Iterator[tuple[str, str]]:
    """The names in QuickBooks' one name space, apart from the active records of a kind, and who has each."""
    other = Kind.SUPPLIER if kind is Kind.CUSTOMER else Kind.CUSTOMER
    yield from ((record.name, f"{other}") for record in sides.records(other) if record.level == 0)
    yield from ((name, "employee") for name in sides.company.employees.values())
    for each in (kind, other):
        yield from ((name, f"inactive {each}") for name in sides.company.inactive[each].values())


RULES = (
    Rule(
        "NAM-001",
        Severity.WARNING,
        "An active record is named '(deleted)'",
        "Take '(deleted)' out of the name, or make the record inactive.",
        WHERE,
        deleted_suffix,
    ),
    Rule(
        "NAM-002",
        Severity.WARNING,
        "A name ends in a number on one side only",
        "QuickBooks Desktop used to add numbers to names. Decide 'link' if both are the same, 'create' if they are two.",
        DECISIONS,
        numbered,
    ),
    Rule(
        "NAM-003",
        Severity.INFO,
        "A name has spaces that nobody sees",
        "Tidy it up if you like; names are compared without them.",
        WHERE,
        untidy,
    ),
    Rule(
        "NAM-004",
        Severity.WARNING,
        "Two active records differ only in what nobody sees",
        "Merge them in QuickBooks Online if they are the same.",
        WHERE,
        look_alike,
    ),
    Rule(
        "NAM-005",
        Severity.INFO,
        "A supplier and a customer have the same name",
        "Nothing to do; QuickBooks Online cannot hold both with exactly the same name, so keep them apart.",
        WHERE,
        shared_name,
    ),
    Rule(
        "NAM-006",
        Severity.INFO,
        "Several e-mail addresses stand in one field",
        "Nothing to do if Miracle Service sends to all of them; otherwise keep one.",
        WHERE,
        several_emails,
    ),
    Rule(
        "NAM-007",
        Severity.INFO,
        "Several customers or suppliers share one e-mail address",
        "Check whether one was entered twice.",
        WHERE,
        shared("email", names.emails, "Several top customers, or several suppliers, have one e-mail address."),
    ),
    Rule(
        "NAM-008",
        Severity.WARNING,
        "QuickBooks Online cannot take a name of Miracle Service",
        "Rename it in Miracle Service before anything with it is exported.",
        MIRACLE,
        not_takable,
    ),
    Rule(
        "NAM-009",
        Severity.WARNING,
        "A name of Miracle Service is too long for QuickBooks Online",
        "Shorten it in Miracle Service before anything with it is exported.",
        MIRACLE,
        too_long_for_qbo,
    ),
    Rule(
        "NAM-010",
        Severity.WARNING,
        "A name mixes letters that look alike",
        "Type the name anew. Somebody who searches for it does not find it, and it may be there a second time.",
        WHERE,
        mixed_scripts,
    ),
    Rule(
        "NAM-011",
        Severity.INFO,
        "A name holds a character that nobody sees",
        "Type the name anew if you like; usually it was pasted from a web page.",
        WHERE,
        invisible,
    ),
    Rule(
        "NAM-012",
        Severity.INFO,
        "Several customers or suppliers share one phone number",
        "Check whether one was entered twice.",
        WHERE,
        shared("phone", _phone, "Several top customers, or several suppliers, have one phone number."),
    ),
    Rule(
        "NAM-013",
        Severity.WARNING,
        "A name of Miracle Service is taken in QuickBooks Online",
        "Rename one of them: QuickBooks Online has a name once among customers, suppliers and employees, also inactive ones.",
        MIRACLE,
        taken_name,
    ),
)
