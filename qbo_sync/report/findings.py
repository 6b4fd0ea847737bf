"""The findings of an audit as a table, for CSV and workbook, and what a person accepted in it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from qbo_sync.disk import whole_file
from qbo_sync.errors import UsageError
from qbo_sync.report import words
from qbo_sync.report.decisions import allowed
from qbo_sync.report.reading import read_table
from qbo_sync.report.safe import guard, visible
from qbo_sync.switch.model import Finding

ACCEPT = "accept"
# The three that are read back have the names they are read by.
COLUMNS = (
    "decision",
    "because",
    "How serious",
    "What",
    "List",
    "Name",
    "QuickBooks Online has",
    "Miracle Service has",
    "How to correct it",
    "Where to click",
    "id",
)


def finding_line(finding: Finding) -> tuple[str, ...]:
    """One finding as the columns of the table; one that was accepted says so."""
    return (
        ACCEPT if finding.accepted else "",
        finding.accepted,
        words.ACCEPTED.title if finding.accepted else words.SEVERITY[finding.severity].title,
        finding.title,
        words.kind_title(finding.kind),
        finding.name,
        finding.qbo,
        finding.miracle,
        finding.remedy,
        finding.where,
        finding.id,
    )


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """What must be corrected first, what was accepted last."""
    severities = list(words.SEVERITY)
    return sorted(findings, key=lambda finding: (bool(finding.accepted), severities.index(finding.severity)))


def findings_csv(path: Path, findings: Sequence[Finding]) -> None:
    """Write the findings as CSV (UTF-8 with a mark, as Excel wants it); no value can run as a formula. Raises ``OSError``."""
    with whole_file(path) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([guard(visible(value)) for value in finding_line(finding)] for finding in in_order(findings))


def read_acceptances(path: Path) -> dict[str, str]:
    """The findings that a person accepted in the report's workbook or CSV: id → reason.

    Raises ``UsageError`` naming file and line for a word that is no decision and for an acceptance without a reason.
    """
    found = {}
    for where, row in read_table(path, ("id", "decision", "because")):
        if allowed(path, where, row["decision"], (ACCEPT,)):
            if not row["because"]:
                raise UsageError(
                    f"{path.name}, {where}, column because: a finding is accepted with a reason",
                    seen=visible(row["id"]),
                    next="write beside it why this is all right, or clear the column decision",
                )
            found[row["id"]] = row["because"]
    if not found:
        raise UsageError(f"{path.name}: no finding is accepted", next=f"write '{ACCEPT}' into the column decision, and why")
    return found
