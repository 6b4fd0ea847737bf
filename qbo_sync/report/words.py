"""What a report says, in the words of a bookkeeper: the same sentences for the terminal, the page and the workbook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    "reconcile": "Reconciliation Report",
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

# What may stand in the decision column of a command's lists.
TICKS: dict[str, tuple[str, ...]] = {
    "plan": tuple(Decision),
    "import": tuple(Decision),
    "review": ("discard",),
    "prepare": ("inactivate",),
}

_OUTCOME = {
    "ok": "Done. Nothing is left to do.",
    "attention": "Done, but something needs a decision.",
    "usage": "This was not started: the call or the settings are wrong.",
    "blocked": "This was refused; nothing was changed.",
    "waiting": "Waiting: somebody else has to act first.",
    "reconnect": "QuickBooks Online has to be connected again.",
    "unreachable": "A service did not answer in time. It is safe to try again.",
    "failed": "This did not work.",
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
    if isinstance(value, Mapping):
        return ", ".join(f"{column_title(str(key))}: {said(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(said, value))
    return "" if value is None else str(value)


def tables_of(story: Story) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The tables of a report: those given; otherwise the answer's items, for a report that lists nothing else."""
    if story.tables or story.findings or story.rows:
        return dict(story.tables)
    if story.answer.command == "reconcile":
        return _differences(story.answer.items)
    if story.answer.command == "doctor":
        return {"Checklist": [_check(item) for item in story.answer.items]}
    return {"Details": story.answer.items} if story.answer.items else {}


