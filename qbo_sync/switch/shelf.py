"""Lists that may be larger than memory: in a SQLite file, in order, found by id or by key.

Everything of a run that grows with the company lies on a :class:`Shelf`: both readings, the saved links, what matched, the plan.
What is on it is gone through in order, a thousand at a time, or looked up for a thousand at a time, so a run takes about the same
memory whether a company has ten thousand records or a million.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from qbo_sync.errors import KitError
from qbo_sync.switch.model import Kind

T = TypeVar("T")

# Lines that are read, written or looked up together.
AT_ONCE = 1000
# Kept in memory by SQLite, per file.
CACHE_KIB = 8192
# Large pages: fewer of them are written to disk.
PAGE_BYTES = 32768

# The last one only where keys are looked up.
TABLE = (
    "CREATE TABLE IF NOT EXISTS {kind} (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, level INTEGER NOT NULL, "
    "key TEXT NOT NULL, mark TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS {kind}_level ON {kind} (level) WHERE level > 0",
    "CREATE INDEX IF NOT EXISTS {kind}_key ON {kind} (key) WHERE key <> ''",
)


class Line(NamedTuple):
    """One thing on a shelf. ``level``: parents lie below children; ``key``: what else it is found by; ``mark``: its sort."""

    id: str
    level: int
    key: str
    mark: str
    body: bytes = b""


# What is put of a line: its values. Plain tuples are made and taken much faster than named ones.
Values = tuple[str, int, str, str, bytes]


class Shelf:
    """Lines of the seven kinds in one file; a nameless one, which is gone with its process, unless a path is given.

    ``keyed``: lines are looked up by their key too. What is put counts only once it is kept.
    """

    def __init__(self, path: Path | None = None, *, keyed: bool = False) -> None:
        self.path = path
        with self._said():
            self.database = sqlite3.connect(path or "", isolation_level=None, timeout=30, check_same_thread=False)
            weakref.finalize(self, self.database.close)
            self.database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            self.database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            # A file that is not kept is worth nothing, so no care is taken of it until then.
            self.database.execute("PRAGMA journal_mode = OFF")
            self.database.execute("PRAGMA synchronous = OFF")
            self.database.execute("BEGIN")
            for kind in Kind:
                for statement in TABLE if keyed else TABLE[:-1]:
                    self.database.execute(statement.format(kind=kind.value))

    def keep(self, document: bytes, path: Path) -> None:
        """Make the file last under this name, whole or not at all, with a document beside its lines."""
        assert self.path is not None  # noqa: S101 - a nameless file cannot be kept
        with self._said():
            self.database.execute("CREATE TABLE head (document BLOB NOT NULL)")
            self.database.execute("INSERT INTO head VALUES (?)", (document,))
            self.database.execute("COMMIT")
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(path)
        self.path = path

    def document(self) -> bytes:
        """The document that was kept with the lines."""
        ((document,),) = self.ask("SELECT document FROM head").fetchall()
        return bytes(document)

    def put(self, kind: Kind, lines: Iterable[Values]) -> None:
        """Add lines; one of an id that is there already takes its place."""
        with self._said():
            self.database.executemany(
                f"INSERT OR REPLACE INTO {kind.value} (id, level, key, mark, body) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
                lines,
            )

    def clear(self, kind: Kind) -> None:
        """Take all lines of a kind away."""
        self.ask(f"DELETE FROM {kind.value}")  # noqa: S608

    def drop(self, kind: Kind, ids: Sequence[str]) -> None:
        """Take these lines away."""
        self.ask(f"DELETE FROM {kind.value} WHERE id IN ({_marks(ids)})", ids)  # noqa: S608

    def tally(self, kind: Kind, by: Literal["mark", "key"] = "mark", among: str = "") -> dict[str, int]:
        """How many lines of each mark, or of each key; only those marked ``among`` when it is given."""
        where, values = ("WHERE mark = ?", (among,)) if among else ("", ())
        return dict(self.ask(f"SELECT {by}, count(*) FROM {kind.value} {where} GROUP BY {by}", values))  # noqa: S608

    def chunks(self, kind: Kind, wanted: Sequence[str] | None = None, size: int = AT_ONCE) -> Iterator[list[Line]]:
        """The lines, or those with the ``wanted`` marks: parents before children, never two levels in one chunk."""
        for rows in self._chunks(kind, "id, level, key, mark, body", wanted, size):
            yield list(map(Line._make, rows))

    def bodies(self, kind: Kind, wanted: Sequence[str] | None = None, size: int = AT_ONCE) -> Iterator[list[bytes]]:
        """The same as :meth:`chunks`, but only what stands in the lines."""
        for rows in self._chunks(kind, "body", wanted, size):
            yield [body for (body,) in rows]

    def _chunks(self, kind: Kind, columns: str, wanted: Sequence[str] | None, size: int) -> Iterator[list[Any]]:
        marked, values = ("", ()) if wanted is None else (f"AND mark IN ({_marks(wanted)})", wanted)
        levels = [0, *(level for (level,) in self.ask(f"SELECT DISTINCT level FROM {kind.value} WHERE level > 0 ORDER BY 1"))]  # noqa: S608
        for level in levels:
            where = "level = 0" if level == 0 else f"level > 0 AND level = {level}"
            lines = self.ask(
                f"SELECT {columns} FROM {kind.value} WHERE {where} {marked} ORDER BY seq",  # noqa: S608
                values,
            )
            while some := lines.fetchmany(size):
                yield some

    def find(self, kind: Kind, ids: Collection[str]) -> dict[str, Line]:
        """The lines with these ids."""
        return {line.id: line for line in self._among(kind, "id", ids)}

    def sorts(self, kind: Kind, ids: Collection[str]) -> dict[str, tuple[str, str]]:
        """The keys and marks of the lines with these ids, by id."""
        found: dict[str, tuple[str, str]] = {}
        left = iter(ids)
        while some := list(islice(left, AT_ONCE)):
            lines = self.ask(f"SELECT id, key, mark FROM {kind.value} WHERE id IN ({_marks(some)})", some)  # noqa: S608
            found |= {i: (key, mark) for i, key, mark in lines}
        return found

    def there(self, kind: Kind, ids: Collection[str], wanted: Sequence[str] | None = None) -> set[str]:
        """Those of these ids that have a line, or one of the ``wanted`` marks."""
        marked, values = ("", ()) if wanted is None else (f"AND mark IN ({_marks(wanted)})", wanted)
        found: set[str] = set()
        left = iter(ids)
        while some := list(islice(left, AT_ONCE)):
            statement = f"SELECT id FROM {kind.value} WHERE id IN ({_marks(some)}) {marked}"  # noqa: S608
            found |= {i for (i,) in self.ask(statement, [*some, *values])}
        return found

    def having(self, kind: Kind, keys: Collection[str]) -> dict[str, list[Line]]:
        """The lines with these keys, in order, by key."""
        found: dict[str, list[Line]] = {}
        for line in self._among(kind, "key", keys):
            found.setdefault(line.key, []).append(line)
        return found

    def _among(self, kind: Kind, column: str, values: Collection[str]) -> Iterator[Line]:
        left = iter(values)
        where = "id" if column == "id" else "key <> '' AND key"
        while some := list(islice(left, AT_ONCE)):
            lines = self.ask(
                f"SELECT id, level, key, mark, body FROM {kind.value} WHERE {where} IN ({_marks(some)}) ORDER BY seq",  # noqa: S608
                some,
            )
            yield from map(Line._make, lines)

    def ask(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        with self._said():
            return self.database.execute(statement, values)

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise KitError(
                f"the working file {self.path or 'in the folder for temporary files'} cannot be used",
                seen=str(error),
                next="free some space there (SQLITE_TMPDIR names another folder for temporary files), then run this again",
            ) from error


def _marks(values: Collection[Any]) -> str:
    return ", ".join("?" * len(values))


class Listing(Collection[T], Generic[T]):
    """One kind's things on a shelf, or those with some marks: sized, gone through as often as wanted, found by id."""

    def __init__(self, shelf: Shelf, kind: Kind, codec: Codec[T], marks: Sequence[str] | None = None) -> None:
        self.shelf = shelf
        self.kind = kind
        self.codec = codec
        self.marks = marks
        self._held: list[T] | None = None

    def hold(self, most: int) -> None:
        """Keep them in memory, if they are not more than that, until :meth:`release`; they are then gone through much faster."""
        self._held = list(self) if len(self) <= most else None

    def release(self) -> None:
        """Keep nothing in memory."""
        self._held = None

    def __len__(self) -> int:
        return sum(number for mark, number in self.shelf.tally(self.kind).items() if self.marks is None or mark in self.marks)

    def __iter__(self) -> Iterator[T]:
        return iter(self._held) if self._held is not None else (thing for chunk in self.chunks() for thing in chunk)

    def __contains__(self, thing: object) -> bool:
        return any(thing == other for other in self)

    def chunks(self, size: int = AT_ONCE) -> Iterator[list[T]]:
        """All of them, parents before children, never two levels in one chunk."""
        for bodies in self.shelf.bodies(self.kind, self.marks, size):
            yield list(map(self.codec.decode, bodies))

    def there(self, ids: Collection[str]) -> set[str]:
        """Those of these ids that are among theirs."""
        return self.shelf.there(self.kind, ids, self.marks)

    def find(self, ids: Collection[str]) -> dict[str, T]:
        """Those with these ids."""
        return {
            line.id: self.codec.decode(line.body)
            for line in self.shelf.find(self.kind, ids).values()
            if self.marks is None or line.mark in self.marks
        }


class Codec(Protocol[T]):
    """How a thing becomes a line, and what stands in the line the thing again."""

    def encode(self, thing: T) -> Values:
        """As a line's values."""

    def decode(self, body: bytes) -> T:
        """The thing again, equal to what was encoded."""


def listings(codec: Codec[T], things: Mapping[Kind, Iterable[T]], *, keyed: bool = False) -> dict[Kind, Listing[T]]:
    """A shelf of its own with these things."""
    shelf = Shelf(keyed=keyed)
    for kind in Kind:
        shelf.put(kind, map(codec.encode, things.get(kind, ())))
    return {kind: Listing(shelf, kind, codec) for kind in Kind}
