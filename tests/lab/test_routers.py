"""Routers of other makes in the lab: the real UPnP daemon on its router, and the stand-ins over real SSH on it."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from lab.world import keys
from lab.world.access import Lab
from lab.world.authority import Authority
from lab.world.layout import EDGE_LAN, ROUTER_MANAGEMENT, ROUTER_WAN, TOP
from lab.world.system import answers, wait_until
from tests.lab.conftest import EdgeSite
from tests.playbooks import Run

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
    site.on("router", "systemctl enable --now miniupnpd.service 2>&1")
    try:
        site.on("edge", "rm -f /var/lib/qbo-kit/certificate/budget.json")  # other tests order more than a CA allows
        check = site.roles("preflight", "port_forward", arguments=("--check", "--diff"), port_forward_provider="upnp")
        assert (check.code, check.count("failed")) == (0, 0), check.text
        assert all(f"+{line}" in check.text for line in OUR_FORWARDS)
        # The router was asked, by a program that is not there afterwards.
        assert "80: no rule; 443: no rule" in check.flat, check.text
        assert f"the router has {ROUTER_WAN}" in check.flat, check.text
        assert site.on("edge", "ls /opt/qbo-kit | grep forward || true") == ""
        first = forward(site, "upnp")
        assert first.code == 0, first.text
        seen = kept(site)["seen"]
        assert (seen["forwards"], seen["router"]) == (OUR_FORWARDS, "a router asked by UPnP IGD")
        assert "split DNS" in kept(site)["next"]
        second = forward(site, "upnp")
        assert (second.code, second.count("changed")) == (0, 0), second.text
        assert reached(site)

        site.restart("router")
        assert EDGE_LAN not in site.on("router", "nft list table inet filter")
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
        back = forward(site, "upnp", port_forward_state="restored")
        assert (back.code, EDGE_LAN in site.on("router", "nft list table inet filter")) == (0, True), back.text
        assert site.on("edge", "systemctl is-active qbo-kit-forward-refresh.timer") == "active"
        again = forward(site, "upnp", port_forward_state="absent")
        assert (again.code, EDGE_LAN in site.on("router", "nft list table inet filter")) == (0, False), again.text
    finally:
        site.on("router", "systemctl disable --now miniupnpd.service 2>&1")


STAND_INS = ("openwrt", "vyos", "routeros")
API_PORT = 8729
# What each does when its device boots; RouterOS answers from then on.
UNIT = """[Unit]
After=nftables.service
[Service]
Type={kind}
WorkingDirectory=/opt/stand-in
ExecStart=/usr/bin/python3 -m lab.routers.{name} --root /var/lib/{name} {words}
[Install]
WantedBy=multi-user.target
"""
SESSION = "vbash -s <<'END'\nsource /opt/vyatta/etc/functions/script-template\n{}\nexit\nEND"
STRAY, STRAY_RULE = "nat destination rule 999", ("protocol tcp", "destination port 8099", "translation address 10.10.0.99")
# What somebody changed and did not save, and how to see it. MikroTik's routers save each change by themselves.
UNSAVED = {
    "openwrt": ("uci set firewall.stray=redirect", "uci changes firewall"),
    "vyos": (
        SESSION.format("\n".join(["configure", *(f"set {STRAY} {words}" for words in STRAY_RULE), "commit"])),
        "nft list table ip stand_in | grep 10.10.0.99 || true",
    ),
}


@pytest.fixture(scope="module")
def stand_ins(site: EdgeSite, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The stand-ins' programs where the devices have theirs; the settings of the one that is asked over REST."""
    folder = tmp_path_factory.mktemp("routeros")
    authority = Authority()
    authority.write(folder / "ca.pem")
    authority.issue(folder, "router", ROUTER_MANAGEMENT)
    password = folder / "password"
    keys.write_private(password, "s3cret\n")
    words = f"--host {ROUTER_MANAGEMENT} --port {API_PORT} --user qbo-kit --password-file /var/lib/routeros/password"
    words += " --tls-cert /var/lib/routeros/router.pem --tls-key /var/lib/routeros/router.key"
    for name in STAND_INS:
        unit = UNIT.format(name=name, kind="oneshot", words="restart")
        if name == "routeros":
            unit = UNIT.format(name=name, kind="simple", words=words)
        (folder / f"stand-in-{name}.service").write_text(unit)
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in ("lab/__init__.py", *(f"lab/routers/{name}.py" for name in ("__init__", "kernel", *STAND_INS))):
            tar.add(TOP / path, f"opt/stand-in/{path}")
        for path in folder.iterdir():
            place = "etc/systemd/system" if path.suffix == ".service" else "var/lib/routeros"
            tar.add(path, f"{place}/{path.name}")
    subprocess.run(site.lab.command("router", "tar -xf - -C /"), input=packed.getvalue(), check=True)
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
    return {
        "port_forward_api_url": f"https://{ROUTER_MANAGEMENT}:{API_PORT}",
        "port_forward_api_password_file": str(password),
        "port_forward_api_ca_file": str(folder / "ca.pem"),
    }


@pytest.mark.parametrize("provider", STAND_INS)
def test_a_router_without_python_is_set_and_keeps_it(site: EdgeSite, stand_ins: dict[str, Any], provider: str) -> None:
    """Over SSH or REST, as its make has it; a power cut takes away what was not saved, and nothing of ours."""
    unit = f"stand-in-{provider}.service"
    site.on("router", f"systemctl enable --now {unit} 2>&1")
    wait_until(lambda: provider != "routeros" or answers(ROUTER_MANAGEMENT, API_PORT), 10, unit)
    check = forward(site, provider, "--check", "--diff", **stand_ins)
    assert (check.code, check.count("changed")) == (0, 1), check.text
    first = forward(site, provider, "--diff", **stand_ins)
    assert (first.code, first.count("changed")) == (0, 1), first.text
    promised, done = ([line for line in run.text.splitlines() if line.startswith(("+", "-"))] for run in (check, first))
    assert promised == done
    assert EDGE_LAN in "".join(done)
    assert kept(site)["seen"]["attention"] == ([] if provider == "openwrt" else [kept(site)["next"]])
    assert EDGE_LAN in site.on("router", "nft list table ip stand_in")

    change, look = UNSAVED.get(provider, ("true", "true"))
    site.on("router", change)
    assert bool(site.on("router", look)) is (provider in UNSAVED)
    site.restart("router")
    wait_until(lambda: provider != "routeros" or answers(ROUTER_MANAGEMENT, API_PORT), 10, unit)
    assert site.on("router", look) == ""
    assert reached(site)
    second = forward(site, provider, **stand_ins)
    assert (second.code, second.count("changed")) == (0, 0), second.text
    removal = forward(site, provider, port_forward_state="absent", **stand_ins)
    assert (removal.code, removal.count("changed")) == (0, 1), removal.text
    assert EDGE_LAN not in site.on("router", "nft list table ip stand_in")
    site.on("router", f"systemctl disable --now {unit} 2>&1; nft delete table ip stand_in")
