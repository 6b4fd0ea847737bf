"""The router's rules through the role's action, on a real kernel: a network namespace of the test's own plays the router."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.world.authority import Authority
from tests.needs import lab_image
from tests.playbooks import TOP, Run
from tests.roles.conftest import Control

NAMESPACE = f"qktest-router-{os.getpid()}"
FOREIGN = """table ip office {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        iifname "wan" tcp dport 443 dnat to 10.1.2.99:443
    }
}
"""


def nft(*arguments: str, text: str = "") -> str:
    command = ["ip", "netns", "exec", NAMESPACE, "nft", *arguments]
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def router(control: Control) -> Iterator[Control]:
    """A control node whose site's router is a namespace."""
    lab_image()
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        lines = ["link set lo up", "link add wan type bridge", "addr add 11.22.33.44/24 dev wan", "link set wan up"]
        lines += ["link add ppp0 type bridge", "link set ppp0 up", "route add default dev wan"]
        subprocess.run(["ip", "-n", NAMESPACE, "-batch", "-"], input="\n".join(lines), text=True, check=True)
        yield control
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True)


def forward(control: Control, *arguments: str, path: str = "", **more: Any) -> Run:
    action = {
        "provider": "nftables",
        "wan_interface": "wan",
        "address": "10.1.2.3",
        "external_address": "11.22.33.44",
        "ports": [80, 443],
        **more,
    }
    show = {"name": "Show", "ansible.builtin.debug": {"msg": "{{ set.forwards }}"}}
    tasks = [{"name": "Forward", "port_forward": action, "register": "set"}, show]
    paths = [f"PATH={path}:{os.environ['PATH']}"] if path else []
    wrap = ("env", *paths, "ip", "netns", "exec", NAMESPACE)
    return control.play(tasks, *arguments, wrap=wrap)


def test_the_ports_are_forwarded_and_a_second_run_changes_nothing(router: Control) -> None:
    first = forward(router, "--diff")
    assert (first.code, first.count("changed")) == (0, 1), first.text
    assert "tcp 443 -> 10.1.2.3:443 (qbokit:acme)" in first.text
    assert 'tcp dport 443 dnat to 10.1.2.3:443 comment "qbokit:acme"' in nft("list", "table", "ip", "qbo_kit")
    second = forward(router)
    assert (second.code, second.count("changed")) == (0, 0), second.text


def test_check_mode_says_what_would_change_and_changes_nothing(router: Control) -> None:
    check = forward(router, "--check", "--diff")
    assert (check.code, check.count("changed")) == (0, 1), check.text
    assert nft("list", "ruleset") == ""
    forward(router)
    applied = nft("list", "table", "ip", "qbo_kit")
    promised = [line.removeprefix("+").strip() for line in check.text.splitlines() if line.startswith("+") and "dnat to" in line]
    assert promised
    assert [line for line in promised if line not in applied] == []


def test_a_wrong_interface_is_refused_and_the_default_routes_own_is_found(router: Control) -> None:
    """As over PPPoE: rules for the wire's interface would make every visitor one of the office."""
    subprocess.run(["ip", "-n", NAMESPACE, "route", "replace", "default", "dev", "ppp0"], check=True)
    for run in (forward(router), forward(router, "--check")):
        assert run.code == 2
        assert "acme: the router does not reach the internet through wan; nothing was changed" in run.flat
        assert "set port_forward_wan_interface: ppp0, or leave it empty" in run.flat
    assert "the router has no interface enp9s9" in forward(router, wan_interface="enp9s9").flat
    assert nft("list", "ruleset") == ""
    assert forward(router, wan_interface="").count("changed") == 1
    assert 'iifname "ppp0"' in nft("list", "table", "ip", "qbo_kit")


def test_a_rule_of_somebody_else_at_the_port_is_refused_and_kept(router: Control, tmp_path: Path) -> None:
    nft("-f", "-", text=FOREIGN)
    before = nft("list", "ruleset")
    run = forward(router)
    assert run.code == 2
    assert "acme: the router already forwards a port that this site needs; nothing was changed" in run.flat
    assert 'ip office prerouting: iifname "wan" tcp dport 443 dnat to 10.1.2.99:443' in run.flat
    assert nft("list", "ruleset") == before


def test_a_rule_of_somebody_else_stands_back_when_that_is_asked_for(router: Control) -> None:
    nft("-f", "-", text=FOREIGN)
    before = nft("list", "ruleset")
    check = forward(router, "--check", "--diff", take_over=True)
    run = forward(router, "--diff", take_over=True)
    assert (check.code, run.code, run.count("changed")) == (0, 0, 1), run.text
    promised, done = ([line for line in each.text.splitlines() if line.startswith(("+", "-"))] for each in (check, run))
    assert promised == done
    assert "dstnat - 10" in "".join(done)
    assert forward(router).count("changed") == 0
    assert forward(router, state="absent").count("changed") == 1
    assert nft("list", "ruleset") == before


