"""Intuit's throttles (fact 2.7): 500 requests a minute per realm, 10 a second per realm and app, 40 batches a minute; and the
monthly budget of metered reads of an app (fact 2.11).
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from lab.intuit.clock import Clock


@dataclass(frozen=True)
class Rule:
    """At most ``count`` requests in any window of ``seconds``."""

    count: int
    seconds: float


PER_REALM = Rule(500, 60.0)
PER_APP = Rule(10, 1.0)
BATCHES = Rule(40, 60.0)


class Limits:
    """Sliding windows over the lab's clock. Refused requests don't count against the window."""

    def __init__(self, clock: Clock, *, enabled: bool, monthly_reads: int = 0) -> None:
        self.clock = clock
        self.enabled = enabled
        self.monthly_reads = monthly_reads
        self._reads: dict[tuple[str, str], int] = defaultdict(int)
        self._seen: dict[tuple[str, ...], deque[float]] = defaultdict(deque)

    def admit(self, realm: str, app: str, *, batch: bool) -> bool:
        """Whether this request may pass; if so it is counted."""
        if not self.enabled:
            return True
        windows = [(("realm", realm), PER_REALM), (("app", realm, app), PER_APP)]
        if batch:
            windows.append((("batch", realm, app), BATCHES))
        now = self.clock.monotonic()
        if any(self._full(key, rule, now) for key, rule in windows):
            return False
        for key, _ in windows:
            self._seen[key].append(now)
        return True

    def admit_read(self, app: str) -> bool:
        """Whether the app's budget of reads for this month (by the lab's clock) has any left; 0 is no limit."""
        return not self.monthly_reads or self._reads[self._month(app)] < self.monthly_reads

    def count_read(self, app: str) -> None:
        """One more metered read of this month."""
        self._reads[self._month(app)] += 1

    def reset(self) -> None:
        """Forget all windows and what was read."""
        self._seen.clear()
        self._reads.clear()

    def _month(self, app: str) -> tuple[str, str]:
        return app, f"{self.clock.now():%Y-%m}"

    def _full(self, key: tuple[str, ...], rule: Rule, now: float) -> bool:
        seen = self._seen[key]
        while seen and seen[0] <= now - rule.seconds:
            seen.popleft()
        return len(seen) >= rule.count
