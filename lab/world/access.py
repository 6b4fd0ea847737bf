"""A running lab in the hands of a test or of the demo."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.world import inventory, keys
from lab.world.layout import TOP


@dataclass(frozen=True)
class Lab:
    """Shells on its hosts, and its inventory."""

    inventory: Path = inventory.files(TOP)[0]

    def command(self, host: str, *words: str) -> list[str]:
        """The ssh command that runs something as root on ``edge``, ``router`` or ``observer``; without words, a shell."""
        return ["ssh", "-i", str(keys.SSH_KEY), *keys.ssh_arguments(), f"root@{keys.SSH_HOSTS[host]}", *words]

    def shell(self, host: str, script: str, *, text: str = "", timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a shell script on a host and wait for its end; ``text`` is its standard input."""
        command = self.command(host, script)
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout_s, check=False)
