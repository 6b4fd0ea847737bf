"""What is particular to a make of router: its language, its refusals, its programs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from edge_network import EDGE, EXTERNAL, OFFICE, OUTSIDE, WAN, Site, fetch
from edge_routers import OpenWrt, Pcp, RouterOs, Upnp, Vyos, free_port, refused
from hypothesis import given
from hypothesis import strategies as st

from lab.routers import openwrt as fake_openwrt
from lab.routers import routeros as fake_routeros
from lab.routers import vyos as fake_vyos
from lab.world import image
from qbo_sync.edge.router import Settings, entries, job, openwrt, provider, upnp, vyos
from qbo_sync.errors import Blocked, KitError, Unreachable, UsageError
from tests.needs import need


@pytest.fixture
def stack(network: Site) -> Iterator[ExitStack]:
    network.router.run(["nft", "flush", "ruleset"])
    with ExitStack() as stack:
        yield stack


# OpenWrt ------------------------------------------------------------------------------------------------------------------------


def test_openwrt_is_left_alone_while_somebodys_changes_wait(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    device = OpenWrt(network, tmp_path, stack)
    device.run(["uci", "set", "firewall.cfg03dc81.input=ACCEPT"], "")
    error = refused(device)
    assert (isinstance(error, Blocked), "not saved yet" in error.what) == (True, True)
    assert "firewall.cfg03dc81.input='REJECT'" not in device.listing()


def test_openwrts_own_refusal_is_told_and_what_was_written_is_taken_back(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    """There is no zone called lan here: uci takes the section, the firewall does not."""
    device = OpenWrt(network, tmp_path, stack)
    before = device.listing()
    (tmp_path / "interfaces.json").write_text(json.dumps({"wan": WAN, "inside": "qkbr"}))
    error = refused(device)
    assert "unknown zone" in error.seen
    assert "what was there before was put back" in error.seen
    assert device.listing() == before


@pytest.mark.parametrize(
    "words", ["set firewall.x=gateway", "set firewall.cfg01e63d", "delete firewall.nobody", "export firewall"]
)
def test_the_openwrt_stand_in_refuses_what_uci_or_fw4_does_not_know(words: str, tmp_path: Path) -> None:
    with pytest.raises(fake_openwrt.Refused):
        fake_openwrt.uci(fake_openwrt.Device(tmp_path), words.split())


options = st.dictionaries(
    st.sampled_from(sorted(fake_openwrt.OPTIONS)), st.text(st.characters(codec="ascii", exclude_categories=["Cc"]))
)


@given(st.dictionaries(st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True), options, max_size=4))
def test_what_uci_shows_is_read_back(config: dict[str, dict[str, str]]) -> None:
    shown = fake_openwrt.shown({name: {".type": "redirect", **values} for name, values in config.items()})
    read = {name: entry.values for name, entry in openwrt.parse(shown).items()}
    assert {name: {k: v.strip() for k, v in values.items()} for name, values in read.items()} == {
        name: {k: v.strip() for k, v in values.items()} for name, values in config.items()
    }


def test_sites_with_alike_names_have_sections_of_their_own() -> None:
    router = provider("openwrt", Settings())
    assert isinstance(router, openwrt.OpenWrt)
    names = [f"qbokit:{site}" for site in ("a-b", "a_b", "a.b", "ab", "a_2db")]
    keys = {router.key_for(entries.Entry("redirect", {"name": n, "proto": "tcp", "src_dport": "80"}), (), ()) for n in names}
    assert len(keys) == len(names)
    assert all(key.replace("_", "").isalnum() for key in keys)


@pytest.mark.parametrize(
    ("zone", "covers"),
    [
        ({"name": "wan", "network": "wan wan6"}, True),
        ({"name": "wan"}, True),
        ({"name": "internet", "device": "pppoe+"}, True),
        ({"name": "internet", "device": "eth1 pppoe-wan"}, True),
        ({"name": "wan", "network": "wwan"}, False),
        ({"name": "wan", "device": "eth1"}, False),
    ],
)
def test_an_openwrt_zone_has_its_interfaces_by_network_or_device(zone: dict[str, str], covers: bool) -> None:
    """The wire's device is eth1; packets come in by the one that PPP made of it."""
    route = [{"target": "0.0.0.0", "mask": 0, "nexthop": "10.64.64.64"}]  # noqa: S104 - all destinations
    address = [{"address": EXTERNAL, "mask": 32}]
    dump = [
        {"interface": "lan", "l3_device": "br-lan", "route": [], "ipv4-address": [{"address": "10.10.0.1", "mask": 24}]},
        {"interface": "wan", "device": "eth1", "l3_device": "pppoe-wan", "route": route, "ipv4-address": address},
    ]
    answers = {"uci": fake_openwrt.shown({"z": {".type": "zone", **zone}}), "ubus": json.dumps({"interface": dump})}
    router = provider("openwrt", Settings(wan_interface=zone["name"]), lambda command, _: answers[command[0]])
    assert isinstance(router, openwrt.OpenWrt)
    assert router.sides().outward == ((zone["name"],) if covers else ())
    assert router.wan_address() == (EXTERNAL if covers else "")


