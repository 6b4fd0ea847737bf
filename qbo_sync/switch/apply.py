"""Applies a plan and nothing else: one transaction per chunk, rows and journal together, parents before children.

Before the first row is written, QuickBooks Online is asked once per kind what changed since the reading; inside every transaction
the Miracle side is checked under the table's lock. Rows that an interrupted run of ours wrote are in the journal, so a second run
goes on where it stopped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, islice
from typing import Any, Protocol

from qbo_sync.errors import Blocked
from qbo_sync.miracle import Miracle
from qbo_sync.miracle.database import DECIMALS, Chunk, Pending, Run
from qbo_sync.switch.match import REFERS_TO
from qbo_sync.switch.model import QBO_ENTITY, Kind, PlannedRow, Result
from qbo_sync.switch.names import normal_path
from qbo_sync.switch.plan import Plan
from qbo_sync.switch.read import row_from

# Intuit's clock and ours may differ; the SyncToken decides whether a record that shows up in this overlap really moved.
CLOCK_OVERLAP = timedelta(minutes=5)


class ChangeReader(Protocol):
    """What is needed of the Intuit client."""

    def changed_since(self, entity: str, since: datetime) -> Iterator[dict[str, Any]]: ...


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
    for kind in Kind:
        for row in intuit.changed_since(QBO_ENTITY[kind], plan.read_at - CLOCK_OVERLAP):
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
    ids = {key: miracle_id for key, (miracle_id, state) in miracle.links().items() if state != "removed"}
    _mark_removed(plan, miracle, run)
    for kind in Kind:
        rows = [row for row in plan.rows if row.kind is kind and row.action and (kind.value, row.qbo_id) not in ids]
        watch = _Watch(kind, plan, ids)
        for level_rows in _levels(rows):
            for some in _chunks(level_rows, chunk_rows):
                with run.chunk(kind) as chunk:
                    watch.check(chunk, some)
                    _write(kind, chunk, some, plan, ids, done)
                    watch.ours(chunk)
                progress(kind, len(some))
    return done


def _mark_removed(plan: Plan, miracle: Miracle, run: Run) -> None:
    links = miracle.links()
    gone = [
        (row.kind.value, row.qbo_id)
        for row in plan.rows
        if row.result is Result.REMOVED and links.get((row.kind.value, row.qbo_id), ("", "removed"))[1] != "removed"
    ]
    if gone:
        with run.chunk() as chunk:
            chunk.mark_removed(gone)


def _levels(rows: list[PlannedRow]) -> Iterator[list[PlannedRow]]:
    """Rows by depth: a parent's chunk is always written before its children's."""
    for _, group in groupby(sorted(rows, key=lambda r: r.level), key=lambda r: r.level):
        yield list(group)


def _chunks(rows: Iterable[PlannedRow], size: int) -> Iterator[list[PlannedRow]]:
    rows = iter(rows)
    while some := list(islice(rows, size)):
        yield some


def _write(kind: Kind, chunk: Chunk, rows: list[PlannedRow], plan: Plan, ids: dict[tuple[str, str], str], done: Applied) -> None:
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
    for made in chunk.insert(kind, pending):
        if made.problem:
            done.refused.append((inserts[made.qbo_id], made.problem))
        else:
            ids[kind.value, made.qbo_id] = made.miracle_id
            done.written[kind] += 1


def _missing_parent(row: PlannedRow, ids: Mapping[tuple[str, str], str]) -> str:
    parent = row.references.get("parent_id")
    if parent and (row.kind.value, parent) not in ids:
        return "its parent could not be written"
    return ""


def _values(row: PlannedRow, plan: Plan, ids: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The row's fields with every reference turned into a Miracle id; a reference to nothing imported stays empty."""
    values = {f: Decimal(v) if f in DECIMALS and v is not None else v for f, v in row.fields.items()}
    for name, qbo_id in row.references.items():
        if name == "tax_code_id":
            values[name] = plan.taxes.get(qbo_id)
        else:
            kind = row.kind if name == "parent_id" else REFERS_TO[name]
            values[name] = ids.get((kind.value, qbo_id))
    return values


class _Watch:
    """Sees what others did to one kind in Miracle Service since the reading, from inside the writing transactions."""

    def __init__(self, kind: Kind, plan: Plan, ids: Mapping[tuple[str, str], str]) -> None:
        self.kind = kind
        self.plan = plan
        self.seen = plan.highest.get(kind, "")
        self.known = {miracle_id for (k, _), miracle_id in ids.items() if k == kind.value}
        self.newcomers: dict[str, str] = {}
        self.matched = {row.miracle_id: row for row in plan.rows if row.kind is kind and row.action == "link"}

    def check(self, chunk: Chunk, rows: list[PlannedRow]) -> None:
        """Raise :class:`Blocked` when a row to insert appeared meanwhile, or a row to link is gone or has another name."""
        self._look(chunk)
        clash = [f"'{row.path}'" for row in rows if row.action == "insert" and normal_path(row.path) in self.newcomers]
        if clash:
            self._refuse(f"added there meanwhile: {', '.join(clash[:5])}")
        wanted = [row.miracle_id for row in rows if row.action == "link"]
        there = chunk.fetch(self.kind, wanted)
        gone = [f"'{self.matched[i].path}'" for i in wanted if i not in there]
        if gone:
            self._refuse(f"deleted there meanwhile: {', '.join(gone[:5])}")

    def ours(self, chunk: Chunk) -> None:
        """What this chunk made is not a stranger."""
        for row in chunk.rows_above(self.kind, self.seen):
            self.known.add(str(row["id"]))
            self.seen = str(row["id"])

    def _look(self, chunk: Chunk) -> None:
        fresh = {str(row["id"]): row for row in chunk.rows_above(self.kind, self.seen)}
        strangers = {i: row for i, row in fresh.items() if i not in self.known}
        parents = {str(row["parent_id"]) for row in strangers.values() if row.get("parent_id") is not None}
        others = {**fresh, **self._parents(chunk, parents - set(fresh))}
        for row in strangers.values():
            self.newcomers[normal_path(row_from(self.kind, row, others).path)] = str(row["id"])
        if fresh:
            self.seen = list(fresh)[-1]

    def _parents(self, chunk: Chunk, wanted: set[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        columns = chunk.miracle.profile.kinds[self.kind].columns
        while wanted:
            for i, row in chunk.fetch(self.kind, wanted).items():
                found[i] = {"id": i, "name": row[columns["name"]], "parent_id": row[columns["parent_id"]]}
            above = {str(r["parent_id"]) for r in found.values() if r["parent_id"] is not None}
            wanted = above - set(found)
        return found

    def _refuse(self, seen: str) -> None:
        raise Blocked(
            f"Miracle Service has moved since plan {self.plan.id} was made; what was written before stays",
            seen=f"{self.kind.value.replace('_', ' ')}: {seen}",
            next="make a new plan and look at it (qbo-sync plan), or do both at once: qbo-sync import --replan",
        )
