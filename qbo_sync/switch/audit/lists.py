"""The seven lists: what is missing on either side, what only looks the same, and what refers to something that will not come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from qbo_sync.switch.audit.rule import Hit, Rule, Sides
from qbo_sync.switch.match import REFERS_TO, SMALL_KINDS, numbers, say_term
from qbo_sync.switch.model import TITLE, Kind, PlannedRow, Result, Severity

DECISIONS = "the decisions file that 'qbo-sync plan' writes"
WORDS = {
    Kind.CUSTOMER_TYPE: "customer type",
    Kind.PAYMENT_TERM: "payment term",
    Kind.PAYMENT_METHOD: "payment method",
    Kind.GROUP_TYPE: "class",
    Kind.SUPPLIER: "supplier",
    Kind.INVENTORY_ITEM: "inventory item",
    Kind.CUSTOMER: "customer",
}


def _hit(row: PlannedRow, qbo: str, miracle: str, remedy: str = "") -> Hit:
    return Hit(f"{row.kind}/{row.qbo_id}", row.kind, row.path, qbo, miracle, remedy)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def term_numbers(sides: Sides) -> Iterator[Hit]:
    """A term of the same name with other days or another discount."""
    terms = {row.miracle_id: row for row in sides.books.rows[Kind.PAYMENT_TERM]}
    for row in sides.rows:
        other = terms.get(row.miracle_id)
        if row.kind is Kind.PAYMENT_TERM and other and numbers(row.fields) != numbers(other.fields):
            yield _hit(row, say_term(row.fields), say_term(other.fields))


def term_names(sides: Sides) -> Iterator[Hit]:
    """The same numbers under another name: they will be linked."""
    for row in sides.rows:
        if row.kind is Kind.PAYMENT_TERM and row.result is Result.MATCHED and row.reason.startswith("same numbers"):
            yield _hit(row, row.path, row.reason.removeprefix("same numbers as "))


def term_next_month(sides: Sides) -> Iterator[Hit]:
    """QuickBooks can move a day-of-month term into the next month; Miracle Service has no column for it."""
    for qbo_id, raw in sides.company.raw_terms.items():
        days = raw.get("DueNextMonthDays")
        if raw.get("Type") == "DATE_DRIVEN" and days:
            name = str(raw.get("Name"))
            yield Hit(
                f"payment_term/{qbo_id}", "payment_term", name, f"next month if issued within {days} days", "no such setting"
            )


def to_import(sides: Sides) -> Iterator[Hit]:
    """What the import will add: each record of the short lists, one line for each long one."""
    new: dict[Kind, list[PlannedRow]] = defaultdict(list)
    for row in sides.rows:
        if row.result is Result.NEW:
            new[row.kind].append(row)
    for kind, rows in new.items():
        if kind in SMALL_KINDS:
            yield from (_hit(row, row.path, "not there") for row in rows)
        else:
            yield Hit(f"{kind}", kind, TITLE[kind], f"{len(rows)} new: {_some([r.path for r in rows])}", "not there")


def only_in_miracle(sides: Sides) -> Iterator[Hit]:
    """What QuickBooks does not have: one line for each list."""
    for kind in Kind:
        known = {row.miracle_id for row in sides.rows if row.kind is kind and row.miracle_id}
        left = [row.path for row in sides.books.rows[kind] if row.miracle_id not in known]
        if left:
            yield Hit(f"{kind}", kind, TITLE[kind], "not there", f"{len(left)}: {_some(left)}")


def _of(result: Result, fires: str) -> Callable[[Sides], Iterable[Hit]]:
    """A check for one match result. ``fires`` says when, for the catalogue of rules."""

    def check(sides: Sides) -> Iterator[Hit]:
        for row in sides.rows:
            if row.result is result and not row.decision and not row.reason.startswith("same name, other numbers"):
                yield _hit(row, row.path, row.reason)

    check.__doc__ = fires
    return check


def inactive_reference(sides: Sides) -> Iterator[Hit]:
    """An active record refers to an inactive one, which is not imported."""
    for row in sides.rows:
        for field, qbo_id in row.references.items():
            kind = REFERS_TO.get(field)
            name = sides.company.inactive[kind].get(qbo_id) if kind else None
            if kind and name:
                yield Hit(
                    f"{row.kind}/{row.qbo_id}/{field}",
                    row.kind,
                    row.path,
                    f"its {WORDS[kind]} is '{name}' (inactive)",
                    "will be left empty",
                )


def deep(sides: Sides) -> Iterator[Hit]:
    """More levels than QuickBooks itself allows point to a damaged list."""
    for row in sides.rows:
        if row.level > 4:
            yield _hit(row, f"{row.level + 1} levels", "")


def other_items(sides: Sides) -> Iterator[Hit]:
    """Items of types that are not imported."""
    for item_type, count in sorted(sides.company.other_items.items()):
        yield Hit(item_type, "inventory_item", f"{item_type} items", f"{count} active", "not imported")


def nothing_read(sides: Sides) -> Iterator[Hit]:
    """A list without a single active record is unusual enough to be said."""
    for kind in Kind:
        if not sides.company.records[kind]:
            yield Hit(f"{kind}", kind, TITLE[kind], "no active record", f"{len(sides.books.rows[kind])} rows")


RULES = (
    Rule(
        "TRM-001",
        Severity.BLOCKER,
        "A payment term has other numbers in Miracle Service",
        "Correct the term on the side that is wrong; due dates of exported invoices depend on it.",
        "QuickBooks Online: gear icon > All lists > Terms",
        term_numbers,
    ),
    Rule(
        "TRM-002",
        Severity.INFO,
        "A payment term has another name in Miracle Service",
        "Both have the same numbers and will be linked. Rename one if you like.",
        "QuickBooks Online: gear icon > All lists > Terms",
        term_names,
    ),
    Rule(
        "TRM-003",
        Severity.WARNING,
        "A payment term moves to the next month in QuickBooks Online",
        "Miracle Service computes the due date in the same month. Check invoices with this term by hand.",
        "QuickBooks Online: gear icon > All lists > Terms",
        term_next_month,
    ),
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
        "Decide 'link' (with the row's number), 'create' or 'skip', or mend the double name first.",
        DECISIONS,
        _of(Result.CONFLICT, "Several rows fit, several records fit one row, or a record it refers to waits for a decision."),
    ),
    Rule(
        "LST-005",
        Severity.WARNING,
        "Cannot be imported as it is",
        "Mend the record in QuickBooks Online, or decide 'skip'.",
        "QuickBooks Online: the record itself",
        _of(Result.INVALID, "The name is empty, too long or unprintable, or its parent is inactive or cannot be imported."),
    ),
    Rule(
        "LST-006",
        Severity.INFO,
        "Was removed from Miracle Service and stays out",
        "Nothing to do. Make it inactive in QuickBooks Online too if nobody needs it.",
        "QuickBooks Online: the record itself",
        _of(Result.REMOVED, "An earlier import made or linked it, and the row was discarded or deleted since."),
    ),
    Rule(
        "LST-007",
        Severity.INFO,
        "Items of a type that is not imported",
        "Nothing to do. Which types count as inventory is the setting [import] item_types.",
        "the site's settings file",
        other_items,
    ),
    Rule(
        "LST-008",
        Severity.INFO,
        "A list is empty in QuickBooks Online",
        "Nothing to do if you do not use it.",
        "QuickBooks Online: the list itself",
        nothing_read,
    ),
    Rule(
        "REF-001",
        Severity.WARNING,
        "An active record refers to an inactive one",
        "Choose an active one on the record in QuickBooks Online, or live with the field left empty.",
        "QuickBooks Online: the record itself",
        inactive_reference,
    ),
    Rule(
        "REF-002",
        Severity.WARNING,
        "A record is nested deeper than five levels",
        "QuickBooks Online allows five levels; move the record up.",
        "QuickBooks Online: the record itself",
        deep,
    ),
)
