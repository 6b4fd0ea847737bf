"""Whole lists: counted, read in pages that are asked for at the same time, and looked at once more at the end.

A page is a range of positions. A row that appears in or vanishes from a list while it is read moves all rows behind it, and one
of them may pass from a page not read yet into one that was. Equal counts prove nothing. So a list of more than one page is asked
at its end what was changed since its beginning, and how many rows it has now; what was changed is given again, and a list whose
rows may have moved is read again. However long that takes: a reading that was stopped is gone on with in the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from qbo_sync.errors import Unreachable
from qbo_sync.intuit import query
from qbo_sync.intuit.http import WORKERS
from qbo_sync.intuit.query import PAGE_ROWS, Active

Row = dict[str, Any]
# Pages asked for and not yet taken by the reader: one for every connection. It is all that is ever held in memory, and all that
# a reading that is killed has asked for in vain.
_AHEAD = WORKERS
_ROUNDS = 3
# Looked back only when Intuit does not say what time it is.
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class Progress:
    """How far the reading of a list has come.

    It had ``total`` rows at ``at``, Intuit's time if it was said. ``read`` rows were given, up to the position ``following``, the
    last page's with the ids ``tail``.
    """

    total: int = 0
    at: datetime | None = None
    following: int = 1
    read: int = 0
    tail: tuple[str, ...] = ()

    def can_be_resumed(self, oldest: datetime) -> bool:
        """Whether a later reading may go on from here, if it began after ``oldest``.

        A list of one page is not looked at again at its end; it is read anew instead.
        """
        return self.at is not None and self.at > oldest and self.total > PAGE_ROWS


@dataclass(frozen=True)
class Page:
    """Some rows of one list.

    ``first``: the list begins, and what was given of it before no longer counts. Within a list, a row replaces an earlier one of
    the same ``Id``: it was changed meanwhile. ``progress`` is how far the list has been read with this page.
    """

    entity: str
    rows: list[Row]
    first: bool = False
    progress: Progress | None = None


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
    """One list while it is read."""

    entity: str
    conditions: tuple[str, ...]
    hides_inactive: bool
    first: bool = True
    progress: Progress = Progress()
    known: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def short(self) -> bool:
        """Whether it is asked for at once instead of being counted first."""
        return self.entity in query.SMALL or self.entity in query.SINGLE

    @property
    def starts(self) -> range:
        """Where its pages begin that were not read yet."""
        return range(self.progress.following, max(self.progress.total, 1) + 1, PAGE_ROWS)

    def page(self, start: int = 1) -> str:
        if self.entity in query.SINGLE:
            return query.single(self.entity)
        return query.select(self.entity, self.conditions, start=start)

    def count(self) -> str:
        return query.count(self.entity, self.conditions)

    def begin(self, total: int, at: datetime | None) -> None:
        self.progress = Progress(total, at)

    def take(self, rows: list[Row]) -> Page:
        before = self.progress
        self.progress = replace(
            before,
            following=before.following + PAGE_ROWS,
            read=before.read + len(rows),
            tail=tuple(str(row.get("Id", "")) for row in rows) or before.tail,
        )
        return Page(self.entity, rows, self.first and before.following == 1, self.progress)

    def to_be_checked(self) -> bool:
        """Whether rows can have moved: it took more than one page, or fewer rows came than were counted."""
        return self.progress.total > PAGE_ROWS or self.progress.read < self.progress.total

    def changed(self) -> str:
        return query.select(self.entity, query.changed(self.entity, self.progress.at or datetime.now(UTC) - _CLOCKS_DIFFER))

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
        old = [row_id for row_id in self.progress.tail if row_id not in made]
        read = self.progress.read - (len(self.progress.tail) - len(old))
        at_the_end = not made or (bool(old) and all(_behind(row_id, old[-1]) for row_id in made))
        return not (at_the_end and read == self.progress.total and total == self.progress.total + len(made))

    def _made_meanwhile(self, row: Row) -> bool:
        made = row.get("MetaData", {}).get("CreateTime")
        at = self.progress.at
        return made is None or at is None or datetime.fromisoformat(made) >= at.replace(microsecond=0)


def _version(row: Row) -> tuple[str, ...]:
    return str(row["Id"]), str(row.get("SyncToken")), str(row.get("MetaData"))


def _behind(row_id: str, last: str) -> bool:
    return row_id.isdigit() and last.isdigit() and int(row_id) > int(last)


def read(service: Service, wanted: Mapping[str, Active], begun: Mapping[str, Progress]) -> Iterator[Page]:
    """All these lists in as few requests as is safe, the short ones first. Rows stream: at most a few pages are in memory.

    ``begun`` says how far an earlier reading came with lists of which it kept the rows: they are gone on with. Raises
    :class:`Unreachable` when a list changes so much that it cannot be read as a whole, and what the service raises.
    """
    lists = [each for entity, active in wanted.items() for each in lists_of(entity, active)]
    counted = [each for each in lists if each.entity in begun]
    for each in counted:
        each.progress = begun[each.entity]
    lists = [each for each in lists if each not in counted]
    replies = service.ask_together([each.page() if each.short else each.count() for each in lists])
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
            each.progress = replace(each.progress, total=service.ask(each.count()).reply().total)
            yield from _pages(service, [each])


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


def _pages(service: Service, lists: list[_List]) -> Iterator[Page]:
    """The further pages of counted lists, and once more all pages of lists whose rows may have moved."""
    for _ in range(_ROUNDS):
        together = _fitting_one_batch(lists)
        for each, reply in zip(together, service.ask_together([each.page() for each in together]), strict=True):
            yield each.take(reply.rows(each.entity))
        yield from _stream(service, [each for each in lists if each not in together])
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
        lists = moved
    raise Unreachable(
        f"the list {lists[0].entity} keeps changing while it is read",
        seen=f"rows moved in each of {_ROUNDS} readings",
        next="run the same command again when fewer people work in QuickBooks",
    )


def _fitting_one_batch(lists: list[_List]) -> list[_List]:
    """The shortest lists, as long as all their rows would fit one page: then a batch takes them, however it is limited."""
    fitting: list[_List] = []
    room = PAGE_ROWS
    for each in sorted(lists, key=lambda each: each.progress.total):
        room -= each.progress.total
        if room < 0:
            break
        fitting.append(each)
    return fitting if len(fitting) > 1 else []


def _stream(service: Service, lists: list[_List]) -> Iterator[Page]:
    """Pages in order, while the following ones are under way."""
    ahead = ((each, at) for each in lists for at in each.starts)
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
