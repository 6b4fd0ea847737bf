"""What every router provider must do, on a router of its make in a network of namespaces; packets prove it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from edge_network import EDGE, EXTERNAL, OFFICE, OUTSIDE, SECOND, WAN, Site, fetch
from edge_routers import MAKES, Device, refused

from lab.world import image
from qbo_sync.edge.preflight import Check, Inputs, address
from qbo_sync.edge.preflight import router as preflight_router
from qbo_sync.edge.router import job
from qbo_sync.errors import Blocked
from tests.needs import need

TAKES_OVER = [name for name, make in MAKES.items() if make.takes_over]
HAVE_SIDES = [name for name, make in MAKES.items() if make.inner]


@pytest.fixture
def device(request: pytest.FixtureRequest, network: Site, tmp_path: Path) -> Iterator[Device]:
    """A router of one make."""
    make = MAKES[request.param]
    if make.name == "upnp":
        need(image.available() or "")
    network.router.run(["nft", "flush", "ruleset"])
    with ExitStack() as stack:
        yield make(network, tmp_path, stack)


@pytest.mark.parametrize("device", MAKES, indirect=True)
def test_a_forward_through_its_whole_life(device: Device) -> None:
    site, before = device.site, device.listing()
    assert fetch(site.outside).startswith("failed")

    check = device.do(check=True)
    assert (check["changed"], device.listing()) == (True, before)
    made = device.do()
    assert {name: made[name] for name in ("changed", "forwards", "diff")} == {
        "changed": True,
        "forwards": check["forwards"],
        "diff": check["diff"],
    }
    assert fetch(site.outside) == f"{EDGE} {OUTSIDE}"
    inside = fetch(site.office)
    assert inside == f"{EDGE} {device.hairpin}" if device.hairpin else inside.startswith("failed")
    assert any("split DNS" in line for line in made["attention"]) is not bool(device.hairpin)

    again = device.do()
    assert (again["changed"], again["diff"]["before"]) == (False, made["diff"]["after"])

    device.restart()
    assert fetch(site.outside) == f"{EDGE} {OUTSIDE}"
    assert not device.do()["changed"]

    promised = device.do(address=SECOND, check=True)
    moved = device.do(address=SECOND)
    assert (moved["changed"], moved["diff"]) == (True, promised["diff"])
    assert fetch(site.outside) == f"{SECOND} {OUTSIDE}"

    gone = device.do(address=SECOND, state="absent")
    assert (gone["changed"], gone["forwards"]) == (True, [])
    assert fetch(site.outside).startswith("failed")
    assert device.listing() == before
    assert not device.do(state="absent")["changed"]


def named(device: Device, side: str) -> dict[str, Any]:
    """What names a side of the router as the one towards the internet."""
    return {"settings": replace(device.settings, wan_interface=side)}


@pytest.mark.parametrize("device", HAVE_SIDES, indirect=True)
def test_a_wrong_side_towards_the_internet_is_refused_before_anything_changes(device: Device) -> None:
    """With rules for it, visitors would come in by those for clients inside, and the edge host would take them for the office."""
    before, right = device.listing(), device.do(check=True)
    for side, says in (("nowhere9", "has no "), (device.inner, "does not reach the internet through ")):
        error = refused(device, **named(device, side))
        assert (isinstance(error, Blocked), says in error.what, side in error.what) == (True,) * 3
        outward = "wan" if device.name == "openwrt" else WAN
        assert (f"default route goes through {outward}" in error.seen, outward in error.next) == (True, True)
        assert says in device.do(state="looked", check=True, **named(device, side))["refusal"]["refused"]
        assert device.listing() == before
    chosen = device.do(**named(device, ""))
    assert chosen["diff"] == right["diff"]
    assert fetch(device.site.outside) == f"{EDGE} {OUTSIDE}"
    # Taking away asks nothing of the kind: the interface may be gone by then.
    assert device.do(state="absent", **named(device, "nowhere9"))["changed"]
    assert device.listing() == before


@pytest.mark.parametrize("device", HAVE_SIDES, indirect=True)
def test_a_router_without_a_default_route_is_believed_what_is_said_of_it(device: Device) -> None:
    outward = "wan" if device.name == "openwrt" else WAN
    with device.site.without_default_route():
        error = refused(device, **named(device, ""))
        assert "cannot be seen which" in error.what
        assert outward in error.seen
        assert "has no " in refused(device, **named(device, "nowhere9")).what
        assert device.do(**named(device, outward))["changed"]
        assert device.do(state="absent", **named(device, ""))["changed"]


@pytest.mark.parametrize("device", MAKES, indirect=True)
def test_a_forward_of_somebody_else_is_kept_unless_its_place_is_asked_for(device: Device) -> None:
    device.forward_to_office()
    before = device.listing()
    if device.takes_over:
        is_seen_by_preflight(device)
    error = refused(device)
    assert isinstance(error, Blocked)
    assert device.shown in error.seen
    assert device.listing() == before
    assert fetch(device.site.outside) == f"{OFFICE} {OUTSIDE}"
    if device.takes_over:
        assert f"it leads to {OFFICE}" in error.seen
        assert "port_forward_take_over: true" in error.next
        stands_back_and_comes_back(device, before)


def is_seen_by_preflight(device: Device) -> None:
    """P10, P11 and P16 by the router's own word. Behind carrier-grade NAT, UPnP of this daemon tells no address."""
    told = device.do(state="looked", check=True)
    assert [(one.id, one.severity) for one in checks(told)] == [("P09", "ok"), ("P10", "ok"), ("P11", "ok"), ("P16", "error")]
    rules = checks(told)[-1]
    assert (rules.stops, "port_forward_take_over: true" in rules.remedy) == (True, True)
    rules = checks(device.do(state="looked", take_over=True, check=True))[-1]
    assert (rules.mended_by, rules.remedy.startswith("somebody else's rule at 80 will be taken over")) == ("port_forward", True)
    assert OFFICE in rules.seen
    assert checks(told, "11.22.33.11")[1].severity == "error"
    if device.name == "upnp":
        return
    with device.site.behind_the_carrier():
        told = device.do(state="looked", check=True)
    assert [(one.id, one.severity) for one in checks(told)][1:3] == [("P10", "info"), ("P11", "fatal")]


