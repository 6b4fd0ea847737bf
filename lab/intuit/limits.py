"""Intuit's throttles (fact 2.7) and the monthly budget of metered reads of an app (fact 2.11); each has a size, 0 is no limit."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.intuit.clock import Clock


@dataclass(frozen=True)
class Window:
    """At most ``count`` requests in any window of ``seconds``: of a realm, or of a realm and an app; of batches only."""

    count: int
    seconds: float
    by_app: bool
    batches: bool
    meaning: str


WINDOWS: Mapping[str, Window] = {
    "per_minute": Window(500, 60.0, False, False, "requests a minute of one company"),
    "per_second": Window(10, 1.0, True, False, "requests a second of one company and app"),
    "batches_per_minute": Window(40, 60.0, True, True, "batches a minute of one company and app"),
    "realm_batches_per_minute": Window(120, 60.0, False, True, "batches a minute of one company"),
}
# Intuit's older text; the newer one counts starts in a second only.
AT_ONCE = "at_once"
MONTHLY = "monthly_reads"
MEANINGS: Mapping[str, str] = {
    **{name: window.meaning for name, window in WINDOWS.items()},
    AT_ONCE: "requests of one company under way at the same time",
    MONTHLY: "metered reads of one app in a month of the lab's clock",
}
ALL: Mapping[str, int] = {**{name: window.count for name, window in WINDOWS.items()}, AT_ONCE: 0, MONTHLY: 0}
NONE: Mapping[str, int] = dict.fromkeys(ALL, 0)


def sizes(given: Mapping[str, object]) -> dict[str, int]:
    """Sizes by name, as numbers. Raises ``ValueError`` for a name that is none, or a size that is not a whole number."""
    if unknown := sorted(set(given) - set(ALL)):
        raise ValueError(f"no limit {', '.join(unknown)}; known: {', '.join(ALL)}")
    try:
        found = {name: int(str(size)) for name, size in given.items()}
    except ValueError:
        raise ValueError("a limit's size is a whole number; 0 is no limit") from None
    if min(found.values(), default=0) < 0:
        raise ValueError("a limit's size is not negative; 0 is no limit")
    return found


class Limits:
    """Sliding windows over the lab's clock. Refused requests don't count against them."""

    def __init__(self, clock: Clock, given: Mapping[str, int] = ALL) -> None:
        self.clock = clock
        self._given = {**NONE, **given}
        self.sizes = dict(self._given)
        self._reads: dict[tuple[str, str], int] = defaultdict(int)
        self._seen: dict[tuple[str, ...], deque[float]] = defaultdict(deque)

    def admit(self, realm: str, app: str, *, batch: bool, under_way: int = 1, at: float | None = None) -> bool:
        """Whether this request may pass, the ``under_way``-th at the same time; if so it is counted.

        ``at`` is when it arrived, by the clock's monotonic time; without it, now.
        """
        if 0 < self.sizes[AT_ONCE] < under_way:
            return False
        now = self.clock.monotonic() if at is None else at
        windows = list(self._windows(realm, app, batch))
        if any(self._full(name, key, now) for name, key in windows):
            return False
        for _, key in windows:
            self._seen[key].append(now)
        return True

    def admit_read(self, app: str) -> bool:
        """Whether the app's budget of reads for this month has any left."""
        return not self.sizes[MONTHLY] or self.read_this_month(app) < self.sizes[MONTHLY]

    def count_read(self, app: str) -> None:
        """One more metered read of this month."""
        self._reads[self._month(app)] += 1

    def read_this_month(self, app: str) -> int:
        """How many metered reads the app has made this month."""
        return self._reads[self._month(app)]

    def reset(self) -> None:
        """The sizes as at the start; all windows and what was read are forgotten."""
        self.sizes = dict(self._given)
        self._seen.clear()
        self._reads.clear()

    def _windows(self, realm: str, app: str, batch: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name, window in WINDOWS.items():
            if self.sizes[name] and (batch or not window.batches):
                yield name, (name, realm, app if window.by_app else "")

    def _full(self, name: str, key: tuple[str, ...], now: float) -> bool:
        seen = self._seen[key]
        while seen and seen[0] <= now - WINDOWS[name].seconds:
            seen.popleft()
        return len(seen) >= self.sizes[name]

    def _month(self, app: str) -> tuple[str, str]:
        return app, f"{self.clock.now():%Y-%m}"
