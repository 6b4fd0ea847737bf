"""Names that will make trouble: one name space for customers and suppliers, look-alikes, left-overs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from qbo_sync.switch import names
from qbo_sync.switch.audit.rule import Hit, Rule, Sides
from qbo_sync.switch.model import Kind, Record, Result, Severity

WHERE = "QuickBooks Online: the record itself"
NAMED = (Kind.CUSTOMER, Kind.SUPPLIER, Kind.INVENTORY_ITEM)


def _records(sides: Sides, *kinds: Kind) -> Iterator[Record]:
    for kind in kinds:
        yield from sides.company.records[kind]


def _hit(record: Record, qbo: str, miracle: str = "") -> Hit:
    return Hit(f"{record.kind}/{record.qbo_id}", record.kind, record.path, qbo, miracle)


def deleted_suffix(sides: Sides) -> Iterator[Hit]:
    """Active again, but still named as if it were not."""
    for record in _records(sides, *Kind):
        if names.normal(record.name).endswith("(deleted)"):
            yield _hit(record, record.name)


def numbered(sides: Sides) -> Iterator[Hit]:
    """QuickBooks Desktop's "Name 123" beside the plain name in Miracle Service."""
    plain = {(row.kind, names.normal(row.name)) for kind in NAMED for row in sides.books.rows[kind]}
    for row in sides.rows:
        if row.kind in NAMED and row.result in (Result.NEW, Result.WEAK):
            stem = names.without_number(row.name)
            if stem and (row.kind, stem) in plain:
                yield Hit(f"{row.kind}/{row.qbo_id}", row.kind, row.path, row.name, f"'{stem}' exists")


def untidy(sides: Sides) -> Iterator[Hit]:
    """Spaces nobody sees."""
    for record in _records(sides, *Kind):
        if record.name != " ".join(record.name.split(" ")).strip() or "  " in record.name:
            yield _hit(record, f"'{record.name}'")


def look_alike(sides: Sides) -> Iterator[Hit]:
    """Two active records whose names differ only in ways that nobody sees (case, width, white space)."""
    for kind in Kind:
        same: dict[str, list[Record]] = defaultdict(list)
        for record in sides.company.records[kind]:
            same[names.normal_path(record.path)].append(record)
        for records in same.values():
            if len(records) > 1:
                ids = ", ".join(f"{r.path} (id {r.qbo_id})" for r in records)
                yield _hit(records[0], ids)


def shared_name(sides: Sides) -> Iterator[Hit]:
    """A supplier is called like a customer, apart from what nobody sees; QuickBooks has one name space for both."""
    suppliers = {names.loose(r.name): r for r in sides.company.records[Kind.SUPPLIER]}
    for record in _records(sides, Kind.CUSTOMER):
        other = suppliers.get(names.loose(record.name))
        if other is not None and record.level == 0:
            yield _hit(record, f"customer '{record.name}', supplier '{other.name}'")


def several_emails(sides: Sides) -> Iterator[Hit]:
    """Several addresses in one field."""
    for record in _records(sides, Kind.CUSTOMER, Kind.SUPPLIER):
        if len(names.emails(str(record.fields.get("email") or ""))) > 1:
            yield _hit(record, str(record.fields["email"]), "imported as one text")


def shared_email(sides: Sides) -> Iterator[Hit]:
    """Several top customers with one e-mail address may be one customer entered twice."""
    owners: dict[str, list[Record]] = defaultdict(list)
    for record in _records(sides, Kind.CUSTOMER):
        if record.level == 0:
            for address in names.emails(str(record.fields.get("email") or "")):
                owners[address].append(record)
    for address, records in owners.items():
        if len(records) > 1:
            yield Hit(f"customer/{records[0].qbo_id}", "customer", address, ", ".join(r.name for r in records))


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
        "A name ends in a number and stands in Miracle Service without it",
        "QuickBooks Desktop used to add numbers to names. If both are the same, decide 'link' in the decisions file.",
        "the decisions file that 'qbo-sync plan' writes",
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
        "Several customers share one e-mail address",
        "Check whether one customer was entered twice.",
        WHERE,
        shared_email,
    ),
)
