"""Which IPv4 addresses the internet can reach, and which belong to a local network."""

from __future__ import annotations

import ipaddress

from qbo_sync.errors import UsageError

# `ipaddress.is_global` calls these reserved too, but not in every Python version, and not by a name a person understands.
_SPECIAL = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private (RFC 1918)",
    "100.64.0.0/10": "carrier-grade NAT (RFC 6598): the provider shares one address among its customers",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private (RFC 1918)",
    "192.0.0.0/24": "reserved (IETF)",
    "192.0.2.0/24": "documentation (RFC 5737)",
    "192.88.99.0/24": "reserved (6to4 relays)",
    "192.168.0.0/16": "private (RFC 1918)",
    "198.18.0.0/15": "benchmarking (RFC 2544)",
    "198.51.100.0/24": "documentation (RFC 5737)",
    "203.0.113.0/24": "documentation (RFC 5737)",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
_SPECIAL_NETWORKS = [(ipaddress.IPv4Network(network), meaning) for network, meaning in _SPECIAL.items()]
# What a proxied record answers with; published by Cloudflare, unchanged for years.
_CLOUDFLARE = [
    ipaddress.IPv4Network(network)
    for network in (
        "103.21.244.0/22",
        "103.22.200.0/22",
        "103.31.4.0/22",
        "104.16.0.0/13",
        "104.24.0.0/14",
        "108.162.192.0/18",
        "131.0.72.0/22",
        "141.101.64.0/18",
        "162.158.0.0/15",
        "172.64.0.0/13",
        "173.245.48.0/20",
        "188.114.96.0/20",
        "190.93.240.0/20",
        "197.234.240.0/22",
        "198.41.128.0/17",
    )
]
_LAN = [ipaddress.IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def why_not_public(address: str) -> str:
    """Why the internet can't reach this IPv4 address, or an empty text when it can."""
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        return "not an IPv4 address"
    return next((meaning for network, meaning in _SPECIAL_NETWORKS if parsed in network), "")


def check_public(address: str) -> None:
    """Raise :class:`UsageError` unless the address can be reached from the internet."""
    reason = why_not_public(address)
    if reason:
        raise UsageError(
            "the external address cannot be reached from the internet",
            seen=f"{address or '(empty)'}: {reason}",
            next="give the site's public IPv4 address; an internet provider that hands out none (carrier-grade NAT) sells one, "
            "usually called a static IP",
        )


def why_not_lan(address: str) -> str:
    """Why a router can't forward to this address, or an empty text when it can."""
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        return "not an IPv4 address"
    if any(parsed in network for network in _LAN) or not why_not_public(address):
        return ""
    return why_not_public(address)


def is_cloudflare(address: str) -> bool:
    """Whether Cloudflare's proxy answers at this IPv4 address."""
    return any(ipaddress.IPv4Address(address) in network for network in _CLOUDFLARE)
