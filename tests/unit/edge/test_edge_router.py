"""Forwarded ports on a plain Linux router: reading, planning and writing real nftables rules, and packets through them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from edge_network import EDGE, OUTSIDE, WAN, Namespace, Namespaces, Site, fetch
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.edge import router
from qbo_sync.edge.router import Foreign, Forward, Reading, nftables, uplink
from qbo_sync.errors import Blocked, KitError, UsageError

LAB = router.forwards("lab", "10.10.0.10", external_address="11.22.33.10")
OTHER = router.forwards("other", "10.10.0.11", ports=[8443], external_address="11.22.33.10")


class Host(Namespace):
    """A router in a network namespace of its own."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.nft = router.provider("nftables", router.Settings(wan_interface=WAN), self.run)

    def load(self, text: str) -> None:
        """Rules of somebody else."""
        self.run(["nft", "-f", "-"], text)

    @property
    def listing(self) -> str:
        return self.run(["nft", "-j", "list", "ruleset"])


@pytest.fixture
def host(namespaces: Namespaces) -> Host:
    host = Host(namespaces())
    for words in (f"link add {WAN} type bridge", f"link set {WAN} up", f"route add default dev {WAN}"):
        host.run(["ip", *words.split()])
    return host


def put(host: Host, site: str, forwards: Sequence[Forward]) -> bool:
    plan = host.nft.plan(site, forwards)
    host.nft.apply(plan)
    return plan.changed


def test_writes_reads_back_and_has_nothing_more_to_do(host: Host) -> None:
    assert put(host, "lab", LAB)
    assert host.nft.read().forwards == LAB
    assert not put(host, "lab", LAB)
    assert host.nft.plan("lab", LAB).after == nftables.render(LAB, WAN)


def test_sites_keep_out_of_each_others_way(host: Host) -> None:
    put(host, "lab", LAB)
    put(host, "other", OTHER)
    assert set(host.nft.read().forwards) == {*LAB, *OTHER}
    assert not put(host, "lab", LAB)
    put(host, "lab", [])
    assert host.nft.read().forwards == OTHER
    with pytest.raises(Blocked, match="already forwards") as refusal:
        host.nft.plan("third", router.forwards("third", "10.10.0.12", ports=[8443]))
    assert "qbokit:other" in refusal.value.seen


def test_two_sites_are_written_in_one_order_whoever_came_first(host: Host) -> None:
    """The file for the next boot is the same after either site's run, so that neither run finds the other's file changed."""
    put(host, "other", OTHER)
    put(host, "lab", LAB)
    texts = {host.nft.plan(*each).after for each in (("lab", LAB), ("other", OTHER))}
    assert not any(host.nft.plan(*each).changed for each in (("lab", LAB), ("other", OTHER)))
    host.load("table ip qbo_kit\ndelete table ip qbo_kit\n")
    put(host, "lab", LAB)
    put(host, "other", OTHER)
    texts |= {host.nft.plan(*each).after for each in (("lab", LAB), ("other", OTHER))}
    assert texts == {nftables.render([*LAB, *OTHER], WAN)}


def test_removal_leaves_nothing(host: Host) -> None:
    host.load("table inet theirs {\n chain input {\n type filter hook input priority 0;\n }\n}\n")
    before = host.listing
    put(host, "lab", LAB)
    assert put(host, "lab", [])
    assert host.listing == before
    assert not put(host, "lab", [])


def test_a_rule_changed_by_hand_is_mended_and_another_sites_is_not(host: Host) -> None:
    put(host, "lab", LAB)
    put(host, "other", OTHER)
    host.load(nftables.render([*LAB, *OTHER], WAN).replace("masquerade", "counter masquerade").replace("8443", "9443"))
    assert host.nft.plan("lab", LAB).changed
    put(host, "lab", LAB)
    text = host.run(["nft", "list", "ruleset"])
    assert "dport 9443" in text
    assert "counter" not in "".join(line for line in text.splitlines() if "qbokit:lab" in line)
    assert "counter" in "".join(line for line in text.splitlines() if "qbokit:other" in line)


def test_another_sites_rule_that_cannot_be_kept_as_it_is_stops_everything(host: Host) -> None:
    put(host, "other", OTHER)
    host.load(nftables.render(OTHER, WAN).replace("masquerade", "limit rate 5/second masquerade"))
    before = host.listing
    with pytest.raises(Blocked, match="changed to something"):
        host.nft.plan("lab", LAB)
    assert host.listing == before


def test_rollback_puts_back_the_former_rules(host: Host) -> None:
    put(host, "lab", LAB)
    before, snapshot = host.listing, host.nft.plan("lab", LAB).undo
    plan = host.nft.plan("lab", router.forwards("lab", "10.10.0.77"))
    host.nft.apply(plan)
    assert host.nft.read().forwards != LAB
    host.nft.rollback(snapshot)
    assert rules(host.listing) == rules(before)
    host.nft.apply(plan)
    host.nft.rollback(plan.undo)
    assert rules(host.listing) == rules(before)


