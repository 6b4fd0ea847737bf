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
from typing import TYPE_CHECKING, Any, Protocol

from qbo_sync.errors import Blocked
from qbo_sync.miracle import Miracle
from qbo_sync.miracle.database import Chunk, Pending, Run
from qbo_sync.switch.match import REFERS_TO
from qbo_sync.switch.model import KIND_OF, QBO_ENTITY, Kind, PlannedRow, Result
from qbo_sync.switch.plan import Plan
from qbo_sync.switch.shelf import AT_ONCE
from qbo_sync.switch.watch import Watch

if TYPE_CHECKING:
    from qbo_sync.intuit import Page

# Intuit's clock and ours may differ; the SyncToken decides whether a record that shows up in this overlap really moved.
CLOCK_OVERLAP = timedelta(minutes=5)
# Ids of written records that are remembered for those that refer to them; the journal has them all.
REMEMBERED = 10_000


class ChangeReader(Protocol):
    """What is needed of the Intuit client."""

    def changed_since(self, entities: Sequence[str], since: datetime) -> Iterable[Page]: ...


@dataclass
class Applied:
    """What an import did. ``refused``: rows the database did not take, with its reason; ``strangers``: newcomers in QBO.

    ``begun``: by kind and result, the rows of the plan that an earlier import had not settled.
    """

    written: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    linked: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    refused: list[tuple[PlannedRow, str]] = field(default_factory=list)
    strangers: list[tuple[Kind, str]] = field(default_factory=list)
    begun: Counter[tuple[Kind, Result]] = field(default_factory=Counter)


def to_do(plan: Plan, miracle: Miracle, kind: Kind, size: int = AT_ONCE) -> Iterator[list[PlannedRow]]:
    """The rows of the plan that are not done yet, in chunks of one depth each."""
    started = miracle.has_links(kind)
    for rows in plan.rows.only(kind, lambda _, action, __: action).chunks(size):
        done = miracle.links_of(kind, [row.qbo_id for row in rows]) if started else {}
        if left := [row for row in rows if row.qbo_id not in done]:
            yield left


def gone(plan: Plan, miracle: Miracle) -> Iterator[tuple[Kind, list[str]]]:
    """The records whose row a person deleted, and whose link does not say so yet."""
    for kind in Kind:
        for rows in plan.rows.only(kind, lambda result, _, __: result is Result.REMOVED).chunks():
            links = miracle.links_of(kind, [row.qbo_id for row in rows])
            if unmarked := [qbo_id for qbo_id, (_, state) in links.items() if state != "removed"]:
                yield kind, unmarked


def something_to_do(plan: Plan, miracle: Miracle) -> bool:
    """Whether an import of the plan would write anything."""
    return any(True for kind in Kind for _ in to_do(plan, miracle, kind)) or any(True for _ in gone(plan, miracle))


def refuse_if_moved(plan: Plan, miracle: Miracle, intuit: ChangeReader) -> list[tuple[Kind, str]]:
    """Raise :class:`Blocked` when a record that is left to do changed in QBO since the reading.

    Returns newcomers (kind, name), which the plan knows nothing of.
    """
    moved, strangers = [], []
    for page in intuit.changed_since([QBO_ENTITY[kind] for kind in Kind], plan.head.read_at - CLOCK_OVERLAP):
        kind = KIND_OF[page.entity]
        changed = {str(row.get("Id")): row for row in page.rows}
        planned = plan.rows.of(kind).find(changed)
        done = miracle.links_of(kind, list(planned))
        for qbo_id, row in changed.items():
            if (known := planned.get(qbo_id)) is None:
                if row.get("Active", True):
                    strangers.append((kind, str(row.get("FullyQualifiedName") or row.get("DisplayName") or row.get("Name"))))
            elif known.action and qbo_id not in done and known.sync_token != str(row.get("SyncToken")):
                moved.append(f"{kind.value.replace('_', ' ')} '{known.path}'")
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
    for kind, qbo_ids in gone(plan, miracle):
        with run.chunk() as chunk:
            chunk.mark_removed(kind, qbo_ids)
    for kind in Kind:
        watch = Watch(kind, plan)
        writer = _Writer(kind, plan, done)
        for rows in to_do(plan, miracle, kind, chunk_rows):
            with run.chunk(kind) as chunk:
                left = watch.check(chunk, rows)
                made = writer.write(chunk, left)
                watch.ours(chunk, made)
            writer.count(rows)
            progress(kind, len(rows))
    return done


class _Writer:
    """Writes the rows of one kind. What a chunk did counts once its transaction has ended."""

    def __init__(self, kind: Kind, plan: Plan, done: Applied) -> None:
        self.kind = kind
        self.taxes = plan.head.taxes
        self.done = done
        self.ids: dict[tuple[Kind, str], str] = {}
        self.last = Applied()

    def write(self, chunk: Chunk, rows: Sequence[PlannedRow]) -> list[str]:
        """Link and insert. Returns the Miracle ids of the rows made."""
        self.last = Applied()
        links = [row for row in rows if row.action == "link"]
        chunk.link(self.kind, [(r.qbo_id, r.miracle_id, r.sync_token) for r in links if not r.decision], "matched")
        chunk.link(self.kind, [(r.qbo_id, r.miracle_id, r.sync_token) for r in links if r.decision], "decided")
        inserts = {row.qbo_id: row for row in rows if row.action == "insert"}
        self._remember(chunk, inserts.values())
        pending = []
        for row in inserts.values():
            parent = row.references.get("parent_id")
            if parent and (self.kind, parent) not in self.ids:
                self.last.refused.append((row, "its parent could not be written"))
            else:
                pending.append(Pending(row.qbo_id, row.sync_token, row.path, self._values(row)))
        made = []
        for one in chunk.insert(self.kind, pending):
            if one.problem:
                self.last.refused.append((inserts[one.qbo_id], one.problem))
            else:
                made.append(one.miracle_id)
        self.last.written[self.kind], self.last.linked[self.kind] = len(made), len(links)
        return made

    def count(self, rows: Iterable[PlannedRow]) -> None:
        """The last chunk, these rows, is written."""
        self.done.begun.update((self.kind, row.result) for row in rows)
        self.done.written[self.kind] += self.last.written[self.kind]
        self.done.linked[self.kind] += self.last.linked[self.kind]
        self.done.refused += self.last.refused

    def _remember(self, chunk: Chunk, rows: Any) -> None:
        """Look up the Miracle ids of all that these rows refer to."""
        if len(self.ids) > REMEMBERED:
            self.ids.clear()
        wanted: dict[Kind, set[str]] = defaultdict(set)
        for row in rows:
            for name, qbo_id in row.references.items():
                kind = self.kind if name == "parent_id" else REFERS_TO.get(name)
                if kind is not None and (kind, qbo_id) not in self.ids:
                    wanted[kind].add(qbo_id)
        for kind, qbo_ids in wanted.items():
            for qbo_id, (miracle_id, state) in chunk.links_of(kind, list(qbo_ids)).items():
                if state != "removed":
                    self.ids[kind, qbo_id] = miracle_id

    def _values(self, row: PlannedRow) -> Mapping[str, Any]:
        """The row's fields with every reference turned into a Miracle id; a reference to nothing imported stays empty."""
        if not row.references:
            return row.fields
        values = dict(row.fields)
        for name, qbo_id in row.references.items():
            if name == "tax_code_id":
                values[name] = self.taxes.get(qbo_id)
            else:
                values[name] = self.ids.get((self.kind if name == "parent_id" else REFERS_TO[name], qbo_id))
        return values
