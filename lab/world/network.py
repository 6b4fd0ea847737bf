"""The lab's wires: namespaces, bridges, addresses, the way out and the way back to nothing.

All bridges are in one namespace, ``qbokit-switch``, that has no address of its own: the machine's own filter rules never see the
lab's frames. The machine holds one link (``qkmgmt``), one nftables table (``ip qbokit``) and one blackhole route.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from lab.world.layout import (
    ACME_WAN,
    CLOUDFLARE_WAN,
    DNS_WAN,
    EDGE,
    EDGE_LAN,
    EDGE_MANAGEMENT,
    ENTRANCES,
    GATEWAY_WAN,
    INTERNET,
    INTERNET_MANAGEMENT,
    INTUIT_WAN,
    LAN,
    MACHINE,
    MAIL_WAN,
    MANAGEMENT,
    MIRACLE,
    MIRACLE_LAN,
    MIRACLE_MANAGEMENT,
    OBSERVER_WAN,
    PREFIX,
    ROUTER,
    ROUTER_LAN,
    ROUTER_MANAGEMENT,
    ROUTER_WAN,
    SWITCH,
    WAN,
)
from lab.world.system import run, succeeds

BRIDGES = ("wan", "lan", "mgmt")
MACHINE_LINK = "qkmgmt"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
NETNS = Path("/run/netns")

# The first address is what the outside observer and the CA's validation are seen coming from.
WAN_ADDRESSES = (OBSERVER_WAN, GATEWAY_WAN, ACME_WAN, DNS_WAN, CLOUDFLARE_WAN, INTUIT_WAN, MAIL_WAN)


def build() -> None:
    """Make namespaces and bridges, and connect everything that is not a booted host."""
    for namespace in (SWITCH, INTERNET, MIRACLE):
        run("ip", "netns", "add", namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
    for bridge in BRIDGES:
        run("ip", "-n", SWITCH, "link", "add", bridge, "type", "bridge")
        run("ip", "-n", SWITCH, "link", "set", bridge, "up")
    _set_in(SWITCH, "net/bridge/bridge-nf-call-iptables", "0")
    _connect_machine()
    plug(INTERNET, "wan", *WAN_ADDRESSES)
    plug(INTERNET, "mgmt", INTERNET_MANAGEMENT)
    plug(MIRACLE, "lan", MIRACLE_LAN)
    plug(MIRACLE, "mgmt", MIRACLE_MANAGEMENT)
    run("ip", "-n", MIRACLE, "route", "add", "default", "via", ROUTER_LAN)
    _open_internet()


def plug(namespace: str, bridge: str, *addresses: str) -> None:
    """Give a namespace a link called like the bridge it leads to, with these addresses (each of a /24)."""
    port = f"{bridge}-{namespace.removeprefix(PREFIX + '-')}"
    # As a card has it: the same after each restart, or the neighbours would go on asking the one before for half a minute.
    hardware = hashlib.sha256(port.encode()).digest()[:5].hex(":")
    peer = ("peer", "name", bridge, "address", f"02:{hardware}", "netns", namespace)
    run("ip", "-n", SWITCH, "link", "add", port, "type", "veth", *peer)
    run("ip", "-n", SWITCH, "link", "set", port, "master", bridge, "up")
    for address in addresses:
        run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", bridge)
    run("ip", "-n", namespace, "link", "set", bridge, "up")


def unplug(namespace: str) -> None:
    """Take a booted host's links away, with the name of its namespace."""
    host = namespace.removeprefix(PREFIX + "-")
    for link in json.loads(run("ip", "-n", SWITCH, "-json", "link", "show")):
        if link["ifname"] in [f"{bridge}-{host}" for bridge in BRIDGES]:
            run("ip", "-n", SWITCH, "link", "delete", link["ifname"])
    run("ip", "netns", "delete", namespace)


def connect_router(leader: int) -> None:
    """Name the router's namespace and give it its three links; its way out is the lab's internet."""
    run("ip", "netns", "attach", ROUTER, str(leader))
    plug(ROUTER, "wan", ROUTER_WAN)
    plug(ROUTER, "lan", ROUTER_LAN)
    plug(ROUTER, "mgmt", ROUTER_MANAGEMENT)
    run("ip", "-n", ROUTER, "route", "add", "default", "via", GATEWAY_WAN)