def rules(listing: str) -> tuple[str, ...]:
    return nftables.parse(listing, WAN).own


THEIRS = "table inet theirs {{\n {sets}\n chain pre {{\n type nat hook prerouting priority -100;\n {rule}\n }}\n}}\n"


@pytest.mark.parametrize(
    "rule",
    [
        "tcp dport 443 dnat ip to 10.0.0.5",
        "tcp dport { 22, 80 } dnat ip to 10.0.0.5:8080",
        "tcp dport 1-1024 dnat ip to 10.0.0.5",
        "tcp dport != 22 dnat ip to 10.0.0.5",
        "tcp dport @web redirect to :8080",
        "meta l4proto { tcp, udp } th dport 443 dnat ip to 10.0.0.5",
        "dnat ip to tcp dport map { 80 : 10.0.0.6, 22 : 10.0.0.7 }",
        "dnat ip to tcp dport map @targets",
        'iifname "qkwan*" tcp dport 80 dnat ip to 10.0.0.5',
        'iifname { "qkwan0", "lan0" } tcp dport 80 dnat ip to 10.0.0.5',
        'iifname != "lan0" tcp dport 80 dnat ip to 10.0.0.5',
        "ip saddr 1.2.3.4 tcp dport 80 dnat ip to 10.10.0.10",
        "dnat ip to 10.0.0.5",
    ],
)
def test_somebody_elses_forward_of_our_port_is_a_conflict(host: Host, rule: str) -> None:
    sets = (
        "set web { type inet_service; flags interval; elements = { 80, 8000-9000 }; }\n"
        " map targets { type inet_service : ipv4_addr; elements = { 443 : 10.0.0.7 }; }"
    )
    host.load(THEIRS.format(sets=sets, rule=rule))
    before = host.listing
    with pytest.raises(Blocked) as refusal:
        host.nft.plan("lab", LAB)
    assert "inet theirs pre: " in refusal.value.seen
    assert host.listing == before


@pytest.mark.parametrize(
    "rule",
    [
        "tcp dport 22 dnat ip to 10.0.0.5",
        "udp dport 443 dnat ip to 10.0.0.5",
        "tcp dport { 81-442, 444 } dnat ip to 10.0.0.5",
        "tcp dport != { 80, 443 } dnat ip to 10.0.0.5",
        'iifname "lan0" tcp dport 443 dnat ip to 10.0.0.5',
        'iifname != "qkwan0" tcp dport 443 dnat ip to 10.0.0.5',
        "meta l4proto udp dnat ip to 10.0.0.5",
        "tcp dport 443 accept",
        "dnat ip to tcp dport map { 22 : 10.0.0.7 }",
    ],
)
def test_what_takes_none_of_our_packets_is_no_conflict(host: Host, rule: str) -> None:
    host.load(THEIRS.format(sets="", rule=rule))
    assert put(host, "lab", LAB)
    assert set(host.nft.read().forwards) == set(LAB)


def test_rules_for_the_routers_own_connections_are_no_conflict(host: Host) -> None:
    host.load("table ip theirs {\n chain out {\n type nat hook output priority -100;\n tcp dport 443 dnat to 10.0.0.5\n }\n}\n")
    assert put(host, "lab", LAB)


def test_a_forward_made_by_hand_that_does_the_same_is_left_to_do_it(host: Host) -> None:
    host.load(THEIRS.format(sets="", rule=f'iifname "{WAN}" tcp dport {{ 80, 443 }} dnat ip to 10.10.0.10'))
    plan = host.nft.plan("lab", LAB)
    assert (plan.changed, plan.forwards) == (False, ())
    assert "dnat to 10.10.0.10" in plan.given[0]


def test_a_forward_chain_that_drops_is_told(host: Host) -> None:
    chain = "table inet filter {{\n chain fw {{\n type filter hook forward priority 0; policy drop;\n {rule}\n }}\n}}\n"
    host.load(chain.format(rule="ct state established accept"))
    (warning,) = host.nft.plan("lab", LAB).warnings
    assert "inet filter fw" in warning
    assert "ct status dnat accept" in warning
    host.load("flush ruleset\n" + chain.format(rule="ct status dnat accept"))
    assert host.nft.plan("lab", LAB).warnings == ()


@pytest.fixture
def site(namespaces: Namespaces) -> Iterator[Site]:
    made = Site(namespaces)
    with made.serving(made.edge, EDGE):
        yield made


