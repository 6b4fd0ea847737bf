"""What the commands print, for the pages of steps 2 to 4: invented answers, said by the same code that says the real ones."""

from __future__ import annotations

import io

from rich.console import Console

from qbo_sync import report
from qbo_sync.switch.audit import RULES
from qbo_sync.switch.model import Answer, Finding, Kind, PlannedRow, Result

WIDTH = 96
REPORTS = "/var/lib/qbo-sync/maple/reports"


def printed(answer: Answer, findings: list[Finding] | None = None, rows: list[PlannedRow] | None = None) -> str:
    """An answer as a terminal shows it, as a block of a page."""
    screen = Console(file=io.StringIO(), width=WIDTH, force_terminal=True, color_system=None, legacy_windows=False)
    report.show(answer, findings=findings or [], rows=rows or [], console=screen)
    assert isinstance(screen.file, io.StringIO)  # noqa: S101 - given above
    lines = (line.rstrip() for line in screen.file.getvalue().splitlines())
    return "\n".join(("```text", *lines, "```"))


def _files(stem: str, *more: str) -> dict[str, str]:
    return {suffix: f"{REPORTS}/{stem}.{suffix}" for suffix in ("html", "xlsx", "json", *more)}


def prepare() -> str:
    """Step 2's list."""
    figures = {"supplier": (26, 17, 8, 1), "inventory_item": (41, 36, 3, 2), "customer": (212, 148, 51, 13)}
    names = ("active", "used", "free", "held")
    summary = {kind: dict(zip(names, numbers, strict=True)) for kind, numbers in figures.items()}
    return printed(
        Answer(
            "prepare",
            "maple",
            "attention",
            summary,
            report=_files("20261124-101500-prepare"),
            lines=["In use: named by a transaction since 1 November 2024, or entered since then."],
            next="write 'inactivate' beside what nobody needs and run: qbo-sync prepare --apply FILE",
        )
    )


def audit() -> str:
    """Step 3's Audit Report, with one finding of each severity."""
    cases = (
        ("TAX-001", "tax_code", "Tucson", "Tucson: 9.1 % = AZ State tax 7.1 % + Tucson City 2 %", "not there"),
        ("SET-003", "setting", "Class tracking", "off", "8 classes become group types"),
        ("TRM-002", "payment_term", "Net 30", "Net 30", "'30 days'"),
    )
    rules = {rule.id: rule for rule in RULES}
    findings = [
        Finding(
            f"{rule}/{name}",
            rule,
            rules[rule].severity,
            rules[rule].title,
            kind,
            name,
            qbo,
            there,
            rules[rule].remedy,
            rules[rule].where,
        )
        for rule, kind, name, qbo, there in cases
    ]
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in ("blocker", "warning", "info")}
    return printed(
        Answer(
            "audit",
            "maple",
            "blocked",
            {**counts, "accepted": 0},
            report=_files("20261124-110500-audit", "csv"),
            next="correct what is listed under 'Must be corrected', then run: qbo-sync audit",
        ),
        findings,
    )


def plan() -> str:
    """Step 3's plan: one record waits for a person, one is decided."""
    figures = {
        Kind.PAYMENT_TERM: (5, 2, 3),
        Kind.SUPPLIER: (26, 6, 20),
        Kind.INVENTORY_ITEM: (41, 12, 29),
        Kind.CUSTOMER: (212, 40, 170),
    }
    summary = {
        kind.value: {"read": read, "linked": 0, "matched": there, "new": new, "weak": read - there - new}
        for kind, (read, there, new) in figures.items()
    }

    def looks_alike(qbo_id: str, name: str, other: str, miracle_id: str, decision: str = "", by: str = "") -> PlannedRow:
        why = f"same name apart from a trailing number as '{other}' (row {miracle_id})"
        alike = (Kind.CUSTOMER, qbo_id, "0", name, name, 0, Result.WEAK, why, decision, miracle_id)
        return PlannedRow(*alike, decision=decision, decided_by=by)

    rows = [
        looks_alike("1", "Amy's Bird Sanctuary", "Amy's Bird Sanctuary 204", "8"),
        looks_alike("7", "Cool Cars", "Cool Cars 12", "31", "link", "decisions.csv, 2026-11-24"),
    ]
    files = _files("20261124-113000-plan") | {"decisions": f"{REPORTS}/20261124-113000-plan-decisions.csv"}
    waits = "1 record waits for a decision: fill in the decisions file, then qbo-sync plan --decisions FILE"
    return printed(Answer("plan", "maple", "attention", summary, report=files, next=waits), rows=rows)


def review() -> str:
    """Step 4's lists."""
    return printed(
        Answer(
            "review",
            "maple",
            summary={"customer": {"made": 170}, "supplier": {"made": 20}, "inventory_item": {"made": 29}},
            lines=["import, done: 219 rows still stand; to take it back: qbo-sync undo 20261124T101500123456-3fa2"],
            report=_files("20261124-120000-review"),
            next="write 'discard' beside what you do not want and run: qbo-sync discard FILE; otherwise: qbo-sync export enable",
        )
    )


def reconcile() -> str:
    """Step 4's comparison."""
    summary = {"equal": 283, "different": 0, "only_qbo": 1, "only_miracle": 2, "details": 12}
    return printed(
        Answer(
            "reconcile",
            "maple",
            "attention",
            summary,
            report=_files("20261124-121000-reconcile"),
            next="see to the records that differ or are missing, then run: qbo-sync reconcile",
        )
    )
