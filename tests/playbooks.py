"""Runs of the real ansible-playbook, and what they said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]


@dataclass
class Run:
    """One run: its exit code, its text, and the inventory host whose line of the recap counts."""

    code: int
    text: str
    host: str

    @property
    def flat(self) -> str:
        """The text with all white space made one blank."""
        return re.sub(r"\s+", " ", self.text)

    def count(self, word: str) -> int:
        """A number of the host's line: ``changed``, ``failed``, ``ok``…; the sum, where several playbooks print one each."""
        found = re.findall(rf"^{self.host}\s*:.*\b{word}=(\d+)", self.text, re.MULTILINE)
        assert found, self.text
        return sum(map(int, found))


def ansible_playbook(
    host: str,
    *arguments: str | Path,
    wrap: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout_s: int = 600,
) -> Run:
    """Run it with this checkout's settings; ``wrap`` is the command it is started by."""
    program = Path(sys.executable).with_name("ansible-playbook")
    given = {**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", **(environment or {})}
    command = [*wrap, str(program), *map(str, arguments)]
    done = subprocess.run(command, cwd=TOP, env=given, capture_output=True, text=True, timeout=timeout_s, check=False)
    return Run(done.returncode, done.stdout + done.stderr, host)