def connect_edge(leader: int) -> None:
    """Name the edge host's namespace and put it on the site's network; its way out is the router."""
    run("ip", "netns", "attach", EDGE, str(leader))
    plug(EDGE, "lan", EDGE_LAN)
    plug(EDGE, "mgmt", EDGE_MANAGEMENT)
    run("ip", "-n", EDGE, "route", "add", "default", "via", ROUTER_LAN)


def resolvers() -> list[str]:
    """The machine's own name servers, to which the lab's DNS server passes on every other question.

    Loopback ones (systemd-resolved, dnsmasq) cannot be reached from a namespace; those behind systemd-resolved are taken then.
    """
    for file in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        if Path(file).exists():
            words = [line.split() for line in Path(file).read_text(encoding="utf-8").splitlines()]
            servers = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
            if usable := [server for server in servers if "." in server and not server.startswith("127.")]:
                return usable
    return []


def remove(forwarding: str | None) -> None:
    """Take everything off the machine again; ``forwarding`` is the value that ``ip_forward`` had before the lab."""
    for namespace in named():
        run("ip", "netns", "delete", namespace)
    if NETNS.is_dir() and not any(NETNS.iterdir()):
        succeeds("umount", str(NETNS))
        NETNS.rmdir()
    succeeds("ip", "link", "delete", MACHINE_LINK)
    succeeds("ip", "route", "delete", "blackhole", WAN)
    succeeds("nft", "delete", "table", "ip", PREFIX)
    if forwarding is not None and FORWARDING.read_text(encoding="ascii").strip() != forwarding:
        FORWARDING.write_text(forwarding, encoding="ascii")


def named() -> list[str]:
    """The lab's namespaces that are there now."""
    if shutil.which("ip") is None:
        return []
    listed = json.loads(run("ip", "-json", "netns", "list") or "[]")
    return [entry["name"] for entry in listed if entry["name"].startswith(f"{PREFIX}-")]


def _connect_machine() -> None:
    run("ip", "route", "add", "blackhole", WAN)
    run(
        "ip", "-n", SWITCH, "link", "add", "mgmt-machine", "type", "veth", "peer", "name", MACHINE_LINK, "netns", str(os.getpid())
    )
    run("ip", "-n", SWITCH, "link", "set", "mgmt-machine", "master", "mgmt", "up")
    run("ip", "address", "add", f"{MACHINE}/24", "dev", MACHINE_LINK)
    run("ip", "link", "set", MACHINE_LINK, "up")
    # A machine that did not route before shall route for the lab's internet only.
    others = "accept" if FORWARDING.read_text(encoding="ascii").strip() == "1" else "drop"
    run("nft", "-f", "-", text=_machine_rules(others))
    FORWARDING.write_text("1", encoding="ascii")


def _machine_rules(others: str) -> str:
    return f"""
table ip {PREFIX} {{
  chain forward {{
    type filter hook forward priority filter; policy {others};
    iifname "{MACHINE_LINK}" ip saddr {INTERNET_MANAGEMENT} accept
    oifname "{MACHINE_LINK}" ct state established,related accept
    iifname "{MACHINE_LINK}" drop
    oifname "{MACHINE_LINK}" drop
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    oifname != "{MACHINE_LINK}" ip saddr {MANAGEMENT} masquerade
  }}
}}
"""


def _open_internet() -> None:
    run("ip", "-n", INTERNET, "route", "add", "default", "via", MACHINE)
    # No stranger on the internet has a route into a site; without this, one would try the machine's.
    run("ip", "-n", INTERNET, "route", "add", "unreachable", LAN)
    _set_in(INTERNET, "net/ipv4/ip_forward", "1")
    run("ip", "netns", "exec", INTERNET, "nft", "-f", "-", text=_internet_rules())


def _internet_rules() -> str:
    ports = sorted(ENTRANCES.values(), key=lambda entrance: entrance.port)
    entries = "\n".join(f"    {kind} dport {e.port} dnat to {e.address}:{e.to_port}" for e in ports for kind in ("tcp", "udp"))
    return f"""
table ip {PREFIX} {{
  chain prerouting {{
    type nat hook prerouting priority dstnat;
    ip daddr != {INTERNET_MANAGEMENT} return
{entries}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    iifname "wan" oifname "mgmt" masquerade
  }}
}}
"""


def _set_in(namespace: str, setting: str, value: str) -> None:
    """Set a kernel setting of a namespace, where the kernel has it."""
    path = f"/proc/sys/{setting}"
    run("ip", "netns", "exec", namespace, "sh", "-c", f"[ ! -e {path} ] || echo {value} >{path}")
