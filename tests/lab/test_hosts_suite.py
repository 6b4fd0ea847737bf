"""The suite shipped for users sees a sound site as sound, and each kind of damage as damage."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.world.layout import TOP
from tests.lab.conftest import EdgeSite


def suite(site: EdgeSite, *arguments: str, inventory: Path | None = None) -> tuple[int, str]:
    """Run tests/hosts as a user would; its exit code and what it printed."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=short", *arguments]
    command += ["--kit-inventory", str(inventory or site.lab.inventory)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=400, check=False)
    return done.returncode, done.stdout + done.stderr


def failed(text: str) -> set[str]:
    """The names of the tests that failed."""
    return set(re.findall(r"^FAILED \S+::(\w+)", text, re.MULTILINE))


def test_a_sound_site_passes_and_nothing_is_left_out(edge_site: EdgeSite) -> None:
    """Also when the power was cut: everything is there again by itself, the forwards, the pages, the timers."""
    for host in ("router", "edge"):
        edge_site.restart(host)
    score = edge_site.on("edge", "systemd-analyze security --no-pager qbo-sync@lab.service | tail -n 1")
    assert float(score.split(": ")[1].split()[0]) <= 2.0
    code, text = suite(edge_site, "tests/hosts")
    assert code == 0, text
    assert re.search(r"^\d+ passed in", text, re.MULTILINE), text


def test_a_stopped_nginx_is_seen_on_the_host(edge_site: EdgeSite) -> None:
    with edge_site.broken("edge", "systemctl stop nginx", "systemctl start nginx"):
        code, text = suite(edge_site, "tests/hosts/test_edge.py")
    assert code == 1, text
    seen = failed(text)
    assert {"test_a_unit_runs_now_and_after_the_next_boot", "test_only_the_expected_sockets_can_be_reached"} <= seen, text


def test_a_stopped_nginx_is_seen_from_outside(edge_site: EdgeSite) -> None:
    with edge_site.broken("edge", "systemctl stop nginx", "systemctl start nginx"):
        code, text = suite(edge_site, "tests/hosts/test_observer.py", "-k", "page or newest or secure")
    assert code == 1, text
    assert "test_a_page_answers_under_a_valid_certificate" in failed(text), text


def test_a_disabled_timer_is_seen(edge_site: EdgeSite) -> None:
    timer = "qbo-kit-certbot.timer"
    with edge_site.broken("edge", f"systemctl disable --now {timer}", f"systemctl enable --now {timer}"):
        code, text = suite(edge_site, "tests/hosts/test_edge.py")
    assert code == 1, text
    assert failed(text) == {
        "test_a_unit_runs_now_and_after_the_next_boot",
        "test_the_renewal_will_fire",
        "test_the_timers_are_due",
    }, text


def test_a_missing_forward_is_seen(edge_site: EdgeSite) -> None:
    without = "nft list table ip qbo_kit | sed '/fib daddr.*dport 443/d'"
    harm = f"(echo 'delete table ip qbo_kit'; {without}) | nft -f -"
    with edge_site.broken("router", harm, "systemctl restart qbo-kit-forward.service"):
        code, text = suite(edge_site, "tests/hosts/test_router.py")
    assert code == 1, text
    assert "test_exactly_the_expected_ports_are_forwarded" in failed(text), text


def test_an_extra_socket_is_seen(edge_site: EdgeSite) -> None:
    harm = "systemd-run --quiet --unit stranger python3 -m http.server 8888"
    with edge_site.broken("edge", harm, "systemctl stop stranger"):
        code, text = suite(edge_site, "tests/hosts/test_edge.py", "-k", "sockets")
    assert code == 1, text
    assert failed(text) == {"test_only_the_expected_sockets_can_be_reached"}, text


def test_a_door_that_nobody_asked_for_is_seen_from_outside(edge_site: EdgeSite) -> None:
    """A forward of somebody else's, to the Windows server's remote desktop for all one knows."""
    harm = "nft 'add table ip other; add chain ip other c { type nat hook prerouting priority -110; }; "
    harm += "add rule ip other c iifname wan tcp dport 3389 dnat to 10.10.0.20:8080'"
    with edge_site.broken("router", harm, "nft delete table ip other"):
        code, text = suite(edge_site, "tests/hosts/test_observer.py", "-k", "exactly_the_expected_ports")
        asked, _ = suite(edge_site, "tests/hosts/test_observer.py", "-k", "exactly_the_expected_ports", "--kit-open", "3389")
    assert (code, asked) == (1, 0), text
    assert "3389" in text


def test_it_speaks_to_nagios(edge_site: EdgeSite) -> None:
    """The same suite is a check of a monitoring system: one line, and exit code 0 or 2."""
    ask = ("tests/hosts/test_observer.py", "-k", "time_left", "--nagios")
    code, text = suite(edge_site, *ask)
    assert (code, text.splitlines()[0][:12]) == (0, "TESTINFRA OK"), text
    with edge_site.broken("edge", "systemctl stop nginx", "systemctl start nginx"):
        code, text = suite(edge_site, *ask)
    assert (code, text.splitlines()[0][:18]) == (2, "TESTINFRA CRITICAL"), text


def test_a_secret_open_to_others_is_seen(edge_site: EdgeSite) -> None:
    path = "/etc/qbo-sync/lab.d/client-secret"
    with edge_site.broken("edge", f"chmod 644 {path}", f"chmod 600 {path}"):
        code, text = suite(edge_site, "tests/hosts/test_edge.py", "tests/hosts/test_qbo_sync.py", "-k", "secret or key or owner")
    assert code == 1, text
    assert {"test_every_secret_belongs_to_the_service_alone", "test_no_private_key_can_be_read_by_others"} <= failed(text), text


def test_without_an_inventory_it_skips_in_one_line() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests/hosts"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=120, check=False)
    assert len(re.findall("^SKIPPED", done.stdout, re.MULTILINE)) == 1, done.stdout
    assert "--kit-inventory" in done.stdout


@pytest.mark.parametrize("inventory", [(), ("--kit-inventory", "/nowhere.yml")])
def test_monitoring_is_told_when_nothing_could_be_asked(inventory: tuple[str, ...]) -> None:
    """Not OK, since nothing was seen."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests/hosts", "--nagios", *inventory]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "TESTINFRA UNKNOWN" in done.stdout + done.stderr
    assert "TESTINFRA OK" not in done.stdout


def test_a_run_of_all_tests_leaves_it_out() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--collect-only",
        "-q",
        "-k",
        "test_the_renewal_will_fire",
    ]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=300, check=False)
    assert "tests/hosts" not in done.stdout, done.stdout
