"""The seven lists: what is missing on either side, what only looks the same, and what refers to something that will not come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from qbo_sync.switch import names
from qbo_sync.switch.audit.rule import Hit, Rule, Several, Sides, doubled, hit, row_hit, some
from qbo_sync.switch.match import REFERS_TO
from qbo_sync.switch.model import TITLE, Kind, Result, Severity

DECISIONS = "the decisions file that 'qbo-sync plan' writes"
RECORD = "QuickBooks Online: the record itself"
WORDS = {
    Kind.CUSTOMER_TYPE: "customer type",
    Kind.PAYMENT_TERM: "payment term",
    Kind.PAYMENT_METHOD: "payment method",
    Kind.GROUP_TYPE: "class",
    Kind.SUPPLIER: "supplier",
    Kind.INVENTORY_ITEM: "inventory item",
    Kind.CUSTOMER: "customer",
}
# The reasons that have rules of their own: TRM-001 and NAM-002.
NUMBERED = "same name apart from a trailing number"
ELSEWHERE = ("same name, other numbers", NUMBERED)
ITEM_TYPES = {"Group": "Bundles", "Category": "Categories", "Service": "Services", "NonInventory": "Non-inventory items"}


def to_import(sides: Sides) -> Iterator[Hit]:
    """What the import will add: one line for each list."""
    lists: dict[Kind, Several] = defaultdict(Several)
    for row in sides.planned():
        if row.result is Result.NEW:
            lists[row.kind].add(row.path)
    for kind, new in lists.items():
        yield Hit(f"{kind}", kind, TITLE[kind], f"{new.count} new: {new}", "not there")


def only_in_miracle(sides: Sides) -> Iterator[Hit]:
    """What QuickBooks does not have: one line for each list."""
    for kind in Kind:
        left = Several()
        for row in sides.unknown(kind):
            left.add(row.path)
        if left.count:
            yield Hit(f"{kind}", kind, TITLE[kind], "not there", f"{left.count}: {left}")


def _of(result: Result, fires: str) -> Callable[[Sides], Iterable[Hit]]:
    """A check for one match result. ``fires`` says when, for the catalogue of rules."""

    def check(sides: Sides) -> Iterator[Hit]:
        for row in sides.planned():
            if row.result is result and not row.decision and not row.reason.startswith(ELSEWHERE):
                yield hit(row, row.path, row.reason)

    check.__doc__ = fires
    return check


def inactive_reference(sides: Sides) -> Iterator[Hit]:
    """An active record refers to an inactive one, which is not imported."""
    inactive = {kind: dict(sides.company.inactive[kind]) for kind in REFERS_TO.values()}
    for row in sides.planned():
        for field, qbo_id in row.references.items():
            kind = REFERS_TO.get(field)
            name = inactive[kind].get(qbo_id) if kind else None
            if kind and name:
                yield Hit(
                    f"{row.kind}/{row.qbo_id}/{field}",
                    row.kind,
                    row.path,
                    f"its {WORDS[kind]} is '{name}' (inactive)",
                    "will be left empty" if row.action == "insert" else "stays as it is",
                )


def lost_reference(sides: Sides) -> Iterator[Hit]:
    """A record refers to one that QuickBooks did not list, active or inactive, though the list has others."""
    kinds = set(REFERS_TO.values())
    there = {kind: {*sides.company.inactive[kind], *(r.qbo_id for r in sides.records(kind))} for kind in kinds}
    for row in sides.planned():
        for field, qbo_id in row.references.items():
            kind = REFERS_TO.get(field)
            if kind and there[kind] and qbo_id not in there[kind]:
                yield Hit(
                    f"{row.kind}/{row.qbo_id}/{field}",
                    row.kind,
                    row.path,
                    f"its {WORDS[kind]} (number {qbo_id}) is not on the list",
                    "will be left empty" if row.action == "insert" else "stays as it is",
                )


def lost_parent(sides: Sides) -> Iterator[Hit]:
    """A row of Miracle Service stands below a row that is not there, or in a circle."""
    for kind in (Kind.CUSTOMER, Kind.GROUP_TYPE):
        parents = {row.miracle_id: row.fields.get("parent_id") for row in sides.held(kind)}
        for row in sides.held(kind):
            if not _reaches_the_top(row.miracle_id, parents):
                yield row_hit(row, "", f"its parent (row {row.fields['parent_id']}) is missing or stands below it")


def _reaches_the_top(miracle_id: str, parents: dict[str, object]) -> bool:
    seen: set[str] = set()
    current: object = miracle_id
    while current is not None:
        if str(current) in seen or str(current) not in parents:
            return False
        seen.add(str(current))
        current = parents[str(current)]
    return True


def deep(sides: Sides) -> Iterator[Hit]:
    """More levels than QuickBooks itself allows point to a damaged list."""
    for row in sides.planned():
        if row.level > 4:
            yield hit(row, f"{row.level + 1} levels")


def other_items(sides: Sides) -> Iterator[Hit]:
    """Items of types that are not imported."""
    for item_type, count in sorted(sides.company.other_items.items()):
        yield Hit(item_type, "inventory_item", ITEM_TYPES.get(item_type, item_type), f"{count} active", "not imported")


def nothing_read(sides: Sides) -> Iterator[Hit]:
    """QuickBooks has no active record in a list that Miracle Service uses."""
    for kind in Kind:
        held = len(sides.books.rows[kind])
        if held and not sides.company.records[kind]:
            yield Hit(f"{kind}", kind, TITLE[kind], "no active record", f"{held} rows")


def tax_numbers(sides: Sides) -> Iterator[Hit]:
    """Tax numbers, of which QuickBooks shows the last digits only: one line for each list."""
    for kind in (Kind.CUSTOMER, Kind.SUPPLIER):
        found = Several()
        for record in sides.records(kind):
            if "tax_id" in record.seen:
                found.add(record.path)
        if found.count:
            yield Hit(f"{kind}", kind, TITLE[kind], f"{found.count} with a tax number: {found}", "not imported")


def twice_in_miracle(sides: Sides) -> Iterator[Hit]:
    """Several rows of Miracle Service have one name below one parent."""
    for kind in Kind:
        for path, rows in doubled(partial(_full_names, sides, kind)):
            yield Hit(f"{kind}/{path}", kind, rows[0][1], "", f"{len(rows)} rows: {some(row_id for row_id, _ in rows)}")


def _full_names(sides: Sides, kind: Kind) -> Iterator[tuple[str, tuple[str, str]]]:
    for row in sides.held(kind):
        yield names.normal_path(row.path), (row.miracle_id, row.path)


def moved(sides: Sides) -> Iterator[Hit]:
    """A new record has the name of a row that stands elsewhere: alone on one side, below a parent on the other."""
    for kind in (Kind.CUSTOMER, Kind.GROUP_TYPE):
        tops, below = _by_own_name(sides, kind)
        for row in sides.planned(kind):
            if row.result is Result.NEW:
                other = (tops if row.level else below).get(names.normal(row.name))
                if other:
                    yield hit(row, row.path, other)


def _by_own_name(sides: Sides, kind: Kind) -> tuple[dict[str, str], dict[str, str]]:
    tops: dict[str, str] = {}
    below: dict[str, str] = {}
    for row in sides.unknown(kind):
        (below if row.fields.get("parent_id") is not None else tops)[names.normal(row.name)] = row.path
    return tops, below


def shared(field: str, key: Callable[[str], list[str]], fires: str) -> Callable[[Sides], Iterable[Hit]]:
    """A check for top customers, or suppliers, that have the same value in a field: perhaps one that was entered twice."""

    def owners(sides: Sides, kind: Kind) -> Iterator[tuple[str, tuple[str, str]]]:
        for record in sides.records(kind):
            if record.level == 0:
                written = str(record.fields.get(field) or "")
                values = key(written)
                for value in dict.fromkeys(values):
                    yield value, (value if len(values) > 1 else written, record.name)

    def check(sides: Sides) -> Iterator[Hit]:
        for kind in (Kind.CUSTOMER, Kind.SUPPLIER):
            for value, found in doubled(partial(owners, sides, kind)):
                yield Hit(f"{kind}/{value}", kind, found[0][0], some(name for _, name in found))

    check.__doc__ = fires
    return check


RULES = (
    Rule(
        "LST-001",
        Severity.INFO,
        "Will be added to Miracle Service",
        "Nothing to do. Make it inactive in QuickBooks Online first if you do not want it.",
        "QuickBooks Online: the list itself",
        to_import,
    ),
    Rule(
        "LST-002",
        Severity.INFO,
        "Exists only in Miracle Service",
        "Nothing to do; it stays as it is.",
        "Miracle Service: the list itself",
        only_in_miracle,
    ),
    Rule(
        "LST-003",
        Severity.WARNING,
        "Looks like a record that Miracle Service already has",
        "Decide 'link' if they are the same, 'create' if they are two, 'skip' to leave it out. Undecided ones are not imported.",
        DECISIONS,
        _of(Result.WEAK, "The name is new, but a row of the same parent has a similar name, e-mail, phone or part number."),
    ),
    Rule(
        "LST-004",
        Severity.WARNING,
        "Cannot be matched with certainty",
        "Decide 'link' (with the row's number), 'create' or 'skip', or correct the double name first.",
        DECISIONS,
        _of(Result.CONFLICT, "Several rows fit, several records fit one row, or a record it refers to waits for a decision."),
    ),
    Rule(
        "LST-005",
        Severity.WARNING,
        "Cannot be imported as it is",
        "Correct the record in QuickBooks Online, or decide 'skip'.",
        RECORD,
        _of(Result.INVALID, "The name is empty, too long or unprintable, or its parent is inactive or cannot be imported."),
    ),
    Rule(
        "LST-006",
        Severity.INFO,
        "Was removed from Miracle Service and stays out",
        "Nothing to do. Make it inactive in QuickBooks Online too if nobody needs it.",
        RECORD,
        _of(Result.REMOVED, "An earlier import made or linked it, and the row was discarded or deleted since."),
    ),
    Rule(
        "LST-007",
        Severity.INFO,
        "Items of a type that is not imported",
        "Nothing to do. If Miracle Service should have services too, have the site's setting [import] item_types changed.",
        "the site's settings file",
        other_items,
    ),
    Rule(
        "LST-008",
        Severity.INFO,
        "A list is empty in QuickBooks Online",
        "Nothing to do if you do not use it there. If you do, make sure the right company is connected.",
        "QuickBooks Online: the list itself",
        nothing_read,
    ),
    Rule(
        "LST-009",
        Severity.INFO,
        "Tax numbers do not come over",
        "QuickBooks Online shows only their last digits to other programs. Type those you need into Miracle Service by hand.",
        "Miracle Service: the customer or supplier",
        tax_numbers,
    ),
    Rule(
        "LST-010",
        Severity.WARNING,
        "Miracle Service has a name several times",
        "Rename or merge them there; with one name each, records are found without doubt.",
        "Miracle Service: the list itself",
        twice_in_miracle,
    ),
    Rule(
        "LST-011",
        Severity.WARNING,
        "Stands at another place in Miracle Service",
        "If both are the same, put it below the same parent on both sides before the import; otherwise it will be there twice.",
        RECORD,
        moved,
    ),
    Rule(
        "REF-001",
        Severity.WARNING,
        "An active record refers to an inactive one",
        "Choose an active one on the record in QuickBooks Online, or live with the field left empty.",
        RECORD,
        inactive_reference,
    ),
    Rule(
        "REF-002",
        Severity.WARNING,
        "A record is nested deeper than five levels",
        "QuickBooks Online allows five levels; move the record up.",
        RECORD,
        deep,
    ),
    Rule(
        "REF-003",
        Severity.WARNING,
        "A record refers to one that QuickBooks Online does not list",
        "Open the record, choose the term, type, method or supplier anew and save.",
        RECORD,
        lost_reference,
    ),
    Rule(
        "REF-004",
        Severity.WARNING,
        "A row in Miracle Service has no valid parent",
        "Give it a parent that is there, or none. Until then it is compared by the part of its full name that can be told.",
        "Miracle Service: the customer or group type",
        lost_parent,
    ),
)
