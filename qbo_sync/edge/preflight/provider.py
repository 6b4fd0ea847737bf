"""P04, P05, P12, P24: the DNS provider's account."""

from __future__ import annotations

from collections.abc import Sequence

from qbo_sync.edge import addresses
from qbo_sync.edge.authoritative import Answer, Server
from qbo_sync.edge.dns import TAG, Record, Snapshot, Zone, plan, tidy, wanted_record
from qbo_sync.edge.preflight.model import Check, Inputs, Severity, check
from qbo_sync.errors import KitError, UsageError


def checks(inputs: Inputs, servers: Sequence[Server], said: Sequence[Answer]) -> list[Check]:
    """P24, P04, P05 and P12, as far as there is something to ask."""
    records: tuple[Record, ...] = ()
    found: list[Check] = []
    if inputs.provider is not None:
        try:
            zone = inputs.provider.zone_for(inputs.fqdn, inputs.zone)
            there = inputs.provider.snapshot(zone, inputs.fqdn)
        except KitError as error:
            severity: Severity = "error" if error.retry else "fatal"
            return [
                check("P24", severity, f"{error.what}: {error.seen}".rstrip(": "), error.next),
                dns_only(inputs, (), said),
            ]
        delegated = () if inputs.nameservers else tuple(server.name for server in servers)
        by_hand = "a person makes the record" if inputs.provider.by_hand else f"{zone.name} may be changed"
        found = [check("P24", "ok", by_hand), right_provider(zone, delegated), *may_be_changed(inputs, there)]
        records = there.records
    return [*found, dns_only(inputs, records, said)]


def may_be_changed(inputs: Inputs, there: Snapshot) -> list[Check]:
    """P05: dns_record will not refuse what stands at the name, by the provider's own word on whose it is."""
    title = "the record at the name may be changed"
    try:
        wanted = wanted_record(inputs.fqdn, inputs.address, inputs.site, inputs.ttl)
        plan(there, wanted, adopt=inputs.adopt or (inputs.provider is not None and inputs.provider.by_hand))
    except UsageError:
        return []  # P01 and P09 say what is wrong with name and address
    except KitError as error:
        return [check("P05", "error", f"{error.what}: {error.seen}", error.next, title=title)]
    return [check("P05", "ok", f"{'what is there' if there.records else inputs.fqdn} may be changed", title=title)]


def right_provider(zone: Zone, delegated: Sequence[str]) -> Check:
    """P04: the registrar delegates to the provider at which the record is made. ``delegated`` is empty when it wasn't asked."""
    theirs, real = {tidy(name) for name in zone.name_servers}, {tidy(name) for name in delegated}
    remedy = (
        f"set the name servers of {zone.name} at the registrar to {', '.join(zone.name_servers)}, or edit the record elsewhere"
    )
    if zone.status != "active":
        return check("P04", "fatal", f"the provider calls the zone {zone.status!r}", remedy)
    if not theirs or not real:
        return check("P04", "ok", f"the zone is {zone.status}")
    seen = f"delegated to {', '.join(sorted(real))}; the provider's are {', '.join(sorted(theirs))}"
    if theirs == real:
        return check("P04", "ok", ", ".join(sorted(real)))
    return check("P04", "warn" if theirs & real else "fatal", seen, remedy)


def dns_only(inputs: Inputs, records: Sequence[Record], said: Sequence[Answer]) -> Check:
    """P12: no proxy of the DNS provider stands before the site; it would answer with its own certificate and hide ours."""
    proxied = [record for record in records if record.proxied]
    ours = proxied and all(record.comment.startswith(TAG) for record in proxied)
    if proxied:
        severity: Severity = "warn" if ours or inputs.adopt else "error"
        remedy = (
            "switch the record's proxy off (grey cloud), or set dns_record_adopt: true; the kit's own records are mended by it"
        )
        return check("P12", severity, "; ".join(map(str, proxied)), remedy)
    theirs = sorted({address for answer in said for address in answer.addresses if addresses.is_cloudflare(address)})
    if theirs and inputs.address not in theirs:
        remedy = "switch the record's proxy off at Cloudflare (grey cloud)"
        return check("P12", "warn" if inputs.adopt else "error", f"{', '.join(theirs)} are Cloudflare's own addresses", remedy)
    return check("P12", "ok", "none seen")
