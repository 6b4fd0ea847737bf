"""What the look-alike knows: its zones and their records, tokens, clock, counters and faults on demand."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lab.cloudflare.errors import throttled
from lab.cloudflare.nameserver import NameServer
from lab.cloudflare.records import Record
from lab.cloudflare.tokens import Token
from lab.injected import Rule, Rules

# Cloudflare's limit for one user (facts/edge.md 4.1).
LIMIT, WINDOW_S = 1200, 300
# ``closed`` does what was asked and drops the connection instead of answering.
RULES = Rules(dict.fromkeys(("429", "500", "503_html", "closed"), WINDOW_S), ("method",), amount="retry_after_s")
NAME_SERVERS = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")


@dataclass
class Zone:
    """One zone; ``status`` is ``active`` once the registrar delegates to ``name_servers``."""

    name: str
    name_servers: tuple[str, ...] = NAME_SERVERS
    status: str = "active"
    records: dict[str, Record] = field(default_factory=dict)
    created_on: str = ""

    @property
    def id(self) -> str:
        """The same at every start, so that notes about a zone stay good."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:32]


@dataclass
class Lab:
    """All of it. Changes of records happen under ``lock``, so that the name server sees them in the API's order."""

    zones: dict[str, Zone]
    tokens: dict[str, Token]
    name_server: NameServer | None = None
    limits: bool = True
    faults: list[Rule] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    offset_s: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _requests: dict[str, deque[float]] = field(default_factory=dict)
    _blocked_until: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give every zone its birthday."""
        for zone in self.zones.values():
            zone.created_on = zone.created_on or self.now()

    def seconds(self) -> float:
        """Seconds since the epoch on the lab's clock."""
        return time.time() + self.offset_s

    def now(self) -> str:
        """The lab's time as a zone tells it."""
        return datetime.fromtimestamp(self.seconds(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def record_now(self) -> str:
        """The lab's time as a record tells it: without zeros at the end (recorded so)."""
        return self.now().rstrip("Z").rstrip("0").rstrip(".") + "Z"

    def meter(self, token: str) -> None:
        """Count one request of a token. Raises :class:`~lab.cloudflare.errors.ApiError` over the limit, and five minutes on."""
        if not self.limits:
            return
        now = self.seconds()
        window = self._requests.setdefault(token, deque())
        while window and window[0] <= now - WINDOW_S:
            window.popleft()
        # What is refused does not count: the five minutes end for those, too, who go on asking.
        if self._blocked_until.get(token, 0.0) <= now:
            window.append(now)
            if len(window) > LIMIT:
                self._blocked_until[token] = now + WINDOW_S
        left = self._blocked_until.get(token, 0.0) - now
        if left > 0:
            self.counts["throttled"] += 1
            raise throttled(LIMIT, WINDOW_S, int(left) or 1)

    async def write(self, zone: Zone, records: dict[str, Record]) -> None:
        """Put these records in place of the zone's, in the name server first. Raises ``PublishError`` and changes nothing."""
        if self.name_server is not None:
            await self.name_server.publish(zone.name, zone.records.values(), records.values())
        zone.records = records

    async def reset(self) -> None:
        """Back to the start: no records, faults or counts, and the right time."""
        async with self.lock:
            for zone in self.zones.values():
                await self.write(zone, {})
        self.faults, self.counts, self.offset_s = [], Counter(), 0.0
        self._requests, self._blocked_until = {}, {}
