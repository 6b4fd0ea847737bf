"""The lab's site, as far as its network side goes: record, forwards, proxy, certificate, qbo-sync."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.world import world
from lab.world.access import Lab
from lab.world.layout import TOP
from tests.playbooks import Run, ansible_playbook

NETWORK_ROLES = ("dns_record", "port_forward", "reverse_proxy", "certificate", "qbo_sync")


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
        return ansible_playbook("lab", "-i", self.lab.inventory, "-e", f"@{given}", path, *arguments)

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

    @contextmanager
    def broken(self, host: str, harm: str, repair: str) -> Iterator[None]:
        """Break something on a host, and mend it whatever happens."""
        self.on(host, harm)
        try:
            yield
        finally:
            self.on(host, repair)

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
