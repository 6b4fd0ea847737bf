"""Applies a plan and nothing else: one transaction per chunk, rows and journal together, parents before children.

Before the first row is written, QuickBooks Online is asked in one request what changed since the reading; inside every
transaction the Miracle side is checked under the table's lock. Rows that an interrupted run of ours wrote are in the journal, so
a second run goes on where it stopped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, islice
from typing import Any, Protocol

from qbo_sync.errors import Blocked
from qbo_sync.intuit import Page
from qbo_sync.miracle import Miracle
from qbo_sync.miracle.database import DECIMALS, Chunk, Pending, Run
from qbo_sync.switch.match import REFERS_TO
from qbo_sync.switch.model import KIND_OF, QBO_ENTITY, Kind, PlannedRow, Result
from qbo_sync.switch.names import normal_path
from qbo_sync.switch.plan import Plan
from qbo_sync.switch.read import row_from

# Intuit's clock and ours may differ; the SyncToken decides whether a record that shows up in this overlap really moved.
CLOCK_OVERLAP = timedelta(minutes=5)


class ChangeReader(Protocol):
    """What is needed of the Intuit client."""

    def changed_since(self, entities: Sequence[str], since: datetime) -> Iterable[Page]: ...


@dataclass
class Applied:
    """What an import did. ``refused``: rows the database did not take, with its reason; ``strangers``: newcomers in QBO."""

    written: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    linked: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    refused: list[tuple[PlannedRow, str]] = field(default_factory=list)
    strangers: list[tuple[Kind, str]] = field(default_factory=list)


def to_do(plan: Plan, links: Mapping[tuple[str, str], tuple[str, str]]) -> list[PlannedRow]:
    """The rows of the plan that are not done yet."""
    return [row for row in plan.rows if row.action and (row.kind.value, row.qbo_id) not in links]


def refuse_if_moved(plan: Plan, left: list[PlannedRow], intuit: ChangeReader) -> list[tuple[Kind, str]]:
    """Raise :class:`Blocked` when a record that is left to do changed in QBO since the reading.

    Returns newcomers (kind, name), which the plan knows nothing of.
    """
    planned = {(row.kind, row.qbo_id) for row in plan.rows}
    waiting = {(row.kind, row.qbo_id): row for row in left}
    moved, strangers = [], []
    for page in intuit.changed_since([QBO_ENTITY[kind] for kind in Kind], plan.read_at - CLOCK_OVERLAP):
        kind = KIND_OF[page.entity]
        for row in page.rows:
            name = str(row.get("FullyQualifiedName") or row.get("DisplayName") or row.get("Name"))
            key = (kind, str(row.get("Id")))
            if key not in planned and row.get("Active", True):
                strangers.append((kind, name))
            elif key in waiting and waiting[key].sync_token != str(row.get("SyncToken")):
                moved.append(f"{kind.value.replace('_', ' ')} '{waiting[key].path}'")
    if moved:
        raise Blocked(
            f"QuickBooks Online has moved since plan {plan.id} was made; nothing was written",
            seen=f"{len(moved)} changed: {', '.join(moved[:5])}",
            next="make a new plan and look at it (qbo-sync plan), or do both at once: qbo-sync import --replan",
        )
    return strangers


def apply(plan: Plan, miracle: Miracle, run: Run, chunk_rows: int, progress: Callable[[Kind, int], None]) -> Applied:
    """Write the plan. ``progress`` hears the kind and the number of rows after every chunk.

    Raises :class:`Blocked` when the Miracle side moved or another run took over; finished chunks stay.
    """
    done = Applied()
    links = miracle.links()
    ids = {key: miracle_id for key, (miracle_id, state) in links.items() if state != "removed"}
    _mark_removed(plan, links, run)
    waiting: dict[Kind, list[PlannedRow]] = defaultdict(list)
    for row in plan.rows:
        if row.action and (row.kind.value, row.qbo_id) not in ids:
            waiting[row.kind].append(row)
    for kind in Kind:
        watch = _Watch(kind, plan, ids)
        for rows in _chunks(sorted(waiting[kind], key=lambda r: r.level), chunk_rows):
            with run.chunk(kind) as chunk:
                watch.check(chunk, rows)
                made = _write(kind, chunk, [r for r in rows if (kind.value, r.qbo_id) not in ids], plan, ids, done)
                watch.ours(chunk, made)
            progress(kind, len(rows))
    return done


def _mark_removed(plan: Plan, links: Mapping[tuple[str, str], tuple[str, str]], run: Run) -> None:
    gone = [
        (row.kind.value, row.qbo_id)
        for row in plan.rows
        if row.result is Result.REMOVED and links.get((row.kind.value, row.qbo_id), ("", "removed"))[1] != "removed"
    ]
    if gone:
        with run.chunk() as chunk:
            chunk.mark_removed(gone)


def _chunks(rows: Sequence[PlannedRow], size: int) -> Iterator[list[PlannedRow]]:
    """Chunks of one depth each: a parent is always written before its children."""
    for _, group in groupby(rows, key=lambda r: r.level):
        while some := list(islice(group, size)):
            yield some


def _write(
    kind: Kind, chunk: Chunk, rows: list[PlannedRow], plan: Plan, ids: dict[tuple[str, str], str], done: Applied
) -> list[str]:
    """Link and insert. Returns the Miracle ids of the rows made."""
    links = [row for row in rows if row.action == "link"]
    chunk.link(kind, [(r.qbo_id, r.miracle_id, r.sync_token) for r in links if not r.decision], "matched")
    chunk.link(kind, [(r.qbo_id, r.miracle_id, r.sync_token) for r in links if r.decision], "decided")
    for row in links:
        ids[kind.value, row.qbo_id] = row.miracle_id
        done.linked[kind] += 1
    inserts = {row.qbo_id: row for row in rows if row.action == "insert"}
    pending = []
    for row in inserts.values():
        missing = _missing_parent(row, ids)
        if missing:
            done.refused.append((row, missing))
        else:
            pending.append(Pending(row.qbo_id, row.sync_token, row.path, _values(row, plan, ids)))
    made = []
    for one in chunk.insert(kind, pending):
        if one.problem:
            done.refused.append((inserts[one.qbo_id], one.problem))
        else:
            ids[kind.value, one.qbo_id] = one.miracle_id
            done.written[kind] += 1
            made.append(one.miracle_id)
    return made


def _missing_parent(row: PlannedRow, ids: Mapping[tuple[str, str], str]) -> str:
    parent = row.references.get("parent_id")
    if parent and (row.kind.value, parent) not in ids:
        return "its parent could not be written"
    return ""


def _values(row: PlannedRow, plan: Plan, ids: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The row's fields with every reference turned into a Miracle id; a reference to nothing imported stays empty."""
    values = dict(row.fields)
    for name in DECIMALS & values.keys():
        if values[name] is not None:
            values[name] = Decimal(values[name])  # a stored plan holds it as text
    for name, qbo_id in row.references.items():
        if name == "tax_code_id":
            values[name] = plan.taxes.get(qbo_id)
        else:
            kind = row.kind if name == "parent_id" else REFERS_TO[name]
            values[name] = ids.get((kind.value, qbo_id))
    return values


