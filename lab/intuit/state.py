"""Everything one running look-alike holds."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from lab.intuit.clock import Clock
from lab.intuit.company import Company
from lab.intuit.grants import Grants
from lab.intuit.identity import Signer
from lab.intuit.injected import InjectedFault
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
class Lab:
    """The look-alike's state; every handler gets it."""

    clock: Clock
    grants: Grants
    limits: Limits
    companies: dict[str, Company]
    latency_s: float = 0.0
    jitter_s: float = 0.0
    public_url: str = ""
    stats: Stats = field(default_factory=Stats)
    faults: list[InjectedFault] = field(default_factory=list)
    replays: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    signer: Signer = field(default_factory=Signer)
    webhooks: Webhooks = field(init=False)
    pristine: dict[str, Company] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.clock)
        self.pristine = {realm: company.copy() for realm, company in self.companies.items()}

    def reset(self) -> None:
        """Data, clock, counters, faults, throttles and webhooks as at the start. Grants stay, so that clients stay connected."""
        self.companies = {realm: company.copy() for realm, company in self.pristine.items()}
        self.clock.offset_s = 0.0
        self.stats.reset()
        self.grants.refreshes = 0
        self.limits.reset()
        self.faults.clear()
        self.replays.clear()
        self.webhooks.clear()
