"""P09, P10, P11: the external address, and what stands between it and the site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qbo_sync.edge import addresses
from qbo_sync.edge.preflight.model import Check, Inputs, check

_CARRIER = "carrier"
_WAYS_OUT = (
    "order a public IPv4 address from the internet provider or take another line: no setting of this router can help. "
    "A tunnel or a small server outside can lead the two ports in; for the certificate alone DNS-01 needs no port at all"
)


def checks(inputs: Inputs) -> Iterator[Check]:
    """P09 to P11 from what is known: the router's own address is the best witness, an echo and the hops outside are the next."""
    yield public_address(inputs.address)
    if inputs.wan_address:
        yield own_address(inputs.address, inputs.wan_address)
        yield one_router(inputs.wan_address)
        return
    if inputs.host.get("seen_address"):
        yield seen_address(inputs.address, inputs.host["seen_address"])
    elif inputs.unasked:
        yield check("P10", "warn", "the router could not be asked, see P16", "or set preflight_wan_address or preflight_echo_url")
    if inputs.host:
        yield way_out(inputs.host, inputs.address)


def public_address(address: str) -> Check:
    """P09: the A record's value can be reached from the internet."""
    reason = addresses.why_not_public(address)
    if not reason:
        return check("P09", "ok", address)
    remedy = "give the site's public IPv4 address (a web page such as the router's status page shows it)"
    if _CARRIER in reason:
        remedy = _WAYS_OUT
    return check("P09", "fatal", f"{address or '(empty)'}: {reason}", remedy)


def own_address(address: str, wan_address: str) -> Check:
    """P10: the A record's value is the address that the router has."""
    if addresses.why_not_public(wan_address):
        return check("P10", "info", f"the router has {wan_address}, see P11", "compare it with the internet provider's papers")
    if wan_address == address:
        return check("P10", "ok", address)
    seen = f"the router has {wan_address}, the site says {address or 'nothing'}"
    return check("P10", "error", seen, f"set site_address to {wan_address}, or name the router that has {address}")


def seen_address(address: str, seen: str) -> Check:
    """P10: the A record's value is the address that the world sees the edge host come from."""
    if seen == address:
        return check("P10", "ok", f"the edge host goes out as {address}")
    told = f"the edge host goes out as {seen}, the site says {address or 'nothing'}"
    return check(
        "P10", "error", told, f"set site_address to {seen}; with two lines, let the edge host go out through that of {address}"
    )


def one_router(wan_address: str) -> Check:
    """P11: the router stands on the internet itself, not behind the provider's or another router's translation."""
    reason = addresses.why_not_public(wan_address)
    if not reason:
        return check("P11", "ok", f"the router has {wan_address}")
    seen = f"the router's address towards the internet is {wan_address}: {reason}"
    if _CARRIER in reason:
        return check("P11", "fatal", seen, _WAYS_OUT)
    remedy = "forward ports 80 and 443 in the router before it too, or have that one work as a plain modem (bridge mode)"
    return check("P11", "warn", seen, remedy)


def way_out(host: Mapping[str, Any], address: str) -> Check:
    """P11 by the hops of the way out, for a router that can't be asked: what comes before the first public one counts."""
    inner = []
    for hop in host["hops"]:
        reason = addresses.why_not_public(hop) if hop else ""
        if hop and not reason:
            break
        inner.append((hop, reason))
    beyond = [(hop, reason) for hop, reason in inner[1:] if hop]
    ask = f"look for the internet address on the router's status page; if it is {address}, set preflight_wan_address: {address}"
    if not beyond:
        return check("P11", "info", "nothing seen on the way out, and the router can't be asked", ask)
    seen = "on the way out, behind the router: " + ", ".join(f"{hop} ({reason})" for hop, reason in beyond)
    if any(_CARRIER in reason for _, reason in beyond):
        return check("P11", "fatal", seen, f"{_WAYS_OUT}. If it should be no more than the provider's own wiring: {ask}")
    return check(
        "P11", "warn", seen, f"if that is another router: forward both ports there too, or switch it to bridge mode. {ask}"
    )
