"""What a run has asked of Intuit, in numbers."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

_counting = threading.Lock()


@dataclass
class Counters:
    """What a run has asked of Intuit. ``metered`` counts successful reads: those are what Intuit bills (facts 2.11).

    A batch of queries is one of them; ``metered_by_query`` counts each of its queries, since how Intuit meters a batch is not
    documented.
    """

    made: int = 0
    metered: int = 0
    metered_by_query: int = 0
    throttled: int = 0
    retried: int = 0
    rows: int = 0
    waited_s: float = 0.0

    def add(self, **more: float) -> None:
        """Count; several threads may."""
        with _counting:
            for name, number in more.items():
                setattr(self, name, getattr(self, name) + number)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
