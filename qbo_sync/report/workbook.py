"""The workbook: a summary sheet first, then one sheet per list or severity, ready to filter and, where asked, to decide in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from qbo_sync.report import findings, words
from qbo_sync.report.decisions import COLUMNS, decision_values
from qbo_sync.report.safe import cell_text, is_formula
from qbo_sync.report.verdict import verdict
from qbo_sync.report.words import Story
from qbo_sync.switch.model import Finding, Kind, PlannedRow, Severity

_BOLD = Font(bold=True)
_TITLE = Font(bold=True, size=16)
_HEAD = PatternFill("solid", fgColor="E4EAF1")
_TO_FILL_IN = PatternFill("solid", fgColor="FFF4D6")
_WRAP = Alignment(wrap_text=True, vertical="top")
_WIDTHS = (8, 60)  # of a column, in characters


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One list: heading and lines, and the words that its column ``decision`` may say (none: no such column to fill in)."""

    title: str
    heading: tuple[str, ...]
    lines: list[tuple[Any, ...]]
    ticks: tuple[str, ...] = ()


def save(story: Story, path: Path) -> None:
    """Write the workbook of a report. Every text stays text: nothing in it can run as a formula. Raises ``OSError``."""
    book = Workbook(write_only=True)
    sheets = [*_finding_sheets(story.findings), *_plan_sheets(story), *_table_sheets(story)]
    names = _names(["Summary", *(sheet.title for sheet in sheets)])
    _summary(book.create_sheet(names[0]), story, list(zip(names[1:], sheets, strict=True)))
    for name, sheet in zip(names[1:], sheets, strict=True):
        _fill(book.create_sheet(name), sheet)
    book.save(path)


def _finding_sheets(found: Sequence[Finding]) -> list[_Sheet]:
    """One sheet per kind of record, the kind with the most serious findings first."""
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings.in_order(found):
        by_kind.setdefault(finding.kind, []).append(finding)
    return [
        _Sheet(words.kind_title(kind), findings.COLUMNS, [findings.finding_line(finding) for finding in mine], (findings.ACCEPT,))
        for kind, mine in by_kind.items()
    ]


def _plan_sheets(story: Story) -> list[_Sheet]:
    """One sheet per kind, in the columns of a decisions file, so that the filled-in workbook can be given to ``--decisions``.

    An audit lists what matched on its page only: its workbook is for the findings.
    """
    if story.answer.command == "audit":
        return []
    by_kind: dict[Kind, list[PlannedRow]] = {kind: [] for kind in Kind}
    for row in words.in_order(story.rows):
        by_kind[row.kind].append(row)
    return [
        _Sheet(words.kind_title(kind), COLUMNS, [tuple(decision_values(row).values()) for row in rows], words.DECISIONS)
        for kind, rows in by_kind.items()
        if rows
    ]


def _table_sheets(story: Story) -> list[_Sheet]:
    """One sheet per table; one with a column ``decision`` keeps the plain column names, since a command reads it back."""
    sheets = []
    for title, rows in words.tables_of(story).items():
        keys = words.columns(rows)
        ticked = "decision" in keys
        sheets.append(
            _Sheet(
                words.kind_title(title),
                keys if ticked else tuple(map(words.column_title, keys)),
                [tuple(_table_value(key, row.get(key), plain=ticked) for key in keys) for row in rows],
                words.ticks(rows),
            )
        )
    return sheets


def _table_value(key: str, value: Any, *, plain: bool) -> Any:
    """As it is in a list that a command reads back, and for figures; else in a person's words."""
    return value if plain or key not in ("kind", "field") else words.value_of(key, value)


def _summary(sheet: Worksheet, story: Story, sheets: Sequence[tuple[str, _Sheet]]) -> None:
    answer = story.answer
    for column, width in zip("ABCDEFGHIJ", (34, *[12] * 9), strict=True):
        sheet.column_dimensions[column].width = width
    sheet.append([_cell(sheet, words.report_title(answer), font=_TITLE)])
    sheet.append([_cell(sheet, story.company, font=_BOLD)])
    sheet.append([_cell(sheet, f"{words.moment(story.made_at)}, site {answer.site}")])
    sheet.append([])
    sheet.append([_cell(sheet, verdict(answer, story.findings, story.rows), font=_BOLD)])
    for line in (*answer.lines, *([f"Next step: {answer.next}"] if answer.next else [])):
        sheet.append([_cell(sheet, line)])
    sheet.append([])
    for figures in _figures(story):
        sheet.append([_cell(sheet, value, font=_BOLD if place == 0 else None) for place, value in enumerate(figures)])
    sheet.append([])
    for name, listing in sheets:
        link = _cell(sheet, f"{name} ({len(listing.lines):,})", font=Font(color="235A97", underline="single"))
        link.hyperlink = Hyperlink(ref="", location="'{}'!A1".format(name.replace("'", "''")))
        sheet.append([link])


