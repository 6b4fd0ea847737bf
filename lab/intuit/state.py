"""Everything one running look-alike holds."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, fields

from lab.injected import Rule
from lab.intuit.clock import Clock
from lab.intuit.company import Company
from lab.intuit.grants import Grants
from lab.intuit.identity import Signer
from lab.intuit.limits import Limits
from lab.intuit.webhooks import Webhooks


@dataclass
class Stats:
    """Counters since the start or the last reset. ``metered`` counts successful reads; a batch with queries counts once in it,
    and once per query in ``metered_by_query`` (how Intuit meters batches is not documented).
    """

    requests: int = 0
    metered: int = 0
    metered_by_query: int = 0
    throttled: int = 0
    rows: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0

    def reset(self) -> None:
        """All counters to zero except what is in flight right now."""
        for each in fields(self):
            if each.name != "in_flight":
                setattr(self, each.name, 0)


@dataclass
class Latency:
    """How long an answer takes on the way: always so many milliseconds, and by chance up to so many more."""

    latency_ms: float = 0.0
    jitter_ms: float = 0.0

    def __post_init__(self) -> None:
        if self.latency_ms < 0 or self.jitter_ms < 0:
            raise ValueError("latency and jitter are not negative")

    def seconds(self, chance: random.Random) -> float:
        """How long this one takes."""
        return (self.latency_ms + chance.uniform(0, self.jitter_ms)) / 1000


@dataclass
class Lab:
    """The look-alike's state; every handler gets it."""

    clock: Clock
    grants: Grants
    limits: Limits
    companies: dict[str, Company]
    latency: Latency = field(default_factory=Latency)
    public_url: str = ""
    stats: Stats = field(default_factory=Stats)
    faults: list[Rule] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    replays: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    signer: Signer = field(default_factory=Signer)
    webhooks: Webhooks = field(init=False)
    _companies: dict[str, Company] = field(init=False)
    _latency: Latency = field(init=False)

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.clock)
        self._companies = {realm: company.copy() for realm, company in self.companies.items()}
        self._latency = self.latency

    def reset(self) -> None:
        """Everything as at the start but for the grants, so that clients stay connected."""
        self.companies = {realm: company.copy() for realm, company in self._companies.items()}
        self.latency = self._latency
        self.clock.offset_s = 0.0
        self.stats.reset()
        self.grants.refreshes = 0
        self.limits.reset()
        self.faults.clear()
        self.replays.clear()
        self.webhooks.clear()
