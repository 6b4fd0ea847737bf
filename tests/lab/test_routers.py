"""Routers of other makes in the lab: the real UPnP daemon on its router, and the stand-ins over real SSH on it."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from lab.world.access import Lab
from lab.world.layout import EDGE_LAN, TOP
from tests.lab.conftest import EdgeSite, Run

OUR_FORWARDS = [f"tcp {port} -> {EDGE_LAN}:{port} (qbokit:lab)" for port in (80, 443)]


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeSite]:
    """The lab's site, its router without our forwards until the end of this module."""
    site = EdgeSite(lab, tmp_path_factory.mktemp("routers"))
    assert site.roles("port_forward", port_forward_state="absent").code == 0
    yield site
    assert site.roles("port_forward").code == 0


def forward(site: EdgeSite, provider: str, *arguments: str, **more: Any) -> Run:
    return site.roles("port_forward", arguments=arguments, port_forward_provider=provider, **more)


def kept(site: EdgeSite) -> dict[str, Any]:
    return dict(json.loads((site.folder / "store" / "state.json").read_text())["lab"]["port_forward"])


def reached(site: EdgeSite) -> bool:
    """Whether the observer reaches this edge host at both ports: a listener there tells a word that only this run knows."""
    assert forward(site, "manual").code == 0
    return bool(kept(site)["state"] == "done")


def test_a_router_with_upnp_is_asked_by_the_edge_host_and_asked_again_when_it_forgets(site: EdgeSite) -> None:
    site.on("router", "systemctl start miniupnpd.service")
    try:
        check = forward(site, "upnp", "--check", "--diff")
        assert (check.code, check.count("failed")) == (0, 0), check.text
        assert all(f"+{line}" in check.text for line in OUR_FORWARDS)
        first = forward(site, "upnp")
        assert first.code == 0, first.text
        seen = kept(site)["seen"]
        assert (seen["forwards"], seen["router"]) == (OUR_FORWARDS, "a router asked by UPnP IGD")
        assert "split DNS" in kept(site)["next"]
        second = forward(site, "upnp")
        assert (second.code, second.count("changed")) == (0, 0), second.text
        assert reached(site)

        site.on("router", "systemctl restart nftables.service miniupnpd.service")
        assert not reached(site)
        assert site.on("edge", "systemctl is-active qbo-kit-forward-refresh.timer") == "active"
        site.on("edge", "systemctl start qbo-kit-forward-refresh.service")
        assert "forwarded anew" in site.on("edge", "journalctl -u qbo-kit-forward-refresh.service -o cat --no-pager")
        assert reached(site)
        level = site.on("edge", "systemd-analyze security --no-pager qbo-kit-forward-refresh.service | tail -n 1")
        assert float(level.split(": ")[1].split()[0]) <= 2.0

        site.make_fail("edge", "qbo-kit-forward-refresh.service")
        removal = forward(site, "upnp", port_forward_state="absent")
        assert (removal.code, removal.count("changed") > 0) == (0, True), removal.text
        assert EDGE_LAN not in site.on("router", "nft list table inet filter")
        places = "/opt/qbo-kit/forward /var/lib/qbo-kit/forward /etc/systemd/system/qbo-kit-forward-refresh.*"
        assert site.on("edge", f"ls -d {places} 2>/dev/null || true") == ""
        assert site.on("edge", "systemctl list-units --all --plain --no-legend 'qbo-kit-forward*'") == ""
        again = forward(site, "upnp", port_forward_state="absent")
        assert (again.code, again.count("changed")) == (0, 0), again.text
    finally:
        site.on("router", "systemctl stop miniupnpd.service")


@pytest.fixture(scope="module")
def stand_ins(site: EdgeSite) -> None:
    """The stand-ins' programs where the devices have theirs."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in ("lab/__init__.py", *(f"lab/routers/{name}.py" for name in ("__init__", "kernel", "openwrt", "vyos"))):
            tar.add(TOP / path, path)
    command = site.lab.command("router", "mkdir -p /opt/stand-in && tar -xf - -C /opt/stand-in")
    subprocess.run(command, input=packed.getvalue(), check=True)
    site.on(
        "router",
        """set -e
        cd /opt/stand-in
        mkdir -p /var/lib/openwrt /var/lib/vyos /etc/init.d
        echo '{"wan": "wan", "lan": "lan"}' >/var/lib/openwrt/interfaces.json
        python3 -m lab.routers.openwrt --root /var/lib/openwrt install /usr/local/sbin
        mv /usr/local/sbin/etc/init.d/firewall /etc/init.d/firewall
        python3 -m lab.routers.vyos --root /var/lib/vyos install /usr/local/sbin /opt/vyatta/etc/functions/script-template
        """,
    )


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize("provider", ["openwrt", "vyos"])
def test_a_router_without_python_is_set_over_ssh(site: EdgeSite, provider: str) -> None:
    check = forward(site, provider, "--check", "--diff")
    assert (check.code, check.count("changed")) == (0, 1), check.text
    first = forward(site, provider, "--diff")
    assert (first.code, first.count("changed")) == (0, 1), first.text
    promised, done = ([line for line in run.text.splitlines() if line.startswith(("+", "-"))] for run in (check, first))
    assert promised == done
    assert EDGE_LAN in "".join(done)
    assert kept(site)["seen"]["attention"] == ([] if provider == "openwrt" else [kept(site)["next"]])
    assert reached(site)
    second = forward(site, provider)
    assert (second.code, second.count("changed")) == (0, 0), second.text
    removal = forward(site, provider, port_forward_state="absent")
    assert (removal.code, removal.count("changed")) == (0, 1), removal.text
    assert EDGE_LAN not in site.on("router", "nft list table ip stand_in")
    site.on("router", "nft delete table ip stand_in")
