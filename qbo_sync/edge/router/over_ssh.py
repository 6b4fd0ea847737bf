"""Routers that have a shell and no Python, through pyinfra: OpenWrt, VyOS, anything with a busybox.

::

    python -m qbo_sync.edge.router.over_ssh < job.json

A process of its own, on the control node: pyinfra's gevent does not go together with Ansible's forks. The job is that of
:mod:`qbo_sync.edge.router.job` with ``ssh`` beside it: pyinfra's own host data (``ssh_hostname``, ``ssh_user``, …); with
``{"local": true}`` the commands run on this machine.
"""

from __future__ import annotations

import json
import logging
import shlex
import sys
from collections.abc import Sequence
from io import StringIO
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State

from qbo_sync.edge.router import RouterBackend, Run, provider
from qbo_sync.edge.router.job import Job, serve
from qbo_sync.errors import KitError, Unreachable

CONNECT_TIMEOUT_S = 15
COMMAND_TIMEOUT_S = 120


class Shell:
    """A router's shell, connected through pyinfra. Raises :class:`Unreachable` when it can't be reached."""

    def __init__(self, ssh: dict[str, Any]) -> None:
        data = dict(ssh)
        name = "@local" if data.pop("local", False) else data.get("ssh_hostname", "")
        inventory = Inventory(([(name, data)], {}))  # type: ignore[no-untyped-call]
        self._state = State(inventory, Config(CONNECT_TIMEOUT=CONNECT_TIMEOUT_S))  # type: ignore[no-untyped-call]
        self._host = next(iter(self._state.inventory))
        words = StringIO()
        logging.getLogger("pyinfra").addHandler(logging.StreamHandler(words))
        try:
            connect_all(self._state)
        except PyinfraError as error:
            raise Unreachable(
                f"the router {name} does not let this machine in over SSH",
                seen=" ".join(words.getvalue().split())[-300:] or str(error),
                next=f"check that `ssh {data.get('ssh_user', 'root')}@{name}` works from here without a question",
            ) from error

    def run(self, command: Sequence[str], text: str) -> str:
        """Run a command there; ``text`` is its standard input. Raises :class:`KitError` with what the router said."""
        done, said = self._host.run_shell_command(
            StringCommand(shlex.join(command)), _stdin=text or None, _timeout=COMMAND_TIMEOUT_S
        )
        if not done:
            raise KitError(
                f"the router refused `{shlex.join(command)}`",
                seen=(said.stderr or said.stdout).strip()[-400:],
                next="its words say why; is it the make of router that port_forward_provider names?",
            )
        return str(said.stdout)

    def close(self) -> None:
        """End the connection."""
        disconnect_all(self._state)


def main() -> int:
    """Do the job on standard input."""
    document = json.load(sys.stdin)
    ssh = document.pop("ssh")
    sys.stdin = StringIO(json.dumps(document))
    shells: list[Shell] = []

    def run(command: Sequence[str], text: str) -> str:
        if not shells:
            shells.append(Shell(ssh))
        return shells[0].run(command, text)

    def make(job: Job) -> RouterBackend:
        carry: Run = run
        return provider(job.provider, job.settings, carry)

    try:
        return serve(make)
    finally:
        for shell in shells:
            shell.close()


if __name__ == "__main__":
    sys.exit(main())
