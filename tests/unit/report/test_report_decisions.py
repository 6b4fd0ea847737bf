"""What a person fills in comes back as they meant it, whatever spreadsheet it went through."""

from __future__ import annotations

import csv
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync import report
from qbo_sync.errors import UsageError
from qbo_sync.report.decisions import COLUMNS, decision_values
from qbo_sync.report.safe import visible
from qbo_sync.report.words import TO_DECIDE, in_order
from qbo_sync.switch.model import Result
from tests.unit.report import sample

HEAD = ",".join(COLUMNS)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_decisions_file_holds_what_needs_a_person_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    report.decisions_csv(path, sample.rows())
    doubtful = [row for row in in_order(sample.rows()) if row.result in TO_DECIDE]
    wanted = [{name: visible(value).strip() for name, value in decision_values(row).items()} for row in doubtful]
    assert report.read_decisions(path) == wanted
    assert {row["result"] for row in wanted} == {"weak", "conflict", "invalid"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_decisions_file_opens_in_excel_without_running_anything(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    report.decisions_csv(path, sample.rows())
    assert path.read_bytes().startswith(b"\xef\xbb\xbfkind,qbo_id,miracle_id,name,result,reason,decision\r\n")
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    assert '\'=HYPERLINK("http://example.com","Click")' in cells


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=30), st.sampled_from(["", "link", "create", "skip"]))
def test_any_name_and_decision_come_back(tmp_path_factory: pytest.TempPathFactory, name: str, decision: str) -> None:
    path = tmp_path_factory.mktemp("any") / "d.csv"
    report.decisions_csv(path, [sample.planned("1", name, Result.WEAK, decision=decision)])
    (row,) = report.read_decisions(path)
    assert (row["name"], row["decision"]) == (visible(name).strip(), decision)


def test_the_workbook_of_a_plan_is_a_decisions_file(tmp_path: Path) -> None:
    paths = report.write(tmp_path, sample.plan_answer(), company="A", made_at=sample.MADE_AT, rows=sample.rows())
    book = openpyxl.load_workbook(paths["xlsx"])
    book["Suppliers"]["G2"] = "link"
    book["Customers"]["G2"] = "Skip "
    edited = tmp_path / "filled in.xlsx"
    book.save(edited)
    read = report.read_decisions(edited)
    assert len(read) == len(sample.rows())
    assert [(row["kind"], row["decision"]) for row in read if row["decision"]] == [("supplier", "link"), ("customer", "skip")]


def test_ids_that_a_spreadsheet_turned_into_numbers_come_back_as_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(COLUMNS)
    sheet.append(("customer", 17, 21.0, "Amy's", "weak", None, "link"))
    book.save(tmp_path / "d.xlsx")
    (row,) = report.read_decisions(tmp_path / "d.xlsx")
    assert (row["qbo_id"], row["miracle_id"], row["reason"]) == ("17", "21", "")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (f"{HEAD}\ncustomer,1,2,Zoë,weak,why,link\n", "utf-8"),
        (f"{HEAD}\r\ncustomer,1,2,Zoë,weak,why,LINK\r\n\r\n", "utf-8-sig"),
        (f"{HEAD.replace(',', ';')}\ncustomer;1;2;Zoë;weak;why;link\n", "cp1252"),
        (f"{HEAD}\ncustomer,1,2,Zoë,weak,why,link\n,,,,,,\n".replace(",", "\t"), "utf-8"),
        ("decision,name,kind,reason,qbo_id,extra,result,miracle_id\nlink,Zoë,customer,why,1,x,weak,2\n", "utf-8"),
        (f"{HEAD.upper()}\ncustomer,1,2,Zoë,weak,why,link", "utf-8"),
    ],
    ids=["plain", "Excel UTF-8", "Excel in Europe", "tabs", "other order", "capitals"],
)
def test_files_as_people_save_them(tmp_path: Path, text: str, encoding: str) -> None:
    (row,) = report.read_decisions(write(tmp_path / "d.csv", text, encoding))
    assert row == dict(zip(COLUMNS, ("customer", "1", "2", "Zoë", "weak", "why", "link"), strict=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEAD}\ncustomer,1,2,a,weak,why,link\ncustomer,2,2,b,weak,why,merge\n", "d.csv, line 3, column decision"),
        (f'{HEAD}\ncustomer,1,2,"two\nlines",weak,why,\ncustomer,2,2,b,weak,why,x\n', "d.csv, line 4, column decision"),
        ("kind,qbo_id,name,decision\n", "line 1: the column miracle_id is missing"),
        (f"{HEAD},decision\n", "line 1: the column decision is there more than once"),
        ("", "d.csv is empty"),
        (f'{HEAD}\ncustomer,1,2,"never closed,weak', "d.csv, line 2: this is not CSV"),
    ],
)
def test_a_wrong_file_is_refused_by_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        report.read_decisions(write(tmp_path / "d.csv", text))
    assert said in refused.value.what
    assert refused.value.next


def test_a_wrong_workbook_is_refused_by_sheet_and_line(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].title = "Customers"
    book.worksheets[0].append(COLUMNS)
    book.worksheets[0].append(("customer", "1", "", "a", "weak", "", "perhaps"))
    book.save(tmp_path / "d.xlsx")
    with pytest.raises(UsageError, match=r"d.xlsx, sheet Customers, line 2, column decision") as refused:
        report.read_decisions(tmp_path / "d.xlsx")
    assert (refused.value.seen, refused.value.next) == ("perhaps", "write create, link or skip, or leave it empty")


@pytest.mark.parametrize("content", [b"no workbook", b"PK\x03\x04 cut off"])
def test_a_broken_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.xlsx").write_bytes(content)
    with pytest.raises(UsageError, match="not an XLSX workbook"):
        report.read_decisions(tmp_path / "d.xlsx")


def test_a_workbook_without_the_columns_is_refused(tmp_path: Path) -> None:
    openpyxl.Workbook().save(tmp_path / "d.xlsx")
    with pytest.raises(UsageError, match="no sheet has the columns"):
        report.read_decisions(tmp_path / "d.xlsx")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        report.read_decisions(tmp_path / "nowhere.csv")


def test_other_lists_have_their_own_words(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", f"{HEAD}\ncustomer,1,2,a,made,run 1,discard\n")
    assert report.read_decisions(path, ("discard",))[0]["decision"] == "discard"
    with pytest.raises(UsageError, match="column decision"):
        report.read_decisions(path)
