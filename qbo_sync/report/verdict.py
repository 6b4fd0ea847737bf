"""The sentence that a report begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from qbo_sync.report.words import TO_DECIDE, count, finding_counts, kind_counts, total, undecided
from qbo_sync.switch.model import Answer, Finding, Kind, PlannedRow, Result

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


_EXPORT = {
    True: "The accounting export is on.",
    False: "The accounting export is off.",
    None: "The profile does not say how the accounting export is switched.",
}


def verdict(answer: Answer, findings: Sequence[Finding] = (), rows: Sequence[PlannedRow] = ()) -> str:
    """The sentence a report begins with."""
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
        return _review_verdict(total(kind_counts(answer, rows), "made"))
    if spoken and answer.command in ("discard", "undo"):
        return _removed_verdict(answer.summary)
    if spoken and answer.command.startswith("export "):
        return _EXPORT[answer.summary.get("enabled")]
    if spoken and answer.command == "doctor":
        return _doctor_verdict(int(answer.summary.get("missing", 0)))
    if spoken and answer.command == "prepare":
        return _prepare_verdict(kind_counts(answer, rows))
    if spoken and answer.command.startswith("prepare --"):
        return _cleaned_verdict(answer)
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
    names = ("equal", "details", "different", "only_qbo", "only_miracle")
    equal, details, different, missing, extra = (int(summary.get(name, 0)) for name in names)
    off = [f"{count(different, 'record')} {'does' if different == 1 else 'do'} not agree."] if different else []
    off += [f"{count(missing, 'record')} of QuickBooks Online {_are(missing)} not in Miracle Service."] if missing else []
    said = [*off, f"{equal:,} agree."] if off else [f"Both sides agree: {count(equal, 'record')}."]
    said += [f"{details:,} of them differ{'s' if details == 1 else ''} in details, which stops nothing."] if details else []
    said += [f"{count(extra, 'record exists', 'records exist')} only in Miracle Service, which is fine."] if extra else []
    return " ".join(said)


def _review_verdict(made: int) -> str:
    if not made:
        return "There is nothing to review: no record that came in from QuickBooks Online is left."
    return f"{count(made, 'record')} came in from QuickBooks Online. Mark the ones you do not want to keep."


def _removed_verdict(summary: Mapping[str, Any]) -> str:
    removed, kept = int(summary.get("removed", 0)), int(summary.get("kept", 0))
    said = f"{count(removed, 'record was', 'records were')} taken out of Miracle Service again."
    return said + (f" {count(kept, 'record')} {_stay(kept)}." if kept else "")


def _doctor_verdict(missing: int) -> str:
    return f"{count(missing, 'thing is', 'things are')} still missing." if missing else "Everything on the checklist is in place."


def _prepare_verdict(counts: Mapping[Kind, Mapping[str, int]]) -> str:
    active, free, held = (total(counts, name) for name in ("active", "free", "held"))
    if not free + held:
        return f"Nothing to clean up: {count(active, 'active record')}, all in use."
    said = f"{free:,} of {count(active, 'active record')} can be made inactive: nobody has used {_it(free)} lately."
    if not free:
        said = "Nothing can be made inactive today."
    return said + (f" {held:,} more {_are(held)} unused, but something is still open on {_it(held)}." if held else "")


def _cleaned_verdict(answer: Answer) -> str:
    done, kept = int(answer.summary.get("changed", 0)) + int(answer.summary.get("before", 0)), int(answer.summary.get("kept", 0))
    state = "inactive now" if answer.command.endswith("apply") else "active again"
    said = f"{count(done, 'record')} in QuickBooks Online {_are(done)} {state}."
    return said + (f" {count(kept, 'record')} {_stay(kept)}." if kept else "")


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _it(number: int) -> str:
    return "it" if number == 1 else "them"


def _stay(number: int) -> str:
    return "stays as it is" if number == 1 else "stay as they are"
