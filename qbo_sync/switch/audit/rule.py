"""What a rule is, and what it may look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec.structs import replace

from qbo_sync.switch.match import Matched
from qbo_sync.switch.model import Kind, PlannedRow, Record, Result, Row, Severity
from qbo_sync.switch.read import Books, Company
from qbo_sync.switch.shelf import Listing

# The longest list that is kept in memory while rules look at it.
HELD = 40_000

SHOWN = 8

T = TypeVar("T")


@dataclass(frozen=True)
class Sides:
    """Both readings and how every record matched.

    Each list is sized and can be gone through any number of times, but has no index: a large company's lies on disk. A rule keeps
    keys of what it saw, not the records; the methods below do.
    """

    company: Company
    books: Books
    rows: Matched
    _planned: dict[Kind, list[PlannedRow]] = field(default_factory=dict, init=False, compare=False)

    @contextmanager
    def in_memory(self) -> Iterator[None]:
        """Keep lists of usual size in memory meanwhile, for rules go through them again and again."""
        lists: list[Listing[Any]] = [*self.company.records.values(), *self.books.rows.values()]
        try:
            for each in lists:
                each.hold(HELD)
            self._planned.update((kind, list(self._whole(kind))) for kind in Kind if len(self.rows.of(kind)) <= HELD)
            yield
        finally:
            self._planned.clear()
            for each in lists:
                each.release()

    def records(self, *kinds: Kind) -> Iterator[Record]:
        """The active QBO records of these kinds; of all kinds when none is named."""
        for kind in kinds or Kind:
            yield from self.company.records[kind]

    def planned(self, *kinds: Kind) -> Iterator[PlannedRow]:
        """The same records with what became of each."""
        for kind in kinds or Kind:
            yield from self._planned.get(kind) or self._whole(kind)

    def _whole(self, kind: Kind) -> Iterator[PlannedRow]:
        """What an import has settled is planned without the record's fields; here they are again."""
        for chunk in self.rows.of(kind).chunks():
            bare = self.company.records[kind].find([row.qbo_id for row in chunk if not row.fields])
            for row in chunk:
                record = bare.get(row.qbo_id)
                yield replace(row, fields=record.fields, references=record.references) if record else row

    def held(self, *kinds: Kind) -> Iterator[Row]:
        """What Miracle Service holds."""
        for kind in kinds or Kind:
            yield from self.books.rows[kind]

    def pairs(self, kind: Kind, column: str) -> Iterator[tuple[PlannedRow, Any]]:
        """Each record that is in Miracle Service already, with what one of its row's fields holds, if anything."""
        values = {row.miracle_id: row.fields[column] for row in self.held(kind) if row.fields.get(column) is not None}
        for planned in self.planned(kind):
            if planned.result in (Result.LINKED, Result.MATCHED) and planned.miracle_id in values:
                yield planned, values[planned.miracle_id]

    def unknown(self, *kinds: Kind) -> Iterator[Row]:
        """Rows of Miracle Service that no record of QuickBooks is, or may be."""
        for kind in kinds or Kind:
            known = {planned.miracle_id for planned in self.planned(kind)}
            yield from (row for row in self.held(kind) if row.miracle_id not in known)


def doubled(keyed: Callable[[], Iterable[tuple[str, T]]]) -> list[tuple[str, list[T]]]:
    """What has a key that something else has too, by key. Asks twice, so that only what is doubled is kept."""
    seen: set[int] = set()
    again: set[int] = set()
    for key, _ in keyed():
        (again if hash(key) in seen else seen).add(hash(key))
    found: dict[str, list[T]] = defaultdict(list)
    for key, value in keyed() if again else ():
        if hash(key) in again:
            found[key].append(value)
    return [(key, values) for key, values in found.items() if len(values) > 1]


@dataclass
class Several:
    """Many names, of which only the first are kept and said."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(name)

    def __str__(self) -> str:
        more = self.count - len(self.first)
        return ", ".join(self.first) + (f" and {more} more" if more else "")


def some(names: Iterable[str]) -> str:
    """The first of many names, and how many more there are."""
    several = Several()
    for name in names:
        several.add(name)
    return str(several)


@dataclass(frozen=True)
class Hit:
    """One place where a rule fires. ``subject`` names it inside the rule; ``remedy`` only where the rule's own does not do."""

    subject: str
    kind: str
    name: str
    qbo: str = ""
    miracle: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule of the audit: its stable id, how much it matters, what it says and what a bookkeeper does about it."""

    id: str
    severity: Severity
    title: str
    remedy: str
    where: str
    check: Callable[[Sides], Iterable[Hit]]


def hit(subject: Record | PlannedRow, qbo: str, miracle: str = "", remedy: str = "") -> Hit:
    """A hit on one record of QuickBooks."""
    return Hit(f"{subject.kind}/{subject.qbo_id}", subject.kind, subject.path, qbo, miracle, remedy)


def row_hit(row: Row, qbo: str, miracle: str) -> Hit:
    """A hit on one row of Miracle Service."""
    return Hit(f"{row.kind}/row-{row.miracle_id}", row.kind, row.path, qbo, miracle)
