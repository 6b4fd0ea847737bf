"""P16: the way through the router to the edge host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qbo_sync.edge import addresses
from qbo_sync.edge.preflight.model import Check, check
from qbo_sync.edge.router import PORTS, Foreign, Reading


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


def forwarded(reading: Reading, address: str) -> Check:
    """P16: the router's own rules lead ports 80 and 443 to the edge host."""
    ours = {f.external_port: f"{f.address}:{f.internal_port}" for f in reading.forwards if f.proto == "tcp"}
    theirs = {port: rule for port in PORTS for rule in reading.foreign if _takes(rule, port)}
    lead = {port: ours.get(port) or (theirs[port].target if port in theirs else "") for port in PORTS}
    right = {port for port, target in lead.items() if target in (f"{address}:{port}", f"{address}:0")}
    if right == set(PORTS):
        return check("P16", "ok", "; ".join(f"{port} -> {address}" for port in PORTS), title=RULES)
    strange = [f"{port}: {theirs[port].text}" for port in PORTS if port in theirs and port not in right]
    if strange:
        remedy = "somebody else's rule holds the port: move or remove it, or have it taken over (docs/step-1-prerequisites.md)"
        return check("P16", "error", "; ".join(strange), remedy, title=RULES)
    missing = [f"{port}: {ours.get(port, 'no rule')}" for port in PORTS if port not in right]
    return check("P16", "error", "; ".join(missing), "forward both ports to the edge host", mended_by="port_forward", title=RULES)


def _takes(rule: Foreign, port: int) -> bool:
    return "tcp" in rule.protos and any(port in ports for ports in rule.ports)
