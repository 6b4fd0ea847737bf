"""Whole lists: counted, read in pages that are asked for at the same time, and looked at once more at the end.

A page is a range of positions. A row that appears in or vanishes from a list while it is read moves all rows behind it, and one
of them may pass from a page not read yet into one that was. Equal counts prove nothing. So a list of more than one page is asked
at its end what was changed since its beginning, and how many rows it has now; what was changed is given again, and a list whose
rows may have moved is read again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from qbo_sync.errors import Unreachable
from qbo_sync.intuit import query
from qbo_sync.intuit.query import PAGE_ROWS, Active

Row = dict[str, Any]
# Pages asked for and not yet taken by the reader: enough to keep every connection busy, and all that is ever held in memory.
_AHEAD = 12
_ROUNDS = 3
# Looked back only when Intuit does not say what time it is.
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class Page:
    """Some rows of one list.

    ``first``: the list begins, and what was given of it before no longer counts. Within a list, a row replaces an earlier one of
    the same ``Id``: it was changed meanwhile. ``at`` is Intuit's time when this reading of the list began, if it was said.
    """

    entity: str
    rows: list[Row]
    first: bool = False
    at: datetime | None = None


@dataclass(frozen=True)
class Reply:
    """What a query was answered, and Intuit's time then."""

    found: Mapping[str, Any]
    at: datetime | None

    def rows(self, entity: str) -> list[Row]:
        """The rows of a page; an answer past the end names no entity."""
        return list(self.found.get(entity, []))

    @property
    def total(self) -> int:
        """The answer to a count."""
        return int(self.found.get("totalCount", 0))


@dataclass(frozen=True)
class Pending:
    """A question under way: ``reply`` waits for the answer, ``cancel`` withdraws it if it was not sent yet."""

    reply: Callable[[], Reply]
    cancel: Callable[[], object]


@dataclass(frozen=True)
class Service:
    """Who answers queries: one at a time in the background, or several in one request (their answers in the same order)."""

    ask: Callable[[str], Pending]
    ask_together: Callable[[Sequence[str]], list[Reply]]


@dataclass(eq=False)
class _List:
    """One list while it is read: it had ``total`` rows at ``at``; ``read`` came so far, the last page's with the ids ``tail``."""

    entity: str
    conditions: tuple[str, ...]
    hides_inactive: bool
    first: bool = True
    total: int = 0
    at: datetime | None = None
    read: int = 0
    tail: list[str] = field(default_factory=list)
    known: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def short(self) -> bool:
        """Whether it is asked for at once instead of being counted first."""
        return self.entity in query.SMALL or self.entity in query.SINGLE

    def page(self, start: int = 1) -> str:
        if self.entity in query.SINGLE:
            return query.single(self.entity)
        return query.select(self.entity, self.conditions, start=start)

    def count(self) -> str:
        return query.count(self.entity, self.conditions)

    def begin(self, total: int, at: datetime | None) -> None:
        self.total, self.at, self.read, self.tail = total, at, 0, []

    def take(self, rows: list[Row]) -> Page:
        first = self.first and self.read == 0
        self.read += len(rows)
        self.tail = [str(row.get("Id", "")) for row in rows] or self.tail
        return Page(self.entity, rows, first, self.at)

    def to_be_checked(self) -> bool:
        """Whether rows can have moved: it took more than one page, or fewer rows came than were counted."""
        return self.total > PAGE_ROWS or self.read < self.total

    def changed(self) -> str:
        return query.select(self.entity, query.changed(self.entity, self.at or datetime.now(UTC) - _CLOCKS_DIFFER))

    def moved(self, changed: Sequence[Row], total: int) -> bool:
        """Whether a row may have passed from one page into another.

        Rows made meanwhile at the end of the list move nothing. In a list that hides inactive rows, any other change may have
        been one from shown to hidden or back.
        """
        versions = {_version(row): row for row in changed}
        # Times have whole seconds: what was found changed before this reading began is no news in its first second.
        news = [row for version, row in versions.items() if version not in self.known]
        self.known = set(versions)
        made = {str(row["Id"]) for row in news if self._made_meanwhile(row)}
        if self.hides_inactive and len(made) < len(news):
            return True
        old = [row_id for row_id in self.tail if row_id not in made]
        read = self.read - (len(self.tail) - len(old))
        at_the_end = not made or (bool(old) and all(_behind(row_id, old[-1]) for row_id in made))
        return not (at_the_end and read == self.total and total == self.total + len(made))

    def _made_meanwhile(self, row: Row) -> bool:
        made = row.get("MetaData", {}).get("CreateTime")
        return made is None or self.at is None or datetime.fromisoformat(made) >= self.at.replace(microsecond=0)


def _version(row: Row) -> tuple[str, ...]:
    return str(row["Id"]), str(row.get("SyncToken")), str(row.get("MetaData"))


