"""The lab's fixed names, addresses and folders.

The wan range is a real public one on purpose: the kit rightly refuses private and documentation ranges. It exists in the lab's
namespaces only; the machine itself holds a blackhole route for it and reaches the lab over the management network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
CACHE = Path("/var/cache/qbo-kit")
RUN = Path("/run/qbo-kit")
HOSTS = CACHE / "hosts"
LOGS = RUN / "log"
SECRETS = RUN / "secrets"
MAIL = RUN / "mail"
CA_FILE = RUN / "ca.pem"
ACME_ROOT_FILE = RUN / "acme-root.pem"

PREFIX = "qbokit"
SWITCH = "qbokit-switch"
INTERNET = "qbokit-internet"
MIRACLE = "qbokit-miracle"
ROUTER = "qbokit-router"
EDGE = "qbokit-edge"

WAN = "11.22.33.0/24"
LAN = "10.10.0.0/24"
MANAGEMENT = "10.99.7.0/24"

OBSERVER_WAN = "11.22.33.90"
ACME_WAN = "11.22.33.14"
DNS_WAN = "11.22.33.53"
CLOUDFLARE_WAN = "11.22.33.20"
INTUIT_WAN = "11.22.33.30"
MAIL_WAN = "11.22.33.25"
GATEWAY_WAN = "11.22.33.1"
ROUTER_WAN = "11.22.33.10"
ROUTER_LAN = "10.10.0.1"
EDGE_LAN = "10.10.0.10"
MIRACLE_LAN = "10.10.0.20"

MACHINE = "10.99.7.1"
INTERNET_MANAGEMENT = "10.99.7.2"
ROUTER_MANAGEMENT = "10.99.7.10"
EDGE_MANAGEMENT = "10.99.7.11"
MIRACLE_MANAGEMENT = "10.99.7.20"

ZONE = "mycompany.com"
FQDN = "qbo.mycompany.com"
LAB_ZONE = "lab.internal"
CALLBACK = f"https://{FQDN}/qbo/callback"


@dataclass(frozen=True)
class Entrance:
    """A service of the lab's internet and the port of the management address that leads to it."""

    port: int
    address: str
    to_port: int


ENTRANCES = {
    "observer": Entrance(22, OBSERVER_WAN, 22),
    "mail": Entrance(25, MAIL_WAN, 25),
    "bind": Entrance(53, DNS_WAN, 53),
    "cloudflare": Entrance(8443, CLOUDFLARE_WAN, 443),
    "intuit": Entrance(8444, INTUIT_WAN, 443),
    "pebble": Entrance(14000, ACME_WAN, 14000),
    "pebble-management": Entrance(15000, ACME_WAN, 15000),
}
