"""An audit's findings as CSV and workbook: what a person reads, filters, and gives back with what they accept."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync import report
from qbo_sync.errors import UsageError
from qbo_sync.report.findings import COLUMNS, findings_csv, read_acceptances
from qbo_sync.report.safe import is_formula, visible
from qbo_sync.switch.model import Severity
from tests.unit.report import sample


def written(folder: Path, suffix: str) -> Path:
    files = report.write(folder, sample.audit_answer(), company="x", made_at=sample.MADE_AT, findings=sample.findings())
    return Path(files[suffix])


def test_the_csv_has_every_finding_the_most_serious_first(tmp_path: Path) -> None:
    text = written(tmp_path, "csv").read_text(encoding="utf-8-sig")
    heading, *rows = csv.reader(io.StringIO(text))
    assert tuple(heading) == COLUMNS
    assert len(rows) == len(sample.findings())
    assert [row[2] for row in rows[:4]] == ["Must be corrected"] * 3 + ["Please check"]
    assert rows[-1][:3] == ["accept", "agreed with the owner", "Accepted as they are"]


@given(st.text())
def test_no_cell_of_the_csv_runs_as_a_formula(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    path = tmp_path_factory.getbasetemp() / "findings.csv"
    findings_csv(path, [sample.finding("TAX-001", Severity.BLOCKER, value, title=value, qbo=value, remedy=value)])
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    assert len(rows) == 2
    assert not any(is_formula(cell) and not cell.startswith("'") for cell in rows[1])
    assert rows[1][5].removeprefix("'" if is_formula(visible(value)) else "") == visible(value)


def test_the_workbook_is_given_back_with_what_is_accepted(tmp_path: Path) -> None:
    path = written(tmp_path, "xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book["Tax code"]
    row = next(row for row in sheet.iter_rows(min_row=2) if row[-1].value == "TAX-001/Tucson")
    row[0].value, row[1].value = "Accept", "agreed with our accountant"
    book.save(path)
    assert read_acceptances(path) == {
        "TAX-001/Tucson": "agreed with our accountant",
        "CUR-001/Home currency": "agreed with the owner",
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("TAX-001/x,accept,", "line 2, column because: a finding is accepted with a reason"),
        ("TAX-001/x,link,why", "line 2, column decision: this is not a decision"),
        ("TAX-001/x,,why", "no finding is accepted"),
    ],
)
def test_an_unclear_acceptance_is_refused(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "findings.csv"
    path.write_text(f"id,decision,because\n{line}\n")
    with pytest.raises(UsageError, match=said):
        read_acceptances(path)
