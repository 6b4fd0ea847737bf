"""A site whose external address changes: the program on the edge host that takes the A record after it (dynamic DNS).

::

    python -m qbo_sync.edge.follow /etc/qbo-kit/follow/SITE/settings.json

Run by a timer. The address comes from the router (UPnP, PCP or NAT-PMP), or from a page outside that answers with its caller's.
Only the site's own record is changed, by the provider's compare-and-swap; a record that is gone or somebody else's is left
alone, and somebody is told. What was done stands in the journal and, for monitoring, in ``/var/lib/qbo-kit/follow/SITE.json``::

    {"name", "address", "checked_at", "changed_at", "problem": TEXT | null, "failures_in_a_row", "told_at": … | null}

Alerts go the certificate's way, to whom ``certificate_alerts`` names: at the third failure in a row, then once a day, and once
more when it is right again.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qbo_sync.edge import addresses, dns, router
from qbo_sync.edge.certificate import alerts, record
from qbo_sync.edge.certificate import settings as certificate
from qbo_sync.edge.certificate.record import State, moment, stamp
from qbo_sync.edge.router.job import public_address
from qbo_sync.errors import Blocked, KitError, Unreachable, UsageError

STORE = Path("/var/lib/qbo-kit/follow")
ROUTER = "router"
# A router that restarts, or a line that is down for a moment, is no reason to bother anybody.
PATIENCE = 3
AGAIN_S = 86_400.0
TIMEOUT_S = 20


@dataclass(frozen=True)
class Settings:
    """``source`` is ``router`` or an ``https://`` address; ``dns`` are the provider's own settings (:class:`dns.Settings`)."""

    site: str
    name: str
    zone: str
    ttl: int
    source: str
    lan_address: str
    provider: str
    dns: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise :class:`UsageError` for what can't be followed."""
        if self.source != ROUTER and not self.source.startswith("https://"):
            raise UsageError(
                "the external address cannot be learned that way",
                seen=f"dns_record_follow: {self.source}",
                next="use router, or the https:// address of a page that answers with the caller's own address",
            )
        if self.provider == "manual":
            raise UsageError(
                "an address that changes cannot be followed by hand",
                seen="dns_record_provider: manual",
                next="use a DNS provider with an API, or order a fixed address from the internet provider",
            )


def external_address(settings: Settings) -> str:
    """The address that the site has now. Raises :class:`KitError`, also for one that the internet cannot reach."""
    if settings.source == ROUTER:
        return public_address(router.provider("upnp", router.Settings(lan_address=settings.lan_address, memory="/nowhere")))
    found = _echo(settings.source)
    addresses.check_public(found)
    return found


def _echo(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return str(answer.read(64).decode("ascii", "replace").strip())
    except (OSError, ValueError) as error:
        raise Unreachable("the page that tells the external address does not answer", seen=f"{url}: {error}") from error


def follow(settings: Settings, address: str) -> str:
    """Have the site's own record say the address; what was changed, or nothing. Raises :class:`KitError`, then nothing was."""
    provider = dns.provider(settings.provider, **settings.dns)
    name, zone = settings.name, settings.zone
    outcome = dns.present(provider, name=name, zone=zone, address=address, site=settings.site, ttl=settings.ttl, check=True)
    ours = dns.tag(settings.site)
    if any(c.before is None or c.after is None or c.before.comment != ours for c in outcome.changes):
        raise Blocked(
            f"the record at {name} is not this site's own any more; it was left alone",
            seen="; ".join(map(str, outcome.before.records)) or "no record",
            next=f"find out who changed it; playbooks/prerequisites.yml makes it {address} again",
        )
    if outcome.changed:
        provider.apply(outcome.zone, outcome.before, outcome.changes)
    return "; ".join(map(str, outcome.changes))


def look(settings: Settings, store: Path = STORE) -> int:
    """One look, with all that comes of it; exit status 1 when the record could not be made to follow."""
    path = store / f"{settings.site}.json"
    now, state = time.time(), record.read(path)
    state |= {"name": settings.name, "checked_at": stamp(now)}
    try:
        address = external_address(settings)
        changed = follow(settings, address)
    except KitError as error:
        error.site = settings.site
        state |= {"problem": str(error), "failures_in_a_row": state.get("failures_in_a_row", 0) + 1}
        print(error, file=sys.stderr)
    else:
        state |= {"address": address, "problem": None, "failures_in_a_row": 0}
        state |= {"changed_at": stamp(now)} if changed else {}
        print(f"the external address changed: {changed}" if changed else f"{address}, as the record says")
    _tell(settings, state, now)
    record.write(path, state)
    return 1 if state["problem"] else 0


def _tell(settings: Settings, state: State, now: float) -> None:
    """Send what is to be told. What could not be delivered is tried again at the next look."""
    told, problem = state.get("told_at"), state["problem"]
    over = bool(told) and not problem
    due = problem and state["failures_in_a_row"] >= PATIENCE and now >= moment(told) + AGAIN_S
    if not (over or due):
        return
    subject = "the A record follows the external address again" if over else "the A record does not follow the external address"
    facts = {"site": settings.name, "state": "ok" if over else "failing", "address": state.get("address")}
    try:
        whom = certificate.load(settings.name).alerts
    except UsageError:  # no certificate program here, so nobody is named to be told
        whom = certificate.Alerts()
    failed = alerts.send(whom, f"{settings.name}: {subject}", f"{problem or subject}\n", facts)
    for one in failed:
        print(f"nobody could be told: {one}", file=sys.stderr)
    if not failed:
        state["told_at"] = None if over else stamp(now)


def main(arguments: list[str]) -> int:
    """Look once, with the settings in this file."""
    (path,) = arguments
    return look(Settings(**json.loads(Path(path).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
