"""One pace for all processes of a site, below Intuit's limits (facts/qbo_api.md 2.7).

What counts is when requests arrive at Intuit, and the way there takes now more, now less time. So ten requests share a window
longer than Intuit's second: 10 / ``per_second``, 1.22 s at 8.2/s. That forgives 220 ms of jitter, as an even gap of 122 ms does,
but lets requests that are ready go at once. None of it is used up before the way begins: a start counts when the request is
written, not when a thread is told to make a connection first, and also when the machine had no time for the thread in between.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from qbo_sync.config import Settings
from qbo_sync.intuit.files import StoreUnwritable, exclusive

# Intuit's limits: requests in one second, batches in one minute.
_BURST = 10
_BATCHES = 40
_MINUTE_S = 60.0
_MARGIN = 0.9
# Longest wait that a sane file can ask for: Intuit's minute plus a queue. More means another boot or clock wrote it.
_LONGEST_S = 120.0

_SCHEMA = "CREATE TABLE IF NOT EXISTS start (at REAL NOT NULL, batch INTEGER NOT NULL)"


@dataclass(frozen=True)
class Window:
    """At most ``count`` starts (of batches only, when ``batches``) in any ``seconds``."""

    count: int
    seconds: float
    batches: bool = False


def windows(per_second: float, per_minute: float) -> tuple[Window, ...]:
    """What keeps a realm below ``per_second`` on the average and below Intuit's limits at any moment."""
    burst = max(1, min(_BURST, int(per_second * 1.25)))
    return (
        Window(burst, burst / per_second),
        Window(max(1, int(per_minute)), _MINUTE_S),
        Window(int(_BATCHES * _MARGIN), _MINUTE_S, batches=True),
    )


class Pacer:
    """Gives each request of one realm the moment at which it may start.

    ``path`` holds the starts of the last minute, in seconds since boot: the same clock for all processes.
    """

    def __init__(
        self,
        path: Path,
        *,
        per_second: float,
        per_minute: float,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.windows = windows(per_second, per_minute)
        # Part of the margin, which has to do for the way to Intuit as well.
        self._late_s = max(0.005, (self.windows[0].seconds - 1.0) / 5)
        self._sleep = sleep
        self._clock = clock

    @classmethod
    def of(cls, settings: Settings, sleep: Callable[[float], object]) -> Self:
        """The pace of a site."""
        intuit = settings.intuit
        path = settings.store.directory / "pace.db"
        return cls(path, per_second=intuit.requests_per_second, per_minute=intuit.requests_per_minute, sleep=sleep)

    def permit(self, *, batch: bool = False) -> Permit:
        """The right to send one request."""
        return Permit(self, batch)

    def next_start(self, batch: bool, missed: float) -> float:
        """The next free start, in place of one that was ``missed`` (0.0: none)."""
        return self._with_file(partial(self._take, batch, missed))

    def started_late(self, batch: bool, start: float) -> float:
        """Let this start count from now on."""
        return self._with_file(partial(self._move, batch, start))

    def is_late(self, start: float) -> bool:
        """Whether a start is over, so that others were given theirs by it."""
        return self._clock() - start > self._late_s

    def rest_until(self, start: float) -> float:
        """Sleep until then. Returns the seconds."""
        delay = max(0.0, start - self._clock())
        if delay:
            self._sleep(delay)
        return delay

    def pause(self, seconds: float) -> None:
        """Let no request of this realm start for ``seconds``: Intuit has asked for patience."""
        self._with_file(lambda db, now: self._put(db, now + min(seconds, _LONGEST_S), batch=False))

    def _take(self, batch: bool, missed: float, db: sqlite3.Connection, now: float) -> float:
        self._forget(db, missed, batch)
        newest = db.execute("SELECT max(at) FROM start").fetchone()[0] or now
        free = (self._free(db, window) for window in self.windows if batch or not window.batches)
        # Never before a start that was given out already: the windows are counted back from the newest.
        start = max(now, newest, *free)
        return self._put(db, start, batch)

    def _move(self, batch: bool, start: float, db: sqlite3.Connection, now: float) -> float:
        self._forget(db, start, batch)
        return self._put(db, now, batch)

    @staticmethod
    def _forget(db: sqlite3.Connection, at: float, batch: bool) -> None:
        db.execute("DELETE FROM start WHERE rowid = (SELECT rowid FROM start WHERE at = ? AND batch = ?)", (at, batch))

    @staticmethod
    def _free(db: sqlite3.Connection, window: Window) -> float:
        """When a further start has room in this window."""
        oldest = db.execute(
            "SELECT at FROM start WHERE batch >= ? ORDER BY at DESC LIMIT 1 OFFSET ?", (window.batches, window.count - 1)
        ).fetchone()
        return oldest[0] + window.seconds if oldest else 0.0

    @staticmethod
    def _put(db: sqlite3.Connection, at: float, batch: bool) -> float:
        db.execute("INSERT INTO start VALUES (?, ?)", (at, batch))
        return at

    def _with_file(self, act: Callable[[sqlite3.Connection, float], float]) -> float:
        try:
            return self._locked(act)
        except StoreUnwritable as error:
            if not _damaged(error.__cause__):
                raise
            # It holds nothing but the last minute's starts; a power failure may have left it half written.
            for path in (self.path, self.path.with_name(self.path.name + "-journal")):
                path.unlink(missing_ok=True)
            return self._locked(act)

    def _locked(self, act: Callable[[sqlite3.Connection, float], float]) -> float:
        with exclusive(self.path, timeout_s=_LONGEST_S) as db:
            now = self._clock()
            db.execute(_SCHEMA)
            db.execute("DELETE FROM start WHERE at < ? OR at > ?", (now - _MINUTE_S, now + _LONGEST_S))
            return act(db, now)


class Permit:
    """The right to send one request: :meth:`wait` before it is written, :meth:`sent` after that."""

    def __init__(self, pacer: Pacer, batch: bool) -> None:
        self._pacer = pacer
        self._batch = batch
        self._start = 0.0

    def wait(self) -> float:
        """Wait for the next free start. Returns the seconds waited.

        It is called again at the very moment of sending: whoever is late by then, because the machine is busy or a connection had
        to be made, would arrive among those that start after him, and queues up anew.
        """
        waited = 0.0
        while not self._start or self._pacer.is_late(self._start):
            self._start = self._pacer.next_start(self._batch, self._start)
            waited += self._pacer.rest_until(self._start)
        return waited

    def sent(self) -> None:
        """The request is written. If that took longer than it should have, it is from now on that others must wait for it."""
        if self._pacer.is_late(self._start):
            self._start = self._pacer.started_late(self._batch, self._start)


def _damaged(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CORRUPT,
    )
