"""The terminal: calm, complete, plain where nobody looks, and deaf to control sequences in names."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from qbo_sync import report
from qbo_sync.switch.model import Answer, Severity
from tests.unit.report import sample


def shown(answer: Answer, *, width: int = 100, terminal: bool = False, encoding: str = "utf-8", **given: Any) -> str:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    report.show(answer, **given, console=Console(file=out, width=width, force_terminal=terminal, color_system=None))
    out.flush()
    return raw.getvalue().decode(encoding)


def test_an_audit_groups_by_severity_blockers_first() -> None:
    text = shown(sample.audit_answer(), findings=sample.findings())
    order = [
        "3 things must be corrected",
        "Must be corrected (3)",
        "Please check (20)",
        "Good to know (1)",
        "Accepted as they are (1)",
    ]
    places = [text.index(said) for said in order]
    assert places == sorted(places)
    assert text.rstrip().endswith("→ correct the blockers, then run: qbo-sync audit")


def test_every_blocker_is_told_in_full() -> None:
    text = shown(sample.audit_answer(), findings=sample.findings())
    for finding in sample.findings():
        if finding.severity is Severity.BLOCKER:
            for said in (
                finding.id,
                finding.title,
                finding.qbo,
                finding.miracle,
                finding.remedy,
                finding.where,
                finding.accepted,
            ):
                assert said in text


def test_a_long_list_of_warnings_ends_in_a_pointer() -> None:
    assert "… and 15 more in the report" in shown(sample.audit_answer(), findings=sample.findings())


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [30, 80, 200])
def test_names_cannot_steer_the_screen(terminal: bool, width: int) -> None:
    answer = Answer("doctor", "acme", "attention", {"x": sample.HOSTILE[9]}, lines=list(sample.HOSTILE), next=sample.HOSTILE[8])
    findings = [sample.finding(f"X-{n}", Severity.BLOCKER, name) for n, name in enumerate(sample.NAMES)]
    rows = [row for row in sample.rows() if row.decision == ""]
    for given in ({"findings": findings}, {"rows": rows}):
        text = shown(answer if "findings" in given else sample.plan_answer(), width=width, terminal=terminal, **given)
        assert not {character for character in text if ord(character) < 32 and character != "\n"}
        assert not set(text) & set("\u202e\u200b\x7f")


def test_markup_in_a_name_is_text() -> None:
    text = shown(Answer("doctor", "acme", lines=["[red]markup[/red] :smile:"]), terminal=True)
    assert "[red]markup[/red] :smile:" in text


@pytest.mark.parametrize(("terminal", "width"), [(True, 100), (True, 40), (False, 80)])
def test_a_plan_shows_its_figures_in_any_window(terminal: bool, width: int) -> None:
    text = shown(sample.plan_answer(), width=width, terminal=terminal, rows=sample.rows())
    row = next(line for line in text.splitlines() if "Suppliers" in line)
    if terminal and width == 100:
        assert row.split() == ["Suppliers", "14", "4", "2", "2", "4", "2"]
    else:
        assert "Suppliers: in QuickBooks 14" in row
    assert "Needs a person (" in text


@pytest.mark.parametrize("width", [40, 80])
def test_nothing_is_wider_than_the_window(width: int) -> None:
    text = shown(sample.audit_answer(), width=width, terminal=True, findings=sample.findings()[:3])
    assert max(map(len, text.splitlines())) <= width


def test_a_pipe_gets_whole_lines() -> None:
    long = "word " * 60
    text = shown(Answer("status", "acme", lines=[long], next=long), width=40)
    assert len([line for line in text.splitlines() if long.strip() in line]) == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_console_without_unicode_still_works(encoding: str) -> None:
    text = shown(sample.plan_answer(), encoding=encoding, rows=sample.rows(), terminal=True)
    assert "Classes -> group types" in text
    assert "-> fill in the decisions" in text


def test_import_says_what_was_written() -> None:
    text = shown(sample.import_answer(), terminal=True, rows=sample.rows(), width=110)
    assert "14 new records came into Miracle Service" in text
    assert next(line for line in text.splitlines() if "total" in line).split()[-1] == "14"


def test_reports_are_named() -> None:
    answer = Answer("plan", "acme", report={"html": "/store/a.html", "json": "/store/a.json"})
    text = shown(answer)
    assert "/store/a.html" in text
    assert "/store/a.json (for programs)" in text


def test_lines_of_a_step_keep_their_own_indent() -> None:
    text = shown(Answer("doctor", "acme", lines=["✗ Intuit answers: no\n    mend: try again"]))
    assert "\n  ✗ Intuit answers: no\n      mend: try again\n" in text


def test_the_figures_of_a_summary_have_their_names_in_full() -> None:
    text = shown(sample.reconcile_answer(), terminal=True)
    assert "Only in QuickBooks Online   1" in text