# VyOS ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "nat destination rule 10 inbound-interface eth0",
        "nat destination rule 0 disable",
        "nat destination rule 10 destination port http",
        "nat destination rule 10 translation address masquerade",
        "nat destination rule 10 disable yes",
        "firewall name WAN rule 1 action accept",
    ],
)
def test_the_vyos_stand_in_refuses_what_vyos_does_not_know(words: str, tmp_path: Path) -> None:
    with pytest.raises(fake_vyos.Refused):
        fake_vyos.set_(fake_vyos.Device(tmp_path), words.split())


def test_vyos_refusal_is_told_and_nothing_is_changed(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    device = Vyos(network, tmp_path, stack)
    rule = "set nat destination rule 20"
    device.session(
        "configure", f"{rule} destination port 22", f"{rule} translation address {OFFICE}", f"{rule} protocol tcp", "commit"
    )
    before = device.listing()
    # A rule without a protocol is refused at the commit, with ours in the same session.
    with pytest.raises(KitError, match="refused the configuration") as refusal:
        device.backend().apply(_with_a_bad_rule(device))
    assert "ports can only be specified" in refusal.value.seen
    assert device.listing() == before


def _with_a_bad_rule(device: Vyos) -> Any:
    bad = entries.Change(
        "destination 9", None, entries.Entry("destination", {"destination port": "80", "translation address": EDGE})
    )
    plan = device.backend().plan("lab", ())
    return type(plan)(True, (), "", "", "", steps=(bad,))


def test_vyos_before_1_4_is_refused() -> None:
    with pytest.raises(KitError, match=r"VyOS 1\.3 or EdgeOS"):
        vyos.parse("set nat destination rule 10 inbound-interface 'eth0'\n")


values = st.dictionaries(
    st.sampled_from([leaf for leaf, check in fake_vyos.LEAVES["destination"].items() if check]),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="'"), min_size=1),
    min_size=1,
)


@given(st.dictionaries(st.integers(1, 999_999), values, max_size=4))
def test_what_vyos_shows_is_read_back(rules: dict[int, dict[str, str]]) -> None:
    router = provider("vyos", Settings())
    assert isinstance(router, vyos.Vyos)
    there = {f"destination {number}": entries.Entry("destination", found) for number, found in rules.items()}
    shown = "\n".join(["set system host-name 'vyos'", *(router.text(key, entry) for key, entry in there.items())])
    assert vyos.parse(shown) == there


# RouterOS -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"api_url": "http://127.0.0.1:8729"}, "must be given as an https:// address"),
        ({"password_file": ""}, "no file with the router's password is named"),
        ({"password_file": "/nowhere/password"}, "the router's password cannot be read from"),
        ({"ca_file": ""}, "certificate is not trusted"),
        ({"api_user": "somebody"}, "refuses the user or the password"),
        ({"api_url": "https://127.0.0.1:1"}, "does not answer"),
    ],
)
def test_routeros_is_not_spoken_to_in_the_clear_or_as_a_stranger(
    network: Site, tmp_path: Path, stack: ExitStack, wrong: dict[str, str], says: str
) -> None:
    device = RouterOs(network, tmp_path, stack)
    device.settings = Settings(**{**vars(device.settings), **wrong})
    error = refused(device)
    assert says in error.what
    assert "s3cret" not in str(error)


