"""The router's rules through the role's action, on a real kernel: a network namespace of the test's own plays the router."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require_lab
from tests.roles.conftest import TOP, Control, Run

pytestmark = pytest.mark.lab

NAMESPACE = f"qbokit-router-{os.getpid()}"
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
    require_lab()
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        yield control
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True)


def forward(control: Control, *arguments: str, state: str = "present", site: str = "acme", address: str = "10.1.2.3") -> Run:
    action = {
        "state": state,
        "provider": "nftables",
        "wan_interface": "wan",
        "address": address,
        "external_address": "11.22.33.44",
        "ports": [80, 443],
    }
    control.variables["site_name"] = site
    show = {"name": "Show", "ansible.builtin.debug": {"msg": "{{ set.forwards }}"}}
    tasks = [{"name": "Forward", "port_forward": action, "register": "set"}, show]
    plugins = [str(TOP / "playbooks/action_plugins"), str(TOP / "roles/port_forward/action_plugins")]
    wrap = ("env", f"ANSIBLE_ACTION_PLUGINS={':'.join(plugins)}", "ip", "netns", "exec", NAMESPACE)
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


def test_a_rule_of_somebody_else_at_the_port_is_refused_and_kept(router: Control, tmp_path: Path) -> None:
    nft("-f", "-", text=FOREIGN)
    before = nft("list", "ruleset")
    run = forward(router)
    assert run.code == 2
    assert "acme: the router already forwards a port that this site needs; nothing was changed" in run.flat
    assert 'ip office prerouting: iifname "wan" tcp dport 443 dnat to 10.1.2.99:443' in run.flat
    assert nft("list", "ruleset") == before


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
