"""P16: the way through the router to the edge host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qbo_sync.edge import addresses
from qbo_sync.edge.preflight.model import Check, check
from qbo_sync.edge.router import PORTS, Foreign
from qbo_sync.edge.router.job import Shown


def lan_address(address: str, external: str, host: Mapping[str, Any]) -> Check:
    """P16: the address is one that a router can forward to, the edge host has it, and keeps it."""
    reason = addresses.why_not_lan(address)
    if reason:
        return check("P16", "error", f"{address}: {reason}", "give the edge host's fixed address in the local network")
    if address == external:
        return check("P16", "info", f"{address} is the external address itself", "no forwarding is needed then")
    own = {entry["address"]: entry["dynamic"] for entry in host.get("addresses", ())}
    if own and address not in own:
        seen = f"the edge host has {', '.join(sorted(own))}, the site says {address}"
        return check("P16", "error", seen, "set site_lan_address to the edge host's own address")
    if own.get(address):
        seen = f"{address} was given by DHCP and may change"
        return check("P16", "warn", seen, "reserve it for the edge host in the router, or set it fixed there")
    return check("P16", "ok", address)


RULES = "the router's rules lead to the edge host"


def unasked(problem: str, remedy: str) -> Check:
    """P16 where the router could not be asked: nothing is known, which is no reason to stop."""
    return check("P16", "warn", f"the router could not be asked: {problem}", remedy, title=RULES)


def forwarded(shown: Shown, address: str, ports: Sequence[int] = PORTS) -> Check:
    """P16: the router's own rules lead the ports to the edge host, or the step port_forward will see to it."""
    if shown.refused:
        return check("P16", "error", shown.refused, shown.next, title=RULES)
    reading = shown.reading
    ours = {f.external_port: f"{f.address}:{f.internal_port}" for f in reading.forwards if f.proto == "tcp"}
    theirs = {port: rule for port in ports for rule in reading.foreign if _takes(rule, port)}
    lead = {port: ours.get(port) or (theirs[port].target if port in theirs else "") for port in ports}
    wrong = [port for port, target in lead.items() if target not in (f"{address}:{port}", f"{address}:0")]
    if not wrong:
        return check("P16", "ok", "; ".join(f"{port} -> {address}" for port in ports), title=RULES)
    seen = [f"{port}: {theirs[port] if port in theirs else ours.get(port, 'no rule')}" for port in wrong]
    taken = [str(port) for port in wrong if port in theirs]
    remedy = f"forward {' and '.join(map(str, wrong))} to the edge host"
    if taken:
        remedy = f"somebody else's rule at {' and '.join(taken)} will be taken over, as port_forward_take_over says"
    return check("P16", "error", "; ".join(seen), remedy, mended_by="port_forward", title=RULES)


def _takes(rule: Foreign, port: int) -> bool:
    return "tcp" in rule.protos and any(port in ports for ports in rule.ports)
