"""What a report says, in the words of a bookkeeper: the same sentences for the terminal, the page and the workbook."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from qbo_sync.switch.model import TITLE, Answer, Decision, Finding, Kind, PlannedRow, Result, Severity


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that one report tells. ``workbook`` is the name of the workbook that lies beside the page."""

    answer: Answer
    company: str
    made_at: datetime
    findings: tuple[Finding, ...]
    rows: tuple[PlannedRow, ...]
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    workbook: str


@dataclass(frozen=True, slots=True)
class Word:
    """How something is called, and the one sentence that explains it."""

    title: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one rule. ``title``, ``remedy`` and ``where`` are set when all findings share them, else empty."""

    rule: str
    title: str
    remedy: str
    where: str
    findings: tuple[Finding, ...]


REPORT_TITLE = {
    "audit": "Audit Report",
    "plan": "Import Plan",
    "import": "Import Report",
    "review": "Review Lists",
    "prepare": "Clean-up Report",
    "prepare --apply": "Clean-up in QuickBooks Online",
    "prepare --revert": "Clean-up Taken Back",
    "discard": "Rows Discarded",
    "undo": "Import Taken Back",
    "reconcile": "Reconciliation Report",
    "export enable": "Accounting Export",
    "export disable": "Accounting Export",
    "export status": "Accounting Export",
    "status": "Status Report",
    "doctor": "Summary Checklist",
}

SEVERITY = {
    Severity.BLOCKER: Word(
        "Must be corrected", "The import and the accounting export stay shut until these are corrected or accepted."
    ),
    Severity.WARNING: Word("Please check", "These do not stop the import, but each one is likely to surprise somebody later."),
    Severity.INFO: Word("Good to know", "Nothing has to be done about these."),
}
ACCEPTED = Word("Accepted as they are", "Somebody decided to live with these; the reason is given.")

# Results in the order in which a person wants to see them.
RESULT = {
    Result.WEAK: Word(
        "Looks alike",
        "Miracle Service has something that looks like it, but not surely the same. Choose link (it is the same), "
        "create (it is another one) or skip (leave it out).",
    ),
    Result.CONFLICT: Word(
        "Conflict",
        "More than one record fits, or the two sides contradict each other. Choose link, create or skip.",
    ),
    Result.INVALID: Word(
        "Cannot be imported",
        "Miracle Service could not hold these as they are. Correct them in QuickBooks Online, then plan again.",
    ),
    Result.NEW: Word("New", "Only QuickBooks Online has these."),
    Result.MATCHED: Word("Same name in both", "Both sides have these; Miracle Service keeps its own as they are."),
    Result.LINKED: Word("Linked before", "An earlier run linked these; they stay as they are."),
    Result.REMOVED: Word("Removed by you", "They were deleted in Miracle Service after an import and are not made again."),
}
RESULT_ORDER = ("linked", "matched", "new", "weak", "conflict", "invalid", "removed")  # in which figures are given
TO_DECIDE = (Result.WEAK, Result.CONFLICT, Result.INVALID)

# What the tables of a report are about, where the title alone does not say it.
TABLE = {
    "Do not agree": "The accounting export goes by these: full names, and the numbers of payment terms. Correct one side.",
    "Only in QuickBooks Online": "Import these, or decide “skip” in the plan's workbook.",
    "Same record, other details": "Both sides have these records. Where an address, a price or a reference differs, each side "
    "keeps its own; nothing is stopped by it.",
    "Only in Miracle Service": "Nothing to do; these stay as they are.",
    "Unused, but something is open": "Nobody has used these lately, but a balance, a stock or an open document holds them. "
    "They stay active until that is settled.",
    "Perhaps entered twice": "Each group shares a name, an e-mail address, a phone number or a part number. "
    "Keep one, and make the others inactive if they are the same.",
    "Made inactive by this kit": "These can be made active again under their old names: mark them “reactivate”.",
}

# What may stand in the column ``decision``: for the rows of a plan, and for those of other lists by what they are.
DECISIONS: tuple[str, ...] = tuple(Decision)
_TICKS = {"made": "discard", "unused": "inactivate", "double": "inactivate", "inactivated": "reactivate"}

_PLANNED = {
    "read": "in QuickBooks",
    "there": "already there",
    "new": "new",
    "left": "left out",
    "decide": "to decide",
    "invalid": "cannot come",
}
# The figures by kind that a command gives, in the order of a table, with what a person calls them.
FIGURES: dict[str, dict[str, str]] = {
    "plan": _PLANNED,
    "import": {**_PLANNED, "written": "written"},
    "prepare": {"active": "active", "used": "in use", "free": "can go", "held": "still open"},
}

_COLUMN = {
    "kind": "List",
    "qbo_id": "QuickBooks id",
    "miracle_id": "Miracle id",
    "qbo": "QuickBooks Online",
    "miracle": "Miracle Service",
    "remedy": "How to correct it",
    "equal": "The same on both sides",
    "only_qbo": "Only in QuickBooks Online",
    "only_miracle": "Only in Miracle Service",
    "before": "Done before",
    "different": "Do not agree",
    "details": "Same record, other details",
    "held": "Still open",
    "open_amount": "Open amount",
}


def report_title(answer: Answer) -> str:
    """``Audit Report`` for ``audit``; a plain title for a command that has no name of its own."""
    return REPORT_TITLE.get(answer.command, f"{answer.command.title()} Report")


def moment(made_at: datetime) -> str:
    """A date and time as people write it: ``3 April 2025, 14:05 UTC``."""
    return f"{made_at.day} {made_at:%B %Y, %H:%M %Z}".rstrip()


def count(number: int, one: str, many: str = "") -> str:
    """``1 record``, ``2 records``, ``1,204 records``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def kind_title(kind: str) -> str:
    """What people call a record kind; any other word (``tax_code``) in readable form."""
    return TITLE[Kind(kind)] if kind in set(Kind) else _readable(kind)


