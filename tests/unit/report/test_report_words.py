"""The sentence a report begins with is true, and says what a person has to do."""

from __future__ import annotations

import pytest

from qbo_sync.report import words
from qbo_sync.report.verdict import verdict
from qbo_sync.switch.model import Answer, Kind, PlannedRow, Result
from tests.unit.report import sample


def audit(outcome: str, blocker: int = 0, warning: int = 0) -> Answer:
    return Answer("audit", "acme", outcome, {"blocker": blocker, "warning": warning, "info": 0, "accepted": 0})


def of(command: str, *rows: PlannedRow, written: bool = False) -> str:
    return verdict(Answer(command, "acme", "ok", sample.kind_summary(list(rows), written=written)), rows=rows)


NEW, MATCHED = sample.planned("1", "a"), sample.planned("2", "b", Result.MATCHED)
WEAK, INVALID = sample.planned("3", "c", Result.WEAK), sample.planned("4", "d", Result.INVALID)
CREATED = sample.planned("5", "e", Result.WEAK, action="insert", decision="create")
LINKED = sample.planned("7", "g", Result.CONFLICT, action="link", decision="link")
SKIPPED = sample.planned("6", "f", Result.WEAK, decision="skip")


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (verdict(audit("blocked", 3)), "3 things must be corrected before the import can run."),
        (verdict(audit("blocked", 1)), "1 thing must be corrected before the import can run."),
        (verdict(audit("attention", 0, 2)), "Nothing stops the import. 2 things should be checked first."),
        (verdict(audit("ok")), "QuickBooks Online and Miracle Service match. The import can run."),
        (of("plan", NEW, MATCHED), "1 new record will be added to Miracle Service; 1 is already there and stays as it is."),
        (
            of("plan", NEW, MATCHED, WEAK, INVALID, CREATED, SKIPPED),
            "2 new records will be added to Miracle Service; 1 is already there and stays as it is."
            " 1 record needs your decision. 1 record cannot be imported as it is.",
        ),
        (of("plan", NEW, LINKED), "1 new record will be added to Miracle Service; 1 is already there and stays as it is."),
        (of("plan", MATCHED), "Nothing new: Miracle Service already has all 1 record that can be imported."),
        (
            of("import", NEW, MATCHED, MATCHED, written=True),
            "1 new record came into Miracle Service; 2 are already there and stay as they are.",
        ),
        (of("import", MATCHED), "Nothing new came in: Miracle Service already had every record that could be imported."),
        (
            verdict(sample.reconcile_answer()),
            "1 record does not agree. 1 record of QuickBooks Online is not in Miracle Service. 41 agree. "
            "1 of them differs in details, which stops nothing. 1 record exists only in Miracle Service, which is fine.",
        ),
        (verdict(Answer("reconcile", "acme", "ok", {"equal": 3})), "Both sides agree: 3 records."),
        (
            verdict(Answer("prepare", "acme", "attention", {"customer": {"active": 9, "used": 4, "free": 3, "held": 2}})),
            "3 of 9 active records can be made inactive: nobody has used them lately. "
            "2 more are unused, but something is still open on them.",
        ),
        (
            verdict(Answer("prepare", "acme", "ok", {"customer": {"active": 1, "used": 1}})),
            "Nothing to clean up: 1 active record, all in use.",
        ),
        (
            verdict(Answer("prepare --apply", "acme", "attention", {"changed": 2, "before": 1, "kept": 1})),
            "3 records in QuickBooks Online are inactive now. 1 record stays as it is.",
        ),
        (
            verdict(Answer("prepare --revert", "acme", "ok", {"changed": 1})),
            "1 record in QuickBooks Online is active again.",
        ),
        (verdict(Answer("review", "acme", "ok", {"customer": {"made": 0}})), verdict(Answer("review", "acme", "ok"))),
        (
            verdict(Answer("discard", "acme", "attention", {"removed": 2, "kept": 1})),
            "2 records were taken out of Miracle Service again. 1 record stays as it is.",
        ),
        (verdict(Answer("export enable", "acme", "ok", {"enabled": True})), "The accounting export is on."),
        (verdict(Answer("doctor", "acme", "attention", {"done": 4, "missing": 1})), "1 thing is still missing."),
        (verdict(Answer("doctor", "acme", "ok", {"done": 5, "missing": 0})), "Everything on the checklist is in place."),
        (verdict(Answer("import", "acme", "blocked")), "The import was refused; nothing was written to Miracle Service."),
        (verdict(Answer("audit", "acme", "unreachable")), "A service did not answer in time. It is safe to try again."),
        (verdict(Answer("plan", "acme", "reconnect")), "QuickBooks Online has to be connected again."),
    ],
)
def test_verdict(said: str, verdict: str) -> None:
    assert said == verdict


def test_an_audit_that_another_run_blocked_does_not_claim_a_match() -> None:
    assert "match" not in verdict(Answer("audit", "acme", "blocked"))


def test_figures_are_counted_from_rows_when_the_summary_has_none() -> None:
    counts = words.kind_counts(Answer("plan", "acme"), [NEW, MATCHED])
    assert counts == {Kind.CUSTOMER: {"read": 2, "new": 1, "matched": 1}}


def test_what_needs_a_person_comes_first() -> None:
    order = [row.result for row in words.in_order([MATCHED, NEW, INVALID, WEAK])]
    assert order == [Result.WEAK, Result.INVALID, Result.NEW, Result.MATCHED]


def test_findings_of_one_rule_share_what_is_the_same() -> None:
    taxes, terms = words.by_rule(sample.findings()[:3])
    assert (taxes.title, taxes.remedy, taxes.where) == ("title of TAX-001", "", "click TAX-001")
    assert (terms.remedy, len(taxes.findings), len(terms.findings)) == ("mend TRM-001", 2, 1)
