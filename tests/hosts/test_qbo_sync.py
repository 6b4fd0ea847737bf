"""What connect.yml adds, on the edge host and for the world. Before that step: ``--deselect tests/hosts/test_qbo_sync.py``."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from tests.hosts.conftest import Target
from tests.hosts.expected import expected
from tests.hosts.test_edge import LISTENER, check_file, check_unit
from tests.hosts.test_observer import check_page

wanted = functools.partial(expected, "qbo_sync")


@pytest.mark.each_wanted(unit="units")
def test_the_service_runs_now_and_after_the_next_boot(edge: Target, unit: str) -> None:
    check_unit(edge, unit)


@pytest.mark.each_wanted(entry="files")
def test_a_file_belongs_to_its_owner(edge: Target, entry: dict[str, Any]) -> None:
    check_file(edge, entry)


def test_it_listens_on_loopback_only(edge: Target) -> None:
    """Only the reverse proxy may reach it."""
    found = LISTENER.finditer(edge.run("ss -Htlnp"))
    seen = {f"{m['address']}:{m['port']}" for m in found if m["program"] == "qbo-sync"}
    assert seen == set(wanted("sockets", edge.site))


def test_every_secret_belongs_to_the_service_alone(edge: Target) -> None:
    """All files next to the settings, not only those that are known by name."""
    folder = f"/etc/qbo-sync/{edge.site['site_name']}.d"
    listed = edge.run("find %s -type f -printf '%%u %%m\\n'", folder).splitlines()
    assert set(listed) == {"qbo-sync 600"}


def test_no_secret_stands_in_the_settings(edge: Target) -> None:
    """The settings name files; what is in those files stands nowhere else."""
    site = edge.site["site_name"]
    command = "grep --count --fixed-strings --file /etc/qbo-sync/%s.d/client-secret /etc/qbo-sync/%s.toml"
    assert edge.host.run(command, site, site).stdout.strip() == "0"


def test_it_runs_as_a_user_of_its_own(edge: Target) -> None:
    """Not as root, and not as the web server."""
    unit = wanted("units", edge.site)[0]
    process = edge.run("systemctl show %s --property MainPID --value", unit)
    assert edge.run("stat --format %%U /proc/%s", process) == "qbo-sync"


def test_the_grant_is_in_health(edge: Target) -> None:
    """Neither lost nor about to end: a QuickBooks administrator has months to connect again before an import stands still."""
    site = edge.site["site_name"]
    done = edge.host.run("/usr/local/bin/qbo-sync --config /etc/qbo-sync/%s.toml --format json status", site)
    answer = json.loads(done.stdout)
    assert answer["summary"]["connection"] in wanted("connection", edge.site), answer["next"]


@pytest.mark.each_wanted(page="pages")
def test_a_page_answers_under_a_valid_certificate(observer: Target, page: dict[str, Any]) -> None:
    check_page(observer, page)
