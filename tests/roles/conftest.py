"""Roles and playbooks run by the real ansible-playbook, against this machine only: nothing here needs another host."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.playbooks import Run, ansible_playbook

SITE = {
    "site_name": "acme",
    "site_fqdn": "qbo.acme-lifts.com",
    "site_zone": "acme-lifts.com",
    "site_address": "11.22.33.44",
    "site_lan_address": "10.1.2.3",
    "site_router": "acme-router",
    "site_observer": "acme-observer",
    "site_upstream": "http://10.1.2.4:8080",
}


@dataclass
class Control:
    """A control node with a store of its own. ``variables`` are the site's, as group_vars would give them.

    ``router`` is how its router is reached, if not as this machine.
    """

    folder: Path
    variables: dict[str, Any] = field(default_factory=lambda: dict(SITE))
    router: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> dict[str, Any]:
        """What the site's steps left behind."""
        path = self.folder / "store" / "state.json"
        return dict(json.loads(path.read_text())["acme"]) if path.is_file() else {}

    def inventory(self) -> Path:
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {"acme": host, "acme-router": {**host, **self.router}, "acme-observer": host}
        path = self.folder / "inventory.yml"
        groups = {"edge_hosts": {"hosts": {"acme": None}}, "site_acme": {"hosts": hosts}}
        given = {**self.variables, "kit_store": str(self.folder / "store")}
        path.write_text(yaml.safe_dump({"all": {"children": groups, "vars": given}}))
        return path

    def play(self, tasks: list[dict[str, Any]], *arguments: str, wrap: tuple[str, ...] = ()) -> Run:
        """Run these tasks for the site."""
        path = self.folder / "play.yml"
        path.write_text(yaml.safe_dump([{"hosts": "edge_hosts", "tasks": tasks}], sort_keys=False))
        return self.playbook(path, *arguments, wrap=wrap)

    def role(self, name: str, *arguments: str, **variables: Any) -> Run:
        """Run one role for the site."""
        self.variables = {**self.variables, **variables}
        return self.play([{"name": "Run the role", "ansible.builtin.import_role": {"name": name}}], *arguments)

    def playbook(self, path: Path, *arguments: str, wrap: tuple[str, ...] = ()) -> Run:
        """Run a playbook with this site's inventory."""
        folders = {"ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"), "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote")}
        return ansible_playbook("acme", "-i", self.inventory(), path, *arguments, wrap=wrap, environment=folders, timeout_s=120)


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """A control node for one site."""
    return Control(tmp_path)
