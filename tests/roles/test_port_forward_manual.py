"""The role with a router that a person sets. One namespace is edge host, internet and observer; its rules play the router."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.needs import lab_image
from tests.playbooks import Run
from tests.roles.conftest import Control

NAMESPACE = f"qktest-manual-{os.getpid()}"
INSIDE = ("ip", "netns", "exec", NAMESPACE)
ROLE = [{"name": "Run the role", "ansible.builtin.import_role": {"name": "port_forward"}}]
# The router keeps the packets to itself, or answers with its own page.
SILENT = """table ip router {
  chain input { type filter hook input priority 0; ip daddr 11.22.33.44 tcp dport 443 drop; }
}"""
OWN_PAGE = """table ip router {
  chain output { type nat hook output priority -100; ip daddr 11.22.33.44 tcp dport 443 redirect to :8443; }
}"""
SERVER = """
import socket, time
listener = socket.create_server(("0.0.0.0", {port}))
print("up", flush=True)
while True:
    c, _ = listener.accept()
    {do}
"""


@pytest.fixture
def site(control: Control) -> Iterator[Control]:
    lab_image()
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        for command in ("link set lo up", "addr add 10.1.2.3/32 dev lo", "addr add 11.22.33.44/32 dev lo"):
            subprocess.run(["ip", "-n", NAMESPACE, *command.split()], check=True)
        control.variables["port_forward_provider"] = "manual"
        yield control
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True)


@contextmanager
def server(port: int, do: str) -> Iterator[None]:
    code = SERVER.format(port=port, do=do)
    with subprocess.Popen([*INSIDE, sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        try:
            yield
        finally:
            process.kill()


def run(site: Control, *arguments: str) -> Run:
    return site.play(ROLE, *arguments, wrap=INSIDE)


def nft(text: str) -> None:
    subprocess.run([*INSIDE, "nft", "-f", "-"], input=text, text=True, check=True)


def listening() -> str:
    return subprocess.run([*INSIDE, "ss", "-Htln"], capture_output=True, text=True, check=True).stdout


def test_ports_that_lead_to_the_edge_host_are_done_and_the_listener_is_gone(site: Control) -> None:
    done = run(site)
    assert (done.code, done.count("changed")) == (0, 0), done.text
    kept = site.state["port_forward"]
    assert (kept["state"], kept["seen"]["found"]) == ("done", {"80": "reached", "443": "reached"})
    for _ in range(50):
        if not listening():
            break
        time.sleep(0.1)
    assert listening() == ""


def test_without_an_external_address_for_people_inside_the_sites_own_is_looked_at(site: Control) -> None:
    site.variables["port_forward_external_address"] = ""
    done = run(site)
    assert (done.code, site.state["port_forward"]["seen"]["found"]) == (0, {"80": "reached", "443": "reached"}), done.text


def test_such_a_router_cannot_be_asked_for_its_address(site: Control) -> None:
    site.variables["site_address"] = "auto"
    begin = Path(__file__).resolve().parents[2] / "playbooks" / "tasks" / "begin.yml"
    refused = site.play([{"name": "Begin", "ansible.builtin.include_tasks": str(begin)}], wrap=INSIDE)
    assert refused.code == 2
    assert "acme: a router that is set by hand cannot be asked for its address" in refused.flat
    assert "dns_record_follow: https://" in refused.flat


def test_a_silent_port_is_a_wait_with_what_to_set(site: Control) -> None:
    nft(SILENT)
    waits = run(site)
    assert (waits.code, waits.count("changed"), waits.count("failed")) == (0, 0, 0), waits.text
    kept = site.state["port_forward"]
    assert (kept["state"], kept["seen"]["found"]) == ("waiting", {"80": "reached", "443": "silent"})
    assert kept["waiting_for"]["who"] == "whoever manages the site's router"
    assert "external port 443 -> 10.1.2.3" in kept["next"]
    nft("delete table ip router")
    assert run(site).code == 0
    assert site.state["port_forward"]["state"] == "done"


def test_the_routers_own_page_is_told_from_the_edge_host(site: Control) -> None:
    nft(OWN_PAGE)
    with server(8443, "c.sendall(b'login: '), c.close()"):
        assert run(site).code == 0
    assert site.state["port_forward"]["seen"]["found"] == {"80": "reached", "443": "other"}
    assert site.state["port_forward"]["state"] == "waiting"


def test_a_port_that_the_edge_hosts_web_server_has_needs_only_to_be_open(site: Control) -> None:
    with server(80, "time.sleep(3)"):
        assert run(site).code == 0
    kept = site.state["port_forward"]
    assert (kept["state"], kept["seen"]["found"]) == ("done", {"80": "open", "443": "reached"})


def test_check_mode_looks_too_and_remembers_nothing(site: Control) -> None:
    done = run(site, "--check")
    assert (done.code, done.count("changed")) == (0, 0), done.text
    assert site.state == {}


def test_removal_says_what_a_person_has_to_take_away(site: Control, tmp_path: Path) -> None:
    site.variables["port_forward_state"] = "absent"
    assert run(site).code == 0
    assert "10.1.2.3" in site.state["port_forward"]["next"]


def test_an_observer_that_is_not_in_the_inventory_is_refused(control: Control) -> None:
    refusal = control.role("port_forward", port_forward_provider="manual", site_observer="nobody")
    assert refusal.code == 2
    assert "acme: the observer nobody is not in the inventory" in refusal.flat