def _check(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": item.get("id"), "state": item.get("result"), "seen": item.get("qbo"), "remedy": item.get("remedy")}


def _differences(items: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Mapping[str, Any]]]:
    """A reconciliation's items as one table per result; where only Miracle has the row, its reason is the name there."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        alone = item.get("result") == "only_miracle"
        line = {
            "name": item.get("reason" if alone else "qbo"),
            "kind": item.get("kind"),
            "qbo_id": item.get("id"),
            "miracle_id": item.get("miracle"),
            "reason": "" if alone else item.get("reason"),
        }
        found.setdefault(column_title(str(item.get("result", "other"))), []).append(line)
    return dict(found)


def full_name(row: PlannedRow) -> str:
    """The name a person can find the record by: with its parents, when it has any."""
    return row.path or row.name


def undecided(rows: Iterable[PlannedRow]) -> list[PlannedRow]:
    """The rows that wait for a person, in the order of :data:`RESULT`."""
    return [row for row in in_order(rows) if row.result in TO_DECIDE and not row.decision]


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
    """The summary of a plan or import per kind, in import order; counted from ``rows`` where the summary has no figures."""
    counts: dict[Kind, dict[str, int]] = {}
    for kind in Kind:
        given = answer.summary.get(kind)
        if isinstance(given, Mapping):
            counts[kind] = {name: int(number) for name, number in given.items()}
        elif mine := [row.result for row in rows if row.kind == kind]:
            counts[kind] = {"read": len(mine), **Counter(map(str, mine))}
    return counts


def total(counts: Mapping[Kind, Mapping[str, int]], *names: str) -> int:
    """The sum of the named figures over all kinds."""
    return sum(figures.get(name, 0) for figures in counts.values() for name in names)


def tone(answer: Answer) -> str:
    """``good``, ``care`` or ``stop``: how the whole answer should look."""
    return {"ok": "good", "attention": "care", "waiting": "care"}.get(answer.outcome, "stop")


def verdict(answer: Answer, findings: Sequence[Finding] = (), rows: Sequence[PlannedRow] = (), listed: int = 0) -> str:
    """The sentence a report begins with. ``listed`` is how many records its tables list."""
    counts = finding_counts(answer, findings)
    if answer.command == "audit" and answer.outcome == "blocked" and counts["blocker"]:
        return _audit_verdict(counts)
    spoken = answer.outcome in ("ok", "attention")
    if spoken and answer.command == "audit":
        return _audit_verdict(counts)
    if spoken and answer.command == "plan":
        return _plan_verdict(kind_counts(answer, rows), rows)
    if spoken and answer.command == "import":
        return _import_verdict(kind_counts(answer, rows), rows)
    if spoken and answer.command == "reconcile":
        return _reconcile_verdict(answer.summary)
    if spoken and answer.command == "review":
        return _review_verdict(listed)
    if spoken and answer.command == "doctor":
        return _doctor_verdict(int(answer.summary.get("missing", 0)))
    if spoken and answer.command == "prepare":
        return _prepare_verdict(listed)
    if answer.outcome == "blocked" and answer.command == "import":
        return "The import was refused; nothing was written to Miracle Service."
    return _OUTCOME.get(answer.outcome, answer.outcome)


def _audit_verdict(counts: Mapping[str, int]) -> str:
    if counts["blocker"]:
        return f"{count(counts['blocker'], 'thing')} must be corrected before the import can run."
    if counts["warning"]:
        return f"Nothing stops the import. {count(counts['warning'], 'thing')} should be checked first."
    return "QuickBooks Online and Miracle Service match. The import can run."


def _plan_verdict(counts: Mapping[Kind, Mapping[str, int]], rows: Sequence[PlannedRow]) -> str:
    adds = total(counts, "new") + _decided(rows, "insert")
    there = total(counts, "linked", "matched") + _decided(rows, "link")
    said = (
        f"{count(adds, 'new record')} will be added to Miracle Service; {there:,} {_are(there)} already there and {_stay(there)}."
    )
    if not adds:
        said = f"Nothing new: Miracle Service already has all {count(there, 'record')} that can be imported."
    return said + _waiting(counts, rows)


def _import_verdict(counts: Mapping[Kind, Mapping[str, int]], rows: Sequence[PlannedRow]) -> str:
    written = total(counts, "written")
    there = total(counts, "linked", "matched") + _decided(rows, "link")
    said = f"{count(written, 'new record')} came into Miracle Service; {there:,} {_are(there)} already there and {_stay(there)}."
    if not written:
        said = "Nothing new came in: Miracle Service already had every record that could be imported."
    return said + _waiting(counts, rows)


def _decided(rows: Sequence[PlannedRow], action: str) -> int:
    """How many doubtful rows a person settled so that the import does ``action`` with them."""
    return sum(1 for row in rows if row.result in TO_DECIDE and row.decision and row.action == action)


def _waiting(counts: Mapping[Kind, Mapping[str, int]], rows: Sequence[PlannedRow]) -> str:
    """The second sentence: what a plan or import leaves to a person."""
    if rows:
        left = Counter(row.result for row in undecided(rows))
        decide, invalid = left[Result.WEAK] + left[Result.CONFLICT], left[Result.INVALID]
    else:
        decide, invalid = total(counts, "weak", "conflict"), total(counts, "invalid")
    said = f" {count(decide, 'record needs', 'records need')} your decision." if decide else ""
    return said + (
        f" {count(invalid, 'record')} cannot be imported as {'it is' if invalid == 1 else 'they are'}." if invalid else ""
    )


def _reconcile_verdict(summary: Mapping[str, Any]) -> str:
    equal = int(summary.get("equal", 0))
    off = int(summary.get("different", 0)) + int(summary.get("only_qbo", 0))
    extra = int(summary.get("only_miracle", 0))
    said = f"Both sides agree: {count(equal, 'record')} {_are(equal)} the same."
    if off:
        said = f"{count(off, 'record')} {'does' if off == 1 else 'do'} not agree; {equal:,} {_are(equal)} the same."
    return said + (f" {count(extra, 'record exists', 'records exist')} only in Miracle Service, which is fine." if extra else "")


def _review_verdict(listed: int) -> str:
    if not listed:
        return "There is nothing to review: no record that came in from QuickBooks Online is left."
    return f"{count(listed, 'record')} came in from QuickBooks Online. Mark the ones you do not want to keep."


def _doctor_verdict(missing: int) -> str:
    return f"{count(missing, 'thing is', 'things are')} still missing." if missing else "Everything on the checklist is in place."


def _prepare_verdict(listed: int) -> str:
    if not listed:
        return "Nothing to clean up: every active record in QuickBooks Online has been used."
    return f"{count(listed, 'active record')} in QuickBooks Online nobody has used lately. Mark the ones to make inactive."


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _stay(number: int) -> str:
    return "stays as it is" if number == 1 else "stay as they are"
