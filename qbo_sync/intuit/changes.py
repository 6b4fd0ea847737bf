"""Change data capture: everything that changed in several lists since a moment, in one request (facts/qbo_api.md 2.9).

An answer holds 1,000 objects at most and does not say whether there were more; nor can its window be given an end, so it
cannot be halved. So a full answer is asked again with half of the entities, and an entity that fills an answer alone is to be
read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Row = dict[str, Any]
MOST_OBJECTS = 1000
# Intuit looks back 30 days; two are left for clocks that are wrong by a day.
LONGEST_BACK = timedelta(days=28)
# Asked for once more: a record may carry a time a little before the answer that did not hold it yet.
OVERLAP = timedelta(minutes=5)

# Of the lists that the kit reads, those that change data capture knows. Taxes, customer types and the company are not in it.
CAPTURED = frozenset({"Account", "Class", "Customer", "Department", "Employee", "Item", "PaymentMethod", "Term", "Vendor"})


@dataclass
class Changes:
    """What changed. ``at`` is Intuit's time of the first answer, ``None`` when it named none; the next window begins there.

    ``rows`` are whole records, active or not, the newest of each; ``deleted`` the ids of records that are gone. Of the entities
    in ``overflown`` there was more than an answer holds, and nothing of them is given.
    """

    at: datetime | None = None
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    deleted: dict[str, set[str]] = field(default_factory=dict)
    overflown: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """How many records changed or went."""
        return sum(map(len, self.rows.values())) + sum(map(len, self.deleted.values()))


@dataclass(frozen=True)
class Window:
    """One answer: the objects by entity, and Intuit's time."""

    objects: Mapping[str, Sequence[Row]]
    at: datetime | None


def read(ask: Callable[[Sequence[str]], Window], entities: Sequence[str], most: int = MOST_OBJECTS) -> Changes:
    """All changes of ``entities``; ``ask`` is one request, whose answer holds at most ``most`` objects."""
    changes = Changes()
    waiting = [list(entities)] if entities else []
    first = True
    while waiting:
        asked = waiting.pop()
        window = ask(asked)
        if first:
            changes.at, first = window.at, False
        if sum(map(len, window.objects.values())) < most:
            for entity in asked:
                _take(changes, entity, window.objects.get(entity, ()))
        elif len(asked) == 1:
            changes.overflown.add(asked[0])
        else:
            half = len(asked) // 2
            waiting += [asked[:half], asked[half:]]
    return changes


def _take(changes: Changes, entity: str, objects: Iterable[Row]) -> None:
    """Sort the live from the deleted, in whatever order they come; what was deleted does not come back."""
    rows: dict[str, Row] = {}
    gone = set()
    for row in objects:
        row_id = str(row.get("Id", ""))
        if row.get("status") == "Deleted":
            gone.add(row_id)
        elif row_id not in rows or _version(row) >= _version(rows[row_id]):
            rows[row_id] = row
    changes.rows[entity] = {row_id: row for row_id, row in rows.items() if row_id not in gone}
    changes.deleted[entity] = gone


def _version(row: Row) -> int:
    """What orders two states of one record: the number of its changes."""
    token = str(row.get("SyncToken", ""))
    return int(token) if token.isdecimal() else -1
