"""A systemd unit that runs now and at every boot, or that does neither.

::

    - name: Let the timer look after it from now on
      kit_unit:
        name: qbo-kit-certbot.timer
        state: started        # or stopped

Asks systemd first, so a unit that is as it should be costs one command; ``ansible.builtin.systemd_service`` does the rest. A unit
that systemd does not know is stopped already; in check mode it may be one whose file only a real run writes: it would be started.
Published: ``known``, whether systemd knew the unit.
"""

from __future__ import annotations

import shlex
from typing import Any, ClassVar

from qbo_sync.edge.action import KitAction
from qbo_sync.errors import KitError

# A service that systemd starts again and again counts as running, as it does for Ansible's own module.
RUNNING = ("active", "activating")
# Where no systemd runs there is no unit either.
ASK = "test ! -d /run/systemd/system || systemctl show --property=LoadState,ActiveState,UnitFileState -- "


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["started", "stopped"], "required": True},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Leave the unit alone where it is as it should be."""
        name, wanted = arguments["name"], arguments["state"] == "started"
        seen = self._ask(name)
        known = seen.get("LoadState", "not-found") != "not-found"
        running, at_boot = seen.get("ActiveState") in RUNNING, seen.get("UnitFileState") == "enabled"
        if (running, at_boot) == (wanted, wanted):
            return {"changed": False, "known": known}
        if self.check_mode:
            return {"changed": True, "known": known, "diff": {"before": _said(running, at_boot), "after": _said(wanted, wanted)}}
        # Not everything that runs can be disabled: a transient unit cannot.
        module_args = {"name": name, "state": arguments["state"], **({"enabled": wanted} if at_boot != wanted else {})}
        done: dict[str, Any] = self._execute_module("ansible.builtin.systemd_service", module_args, task_vars=self.task_vars)
        return {**done, "known": known}

    def _ask(self, name: str) -> dict[str, str]:
        """The unit's states. Raises :class:`KitError` when systemd does not answer."""
        done = self._low_level_execute_command(ASK + shlex.quote(name))
        if done["rc"] != 0:
            raise KitError(
                f"systemd does not say how its unit {name} is",
                seen=done["stderr"].strip()[-300:],
                next=f"on the host, run: systemctl status {name}",
            )
        return dict(line.partition("=")[::2] for line in done["stdout_lines"] if "=" in line)


def _said(running: bool, at_boot: bool) -> str:
    return f"{'running' if running else 'not running'}, {'started' if at_boot else 'not started'} at boot\n"