def _figures(story: Story) -> list[tuple[Any, ...]]:
    """The answer's counts: a table by kind for a plan or import, two columns for everything else."""
    answer = story.answer
    if answer.command == "audit":
        counts = words.finding_counts(answer, story.findings)
        return [(words.SEVERITY[severity].title, counts[severity]) for severity in Severity] + [
            (words.ACCEPTED.title, counts["accepted"])
        ]
    names = words.FIGURES.get(answer.command, {})
    by_kind = words.figures(answer, story.rows) if names else {}
    if by_kind:
        lines = [(words.kind_title(kind), *(figures.get(name, 0) for name in names)) for kind, figures in by_kind.items()]
        return [("", *names.values()), *lines, ("total", *(words.total(by_kind, name) for name in names))]
    return [(words.column_title(key), words.said(value)) for key, value in answer.summary.items()]


def _fill(sheet: Worksheet, listing: _Sheet) -> None:
    """Write one list: heading frozen, filters on, widths by content, a choice in the column ``decision``."""
    last = get_column_letter(len(listing.heading) or 1)
    sheet.freeze_panes = "A2"
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    for place, width in enumerate(_column_widths(listing), start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width
    decision = listing.heading.index("decision") if listing.ticks else -1
    sheet.append([_cell(sheet, name, font=_BOLD, fill=_HEAD) for name in listing.heading])
    for line in listing.lines:
        sheet.append([_cell(sheet, value, fill=_TO_FILL_IN if place == decision else None) for place, value in enumerate(line)])
    sheet.auto_filter.ref = f"A1:{last}{len(listing.lines) + 1}"
    if listing.ticks and listing.lines:
        sheet.data_validations.append(_choice(listing.ticks, get_column_letter(decision + 1), len(listing.lines) + 1))


def _choice(ticks: Iterable[str], column: str, last_line: int) -> DataValidation:
    alternatives = ", ".join(ticks)
    choice = DataValidation(type="list", formula1=f'"{",".join(ticks)}"', allow_blank=True, showErrorMessage=True)
    choice.errorTitle, choice.error = "Not a decision", f"Choose {alternatives}, or leave it empty."
    choice.add(f"{column}2:{column}{last_line}")
    return choice


def _column_widths(listing: _Sheet) -> list[int]:
    longest = [len(name) + 4 for name in listing.heading]
    for line in listing.lines:
        for place, value in enumerate(line):
            longest[place] = max(longest[place], min(len(str(value)) + 2, _WIDTHS[1]))
    return [max(width, _WIDTHS[0]) for width in longest]


def _cell(sheet: Worksheet, value: Any, *, font: Font | None = None, fill: PatternFill | None = None) -> Cell:
    """A cell with a figure as a figure and anything else as text, which the spreadsheet is told never to take for a formula."""
    cell = WriteOnlyCell(sheet)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        cell.value = value
        if isinstance(value, Decimal):
            cell.number_format = "#,##0.00"
    else:
        cell.value = cell_text(words.said(value))
        cell.data_type = "s"  # openpyxl takes "=1+1" for a formula and "#N/A" for an error
        cell.number_format = "@"
        cell.alignment = _WRAP
        cell.quotePrefix = is_formula(cell.value)
    if font:
        cell.font = font
    if fill:
        cell.fill = fill
    return cell


def _names(titles: Sequence[str]) -> list[str]:
    """Sheet names: at most 31 characters, without the signs that Excel refuses, each only once."""
    names: list[str] = []
    for title in titles:
        plain = re.sub(r"[\[\]:*?/\\]", " ", cell_text(title)).strip(" '") or "List"
        name, again = plain[:31], 1
        while name.casefold() in {other.casefold() for other in names} | {"history"}:
            again += 1
            name = f"{plain[: 31 - len(str(again)) - 1]} {again}"
        names.append(name)
    return names
