"""An Ansible callback that writes one JSON line per finished task: where it ran, in which role, how long, what it ran there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kit_timing
type: aggregate
short_description: one JSON line a finished task, into the file named by KIT_TIMING_FILE
description: For `./kit bench provision`. Every module that was really sent to a host says in its result how it was called.
author: qbo-kit
"""

# What runs a command or a program on the host without sending a module there. Actions that carry files publish ``written``.
COMMANDS = {
    *("ansible.builtin.raw", "qbo_sync_command", "kit_packages", "kit_page", "kit_unit", "kit_wheels"),
    *("certificate_facts", "certificate_renew", "certificate_served", "preflight_host", "preflight_outside"),
    *("reverse_proxy_facts", "verify_site"),
}


def modules_run(result: dict[str, Any]) -> int:
    """How many modules a task sent to a host: one per item of a loop; none for what is done on the control node."""
    if "results" in result:
        return sum("invocation" in one for one in result["results"] if isinstance(one, dict))
    return int("invocation" in result)


class CallbackModule(CallbackBase):
    """See the module's docstring."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kit_timing"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._path = Path(os.environ["KIT_TIMING_FILE"])
        self._began: dict[str, float] = {}

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A task begins on a host."""
        self._began[f"{host.name} {task._uuid}"] = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well on a host."""
        task, values = result._task, result._result
        began = self._began.pop(f"{result._host.name} {task._uuid}", time.monotonic())
        sent = (task.action in COMMANDS or "written" in values) and "skipped" not in values
        line = {
            "host": str(task.delegate_to or result._host.name),
            "role": task._role.get_name() if task._role else "",
            "task": task.get_name(),
            "modules": modules_run(values) or int(sent),
            "changed": bool(values.get("changed")),
            "seconds": time.monotonic() - began,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
