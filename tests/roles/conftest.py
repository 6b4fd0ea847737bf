"""Roles and playbooks run by the real ansible-playbook, against this machine only: nothing here needs another host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]

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
class Run:
    """One ansible-playbook run: its exit code, its text, and the same text with all white space made one blank."""

    code: int
    text: str

    @property
    def flat(self) -> str:
        return re.sub(r"\s+", " ", self.text)

    def count(self, word: str, host: str = "acme") -> int:
        """A number of the recap: ``changed``, ``failed``, ``ok``…"""
        found = re.search(rf"^{host}\s*:.*\b{word}=(\d+)", self.text, re.MULTILINE)
        assert found, self.text
        return int(found[1])


@dataclass
class Control:
    """A control node with a store of its own. ``variables`` are the site's, as group_vars would give them."""

    folder: Path
    variables: dict[str, Any] = field(default_factory=lambda: dict(SITE))

    @property
    def state(self) -> dict[str, Any]:
        """What the site's steps left behind."""
        path = self.folder / "store" / "state.json"
        return dict(json.loads(path.read_text())["acme"]) if path.is_file() else {}

    def inventory(self) -> Path:
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = dict.fromkeys(("acme", "acme-router", "acme-observer"), host)
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
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [*wrap, program, "-i", str(self.inventory()), str(path), *arguments]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
        }
        done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=120)
        return Run(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """A control node for one site."""
    return Control(tmp_path)