def checks(told: dict[str, Any], external: str = EXTERNAL) -> list[Check]:
    """What preflight says of a router that told this; it came as JSON."""
    told = json.loads(json.dumps(told))
    inputs = Inputs("qbo.mycompany.com", "mycompany.com", external, wan_address=told["wan_address"])
    return [*address.checks(inputs), preflight_router.forwarded(job.shown(told), EDGE, (80, 8443))]


def stands_back_and_comes_back(device: Device, before: str) -> None:
    """What is said beforehand is then done; it stays so, over a restart too, until the site goes."""
    promised = device.do(take_over=True, check=True)
    assert device.listing() == before
    taken = device.do(take_over=True)
    assert taken["diff"] == promised["diff"]
    assert OFFICE in taken["taken"][0]
    assert fetch(device.site.outside) == f"{EDGE} {OUTSIDE}"
    device.restart()
    assert not device.do()["changed"]
    assert fetch(device.site.outside) == f"{EDGE} {OUTSIDE}"
    assert device.do(state="absent")["changed"]
    assert fetch(device.site.outside) == f"{OFFICE} {OUTSIDE}"
    if device.name != "upnp":  # Its description and port are there again; the daemon's order and lease are its own.
        assert device.listing() == before


@pytest.mark.parametrize("device", TAKES_OVER, indirect=True)
def test_a_plan_is_taken_back_whole(device: Device) -> None:
    """Both what was made new and what was moved, and the forward that stood back."""
    device.do(ports=(8443,))
    device.forward_to_office()
    before = device.listing()
    device.take_back(device.job(address=SECOND, take_over=True))
    assert device.listing() == before
    assert fetch(device.site.outside) == f"{OFFICE} {OUTSIDE}"


@pytest.mark.parametrize("device", ["OpenWrt", "Vyos", "RouterOs"], indirect=True)
def test_a_forward_that_takes_more_is_not_taken_over(device: Device) -> None:
    device.forward_to_office("80,3389" if device.name != "openwrt" else "80 3389")
    before = device.listing()
    error = refused(device, take_over=True)
    assert (isinstance(error, Blocked), "would cut off the rest" in error.what, device.listing()) == (True, True, before)
    rules = checks(device.do(state="looked", take_over=True, check=True))[-1]
    assert (rules.stops, "would cut off the rest" in rules.seen, "split it on the router" in rules.remedy) == (True, True, True)


@pytest.mark.parametrize("device", ["OpenWrt", "Vyos", "RouterOs", "Upnp"], indirect=True)
def test_two_sites_of_the_kit_share_a_router(device: Device) -> None:
    device.do()
    other = {"site": "other-1", "address": SECOND, "ports": (9443,)}
    device.do(**other)
    assert not device.do()["changed"]
    assert "another site of this kit" in refused(device, site="third", ports=(9443,), take_over=True).seen
    assert device.do(state="absent")["forwards"] == ["tcp 9443 -> 10.10.0.11:9443 (qbokit:other-1)"]
    device.do(**other, state="absent")
