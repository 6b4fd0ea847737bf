"""The lab's site, as far as its network side goes: record, forwards, proxy, certificate, qbo-sync."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.world import world
from lab.world.access import Lab
from lab.world.layout import TOP

NETWORK_ROLES = ("dns_record", "port_forward", "reverse_proxy", "certificate", "qbo_sync")


@dataclass
class Run:
    """One ansible-playbook run."""

    code: int
    text: str

    @property
    def flat(self) -> str:
        """The text with all white space made one blank."""
        return re.sub(r"\s+", " ", self.text)

    def count(self, word: str) -> int:
        """A number of the edge host's line in the recap: ``changed``, ``failed``, ``ok``…"""
        found = re.search(rf"^lab\s*:.*\b{word}=(\d+)", self.text, re.MULTILINE)
        assert found, self.text
        return int(found[1])


@dataclass
class EdgeSite:
    """The lab's site in the hands of a test. What happens to it is kept in a store of the test's own."""

    lab: Lab
    folder: Path
    always: dict[str, Any] = field(default_factory=dict)

    def roles(
        self, *names: str, arguments: tuple[str, ...] = (), inventory: dict[str, Any] | None = None, **variables: Any
    ) -> Run:
        """Run these roles for the site; with ``inventory``, values in the place of its own, begun as every playbook begins."""
        tasks: list[dict[str, Any]] = [{"name": f"Run {name}", "ansible.builtin.include_role": {"name": name}} for name in names]
        play = {"hosts": "edge_hosts", "gather_facts": False, "vars": inventory or {}, "tasks": tasks}
        if inventory:
            tasks.insert(0, {"name": "Begin", "ansible.builtin.import_tasks": str(TOP / "playbooks/tasks/begin.yml")})
        path = self.folder / "play.yml"
        path.write_text(yaml.safe_dump([play], sort_keys=False))
        given = self.folder / "variables.yml"
        given.write_text(yaml.safe_dump({"kit_store": str(self.folder / "store"), **self.always, **variables}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [program, "-i", str(self.lab.inventory), "-e", f"@{given}", str(path), *arguments]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=600, check=False)
        return Run(done.returncode, done.stdout + done.stderr)

    def build(self, *names: str) -> Run:
        """Bring the network side up, from whatever is there; or, at less cost, only the roles that a test has disturbed."""
        run = self.roles(*(names or NETWORK_ROLES))
        assert run.code == 0, run.text
        return run

    def on(self, host: str, script: str) -> str:
        """The standard output of a script that must succeed on ``edge``, ``router`` or ``observer``."""
        done = self.lab.shell(host, script)
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def restart(self, host: str) -> None:
        """Cut the power of ``router`` or ``edge``, and wait until it has booted: every unit of it runs."""
        world.restart(host)
        assert self.on(host, "systemctl is-system-running --wait") == "running"

    def make_fail(self, host: str, unit: str) -> None:
        """Let a unit of systemd be in the state `failed`, with its own file as it was."""
        folder = f"/run/systemd/system/{unit}.d"
        drop_in = "[Service]\\nRestart=no\\nExecStartPre=/bin/false\\n"
        start = f"systemctl daemon-reload; systemctl stop {unit}; systemctl start {unit}"
        self.on(
            host, f"mkdir -p {folder}; printf '{drop_in}' > {folder}/fail.conf; {start}; rm -r {folder}; systemctl daemon-reload"
        )
        assert self.on(host, f"systemctl is-failed {unit}") == "failed"


@pytest.fixture(scope="session")
def edge_site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> EdgeSite:
    """The lab's site with its network side up."""
    site = EdgeSite(lab, tmp_path_factory.mktemp("edge-site"))
    site.build()
    return site