def test_packets_from_outside_and_from_inside_arrive(site: Site) -> None:
    """The page tells the source address it sees: the client's own from outside, the router's for a client beside it."""
    router_host = Host(site.router.name)
    assert fetch(site.outside).startswith("failed")
    put(router_host, "lab", LAB)
    assert fetch(site.outside) == f"{EDGE} {OUTSIDE}"
    assert fetch(site.office) == f"{EDGE} 10.10.0.1"
    put(router_host, "lab", [])
    assert fetch(site.outside).startswith("failed")


forwards = st.builds(
    Forward,
    proto=st.sampled_from(["tcp", "udp"]),
    external_port=st.integers(1, 65535),
    address=st.integers(1, 250).map(lambda n: f"10.10.0.{n}"),
    internal_port=st.integers(1, 65535),
    tag=st.sampled_from(["qbokit:lab", "qbokit:other", "qbokit:third"]),
    external_address=st.sampled_from(["", "11.22.33.10"]),
)
readings = st.builds(Reading, forwards=st.lists(forwards, unique_by=lambda f: (f.proto, f.external_port)).map(tuple))


def test_two_lines_and_routes_of_other_tables_are_read() -> None:
    """As iproute2 writes them: a tunnel's own table first, two lines at once, one that waits in reserve."""
    sides = uplink.linux(
        "1: lo: <LOOPBACK,UP> mtu 65536\n2: eth0@if7: <UP> mtu 1500\n3: ppp0: <POINTOPOINT,UP> mtu 1492\n4: wg0: <UP> mtu 1420\n"
        "5: wwan0: <UP> mtu 1500\n"
        "default dev wg0 table 51820 scope link \n"
        "default proto static \\\tnexthop via 11.22.33.1 dev eth0 weight 1 \\\tnexthop dev ppp0 weight 1 \n"
        "default via 10.0.0.1 dev wwan0 proto dhcp metric 700 \n"
    )
    assert sides == uplink.Sides(("lo", "eth0", "ppp0", "wg0", "wwan0"), ("eth0", "ppp0", "wwan0", "wg0"))


@given(readings, st.lists(forwards.filter(lambda f: f.tag == "qbokit:lab"), unique_by=lambda f: (f.proto, f.external_port)))
def test_merging_changes_no_other_sites_forward(reading: Reading, wanted: list[Forward]) -> None:
    others = [f for f in reading.forwards if f.tag != "qbokit:lab"]
    clash = any((o.proto, o.external_port) == (w.proto, w.external_port) for o in others for w in wanted)
    if clash:
        with pytest.raises(Blocked):
            router.merge(reading, "lab", wanted)
        return
    merged = router.merge(reading, "lab", wanted)
    assert sorted(merged.forwards) == sorted([*others, *wanted])
    assert (merged.given, merged.taken) == ((), ())


@given(st.integers(1, 65535), st.integers(1, 65535), st.integers(1, 65535))
def test_a_foreign_rule_takes_exactly_its_ports(low: int, high: int, port: int) -> None:
    rule = Foreign("theirs", frozenset({"tcp"}), (range(low, high + 1),))
    assert rule.takes(Forward("tcp", port, "10.10.0.10", port, "qbokit:lab")) == (low <= port <= high)
    assert not rule.takes(Forward("udp", port, "10.10.0.10", port, "qbokit:lab"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "10.10.0.300"},
        {"address": "127.0.0.1"},
        {"address": "10.10.0.10; flush ruleset"},
        {"ports": [0]},
        {"ports": [70000]},
        {"site": 'lab"; drop'},
        {"site": ""},
        {"external_address": "192.168.1.1"},
    ],
)
def test_values_that_cannot_be_forwarded_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        router.forwards(**{"site": "lab", "address": "10.10.0.10", **wrong})


@pytest.mark.parametrize("name", ["", "eth0; flush ruleset", 'a"b', "sixteencharacters"])
def test_what_is_no_interface_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        nftables.render(LAB, name)


@pytest.mark.parametrize("listing", ["no json", "{}", '{"nftables": 7}', '{"nftables": [{"rule": {}}]}'])
def test_what_is_no_listing_is_refused(listing: str) -> None:
    with pytest.raises(KitError, match="cannot be read"):
        nftables.parse(listing, WAN)


def test_rules_of_iptables_that_nft_cannot_read_count_as_taking_everything() -> None:
    rule = {"family": "ip", "table": "nat", "chain": "PREROUTING", "expr": [{"xt": {"type": "target", "name": "DNAT"}}]}
    listing = json.dumps({"nftables": [{"rule": rule}]})
    with pytest.raises(Blocked, match="already forwards"):
        nftables.plan(listing, site="lab", wanted=LAB, wan_interface=WAN)


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(UsageError, match="no router provider"):
        router.provider("abacus", router.Settings())