def _behind(row_id: str, last: str) -> bool:
    return row_id.isdigit() and last.isdigit() and int(row_id) > int(last)


def read(service: Service, wanted: Mapping[str, Active]) -> Iterator[Page]:
    """All these lists in as few requests as is safe, the short ones first. Rows stream: at most a few pages are in memory.

    Raises :class:`Unreachable` when a list changes so much that it cannot be read as a whole, and what the service raises.
    """
    lists = [each for entity, active in wanted.items() for each in lists_of(entity, active)]
    replies = service.ask_together([each.page() if each.short else each.count() for each in lists])
    counted: list[_List] = []
    for each, reply in zip(lists, replies, strict=True):
        rows = reply.rows(each.entity) if each.short else []
        if each.short and len(rows) < PAGE_ROWS:
            each.begin(len(rows), reply.at)
            yield each.take(rows)
        else:
            each.begin(service.ask(each.count()).reply().total if each.short else reply.total, reply.at)
            counted.append(each)
    yield from _pages(service, counted)


def read_one(service: Service, entity: str, active: Active, where: str) -> Iterator[Page]:
    """One list; short until its first page proves full."""
    for each in lists_of(entity, active, where):
        reply = service.ask(each.page()).reply()
        rows = reply.rows(entity)
        each.begin(len(rows), reply.at)
        yield each.take(rows)
        if len(rows) == PAGE_ROWS:
            each.total = service.ask(each.count()).reply().total
            yield from _pages(service, [each], start=PAGE_ROWS + 1)


def read_changed(service: Service, entities: Sequence[str], since: datetime) -> Iterator[Page]:
    """The rows of several lists, active or not, changed at or after ``since``: one request, unless more than a page changed."""
    conditions = {entity: query.changed(entity, since) for entity in entities}
    replies = service.ask_together([query.select(entity, wanted) for entity, wanted in conditions.items()])
    found = {entity: reply.rows(entity) for entity, reply in zip(entities, replies, strict=True)}
    if sum(map(len, found.values())) < PAGE_ROWS:
        yield from (Page(entity, rows) for entity, rows in found.items())
        return
    for entity, (_, moment) in conditions.items():
        yield from read_one(service, entity, "all", moment)


def lists_of(entity: str, active: Active, where: str = "") -> list[_List]:
    """The lists which together are the wanted rows."""
    found = [
        _List(entity, (condition, where), hides_inactive=entity in query.WITH_ACTIVE and condition != query.EVERYBODY)
        for condition in query.filters(entity, active)
    ]
    for each in found[1:]:
        each.first = False
    return found


def _pages(service: Service, lists: list[_List], start: int = 1) -> Iterator[Page]:
    """All pages of counted lists, and once more those of lists whose rows may have moved."""
    for _ in range(_ROUNDS):
        together = _fitting_one_batch(lists) if start == 1 else []
        for each, reply in zip(together, service.ask_together([each.page() for each in together]), strict=True):
            yield each.take(reply.rows(each.entity))
        yield from _stream(service, [each for each in lists if each not in together], start)
        lists = [each for each in lists if each.to_be_checked()]
        replies = service.ask_together([text for each in lists for text in (each.changed(), each.count())])
        moved = []
        for each, changes, now in zip(lists, replies[::2], replies[1::2], strict=True):
            changed = changes.rows(each.entity)
            if len(changed) == PAGE_ROWS or each.moved(changed, now.total):
                each.begin(now.total, now.at)
                moved.append(each)
            elif changed:
                yield Page(each.entity, changed)
        if not moved:
            return
        lists, start = moved, 1
    raise Unreachable(
        f"the list {lists[0].entity} keeps changing while it is read",
        seen=f"rows moved in each of {_ROUNDS} readings",
        next="run the same command again when fewer people work in QuickBooks",
    )


def _fitting_one_batch(lists: list[_List]) -> list[_List]:
    """The shortest lists, as long as all their rows would fit one page: then a batch takes them, however it is limited."""
    fitting: list[_List] = []
    room = PAGE_ROWS
    for each in sorted(lists, key=lambda each: each.total):
        room -= each.total
        if room < 0:
            break
        fitting.append(each)
    return fitting if len(fitting) > 1 else []


def _stream(service: Service, lists: list[_List], start: int) -> Iterator[Page]:
    """Pages in order, while the following ones are under way."""
    ahead = ((each, at) for each in lists for at in range(start, max(each.total, 1) + 1, PAGE_ROWS))
    under_way: deque[tuple[_List, Pending]] = deque()
    try:
        while True:
            while len(under_way) < _AHEAD and (following := next(ahead, None)):
                under_way.append((following[0], service.ask(following[0].page(following[1]))))
            if not under_way:
                return
            each, pending = under_way.popleft()
            yield each.take(pending.reply().rows(each.entity))
    finally:
        for _, pending in under_way:
            pending.cancel()