def test_a_router_without_python_is_set_in_a_process_of_its_own(router: Control, tmp_path: Path) -> None:
    stand_in = [sys.executable, "-m", "lab.routers.vyos", "--root", str(tmp_path)]
    subprocess.run([*stand_in, "install", str(tmp_path / "bin"), str(tmp_path / "template")], cwd=TOP, check=True)
    given = {"provider": "vyos", "path": str(tmp_path / "bin")}
    check = forward(router, "--check", "--diff", **given)
    assert (check.code, check.count("changed")) == (0, 1), check.text
    assert nft("list", "ruleset") == ""
    first = forward(router, "--diff", **given)
    assert (first.code, first.count("changed")) == (0, 1), first.text
    promised, done = ([line for line in each.text.splitlines() if line.startswith(("+", "-"))] for each in (check, first))
    assert promised == done
    assert "dport 443 dnat to 10.1.2.3:443" in nft("list", "ruleset").replace("{ 443 }", "443")
    seen = forward(router, state="looked", **given)
    assert (seen.code, seen.count("changed"), "external_port: 443" in seen.text) == (0, 0, True), seen.text
    bad = forward(router, **{**given, "lan_network": "10.1.2.3/24"})
    assert "acme: that is no network" in bad.flat
    assert "write it as 10.0.0.0/24" in bad.flat


def test_a_router_with_an_api_is_set_with_a_password_that_nobody_sees(router: Control, tmp_path: Path) -> None:
    authority = Authority()
    authority.write(tmp_path / "ca.pem")
    issued = authority.issue(tmp_path, "router", "127.0.0.1")
    (tmp_path / "password").write_text("n0-one-sees-this\n")
    (tmp_path / "password").chmod(0o600)
    words = ["--root", str(tmp_path), "--host", "127.0.0.1", "--port", "8729", "--user", "kit"]
    words += ["--password-file", str(tmp_path / "password"), "--tls-cert", str(issued.certificate), "--tls-key", str(issued.key)]
    command = ["ip", "netns", "exec", NAMESPACE, sys.executable, "-m", "lab.routers.routeros", *words]
    given = {
        "provider": "routeros",
        "api_url": "https://127.0.0.1:8729",
        "api_user": "kit",
        "api_password_file": str(tmp_path / "password"),
        "api_ca_file": str(tmp_path / "ca.pem"),
    }
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline().startswith("ready")
            first = forward(router, "--diff", "-vvv", **given)
            assert (first.code, first.count("changed")) == (0, 1), first.text
            assert "to-addresses=10.1.2.3" in first.text
            assert "n0-one-sees-this" not in first.text
            assert forward(router, **given).count("changed") == 0
        finally:
            process.kill()


def test_what_somebody_elses_rule_does_already_is_not_missed_on_the_way_back(router: Control) -> None:
    """The site wants both ports and wrote one of them only."""
    nft("-f", "-", text=FOREIGN.replace("10.1.2.99", "10.1.2.3"))
    before = nft("list", "ruleset")
    first = forward(router)
    assert (first.code, first.count("changed")) == (0, 1), first.text
    back = forward(router, state="restored")
    assert (back.code, back.count("changed")) == (0, 1), back.text
    assert nft("list", "ruleset") == before
    assert forward(router, state="restored").count("changed") == 0
    forward(router)
    nft(
        "add",
        "rule",
        "ip",
        "qbo_kit",
        "prerouting",
        'iifname "wan" fib daddr type local tcp dport 9443 dnat to 10.1.2.3:9443 comment "qbokit:acme"',
    )
    assert "was changed since the kit's last change" in forward(router, state="restored").flat


def test_absent_removes_our_rules_and_nobody_elses(router: Control) -> None:
    nft("-f", "-", text=FOREIGN.replace("443", "8443"))
    before = nft("list", "ruleset")
    forward(router)
    removal = forward(router, state="absent")
    assert (removal.code, removal.count("changed")) == (0, 1), removal.text
    assert nft("list", "ruleset") == before
    assert forward(router, state="absent").count("changed") == 0


def test_a_router_that_is_not_in_the_inventory_is_refused(control: Control) -> None:
    run = control.role("port_forward", site_router="nobody")
    assert run.code == 2
    assert (
        "acme: the router nobody is not in the inventory. Add it to the group routers in inventory/acme.yml, "
        "or name another with site_router." in run.flat
    )
