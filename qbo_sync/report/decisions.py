"""The decisions file: what a person is asked about each doubtful record, and what they answered."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

from qbo_sync.disk import whole_file
from qbo_sync.errors import UsageError
from qbo_sync.report.reading import read_table
from qbo_sync.report.safe import guard, visible
from qbo_sync.report.words import TO_DECIDE, full_name, in_order
from qbo_sync.switch.model import Decision, PlannedRow

COLUMNS = ("kind", "qbo_id", "miracle_id", "name", "result", "reason", "decision")


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
    read = read_table(path, COLUMNS)
    return [{**row, "decision": allowed(path, where, row["decision"], words)} for where, row in read]


def allowed(path: Path, where: str, decision: str, words: Collection[str]) -> str:
    """A decision as the program knows it. Raises ``UsageError`` when it is none of ``words``."""
    said = decision.lower()
    if said and said not in words:
        raise UsageError(
            f"{path.name}, {where}, column decision: this is not a decision",
            seen=visible(said),
            next=f"write {_alternatives(words)}, or leave it empty",
        )
    return said


def _alternatives(words: Collection[str]) -> str:
    *others, last = sorted(map(str, words))
    return f"{', '.join(others)} or {last}" if others else last