class _Watch:
    """Sees what others did to one kind in Miracle Service since the reading, from inside the writing transactions.

    As long as the number of rows and the highest id are what our last chunk left, nobody added a row. Otherwise, and before the
    first chunk, every name is looked at again: ids alone say little, for some databases give those of deleted rows anew.
    """

    def __init__(self, kind: Kind, plan: Plan, ids: dict[tuple[str, str], str]) -> None:
        self.kind = kind
        self.plan = plan
        self.ids = ids
        self.left: tuple[int, Any] | None = None
        self.strangers: Counter[str] = Counter()
        self.linked: dict[str, str] = {}

    def check(self, chunk: Chunk, rows: list[PlannedRow]) -> None:
        """Raise :class:`Blocked` when a row to insert appeared meanwhile, or a row to link was deleted or changed."""
        extent = chunk.extent(self.kind)
        if extent != self.left:
            self._look(chunk)
            self.left = extent
        left = [row for row in rows if (self.kind.value, row.qbo_id) not in self.ids]
        namesakes = self.plan.namesakes.get(self.kind, {})
        paths = [(row, normal_path(row.path)) for row in left if row.action == "insert"]
        if clash := [f"'{row.path}'" for row, path in paths if self.strangers[path] > namesakes.get(path, 0)]:
            self._refuse(f"added there meanwhile: {', '.join(clash[:5])}")
        there = chunk.digests(self.kind, [row.miracle_id for row in left if row.action == "link"])
        partners = self.plan.partners.get(self.kind, {})
        if gone := [f"'{r.path}'" for r in left if r.action == "link" and r.miracle_id not in there]:
            self._refuse(f"deleted there meanwhile: {', '.join(gone[:5])}")
        if moved := [f"'{r.path}'" for r in left if r.action == "link" and there[r.miracle_id] != partners[r.miracle_id]]:
            self._refuse(f"changed there meanwhile: {', '.join(moved[:5])}")

    def ours(self, chunk: Chunk, made: list[str]) -> None:
        """What this chunk made is not a stranger's. An id that a link holds already was given anew: that link's row is gone."""
        if gone := [self.linked[i] for i in made if i in self.linked]:
            chunk.mark_removed([(self.kind.value, qbo_id) for qbo_id in gone])
        if made and self.left is not None:
            count, highest = self.left
            whole = all(miracle_id.isdigit() for miracle_id in made)
            self.left = (count + len(made), max([highest or 0, *map(int, made)])) if whole else None

    def _look(self, chunk: Chunk) -> None:
        """Read all names; our own rows and those that this plan links are no strangers."""
        self.linked = {}
        for qbo_id, (miracle_id, state) in chunk.links(self.kind).items():
            if state != "removed":
                self.ids[self.kind.value, qbo_id] = miracle_id
                self.linked[miracle_id] = qbo_id
        known = {miracle_id for (kind, _), miracle_id in self.ids.items() if kind == self.kind.value}
        known |= self.plan.partners.get(self.kind, {}).keys()
        rows = chunk.names(self.kind)
        self.strangers = Counter(
            normal_path(row_from(self.kind, row, rows).path) for miracle_id, row in rows.items() if miracle_id not in known
        )

    def _refuse(self, seen: str) -> None:
        raise Blocked(
            f"Miracle Service has moved since plan {self.plan.id} was made; what was written before stays",
            seen=f"{self.kind.value.replace('_', ' ')}: {seen}",
            next="make a new plan and look at it (qbo-sync plan), or do both at once: qbo-sync import --replan",
        )
