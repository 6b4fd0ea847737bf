"""The router: the site's own forwards, and no other of ours. Only for a Linux router that is in the inventory."""

from __future__ import annotations

import functools
import json
import shlex
from typing import Any

import pytest

from qbo_sync.edge import router as router_of_the_kit
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


def of_the_site(target: Target) -> list[dict[str, Any]]:
    """The rules that carry the site's mark."""
    listed = json.loads(target.run("nft --json list ruleset"))["nftables"]
    mark = f"qbokit:{target.site['site_name']}"
    return [entry["rule"] for entry in listed if entry.get("rule", {}).get("comment") == mark]


def done_by_others(target: Target) -> set[str]:
    """The site's forwards that a rule of somebody else makes; the kit leaves it to that then."""
    site = target.site
    settings = router_of_the_kit.Settings(wan_interface=site["port_forward_wan_interface"])
    backend = router_of_the_kit.provider("nftables", settings, lambda command, _: target.run(shlex.join(command)))
    foreign = backend.read().foreign
    forwards = router_of_the_kit.forwards(site["site_name"], site["site_lan_address"], map(int, site["port_forward_ports"]))
    return {str(f).partition(" (")[0] for f in forwards if any(rule.takes(f) and rule.does_same(f) for rule in foreign)}


def test_exactly_the_expected_ports_are_forwarded(router: Target) -> None:
    """Each forward with the site's mark is wanted, and each wanted one is there, with its mark or by somebody else's rule."""
    ours, all_wanted = {forward(rule) for rule in of_the_site(router) if from_outside(rule)}, set(wanted("forwards", router.site))
    missing = all_wanted - ours
    if missing:
        missing -= done_by_others(router)
    assert (ours - all_wanted, missing) == (set(), set())


def test_the_same_ports_are_forwarded_for_people_inside(router: Target) -> None:
    """Hairpin: what clients of the site send to the external address goes the same way; nothing else of ours is there."""
    rules = of_the_site(router)
    ours, inside = ({forward(rule) for rule in rules if from_outside(rule) is side} - {""} for side in (True, False))
    if router.site.get("port_forward_external_address", True):  # the default is the site's address
        assert (ours - inside, inside - set(wanted("forwards", router.site))) == (set(), set())
    else:
        assert inside == set()


@pytest.mark.each_wanted(unit="units")
def test_the_forwards_are_loaded_now_and_after_the_next_boot(router: Target, unit: str) -> None:
    check_unit(router, unit)


def test_the_next_boot_loads_what_stands_now(router: Target) -> None:
    """The file that is loaded at boot holds as many of the site's rules as the router has now."""
    mark = f'comment "qbokit:{router.site["site_name"]}"'
    now, kept = (
        router.run(f"{show} | grep --count --fixed-strings %s || true", mark)
        for show in ("nft list ruleset", "cat /etc/qbo-kit/*.nft")
    )
    assert now == kept


def test_it_passes_packets_on(router: Target) -> None:
    """Without forwarding no rule helps."""
    assert router.run("cat /proc/sys/net/ipv4/ip_forward") == "1"
