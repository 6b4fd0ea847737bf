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


def test_a_stopped_nginx_is_seen_on_the_host_and_from_outside(edge_site: EdgeSite) -> None:
    """And by a monitoring system, whose check the same suite is: one line, and exit code 0 or 2."""
    pick = "unit_runs or sockets or page_answers"
    ask = ("tests/hosts/test_observer.py", "-k", "time_left", "--nagios")
    code, text = suite(edge_site, *ask)
    assert (code, text.splitlines()[0][:12]) == (0, "TESTINFRA OK"), text
    with edge_site.broken("edge", "systemctl stop nginx", "systemctl start nginx"):
        code, text = suite(edge_site, "tests/hosts/test_edge.py", "tests/hosts/test_observer.py", "-k", pick)
        told, line = suite(edge_site, *ask)
    assert code == 1, text
    assert failed(text) == {
        "test_a_unit_runs_now_and_after_the_next_boot",
        "test_only_the_expected_sockets_can_be_reached",
        "test_a_page_answers_under_a_valid_certificate",
    }, text
    assert (told, line.splitlines()[0][:18]) == (2, "TESTINFRA CRITICAL"), line


def test_a_disabled_timer_an_extra_socket_and_an_open_secret_are_seen_and_nothing_else(edge_site: EdgeSite) -> None:
    timer, secret = "qbo-kit-certbot.timer", "/etc/qbo-sync/lab.d/client-secret"
    harm = f"systemctl disable --now {timer}; chmod 644 {secret}"
    harm += "; systemd-run --quiet --unit stranger python3 -m http.server 8888"
    mend = f"systemctl stop stranger; chmod 600 {secret}; systemctl enable --now {timer}"
    with edge_site.broken("edge", harm, mend):
        code, text = suite(edge_site, "tests/hosts/test_edge.py", "tests/hosts/test_qbo_sync.py")
    assert code == 1, text
    assert failed(text) == {
        "test_a_unit_runs_now_and_after_the_next_boot",
        "test_the_renewal_will_fire",
        "test_the_timers_are_due",
        "test_only_the_expected_sockets_can_be_reached",
        "test_a_file_belongs_to_its_owner",
        "test_every_secret_belongs_to_the_service_alone",
        "test_no_private_key_can_be_read_by_others",
    }, text


def test_a_missing_forward_and_a_door_that_nobody_asked_for_are_seen(edge_site: EdgeSite) -> None:
    """The door is a forward of somebody else's, to the Windows server's remote desktop for all one knows."""
    door = "nft 'add table ip other; add chain ip other c { type nat hook prerouting priority -110; }; "
    door += "add rule ip other c iifname wan tcp dport 3389 dnat to 10.10.0.20:8080'"
    without = "nft list table ip qbo_kit | sed '/fib daddr.*dport 443/d'"
    lost = f"(echo 'delete table ip qbo_kit'; {without}) | nft -f -"
    ports = ("tests/hosts/test_observer.py", "-k", "exactly_the_expected_ports")
    with edge_site.broken("router", door, "nft delete table ip other"):
        asked, text = suite(edge_site, *ports, "--kit-open", "3389")
        assert asked == 0, text
        with edge_site.broken("router", lost, "systemctl restart qbo-kit-forward.service"):
            code, text = suite(edge_site, "tests/hosts/test_router.py", *ports)
    assert code == 1, text
    assert failed(text) == {"test_exactly_the_expected_ports_are_forwarded", "test_exactly_the_expected_ports_answer"}, text
    assert "3389" in text


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
    """Without a path pytest goes by its own settings; what is long to collect is left out here."""
    others = [f"--ignore=tests/{folder}" for folder in ("unit", "contract", "databases", "roles")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", *others]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=300, check=False)
    assert "tests/lab/test_hosts_suite.py" in done.stdout, done.stdout
    assert "tests/hosts" not in done.stdout, done.stdout