def test_a_password_of_routeros_that_everybody_may_read_is_refused(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    device = RouterOs(network, tmp_path, stack)
    (tmp_path / "password").chmod(0o644)
    error = refused(device)
    assert ("everybody may read it" in error.what, error.next) == (True, f"chmod 600 {tmp_path / 'password'}")


def test_a_rule_that_routeros_upnp_made_is_not_taken_over(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    device = RouterOs(network, tmp_path, stack)
    device.forward_to_office()
    rules = json.loads((tmp_path / "nat.json").read_text())
    (tmp_path / "nat.json").write_text(json.dumps([{**rule, "dynamic": "true"} for rule in rules]))
    error = refused(device, take_over=True)
    assert "not written into the router's configuration" in error.what


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "ip/firewall/nat", {"chain": "dstnat", "dest-port": "80"}, 400),
        ("PUT", "ip/firewall/nat", {"chain": "dstnat", "action": "forward"}, 400),
        ("PUT", "ip/firewall/nat", {"action": "dst-nat"}, 400),
        ("POST", "ip/firewall/nat/set", {".id": "*7", "comment": "x"}, 404),
        ("DELETE", "ip/firewall/nat/*1", {}, 400),
        ("GET", "ip/firewall/nats", {}, 400),
    ],
)
def test_the_routeros_stand_in_refuses_what_the_router_does_not_know(
    tmp_path: Path, method: str, path: str, body: dict[str, str], status: int
) -> None:
    with pytest.raises(fake_routeros.Refused) as refusal:
        fake_routeros.answer(fake_routeros.Device(tmp_path), method, path, body, ids_in_path=False)
    assert refusal.value.status == status


# Through pyinfra ----------------------------------------------------------------------------------------------------------------


def over_ssh(wanted: job.Job, ssh: dict[str, Any], *before: str) -> dict[str, Any]:
    command = [*before, sys.executable, "-m", "qbo_sync.edge.router.over_ssh"]
    text = json.dumps({**wanted.dump(), "ssh": ssh})
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
    return job.outcome(done.stdout, done.stderr)


