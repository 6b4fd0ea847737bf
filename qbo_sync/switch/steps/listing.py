"""What reports list, and the items of the JSON document."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any

from msgspec.structs import replace

from qbo_sync.switch import match
from qbo_sync.switch.codec import sorts
from qbo_sync.switch.model import Finding, Kind, PlannedRow, Result
from qbo_sync.switch.plan import is_undecided

# A report lists every row of a plan up to this size; of a larger one what a person has to see, and the first of each list.
LISTED = 50_000
LISTED_OF_EACH = 1_000


def listed(rows: match.Matched, settled: Callable[[Kind, Sequence[str]], Collection[str]] = lambda *_: ()) -> list[PlannedRow]:
    """The rows that a report lists, without their fields. ``settled``: which of these records an earlier import settled."""
    found: list[PlannedRow] = []
    whole = len(rows) <= LISTED
    for kind in Kind:
        some: list[PlannedRow] = []
        for mark in rows.shelf.tally(kind):
            result, _, decision = sorts(mark)
            to_see = whole or decision or is_undecided(result, decision)
            some += islice(rows.marked(kind, mark), LISTED if to_see else LISTED_OF_EACH)
        done = settled(kind, [row.qbo_id for row in some if row.action])
        found += (_as_listed(row, settled=row.qbo_id in done) for row in some)
    return found


def _as_listed(row: PlannedRow, *, settled: bool) -> PlannedRow:
    """A row that an earlier import settled is linked, whatever it was when the plan was made."""
    if settled:
        row = replace(row, result=Result.LINKED, reason="linked by an earlier import", action="")
    return replace(row, fields={}, references={})


def finding_items(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as the JSON document's items."""
    return [
        {
            "id": f.id,
            "kind": f.kind,
            "severity": f.severity.value,
            "title": f.title,
            "name": f.name,
            "qbo": f.qbo,
            "miracle": f.miracle,
            "remedy": f.remedy,
            "where": f.where,
            **({"accepted": f.accepted} if f.accepted else {}),
        }
        for f in findings
    ]


def row_item(row: PlannedRow) -> dict[str, Any]:
    """A planned row as an item of the JSON document."""
    return {
        "id": row.qbo_id,
        "kind": row.kind.value,
        "qbo": row.path,
        "miracle": row.miracle_id,
        "result": row.result.value,
        "reason": row.reason,
        **({"decision": row.decision, "decided_by": row.decided_by} if row.decision else {}),
    }
