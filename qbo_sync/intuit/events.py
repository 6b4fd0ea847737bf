"""Events that Intuit told of, waiting in the site's store until a change read has seen what they stand for.

Each id is taken once, also after it was worked off: Intuit tells the same thing again for hours (facts/qbo_api.md 2.10).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from qbo_sync.config import Settings
from qbo_sync.errors import UsageError
from qbo_sync.intuit.files import private_file
from qbo_sync.intuit.tokens import Clock, utc_now

# Longer than Intuit repeats itself.
_REMEMBERED = timedelta(days=30)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS webhook_event (id TEXT PRIMARY KEY, realm TEXT NOT NULL, entity TEXT NOT NULL, entity_id TEXT NOT NULL,
    operation TEXT NOT NULL, occurred_at TEXT NOT NULL, received_at TEXT NOT NULL, worked_off_at TEXT);
"""


@dataclass(frozen=True)
class Event:
    """One change: ``entity`` in lower case (``customer``), ``operation`` as ``created``, ``updated`` …"""

    id: str
    realm: str
    entity: str
    entity_id: str
    operation: str
    occurred_at: str


@dataclass(frozen=True)
class Waiting:
    """How many events wait, and when some were worked off last."""

    count: int
    last_worked_off: datetime | None


class EventQueue:
    """``webhooks.db`` of the site's store. Opened per use; cheap."""

    def __init__(self, settings: Settings, *, clock: Clock = utc_now) -> None:
        self._path = settings.store.directory / "webhooks.db"
        self._clock = clock

    def add(self, events: Sequence[Event]) -> int:
        """Keep events, each id once; how many were new. They are on the disk when this returns. Raises :class:`UsageError`."""
        now = self._now()
        with self._writing() as db:
            before = db.total_changes
            db.executemany(
                "INSERT OR IGNORE INTO webhook_event VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                [(*astuple(event), now) for event in events],
            )
            return db.total_changes - before

    def waiting(self) -> list[Event]:
        """The events that wait, oldest first. Makes nothing on the disk."""
        rows = self._look("SELECT id, realm, entity, entity_id, operation, occurred_at FROM webhook_event"
                          " WHERE worked_off_at IS NULL ORDER BY received_at, id")  # fmt: skip
        return [Event(*row) for row in rows]

    def state(self) -> Waiting:
        """For whoever asks how things stand. Makes nothing on the disk."""
        rows = self._look("SELECT count(*) - count(worked_off_at), max(worked_off_at) FROM webhook_event")
        count, last = rows[0] if rows else (0, None)
        return Waiting(count, datetime.fromisoformat(last) if last else None)

    def worked_off(self, events: Sequence[Event]) -> None:
        """These were seen to. They are remembered for a while, so that they do not come again."""
        now = self._clock()
        with self._writing() as db:
            db.executemany("UPDATE webhook_event SET worked_off_at = ? WHERE id = ?", [(self._now(), e.id) for e in events])
            db.execute("DELETE FROM webhook_event WHERE worked_off_at < ?", ((now - _REMEMBERED).isoformat(timespec="seconds"),))

    # Inside

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="seconds")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            private_file(self._path)
            with closing(sqlite3.connect(self._path, timeout=2)) as db, db:
                db.executescript(f"PRAGMA synchronous = FULL;{_SCHEMA}")
                yield db
        except (OSError, sqlite3.Error) as error:
            raise UsageError(
                "webhook events cannot be kept in the site's store", seen=f"{self._path}: {error}", next="free disk space there"
            ) from error

    def _look(self, question: str) -> list[tuple[Any, ...]]:
        if not self._path.exists():
            return []
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as db:
                # Somebody may be making the file at this moment, or have been killed while at it.
                made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'webhook_event'").fetchone()
                return db.execute(question).fetchall() if made else []
        except sqlite3.Error as error:
            raise UsageError(
                "the queue of webhook events cannot be read", seen=f"{self._path}: {error}", next=f"remove {self._path}"
            ) from error
