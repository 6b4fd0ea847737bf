"""The decisions file: what a person is asked about each doubtful record, and what they answered."""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from qbo_sync.errors import UsageError
from qbo_sync.report.disk import whole_file
from qbo_sync.report.safe import guard, unguard, visible
from qbo_sync.report.words import TO_DECIDE, full_name, in_order
from qbo_sync.switch.model import Decision, PlannedRow

COLUMNS = ("kind", "qbo_id", "miracle_id", "name", "result", "reason", "decision")

_Line = tuple[str, list[str]]  # where it stands ("line 3", "sheet Customers, line 3") and its cells


def decision_values(row: PlannedRow) -> dict[str, str]:
    """One row as the columns of a decisions file; the name is the full one, with its parents."""
    return {
        "kind": row.kind.value,
        "qbo_id": row.qbo_id,
        "miracle_id": row.miracle_id,
        "name": full_name(row),
        "result": row.result.value,
        "reason": row.reason,
        "decision": row.decision,
    }


def decisions_csv(path: Path, rows: Sequence[PlannedRow]) -> None:
    """Write the weak, conflicting and invalid ``rows`` for a person to decide (UTF-8 with a mark, as Excel wants it).

    No value can run as a formula when the file is opened in a spreadsheet. Raises ``OSError``.
    """
    with whole_file(path) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in in_order(rows):
            if row.result in TO_DECIDE:
                writer.writerow([guard(visible(value)) for value in decision_values(row).values()])


def read_decisions(path: Path, words: Collection[str] = tuple(Decision)) -> list[dict[str, str]]:
    """Read a filled-in decisions file: CSV, or XLSX (every sheet that has the seven columns, so a plan's own workbook too).

    ``words`` are what the decision column may say; it may be empty. Further columns are ignored. Raises ``UsageError`` naming
    line and column when the file can't be read, a column is missing or a decision is none of ``words``.
    """
    try:
        tables = _sheets(path) if path.suffix.lower() == ".xlsx" else [_csv(path)]
    except OSError as error:
        raise UsageError(
            "the decisions file can't be read", seen=f"{path}: {error.strerror}", next="check the file's name"
        ) from error
    read = [_rows(path, lines, words) for lines in tables]
    return [row for rows in read for row in rows]


def _rows(path: Path, lines: Iterable[_Line], words: Collection[str]) -> Iterator[dict[str, str]]:
    """The rows of one table; the first line names the columns."""
    places: dict[str, int] | None = None
    for where, cells in lines:
        if places is None:
            places = _places(path, where, cells)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        row = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
        row["decision"] = row["decision"].lower()
        if row["decision"] and row["decision"] not in words:
            raise UsageError(
                f"{path.name}, {where}, column decision: this is not a decision",
                seen=visible(row["decision"]),
                next=f"write {_alternatives(words)}, or leave it empty",
            )
        yield row
    if places is None:
        raise UsageError(f"{path.name} is empty", next=_WANTED)


_WANTED = f"the first line must name the columns: {', '.join(COLUMNS)}"


def _places(path: Path, where: str, cells: Sequence[str]) -> dict[str, int]:
    """Where each column stands, by the heading line."""
    names = [cell.strip().lower() for cell in cells]
    for name in COLUMNS:
        if names.count(name) != 1:
            raise UsageError(
                f"{path.name}, {where}: the column {name} is {'missing' if name not in names else 'there more than once'}",
                seen=visible(", ".join(names)),
                next=_WANTED,
            )
    return {name: names.index(name) for name in COLUMNS}


def _alternatives(words: Collection[str]) -> str:
    *others, last = sorted(map(str, words))
    return f"{', '.join(others)} or {last}" if others else last


def _csv(path: Path) -> Iterator[_Line]:
    """The lines of a CSV file as Excel saves it anywhere: UTF-8 or Windows text, separated by comma, semicolon or tab."""
    text = _decoded(path)
    heading = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=heading.count), strict=True)
    return _csv_lines(path, reader)


def _csv_lines(path: Path, reader: Any) -> Iterator[_Line]:
    first = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UsageError(
                f"{path.name}, line {first}: this is not CSV", seen=str(error), next="save it again as CSV or XLSX"
            ) from error
        if cells is None:
            return
        yield f"line {first}", [unguard(cell) for cell in cells]
        first = reader.line_num + 1


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UsageError(f"{path.name} is not a text file", seen="bytes that are no text", next="save it as 'CSV UTF-8' or XLSX")


def _sheets(path: Path) -> list[Iterable[_Line]]:
    """The sheets of a workbook that have the columns; a workbook without any is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl announces what it does not read (themes, extensions); we need only cells
            book = openpyxl.load_workbook(path, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UsageError(f"{path.name} is not an XLSX workbook", seen=visible(error), next="save it as XLSX or CSV") from error
    found: list[Iterable[_Line]] = []
    for sheet in book.worksheets:
        lines = [
            (f"sheet {sheet.title}, line {number}", [_plain(value) for value in values])
            for number, values in enumerate(sheet.iter_rows(values_only=True), start=1)
        ]
        if lines and {"kind", "decision"} <= {cell.strip().lower() for cell in lines[0][1]}:
            found.append(lines)
    if not found:
        raise UsageError(f"{path.name}: no sheet has the columns of a decisions file", next=_WANTED)
    return found


def _plain(value: Any) -> str:
    """A cell as text; ids that Excel turned into numbers (``17.0``) are given back as they were."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return unguard(str(value))
