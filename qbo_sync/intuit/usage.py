"""What a site has asked of Intuit this month, and how much of the month's budget that is (facts/qbo_api.md 2.11).

Reads are billed to the app's workspace by calendar month; above its budget Intuit blocks them all until the next one. The sum
here is this site's own. How a batch of queries is billed is not documented, so each of its queries counts.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from qbo_sync.config import Settings
from qbo_sync.errors import Blocked
from qbo_sync.intuit.counters import Counters
from qbo_sync.intuit.files import private_file
from qbo_sync.intuit.tokens import Clock, utc_now

log = logging.getLogger("qbo_sync.intuit")

# From here on a person is told.
WARN_SHARE = 0.7
# Calls that a killed process may leave uncounted.
_UNWRITTEN = 20
_COLUMNS = tuple(field.name for field in fields(Counters))
_SCHEMA = f"CREATE TABLE IF NOT EXISTS month (month TEXT PRIMARY KEY, {', '.join(f'{name} REAL NOT NULL' for name in _COLUMNS)})"
_ADD = (
    f"INSERT INTO month VALUES ({', '.join('?' * (len(_COLUMNS) + 1))}) ON CONFLICT (month) DO UPDATE SET "  # noqa: S608 - our names
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in _COLUMNS)
)


@dataclass(frozen=True)
class Month:
    """A calendar month (UTC) of one site, beside the budget of its app."""

    counters: Counters
    budget: int

    @property
    def share(self) -> float:
        """The part of the budget that is used, 1.0 being all of it."""
        return self.counters.metered_by_query / self.budget

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        whole = {name: int(number) for name, number in self.counters.as_dict().items()}
        return {**whole, "budget": self.budget, "share": round(self.share, 4)}


class Usage:
    """Adds a run's counters to the month, a few calls at a time."""

    def __init__(self, settings: Settings, counters: Counters, *, clock: Clock = utc_now) -> None:
        self._path = settings.store.directory / "usage.db"
        self._budget = settings.intuit.monthly_reads
        self._counters = counters
        self._clock = clock
        self._written = replace(counters)
        self._month = self.month()

    def month(self) -> Month:
        """This month so far, without what is not written yet."""
        return Month(self._stored(), self._budget)

    def refuse_when_used_up(self) -> None:
        """Raise :class:`Blocked` when one more read would be above the budget."""
        used = self._month.counters.metered_by_query + self._unwritten().metered_by_query
        if used >= self._budget:
            raise Blocked(
                "this month's budget of reads from QuickBooks is used up; nothing more was asked",
                seen=f"{used:.0f} of {self._budget} this month",
                next="wait for the next calendar month (UTC), or raise [intuit] monthly_reads if your plan at Intuit has more",
            )

    def count(self) -> None:
        """Called after each answer."""
        if self._unwritten().made >= _UNWRITTEN:
            self.write()

    def write(self) -> None:
        """Put what was counted since the last time on the disk. That it cannot be is no reason to end a run."""
        more = self._unwritten()
        self._written = replace(self._counters)
        if not more.made:
            return
        try:
            private_file(self._path)
            with closing(sqlite3.connect(self._path, timeout=10.0)) as db, db:
                db.execute(_SCHEMA)
                db.execute(_ADD, (f"{self._clock():%Y-%m}", *asdict(more).values()))
        except (sqlite3.Error, OSError) as error:
            log.warning("the requests of this run could not be added to the month's: %s", error)
        self._month = self.month()

    def _unwritten(self) -> Counters:
        return Counters(**{name: getattr(self._counters, name) - getattr(self._written, name) for name in _COLUMNS})

    def _stored(self) -> Counters:
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)) as db:
                row = db.execute(
                    f"SELECT {', '.join(_COLUMNS)} FROM month WHERE month = ?",  # noqa: S608 - our names
                    (f"{self._clock():%Y-%m}",),
                ).fetchone()
        except sqlite3.Error:
            # Nothing was counted yet, or nothing that can be read.
            row = None
        return Counters(*row) if row else Counters()