def column_title(key: str) -> str:
    """The heading of a column named ``key``."""
    return _COLUMN.get(key) or _readable(key)


_FIELD_WORDS = {"bill": "billing", "ship": "shipping", "email": "e-mail", "region": "state or region", "postcode": "postal code"}


def field_title(name: str) -> str:
    """What a person calls a field of a record: ``Billing line 1``, ``Payment term``."""
    text = re.sub(r"(\D)(\d)$", r"\1 \2", name.removesuffix("_id"))
    return _readable(" ".join(_FIELD_WORDS.get(word, word) for word in text.split("_")))


def value_of(key: str, value: Any) -> str:
    """A table's value for reading: kinds and fields by what people call them."""
    text = said(value)
    return kind_title(text) if key == "kind" else field_title(text) if key == "field" and text else text


def _readable(name: str) -> str:
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def columns(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The keys of all ``rows``, in the order in which they first appear."""
    return tuple(dict.fromkeys(key for row in rows for key in row))


def said(value: Any) -> str:
    """A value of a summary or a table as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):  # money
        return f"{value:,.2f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{column_title(str(key))}: {said(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(said, value))
    return "" if value is None else str(value)


def tables_of(story: Story) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The tables of a report: those given; otherwise the answer's items, for a report that lists nothing else."""
    if story.tables or story.findings or story.rows:
        return dict(story.tables)
    if story.answer.command == "doctor":
        return {"Checklist": [_check(item) for item in story.answer.items]}
    return {"Details": story.answer.items} if story.answer.items else {}


