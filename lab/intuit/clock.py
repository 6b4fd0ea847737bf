"""The lab's clock: real time plus an offset that tests may move, and the company's way of writing times."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

SUMMER, WINTER = (timezone(timedelta(hours=hours)) for hours in (-7, -8))


class Clock:
    """Wall and monotonic time, both moved forward together by :meth:`advance`."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def advance(self, seconds: float) -> None:
        """Move the clock; negative values move it back."""
        self.offset_s += seconds

    def now(self) -> datetime:
        """The lab's time, aware, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.offset_s)

    def seconds(self) -> float:
        """Seconds since the epoch on the lab's clock."""
        return time.time() + self.offset_s

    def monotonic(self) -> float:
        """Seconds that only go forward unless somebody moves the clock."""
        return time.monotonic() + self.offset_s


def _nth_sunday(year: int, month: int, nth: int) -> datetime:
    first = datetime(year, month, 1, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))


@lru_cache
def _summer(year: int) -> tuple[datetime, datetime]:
    """When summer time starts and ends (US rule since 2007)."""
    return _nth_sunday(year, 3, 2) + timedelta(hours=10), _nth_sunday(year, 11, 1) + timedelta(hours=9)


def pacific(moment: datetime) -> datetime:
    """The moment with the US sandbox company's offset: -07:00 in summer, -08:00 in winter.

    Worked out here because a minimal Debian has no time zone files.
    """
    moment = moment.astimezone(UTC)
    starts, ends = _summer(moment.year)
    return moment.astimezone(SUMMER if starts <= moment < ends else WINTER)


def answer_time(moment: datetime) -> str:
    """The ``time`` of an answer: milliseconds and the company's offset."""
    return pacific(moment).isoformat(timespec="milliseconds")


def row_time(moment: datetime) -> str:
    """A time inside ``MetaData``: whole seconds and the company's offset."""
    return pacific(moment).isoformat(timespec="seconds")


def parse_time(text: str) -> datetime:
    """A date or time as Intuit writes it; without an offset it is the company's own time. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        # The offset of that very day decides, so ask once with the winter offset and keep what comes back.
        guess = moment.replace(tzinfo=WINTER)
        moment = moment.replace(tzinfo=pacific(guess).tzinfo)
    return moment
