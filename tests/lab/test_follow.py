"""A site whose external address changes: the router is given another one, and the record follows it by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import dns.query
import dns.update
import pytest

from lab.world import keys
from lab.world.inventory import WHEELS
from lab.world.layout import FQDN, GATEWAY_WAN, INTERNET_MANAGEMENT, MAIL, ROUTER_WAN, ZONE
from qbo_sync.edge import authoritative
from qbo_sync.edge.dns.rfc2136 import read_key
from tests.lab.conftest import EdgeSite

NAME = f"office.{ZONE}"
NEXT_WAN, STRANGER = "11.22.33.11", "11.22.33.99"
UNIT = "qbo-kit-follow.service"
# Whom the site's certificate tells. The site's own name cannot be moved in the lab, so another one borrows its settings.
TOLD = "/etc/qbo-kit/certificate"
INVENTORY = {"site_address": "auto", "port_forward_provider": "upnp"}
SETTINGS: dict[str, Any] = {
    "dns_record_name": NAME,
    "dns_record_provider": "rfc2136",
    "dns_record_token_file": str(keys.TSIG_KEY),
    "dns_record_server": INTERNET_MANAGEMENT,
    "dns_record_ttl": 300,
    "dns_record_follow": "router",
    "dns_record_wheel_directory": str(WHEELS),
}


def move(site: EdgeSite, before: str, after: str) -> None:
    """The internet provider gives the site another address."""
    swap = f"ip address delete {before}/24 dev wan && ip address add {after}/24 dev wan"
    site.on("router", f"{swap} && ip route replace default via {GATEWAY_WAN}")


def record() -> list[str]:
    """What the name server says."""
    servers = authoritative.servers(ZONE, nameservers=[INTERNET_MANAGEMENT])
    return [str(answer) for answer in authoritative.answers(servers, NAME)]


def by_hand(*records: tuple[str, ...]) -> None:
    """Have these records at the name, as a person with the zone's key does."""
    update = dns.update.UpdateMessage(ZONE, keyring=read_key(keys.TSIG_KEY))
    update.delete("office")
    for content in records:
        update.add("office", 300, *content)
    dns.query.tcp(update, INTERNET_MANAGEMENT, timeout=10)


@pytest.fixture
def upnp(edge_site: EdgeSite) -> Iterator[EdgeSite]:
    """The lab's site behind a router that answers to UPnP, and its address as before in the end."""
    edge_site.on("router", "systemctl start miniupnpd.service")
    edge_site.on("edge", f"cp -a {TOLD}/{FQDN} {TOLD}/{NAME}")
    try:
        yield edge_site
    finally:
        edge_site.on("router", f"ip -4 -brief address show dev wan | grep -q {ROUTER_WAN}/ || ip address flush dev wan")
        edge_site.on("router", f"ip address replace {ROUTER_WAN}/24 dev wan && ip route replace default via {GATEWAY_WAN}")
        edge_site.on("edge", f"rm -r {TOLD}/{NAME}")
        edge_site.roles("dns_record", dns_record_state="absent", **SETTINGS)
        away = edge_site.roles("port_forward", port_forward_provider="upnp", port_forward_state="absent")
        edge_site.on("router", "systemctl stop miniupnpd.service")
        edge_site.roles("port_forward")
        assert away.code == 0, away.text
        by_hand()


def test_the_record_follows_the_routers_address_and_a_strangers_record_is_left_alone(upnp: EdgeSite) -> None:
    site = upnp
    first, second = (site.roles("dns_record", inventory=INVENTORY, **SETTINGS) for _ in range(2))
    assert (first.code, second.code, second.count("changed")) == (0, 0, 0), first.text + second.text
    assert record() == [f"{INTERNET_MANAGEMENT}: {ROUTER_WAN} TTL 300"]
    assert site.on("edge", f"systemctl start {UNIT}; systemctl is-active qbo-kit-follow.timer") == "active"
    journal = f"journalctl -u {UNIT} -o cat --no-pager"
    assert f"{ROUTER_WAN}, as the record says" in site.on("edge", journal)
    level = site.on("edge", f"systemd-analyze security --no-pager {UNIT} | tail -n 1")
    assert float(level.split(": ")[1].split()[0]) <= 2.0

    move(site, ROUTER_WAN, NEXT_WAN)
    site.on("edge", f"systemctl start {UNIT}")
    change = f"replace {NAME} A {ROUTER_WAN} (TTL 300, qbokit:lab) by {NAME} A {NEXT_WAN} (TTL 300, qbokit:lab)"
    assert f"the external address changed: {change}" in site.on("edge", journal)
    assert record() == [f"{INTERNET_MANAGEMENT}: {NEXT_WAN} TTL 300"]

    by_hand(("A", STRANGER))
    letters = set(MAIL.glob("*.eml"))
    assert [site.lab.shell("edge", f"systemctl start {UNIT}").returncode for _ in range(3)] == [1, 1, 1]
    assert record() == [f"{INTERNET_MANAGEMENT}: {STRANGER} TTL 300"]
    state = json.loads(site.on("edge", "cat /var/lib/qbo-kit/follow/lab.json"))
    assert (state["address"], state["failures_in_a_row"]) == (NEXT_WAN, 3)
    assert "an A record that this kit did not make stands at" in state["problem"]
    (letter,) = set(MAIL.glob("*.eml")) - letters
    assert "the A record does not follow the external address" in letter.read_text()

    gone = site.roles("dns_record", dns_record_state="absent", **SETTINGS)
    assert (gone.code, record()) == (0, [f"{INTERNET_MANAGEMENT}: {STRANGER} TTL 300"]), gone.text
    left = "ls -d /opt/qbo-kit/follow /etc/qbo-kit/follow /var/lib/qbo-kit/follow /etc/systemd/system/qbo-kit-follow.*"
    assert site.on("edge", f"{left} 2>/dev/null || true") == ""