def test_a_router_without_python_is_set_through_pyinfra(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    device = Vyos(network, tmp_path, stack)
    path = f"PATH={tmp_path / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
    made = over_ssh(device.job(), {"local": True}, *network.router.inside, "env", path)
    assert (made["changed"], made["attention"]) == (True, [])
    assert fetch(network.outside) == f"{EDGE} {OUTSIDE}"
    assert not device.do()["changed"]


def test_a_router_that_does_not_let_us_in_is_told() -> None:
    wanted = job.Job("lab", "openwrt", EDGE, (80,), external_address=EXTERNAL)
    ssh = {"ssh_hostname": "127.0.0.1", "ssh_port": free_port(), "ssh_user": "root", "ssh_strict_host_key_checking": "yes"}
    with pytest.raises(Unreachable, match="does not let this machine in"):
        over_ssh(wanted, ssh)


# UPnP, PCP, NAT-PMP -------------------------------------------------------------------------------------------------------------


def upnp_device(network: Site, folder: Path, stack: ExitStack, make: type[Upnp] = Upnp) -> Upnp:
    need(image.available() or "")
    return make(network, folder, stack)


def test_a_forward_is_asked_for_again_before_it_ends(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    """The daemon is given the forward for a minute, as it is after six days; the timer's program asks for seven days again."""
    device = upnp_device(network, tmp_path, stack)
    device.do()
    assert "all is there" in device.refresh()
    device.ask(EDGE, f"device.addportmapping(80, 'TCP', '{EDGE}', 80, 'qbokit:lab', '', 60)")
    assert "renewed tcp 80" in device.refresh()
    left = device.ask(EDGE, "print(device.getspecificportmapping(80, 'TCP')[-1])")
    assert int(left) > upnp.RENEW_BELOW_S


def test_ports_that_the_routers_owner_does_not_allow_are_explained(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    device = upnp_device(network, tmp_path, stack, Strict)
    error = refused(device)
    assert "606" in error.seen
    assert "allow 80 and 443" in error.next
    assert not (tmp_path / "memory.json").exists()


class Strict(Upnp):
    permissions = "allow 1024-65535 10.10.0.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n"


def test_a_router_behind_another_one_is_explained(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    network.router.run(["ip", "addr", "del", f"{EXTERNAL}/24", "dev", WAN])
    network.router.run(["ip", "addr", "add", "192.168.7.2/24", "dev", WAN])
    stack.callback(network.router.run, ["ip", "addr", "add", f"{EXTERNAL}/24", "dev", WAN])
    stack.callback(network.router.run, ["ip", "addr", "del", "192.168.7.2/24", "dev", WAN])
    error = refused(upnp_device(network, tmp_path, stack))
    assert "501" in error.seen
    assert "another router stands before it" in error.next


def test_a_rule_that_upnp_does_not_show_is_explained(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    device = upnp_device(network, tmp_path, stack)
    device.forward_to_office()
    program = f"""
from qbo_sync.edge.router import upnp
from qbo_sync.errors import Blocked
try:
    upnp.find("{EDGE}", held=False).add(upnp.Mapping("tcp", 80, "{EDGE}", 80, "qbokit:lab"))
except Blocked as error:
    print(error)
"""
    assert "718" in network.edge.run([sys.executable, "-c", program])


def test_where_nothing_answers_the_person_is_told_what_to_do(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    need(image.available() or "")
    wanted = job.Job("lab", "upnp", EDGE, (80,), settings=Settings(lan_address=EDGE, memory=str(tmp_path / "m.json")))
    said = network.edge.run([sys.executable, "-m", "qbo_sync.edge.router.on_edge"], json.dumps(wanted.dump()))
    with pytest.raises(Unreachable, match="no router answers to UPnP, PCP or NAT-PMP"):
        job.outcome(said)


def test_nat_pmp_asks_as_pcp_does(network: Site, tmp_path: Path, stack: ExitStack) -> None:
    upnp_device(network, tmp_path, stack, Pcp)
    program = f"""
import dataclasses
from qbo_sync.edge.router import pcp
from qbo_sync.errors import Blocked
door = dataclasses.replace(pcp.find("{EDGE}"), speaks_pcp=False)
print(door.wan_address, door.add("tcp", 80, 80, 600))
other = dataclasses.replace(pcp.find("{EDGE}"), address="{EDGE}")
print(other.speaks_pcp)
"""
    assert network.edge.run([sys.executable, "-c", program]).split("\n")[0] == f"{EXTERNAL} Granted(lease_s=600, nonce='')"
    assert fetch(network.outside) == f"{EDGE} {OUTSIDE}"
    taken = f"""
import dataclasses
from qbo_sync.edge.router import pcp
from qbo_sync.errors import Blocked
door = dataclasses.replace(pcp.find("{OFFICE}"), speaks_pcp=False)
try:
    door.add("tcp", 80, 80, 600)
except Blocked as error:
    print(error)
"""
    assert "instead" in network.office.run([sys.executable, "-c", taken])


# Words shared by makes ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(1, 65535), st.integers(0, 50)), min_size=1, max_size=4),
    st.sampled_from("-:"),
    st.sampled_from(", "),
)
def test_ports_are_read_as_written(pairs: list[tuple[int, int]], dash: str, comma: str) -> None:
    ranges = [range(low, min(low + more, 65535) + 1) for low, more in pairs]
    text = comma.join(f"{r.start}{dash}{r[-1]}" if len(r) > 1 else str(r.start) for r in ranges)
    assert list(entries.ports(text)) == ranges


@given(st.text(max_size=12))
def test_what_is_no_port_takes_every_port(text: str) -> None:
    taken = entries.ports(text)
    assert taken == (range(0, 65536),) or re.fullmatch(r"[0-9\s,:-]+", text)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("tcp", {"tcp"}),
        ("6", {"tcp"}),
        ("tcp_udp", {"tcp", "udp"}),
        ("", {"tcp", "udp"}),
        ("icmp", set()),
        ("!udp", {"tcp", "udp"}),
    ],
)
def test_protocols_are_read_and_the_unknown_counts_as_both(text: str, means: set[str]) -> None:
    assert entries.protos(text) == means


def test_impossible_settings_are_refused_before_anything_is_asked() -> None:
    for name, settings in (
        ("openwrt", Settings("wan;reboot")),
        ("vyos", Settings("eth0", "10.0.0.1/24")),
        ("vyos", Settings("a b")),
    ):
        with pytest.raises(UsageError):
            provider(name, settings)
    with pytest.raises(UsageError, match="no such state"):
        job.Job("lab", "nftables", EDGE, (80,), state="gone")
