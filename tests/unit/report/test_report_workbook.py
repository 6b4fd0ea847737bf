"""The workbook: opens, filters, offers the decisions, and holds no formula."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from qbo_sync import report
from qbo_sync.report.safe import visible
from qbo_sync.switch.model import TITLE, Answer, Kind
from tests.unit.report import sample


def book(tmp_path: Path, answer: Answer, **given: Any) -> openpyxl.Workbook:
    paths = report.write(tmp_path, answer, company=sample.HOSTILE[2], made_at=sample.MADE_AT, **given)
    return openpyxl.load_workbook(paths["xlsx"])


def lines(sheet: Any) -> list[tuple[Any, ...]]:
    return [tuple(value or "" for value in line) for line in sheet.iter_rows(values_only=True)]


@pytest.fixture
def plan_book(tmp_path: Path) -> openpyxl.Workbook:
    return book(tmp_path, sample.plan_answer(), rows=sample.rows())


def test_a_plan_has_a_summary_and_a_sheet_per_kind(plan_book: openpyxl.Workbook) -> None:
    assert plan_book.sheetnames == ["Summary", *(TITLE[kind] for kind in Kind)]
    summary = lines(plan_book["Summary"])
    assert summary[0][0] == "Import Plan"
    assert ("Suppliers", 14, 4, 2, 2, 4, 2) in [line[:7] for line in summary]
    links = [cell.hyperlink.location for (cell, *_) in plan_book["Summary"].iter_rows() if cell.hyperlink]
    assert links == [f"'{TITLE[kind]}'!A1" for kind in Kind]


def test_sheets_are_ready_to_filter_and_to_decide(plan_book: openpyxl.Workbook) -> None:
    sheet = plan_book["Suppliers"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:G15"
    assert lines(sheet)[0] == ("kind", "qbo_id", "miracle_id", "name", "result", "reason", "decision")
    assert [line[4] for line in lines(sheet)[1:7]] == ["weak", "weak", "conflict", "conflict", "invalid", "invalid"]
    (choice,) = sheet.data_validations.dataValidation
    assert (choice.formula1, str(choice.sqref), choice.allow_blank) == ('"link,create,skip"', "G2:G15", True)
    assert 8 <= sheet.column_dimensions["D"].width <= 60


@pytest.mark.parametrize("command", ["audit", "plan", "review", "prepare", "doctor"])
def test_no_value_is_a_formula_or_an_error(tmp_path: Path, command: str) -> None:
    hostile = [{"id": name, "kind": name, name: name} for name in sample.NAMES]
    made = {
        "audit": lambda: book(tmp_path, sample.audit_answer(), findings=sample.findings()),
        "plan": lambda: book(tmp_path, sample.plan_answer(), rows=sample.rows()),
        "review": lambda: book(tmp_path, Answer("review", "acme", lines=list(sample.HOSTILE)), tables=sample.review_tables()),
        "prepare": lambda: book(tmp_path, Answer("prepare", "acme", lines=list(sample.HOSTILE)), tables=sample.hostile_tables()),
        "doctor": lambda: book(tmp_path, Answer("doctor", "acme", "attention", {"=1": "=2"}, hostile, next="=3")),
    }[command]()
    cells = [cell for sheet in made.worksheets for line in sheet.iter_rows() for cell in line if cell.value is not None]
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    hostile_cells = [
        cell for cell in cells if cell.data_type == "s" and str(cell.value).lstrip("'").startswith(("=", "+", "-", "@"))
    ]
    assert hostile_cells
    assert all(cell.quotePrefix for cell in hostile_cells)


def test_no_sheet_holds_a_formula_element(tmp_path: Path) -> None:
    book(tmp_path, sample.audit_answer(), findings=sample.findings())
    book(tmp_path, sample.plan_answer(), rows=sample.rows())
    sheets = []
    for path in tmp_path.glob("*.xlsx"):
        with zipfile.ZipFile(path) as archive:
            sheets += [archive.read(name).decode() for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
    assert len(sheets) == 5 + 1 + len(Kind)
    assert not [sheet for sheet in sheets if "<f>" in sheet or "<f " in sheet]


def test_an_audit_has_a_sheet_per_kind_with_every_finding_to_decide_on(tmp_path: Path) -> None:
    made = book(tmp_path, sample.audit_answer(), findings=sample.findings())
    assert made.sheetnames == ["Summary", "Tax code", "Payment terms", "Customers", "Customer types"]
    ids = {line[-1] for sheet in made.worksheets[1:] for line in lines(sheet)[1:]}
    assert ids == {visible(finding.id) for finding in sample.findings()}
    assert ("Must be corrected", 3) in [line[:2] for line in lines(made["Summary"])]
    for sheet in made.worksheets[1:]:
        (choice,) = sheet.data_validations.dataValidation
        assert (choice.formula1, str(choice.sqref).split(":")[-1]) == ('"accept"', f"A{sheet.max_row}")
        assert sheet.auto_filter.ref == f"A1:K{sheet.max_row}"


def test_a_review_sheet_can_be_ticked(tmp_path: Path) -> None:
    sheet = book(tmp_path, Answer("review", "acme"), tables=sample.review_tables())["Customers"]
    assert lines(sheet)[0] == ("kind", "qbo_id", "miracle_id", "name", "result", "reason", "decision")
    assert sheet.data_validations.dataValidation[0].formula1 == '"discard"'
    assert [line[3] for line in lines(sheet)[1:]] == [visible(name) for name in sample.NAMES]


def test_odd_titles_make_valid_sheet_names(tmp_path: Path) -> None:
    titles = ["a/b:c*d?[e]", "x" * 40, "X" * 40, "History", "summary", "'''", ""]
    made = book(tmp_path, Answer("prepare", "acme"), tables={title: [{"name": "n"}] for title in titles})
    names = made.sheetnames
    assert len(names) == len(titles) + 1 == len({name.casefold() for name in names})
    assert all(0 < len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in names)
    assert "history" not in {name.casefold() for name in names}


def test_figures_stay_figures(tmp_path: Path) -> None:
    table = {"Stock": [{"name": "Pump", "on_hand": 12, "value": 30.5, "active": True, "note": None}]}
    sheet = book(tmp_path, Answer("prepare", "acme"), tables=table)["Stock"]
    assert lines(sheet) == [("Name", "On hand", "Value", "Active", "Note"), ("Pump", 12, 30.5, "yes", "")]