def _check(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": item.get("id"), "state": item.get("result"), "seen": item.get("qbo"), "remedy": item.get("remedy")}


def ticks(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What may stand in the column ``decision`` of these rows; empty for a list that is only to be read."""
    asked = (_TICKS.get(str(row.get("result"))) for row in rows if "decision" in row)
    return tuple(dict.fromkeys(filter(None, asked)))


def full_name(row: PlannedRow) -> str:
    """The name a person can find the record by: with its parents, when it has any."""
    return row.path or row.name


def undecided(rows: Iterable[PlannedRow]) -> list[PlannedRow]:
    """The rows that wait for a person, in the order of :data:`RESULT`."""
    return [row for row in in_order(rows) if row.result in TO_DECIDE and not row.decision]


def decided(rows: Iterable[PlannedRow]) -> list[PlannedRow]:
    """The doubtful rows that a person has settled."""
    return [row for row in in_order(rows) if row.result in TO_DECIDE and row.decision]


def decision_said(row: PlannedRow) -> str:
    """A decision in words: ``linked with row 8``."""
    said = {Decision.LINK: f"linked with row {row.miracle_id}", Decision.CREATE: "added as a new record"}
    return said.get(Decision(row.decision), "left out")


def in_order(rows: Iterable[PlannedRow]) -> list[PlannedRow]:
    """Rows by kind (as imported), then by result (what needs a person first), then by name."""
    kinds, results = list(Kind), list(RESULT)
    return sorted(rows, key=lambda row: (kinds.index(row.kind), results.index(row.result), full_name(row).casefold(), row.qbo_id))


def finding_counts(answer: Answer, findings: Sequence[Finding]) -> dict[str, int]:
    """How many blockers, warnings, infos and accepted findings: the summary's own figures, or counted when it has none."""
    names = [*Severity, "accepted"]
    if any(name in answer.summary for name in names):
        return {str(name): int(answer.summary.get(name, 0)) for name in names}
    counted = Counter("accepted" if finding.accepted else str(finding.severity) for finding in findings)
    return {str(name): counted[str(name)] for name in names}


def by_rule(findings: Sequence[Finding]) -> tuple[Group, ...]:
    """Findings grouped by rule, in the order in which the rules first appear."""
    rules = dict.fromkeys(finding.rule for finding in findings)
    return tuple(_group(rule, tuple(finding for finding in findings if finding.rule == rule)) for rule in rules)


def _group(rule: str, findings: tuple[Finding, ...]) -> Group:
    shared = {}
    for name in ("title", "remedy", "where"):
        values = {getattr(finding, name) for finding in findings}
        shared[name] = values.pop() if len(values) == 1 else ""
    return Group(rule, shared["title"], shared["remedy"], shared["where"], findings)


def kind_counts(answer: Answer, rows: Sequence[PlannedRow]) -> dict[Kind, dict[str, int]]:
    """The summary of a plan, import or clean-up per kind, in import order; counted from ``rows`` where there are no figures."""
    counts: dict[Kind, dict[str, int]] = {}
    for kind in Kind:
        given = answer.summary.get(kind)
        if isinstance(given, Mapping):
            counts[kind] = {name: int(number) for name, number in given.items()}
        elif mine := [row.result for row in rows if row.kind == kind]:
            counts[kind] = {"read": len(mine), **Counter(map(str, mine))}
    return counts


def figures(answer: Answer, rows: Sequence[PlannedRow]) -> dict[Kind, dict[str, int]]:
    """The figures of :data:`FIGURES` per kind. A doubtful record counts as what a person decided on it."""
    counts = kind_counts(answer, rows)
    if answer.command not in ("plan", "import"):
        return counts
    settled = Counter((row.kind, row.result, row.decision) for row in decided(rows))
    return {kind: _planned(given, lambda *of, kind=kind: settled[kind, *of]) for kind, given in counts.items()}


def _planned(given: Mapping[str, int], settled: Callable[[Result, str], int]) -> dict[str, int]:
    def number(*results: str) -> int:
        return sum(given.get(result, 0) for result in results)

    def so(decision: str) -> int:
        return sum(settled(result, decision) for result in TO_DECIDE)

    doubtful = sum(settled(result, each) for result in (Result.WEAK, Result.CONFLICT) for each in DECISIONS)
    return {
        "read": number("read"),
        "there": number("linked", "matched") + so(Decision.LINK),
        "new": number("new") + so(Decision.CREATE),
        "left": number("removed") + so(Decision.SKIP),
        "decide": number("weak", "conflict") - doubtful,
        "invalid": number("invalid") - settled(Result.INVALID, Decision.SKIP),
        "written": number("written"),
    }


def total(counts: Mapping[Kind, Mapping[str, int]], *names: str) -> int:
    """The sum of the named figures over all kinds."""
    return sum(figures.get(name, 0) for figures in counts.values() for name in names)


def tone(answer: Answer) -> str:
    """``good``, ``care`` or ``stop``: how the whole answer should look."""
    return {"ok": "good", "attention": "care", "waiting": "care"}.get(answer.outcome, "stop")


def requests(answer: Answer) -> str:
    """What the command asked of Intuit, in one line."""
    asked, month = answer.requests, answer.requests.get("month", {})
    parts = [f"{asked['made']:,} requests to QuickBooks in {answer.seconds:.0f} s"]
    parts += [f"{asked['rows']:,} rows"] if asked.get("rows") else []
    parts += [f"{asked['waited_s']:.0f} s of them waiting for its limits"] if asked.get("waited_s", 0) >= 1 else []
    parts += [f"{asked[name]:,} {name}" for name in ("retried", "throttled") if asked.get(name)]
    parts += [f"this month {share(month)}"] if month else []
    return "; ".join(parts)


def share(month: Mapping[str, Any]) -> str:
    """How much of the month's budget of reads is used."""
    return f"{month['metered_by_query']:,} of {month['budget']:,} reads ({month['share']:.1%})"
