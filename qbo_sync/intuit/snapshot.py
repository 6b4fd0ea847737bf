"""The company as it was last read, kept in the site's store, so that the next reading asks only what changed since.

A snapshot reads like the company itself (:meth:`~qbo_sync.intuit.client.Intuit.read`). It keeps the rows of every list that
change data capture knows, with Intuit's time of that reading, and gives them again together with what changed. What is kept is a
copy that can be made anew: a full disk, a damaged file or another process at work cost a whole reading, never the reading.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from qbo_sync.config import Settings
from qbo_sync.intuit.changes import CAPTURED, LONGEST_BACK, OVERLAP, Changes
from qbo_sync.intuit.client import Intuit
from qbo_sync.intuit.files import SNAPSHOT, forget_snapshot, private_file
from qbo_sync.intuit.lists import Page, Row
from qbo_sync.intuit.query import PAGE_ROWS, Active
from qbo_sync.intuit.tokens import Clock, utc_now

log = logging.getLogger("qbo_sync.intuit")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cursor (entity TEXT PRIMARY KEY, company TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS row (entity TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS row_in_order ON row (entity, length(id), id);
"""
# Numbers stay as exact as they came: decimal text that is a JSON number.
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal).decode
_THIS = "entity = ?1 AND length(id) = length(?2) AND id = ?2"
# How long another process of this site may be reading before this one reads without keeping.
_BUSY_S = 30.0


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
            with self._transaction() as db:
                yield from self._read(db, wanted)
        except (sqlite3.Error, OSError) as error:
            self._lost(error)
            # Each list begins anew, so nothing of what was given before counts.
            yield from self._intuit.read(wanted)

    def catch_up(self) -> bool:
        """Bring what is kept up to date; whether that worked. Asks nothing of Intuit when nothing is kept."""
        try:
            with self._transaction() as db:
                found = self._take_changes(db, self._kept(db))
                for entity in found.overflown:
                    _forget(db, entity)
                return True
        except (sqlite3.Error, OSError) as error:
            self._lost(error)
            return False

    # Inside

    def _read(self, db: sqlite3.Connection, wanted: Mapping[str, Active]) -> Iterator[Page]:
        kept = {entity: at for entity, at in self._kept(db).items() if self._only_changes and wanted.get(entity) == "all"}
        overflown = self._take_changes(db, kept).overflown
        held = [entity for entity in kept if entity not in overflown]
        for page in self._intuit.read({entity: active for entity, active in wanted.items() if entity not in held}):
            if page.entity in CAPTURED and wanted[page.entity] == "all":
                self._keep(db, page)
            yield page
        for entity in held:
            yield from _pages(db, entity)

    def _kept(self, db: sqlite3.Connection) -> dict[str, datetime]:
        """The lists kept of this company, with Intuit's time of their reading; none too old for change data capture."""
        rows = db.execute("SELECT entity, at FROM cursor WHERE company = ? ORDER BY entity", (self._company,)).fetchall()
        oldest = self._clock() - LONGEST_BACK
        return {entity: at for entity, text in rows if (at := datetime.fromisoformat(text)) > oldest}

    def _take_changes(self, db: sqlite3.Connection, kept: Mapping[str, datetime]) -> Changes:
        """Ask for the changes of these lists and keep them."""
        if not kept:
            return Changes()
        found = self._intuit.capture(list(kept), min(kept.values()) - OVERLAP)
        for entity, rows in found.rows.items():
            _put(db, entity, rows.values())
            db.executemany(f"DELETE FROM row WHERE {_THIS}", [(entity, row_id) for row_id in found.deleted[entity]])  # noqa: S608
            self._set_cursor(db, entity, found.at or kept[entity])
        return found

    def _keep(self, db: sqlite3.Connection, page: Page) -> None:
        if page.first:
            _forget(db, page.entity)
            if page.at:
                self._set_cursor(db, page.entity, page.at)
        _put(db, page.entity, page.rows)

    def _set_cursor(self, db: sqlite3.Connection, entity: str, at: datetime) -> None:
        moment = at.astimezone(UTC).isoformat()
        db.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)", (entity, self._company, moment))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction over a whole reading: what is kept is from one moment, or not kept at all."""
        private_file(self._path)
        with closing(sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)) as db:
            db.executescript(_SCHEMA)
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def _lost(self, error: sqlite3.Error | OSError) -> None:
        log.warning("the last reading could not be kept or used (%s); everything is read", error)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            forget_snapshot(self._path.parent)


def _forget(db: sqlite3.Connection, entity: str) -> None:
    for table in ("cursor", "row"):
        db.execute(f"DELETE FROM {table} WHERE entity = ?", (entity,))  # noqa: S608 - names of our own


def _put(db: sqlite3.Connection, entity: str, rows: Iterable[Row]) -> None:
    db.executemany("INSERT OR REPLACE INTO row VALUES (?, ?, ?)", ((entity, str(row["Id"]), _encode(row)) for row in rows))


def _pages(db: sqlite3.Connection, entity: str) -> Iterator[Page]:
    """The kept rows in the order of their ids; an empty list is one empty page."""
    rows = db.execute("SELECT body FROM row WHERE entity = ? ORDER BY length(id), id", (entity,))
    first = True
    while (bodies := rows.fetchmany(PAGE_ROWS)) or first:
        yield Page(entity, _decode(b"[" + b",".join(body for (body,) in bodies) + b"]"), first)
        first = False
