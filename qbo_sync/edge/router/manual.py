"""A router that a person sets: the exact text for them, and what a look from outside says about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from qbo_sync.edge import addresses
from qbo_sync.errors import UsageError, Waiting

# Where the makers' own pages have it; older devices differ in a word or two.
MENUS = {
    "ASUS": "WAN > Virtual Server / Port Forwarding",
    "AVM FRITZ!Box": "Internet > Permit Access > Port Sharing > Add Device for Sharing",
    "Cisco Meraki MX": "Security & SD-WAN > Firewall > Forwarding rules > Port forwarding",
    "D-Link": "Features > Port Forwarding > Virtual Server",
    "Fortinet FortiGate": "Policy & Objects > Virtual IPs, then a firewall policy from WAN to it",
    "Linksys": "Security > Apps and Gaming > Single Port Forwarding",
    "MikroTik": "IP > Firewall > NAT, chain dstnat, action dst-nat",
    "NETGEAR": "ADVANCED > Advanced Setup > Port Forwarding / Port Triggering",
    "OpenWrt": "Network > Firewall > Port Forwards",
    "OPNsense, pfSense": "Firewall > NAT > Port Forward",
    "TP-Link": "Advanced > NAT Forwarding > Virtual Servers (newer: Port Forwarding)",
    "Ubiquiti UniFi": "Settings, search for Port Forwarding",
}

# Found like this in the makers' manuals or in many accounts of people who did it; the others are from memory.
CHECKED = {"AVM FRITZ!Box", "MikroTik", "NETGEAR", "OPNsense, pfSense", "TP-Link"}

# What a connection from outside can meet, and what each one means.
REACHED, OPEN, REFUSED, SILENT, OTHER = "reached", "open", "refused", "silent", "other"
_MEANS = {
    OPEN: "something answers there, but not the edge host",
    REFUSED: "the connection is refused: the router forwards it to a machine that does not listen, or not at all",
    SILENT: "no answer: the port is not forwarded, or a firewall or the internet provider drops it",
    OTHER: "another program answers there, the router's own page perhaps",
}


def not_yet(found: Mapping[int, str], served: Iterable[int]) -> dict[int, str]:
    """The ports that do not lead to the edge host yet, each with what it means.

    ``found`` is what a connection from outside met at each port. At the ports ``served`` by the edge host's own web server there
    is nothing but an open port to see; at the others a listener of ours tells its word.
    """
    served = set(served)
    return {port: _MEANS[met] for port, met in sorted(found.items()) if met != REACHED and not (met == OPEN and port in served)}


def prove(found: Mapping[int, str], served: Iterable[int], *, address: str, external_address: str, hardware: str = "") -> None:
    """Return when every port leads to the edge host; else raise :class:`Waiting` with the text for a person."""
    missing = not_yet(found, served)
    if missing:
        raise Waiting(
            "the ports have to be forwarded by hand",
            who="whoever manages the site's router",
            seen="; ".join(f"{external_address} port {port}: {means}" for port, means in missing.items()),
            next=request(address, tuple(found), external_address=external_address, hardware=hardware),
        )


def request(address: str, ports: Sequence[int], *, external_address: str, hardware: str = "") -> str:
    """What to set in the router, row by row. Raises :class:`UsageError` for an address that no router forwards to."""
    reason = addresses.why_not_lan(address)
    if reason:
        raise UsageError(
            "the router cannot forward to that address",
            seen=f"{address}: {reason}",
            next="give the edge host's address in the local network",
        )
    device = f" (hardware address {hardware})" if hardware else ""
    rows = [f"      TCP, any source, external port {port} -> {address}, internal port {port}" for port in ports]
    menus = [f"      {maker}: {menu}{'' if maker in CHECKED else ' (not checked)'}" for maker, menu in MENUS.items()]
    return "\n".join(
        [
            "set the router, then run this again; it looks from outside whether the ports lead here",
            "",
            f"    1. Reserve the address {address} for the edge host{device} in the router's DHCP page.",
            f"    2. Forward {len(ports)} ports, and no others; do not use 'DMZ' or 'exposed host':",
            *rows,
            "       If they lead to another machine today, change those rows instead of adding new ones.",
            "       Where to find it:",
            *menus,
            f"    3. If the ports stay silent: the router's status page must show {external_address} as its own internet (WAN)",
            "       address. An address of 10., 172.16. to 172.31., 192.168. or 100.64. to 100.127. there means that another",
            "       router stands before it (forward there too), or that the internet provider shares one address among",
            "       customers (carrier-grade NAT): then order a public IPv4 address; no router setting can help.",
            "    4. If people inside the office do not reach the address: switch on 'NAT loopback' (also 'hairpin', 'NAT",
            f"       reflection'), or let the office's own DNS answer the name with {address}.",
        ]
    )
