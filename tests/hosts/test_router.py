"""The router: the site's own forwards, and no other of ours. Only for a Linux router that is in the inventory."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from tests.hosts.conftest import Target
from tests.hosts.expected import expected
from tests.hosts.test_edge import check_unit

wanted = functools.partial(expected, "router")


def forward(rule: dict[str, Any]) -> str:
    """``tcp 80 -> 10.0.0.10:80`` for a rule that translates, else nothing."""
    port, proto, target = "", "", ""
    for part in rule["expr"]:
        match part:
            case {"match": {"left": {"payload": {"protocol": protocol, "field": "dport"}}, "right": right}}:
                proto, port = protocol, str(right)
            case {"dnat": {"addr": address, "port": internal}}:
                target = f"{address}:{internal}"
            case {"dnat": {"addr": address}}:
                target = f"{address}:{port}"
    return f"{proto} {port} -> {target}" if target else ""


def from_outside(rule: dict[str, Any]) -> bool:
    """Whether the rule takes what arrives at the router's own address, not only what clients inside send."""
    return any("fib" in part.get("match", {}).get("left", {}) for part in rule["expr"])


def test_exactly_the_expected_ports_are_forwarded(router: Target) -> None:
    """Each forward with the site's mark is wanted, and each wanted one is there."""
    listed = json.loads(router.run("nft --json list ruleset"))["nftables"]
    mark = f"qbokit:{router.site['site_name']}"
    rules = [entry["rule"] for entry in listed if entry.get("rule", {}).get("comment") == mark]
    assert {forward(rule) for rule in rules if from_outside(rule)} == set(wanted("forwards", router.site))


def test_the_same_ports_are_forwarded_for_people_inside(router: Target) -> None:
    """Hairpin: what clients of the site send to the external address goes the same way; nothing else of ours is there."""
    listed = json.loads(router.run("nft --json list ruleset"))["nftables"]
    mark = f"qbokit:{router.site['site_name']}"
    rules = [entry["rule"] for entry in listed if entry.get("rule", {}).get("comment") == mark]
    inside = {forward(rule) for rule in rules if not from_outside(rule)} - {""}
    hairpin = router.site.get("port_forward_external_address", True)  # the default is the site's address
    assert inside == (set(wanted("forwards", router.site)) if hairpin else set())


@pytest.mark.each_wanted(unit="units")
def test_the_forwards_are_loaded_now_and_after_the_next_boot(router: Target, unit: str) -> None:
    check_unit(router, unit)


def test_the_next_boot_loads_what_stands_now(router: Target) -> None:
    """The file that is loaded at boot holds as many of the site's rules as the router has now."""
    mark = f'comment "qbokit:{router.site["site_name"]}"'
    now, kept = (
        router.run(f"{show} | grep --count --fixed-strings %s", mark) for show in ("nft list ruleset", "cat /etc/qbo-kit/*.nft")
    )
    assert now == kept


def test_it_passes_packets_on(router: Target) -> None:
    """Without forwarding no rule helps."""
    assert router.run("cat /proc/sys/net/ipv4/ip_forward") == "1"
