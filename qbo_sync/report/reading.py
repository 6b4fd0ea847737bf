"""Reads a filled-in table: CSV as any spreadsheet saves it, or every sheet of an XLSX workbook that has the columns."""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from qbo_sync.errors import UsageError
from qbo_sync.report.safe import unguard, visible

_Line = tuple[str, list[str]]  # where it stands ("line 3", "sheet Customers, line 3") and its cells
Filled = tuple[str, dict[str, str]]  # where it stands and its values by column


def read_table(path: Path, columns: Sequence[str]) -> list[Filled]:
    """The lines of all tables in a file that have these ``columns``; further columns are ignored.

    Raises ``UsageError`` naming file, line and column when the file can't be read or a column is missing.
    """
    try:
        tables = _sheets(path, columns) if path.suffix.lower() == ".xlsx" else [_csv(path)]
    except OSError as error:
        raise UsageError(
            "the decisions file can't be read", seen=f"{path}: {error.strerror}", next="check the file's name"
        ) from error
    read = [_rows(path, lines, columns) for lines in tables]
    return [row for rows in read for row in rows]


def _rows(path: Path, lines: Iterable[_Line], columns: Sequence[str]) -> Iterator[Filled]:
    """The lines of one table; the first line names the columns."""
    places: dict[str, int] | None = None
    for where, cells in lines:
        if places is None:
            places = _places(path, where, cells, columns)
        elif any(cell.strip() for cell in cells):
            yield where, {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
    if places is None:
        raise UsageError(f"{path.name} is empty", next=_wanted(columns))


def _wanted(columns: Sequence[str]) -> str:
    return f"the first line must name the columns: {', '.join(columns)}"


def _places(path: Path, where: str, cells: Sequence[str], columns: Sequence[str]) -> dict[str, int]:
    """Where each column stands, by the heading line."""
    names = [cell.strip().lower() for cell in cells]
    for name in columns:
        if names.count(name) != 1:
            raise UsageError(
                f"{path.name}, {where}: the column {name} is {'missing' if name not in names else 'there more than once'}",
                seen=visible(", ".join(names)),
                next=_wanted(columns),
            )
    return {name: names.index(name) for name in columns}


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


def _sheets(path: Path, columns: Sequence[str]) -> list[Iterable[_Line]]:
    """The sheets of a workbook that have the columns; a workbook without any is refused."""
    import openpyxl  # here, since most tables are CSV
    from openpyxl.utils.exceptions import InvalidFileException

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
        if lines and {columns[0], "decision"} <= {cell.strip().lower() for cell in lines[0][1]}:
            found.append(lines)
    if not found:
        raise UsageError(f"{path.name}: no sheet has the columns of a decisions file", next=_wanted(columns))
    return found


def _plain(value: Any) -> str:
    """A cell as text; ids that Excel turned into numbers (``17.0``) are given back as they were."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return unguard(str(value))
