"""Sees, from inside the writing transactions, what others did in Miracle Service since the reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from qbo_sync.errors import Blocked
from qbo_sync.miracle.database import Chunk
from qbo_sync.switch.model import Kind, PlannedRow
from qbo_sync.switch.names import normal_path
from qbo_sync.switch.plan import Plan
from qbo_sync.switch.read import parents, row_from
from qbo_sync.switch.shelf import AT_ONCE, Line, Shelf


class Watch:
    """Looks after one kind.

    As long as the number of rows beside ours and the highest id are what our last chunk left, nobody added a row. Otherwise, and
    before the first chunk, every name is looked at again: ids alone say little, for some databases give old ones anew.
    """

    def __init__(self, kind: Kind, plan: Plan) -> None:
        self.kind = kind
        self.plan = plan
        self.extent: tuple[int, Any] | None = None
        self.since: int | None = None
        self.known: Shelf | None = None
        self.strangers: Shelf | None = None

    def check(self, chunk: Chunk, rows: Sequence[PlannedRow]) -> list[PlannedRow]:
        """Which of these rows are left to write.

        Raises :class:`Blocked` when a row to insert appeared meanwhile, or a row to link was deleted or changed.
        """
        if self.extent is None or chunk.extent(self.kind, self.since) != self.extent:
            self._look(chunk)
            self.since = None
            self.extent = chunk.extent(self.kind)
        done = chunk.links_of(self.kind, [row.qbo_id for row in rows]) if self.known else {}
        left = [row for row in rows if row.qbo_id not in done]
        self._refuse_strangers([row for row in left if row.action == "insert"])
        self._refuse_moved(chunk, [row for row in left if row.action == "link"])
        return left

    def ours(self, chunk: Chunk, made: Sequence[str]) -> None:
        """What this chunk made is not a stranger's. An id that a link holds already was given anew: that link's row is gone."""
        if not made:
            return
        if self.known and (given_anew := self.known.find(self.kind, made)):
            chunk.mark_removed(self.kind, [line.key for line in given_anew.values() if line.key])
        ids = sorted(map(int, made)) if all(miracle_id.isdigit() for miracle_id in made) else []
        dense = bool(ids) and ids[-1] - ids[0] + 1 == len(ids)
        if dense and self.since is not None and self.extent is not None and ids[0] == self.extent[1] + 1:
            self.extent = (self.extent[0], ids[-1])
        else:
            self.since = ids[0] if dense else None
            self.extent = chunk.extent(self.kind, self.since)

    def _refuse_strangers(self, rows: Sequence[PlannedRow]) -> None:
        if self.strangers is None or not rows:
            return
        namesakes = self.plan.head.namesakes.get(self.kind, {})
        paths = {row.qbo_id: normal_path(row.path) for row in rows}
        there = {path: len(lines) for path, lines in self.strangers.having(self.kind, set(paths.values())).items()}
        clash = [f"'{row.path}'" for row in rows if there.get(path := paths[row.qbo_id], 0) > namesakes.get(path, 0)]
        if clash:
            self._refuse(f"added there meanwhile: {', '.join(clash[:5])}")

    def _refuse_moved(self, chunk: Chunk, rows: Sequence[PlannedRow]) -> None:
        there = chunk.digests(self.kind, [row.miracle_id for row in rows])
        if gone := [f"'{row.path}'" for row in rows if row.miracle_id not in there]:
            self._refuse(f"deleted there meanwhile: {', '.join(gone[:5])}")
        if moved := [f"'{row.path}'" for row in rows if there[row.miracle_id] != row.partner]:
            self._refuse(f"changed there meanwhile: {', '.join(moved[:5])}")

    def _look(self, chunk: Chunk) -> None:
        """Read all names; our own rows and those that this plan links are no strangers."""
        known, self.strangers = Shelf(), None
        for rows in self.plan.rows.only(self.kind, lambda _, action, __: action == "link").chunks():
            known.put(self.kind, [Line(row.miracle_id, 0, "", "") for row in rows])
        for links in chunk.standing(self.kind):
            known.put(self.kind, [Line(miracle_id, 0, qbo_id, "") for qbo_id, miracle_id in links])
            self.known = known
        names = chunk.names(self.kind)
        while some := dict(islice(names, AT_ONCE)):
            ours = known.find(self.kind, some)
            if strange := {miracle_id: row for miracle_id, row in some.items() if miracle_id not in ours}:
                self.strangers = self.strangers or Shelf(keyed=True)
                self.strangers.put(self.kind, self._lines(chunk, strange))

    def _lines(self, chunk: Chunk, rows: Mapping[str, Mapping[str, Any]]) -> list[Line]:
        """These rows by their full names."""
        others = dict(rows)
        gone: set[str] = set()
        while above := parents(others) - gone:
            found = dict(chunk.names(self.kind, list(above)))
            others.update(found)
            gone |= above - found.keys()
        return [Line(i, 0, normal_path(row_from(self.kind, row, others).path), "") for i, row in rows.items()]

    def _refuse(self, seen: str) -> None:
        raise Blocked(
            f"Miracle Service has moved since plan {self.plan.id} was made; what was written before stays",
            seen=f"{self.kind.value.replace('_', ' ')}: {seen}",
            next="make a new plan and look at it (qbo-sync plan), or do both at once: qbo-sync import --replan",
        )
