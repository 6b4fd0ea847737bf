"""The company as it was last read, kept in the site's store, so that the next reading asks only what changed since.

A snapshot reads like the company itself (:meth:`~qbo_sync.intuit.client.Intuit.read`). It keeps the rows of every list that
change data capture knows, with Intuit's time of that reading, and gives them again together with what changed. Each page is kept
as it comes, so that a reading which was killed is gone on with by the next one. What is kept is a copy that can be made anew: a
full disk, a damaged file or another process at work cost requests, never the reading.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from qbo_sync.config import Settings
from qbo_sync.intuit.changes import CAPTURED, LONGEST_BACK, OVERLAP, Changes
from qbo_sync.intuit.client import Intuit
from qbo_sync.intuit.files import SNAPSHOT, forget_snapshot, private_file
from qbo_sync.intuit.lists import Page, Progress, Row
from qbo_sync.intuit.query import PAGE_ROWS, Active
from qbo_sync.intuit.tokens import Clock, utc_now

log = logging.getLogger("qbo_sync.intuit")

# A reading of a list that did not end has its progress, a whole one has none. Of each list there is at most one of either.
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS reading"
    " (number INTEGER PRIMARY KEY, entity TEXT NOT NULL, company TEXT NOT NULL, at TEXT NOT NULL, progress BLOB)",
    "CREATE UNIQUE INDEX IF NOT EXISTS reading_of_list ON reading (entity, progress IS NULL)",
    "CREATE TABLE IF NOT EXISTS record (reading INTEGER NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS record_in_order ON record (reading, length(id), id)",
)
# Numbers stay as exact as they came: decimal text that is a JSON number.
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal).decode
_decode_progress = msgspec.json.Decoder(Progress).decode
# How long another process of this site may be reading before this one reads without keeping.
_BUSY_S = 30.0
# A reading that began longer ago is not gone on with: by then much may have moved.
_RESUMED_WITHIN = timedelta(hours=1)


class Snapshot:
    """The connected company, read with the help of what was kept.

    With ``only_changes``, lists that are kept are not read again; without it everything is read and kept anew.
    """

    def __init__(self, settings: Settings, intuit: Intuit, *, only_changes: bool = False, clock: Clock = utc_now) -> None:
        self.realm = intuit.realm
        self._intuit = intuit
        self._only_changes = only_changes
        self._clock = clock
        self._company = f"{settings.intuit.environment}|{settings.intuit.api_url}|{intuit.realm}"
        self._path = settings.store.directory / SNAPSHOT

    def read(self, wanted: Mapping[str, Active]) -> Iterator[Page]:
        """All these lists, as :meth:`Intuit.read` gives them."""
        try:
            with self._opened() as db:
                yield from self._read(db, wanted)
        except (sqlite3.Error, OSError) as error:
            self._lost(error)
            # Each list begins anew, so nothing of what was given before counts.
            yield from self._intuit.read(wanted)

    def catch_up(self) -> bool:
        """Bring what is kept up to date; whether that worked. Asks nothing of Intuit when nothing is kept."""
        try:
            with self._opened() as db:
                found = self._take_changes(db, self._kept(db))
                with _transaction(db):
                    for entity in found.overflown:
                        _forget(db, entity, whole=True)
                return True
        except (sqlite3.Error, OSError) as error:
            self._lost(error)
            return False

    # Inside

    def _read(self, db: sqlite3.Connection, wanted: Mapping[str, Active]) -> Iterator[Page]:
        keepable = {entity for entity, active in wanted.items() if active == "all" and entity in CAPTURED}
        kept = {entity: at for entity, at in self._kept(db).items() if self._only_changes and entity in keepable}
        overflown = self._take_changes(db, kept).overflown
        held = [entity for entity in kept if entity not in overflown]
        begun = self._begun(db, keepable.difference(held))
        for entity in begun:
            yield from _pages(db, entity, whole=False)
        keeping = True
        for page in self._intuit.read({each: active for each, active in wanted.items() if each not in held}, begun):
            if keeping and page.entity in keepable:
                keeping = self._keep(db, page)
            yield page
        if keeping:
            _conclude(db)
        for entity in held:
            yield from _pages(db, entity, whole=True)

    def _kept(self, db: sqlite3.Connection) -> dict[str, datetime]:
        """The lists kept of this company, with Intuit's time of their reading; none too old for change data capture."""
        rows = db.execute(
            "SELECT entity, at FROM reading WHERE company = ? AND progress IS NULL ORDER BY entity", (self._company,)
        ).fetchall()
        oldest = self._clock() - LONGEST_BACK
        return {entity: at for entity, text in rows if (at := datetime.fromisoformat(text)) > oldest}

    def _begun(self, db: sqlite3.Connection, wanted: Collection[str]) -> dict[str, Progress]:
        """How far a reading of these lists came that did not end; one that is of no use is forgotten."""
        found = {}
        oldest = self._clock() - _RESUMED_WITHIN
        with _transaction(db):
            rows = db.execute("SELECT entity, company, progress FROM reading WHERE progress IS NOT NULL").fetchall()
            for entity, company, text in rows:
                progress = _decode_progress(text)
                if entity in wanted and company == self._company and progress.can_be_resumed(oldest):
                    found[entity] = progress
                else:
                    _forget(db, entity, whole=False)
        if found:
            log.info("going on with a reading that did not end: %s rows are there", sum(each.read for each in found.values()))
        return found

    def _take_changes(self, db: sqlite3.Connection, kept: Mapping[str, datetime]) -> Changes:
        """Ask for the changes of these lists and keep them."""
        if not kept:
            return Changes()
        found = self._intuit.capture(list(kept), min(kept.values()) - OVERLAP)
        with _transaction(db):
            for entity, rows in found.rows.items():
                number = _number(db, entity, whole=True)
                _put(db, number, rows.values())
                gone = [(number, row_id, row_id) for row_id in found.deleted[entity]]
                db.executemany("DELETE FROM record WHERE reading = ? AND length(id) = length(?) AND id = ?", gone)
                db.execute("UPDATE reading SET at = ? WHERE number = ?", (_text(found.at or kept[entity]), number))
        return found

    def _keep(self, db: sqlite3.Connection, page: Page) -> bool:
        """Keep a page; whether that worked."""
        try:
            with _transaction(db):
                if page.first:
                    _forget(db, page.entity, whole=False)
                    self._begin(db, page)
                number = _number(db, page.entity, whole=False)
                if number is not None:
                    _put(db, number, page.rows)
                    if page.progress:
                        db.execute("UPDATE reading SET progress = ? WHERE number = ?", (_encode(page.progress), number))
        except sqlite3.Error as error:
            self._lost(error)
            return False
        return True

    def _begin(self, db: sqlite3.Connection, page: Page) -> None:
        """A list without Intuit's time is not kept: nobody could say what changed since."""
        if page.progress and page.progress.at:
            db.execute(
                "INSERT INTO reading (entity, company, at, progress) VALUES (?, ?, ?, ?)",
                (page.entity, self._company, _text(page.progress.at), _encode(page.progress)),
            )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The file, which no other process uses until it is closed."""
        private_file(self._path)
        with closing(sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            with _transaction(db):
                for statement in _SCHEMA:
                    db.execute(statement)
            yield db

    def _lost(self, error: sqlite3.Error | OSError) -> None:
        log.warning("what is read is not kept, and nothing that was kept is used: %s", error)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            forget_snapshot(self._path.parent)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    with db:
        db.execute("BEGIN EXCLUSIVE")
        yield


def _number(db: sqlite3.Connection, entity: str, *, whole: bool) -> int | None:
    """The reading of this list that is kept."""
    row = db.execute("SELECT number FROM reading WHERE entity = ? AND (progress IS NULL) = ?", (entity, whole)).fetchone()
    return row[0] if row else None


def _forget(db: sqlite3.Connection, entity: str, *, whole: bool) -> None:
    number = _number(db, entity, whole=whole)
    db.execute("DELETE FROM record WHERE reading = ?", (number,))
    db.execute("DELETE FROM reading WHERE number = ?", (number,))


def _conclude(db: sqlite3.Connection) -> None:
    """What was read takes the place of what was kept before: all lists at once."""
    with _transaction(db):
        for (entity,) in db.execute("SELECT entity FROM reading WHERE progress IS NOT NULL").fetchall():
            _forget(db, entity, whole=True)
            db.execute("UPDATE reading SET progress = NULL WHERE entity = ?", (entity,))


def _put(db: sqlite3.Connection, number: int | None, rows: Iterable[Row]) -> None:
    db.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", ((number, str(row["Id"]), _encode(row)) for row in rows))


def _pages(db: sqlite3.Connection, entity: str, *, whole: bool) -> Iterator[Page]:
    """The kept rows in the order of their ids; an empty list is one empty page."""
    number = _number(db, entity, whole=whole)
    rows = db.execute("SELECT body FROM record WHERE reading = ? ORDER BY length(id), id", (number,))
    first = True
    while (bodies := rows.fetchmany(PAGE_ROWS)) or first:
        yield Page(entity, _decode(b"[" + b",".join(body for (body,) in bodies) + b"]"), first)
        first = False


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
