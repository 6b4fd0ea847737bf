"""A systemd unit is started now and at every boot, or neither, and check mode says which (``kit_unit``)."""

from __future__ import annotations

import yaml

from tests.lab.conftest import EdgeSite
from tests.playbooks import Run, ansible_playbook

UNIT = "kit-test.service"
FILE = f"/etc/systemd/system/{UNIT}"
WRITE = (
    rf"printf '[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=multi-user.target\n' > {FILE}; systemctl daemon-reload"
)
REMOVE = f"systemctl disable --now {UNIT} 2>/dev/null; rm -f {FILE}; systemctl daemon-reload"


def states(site: EdgeSite) -> str:
    return site.on("edge", f"systemctl is-active {UNIT} || true; systemctl is-enabled {UNIT} 2>/dev/null || true")


def asked(site: EdgeSite, state: str, *arguments: str, name: str = UNIT) -> Run:
    task = {"name": "Unit", "kit_unit": {"name": name, "state": state}}
    path = site.folder / "unit.yml"
    path.write_text(yaml.safe_dump([{"hosts": "edge_hosts", "tasks": [task]}]))
    return ansible_playbook("lab", "-i", site.lab.inventory, "-e", f"kit_store={site.folder}/store", path, *arguments)


def test_a_unit_is_started_and_stopped_once_and_check_mode_only_says_so(edge_site: EdgeSite) -> None:
    with edge_site.broken("edge", WRITE, REMOVE):
        said = asked(edge_site, "started", "--check", "--diff")
        assert (said.code, said.count("changed")) == (0, 1), said.text
        assert "+running, started at boot" in said.text
        assert states(edge_site) == "inactive\ndisabled"

        assert [asked(edge_site, "started").count("changed") for _ in range(2)] == [1, 0]
        assert states(edge_site) == "active\nenabled"

        edge_site.on("edge", f"systemctl disable {UNIT}")
        assert asked(edge_site, "started").count("changed") == 1
        assert states(edge_site) == "active\nenabled"

        assert [asked(edge_site, "stopped").count("changed") for _ in range(2)] == [1, 0]
        assert states(edge_site) == "inactive\ndisabled"


def test_a_transient_unit_which_cannot_be_disabled_is_stopped(edge_site: EdgeSite) -> None:
    edge_site.on("edge", f"systemd-run --unit {UNIT} sleep 600")
    run = asked(edge_site, "stopped")
    assert (run.code, run.count("changed")) == (0, 1), run.text
    assert states(edge_site).startswith("inactive")


def test_a_unit_nobody_knows_is_stopped_already_and_started_only_in_check_mode(edge_site: EdgeSite) -> None:
    unknown = "kit-nobody.service"
    runs = [
        asked(edge_site, "stopped", name=unknown),
        asked(edge_site, "started", "--check", name=unknown),
        asked(edge_site, "started", name=unknown),
    ]
    assert [(run.code, run.count("changed")) for run in runs] == [(0, 0), (0, 1), (2, 0)], [run.text for run in runs]
    assert f"Could not find the requested service {unknown}" in runs[-1].flat
