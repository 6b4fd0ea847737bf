"""The router's forwarded ports, through ``qbo_sync.edge.router``; the task is delegated to the router.

The plan is made on the control node from what the router shows; the router needs a shell and its own tools, no Python. In check
mode nothing is written; ``--diff`` shows our rules before and after. ``text`` is the file that makes all of our rules, for boot.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, ClassVar

from qbo_sync.edge import router
from qbo_sync.edge.action import KitAction
from qbo_sync.errors import KitError


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "provider": {"type": "str", "required": True},
        "wan_interface": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "external_address": {"type": "str", "default": ""},
        "ports": {"type": "list", "elements": "int", "required": True},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Plan, apply, and look again: the router must then show exactly what was planned."""
        wanted = router.forwards(self.site, arguments["address"], arguments["ports"], arguments["external_address"])
        wanted = wanted if arguments["state"] == "present" else ()
        device = router.provider(arguments["provider"], self._run, wan_interface=arguments["wan_interface"])
        plan = device.plan(self.site, wanted)
        if plan.changed and not self.check_mode:
            device.apply(plan)
            if device.plan(self.site, wanted).changed:
                device.rollback(plan.undo)
                raise KitError(
                    "the router took the rules but does not show them; they were taken back",
                    next="look for another program on the router that rewrites its rules",
                )
        return {
            "changed": plan.changed,
            "text": plan.text,
            "left": len(plan.forwards),
            "forwards": [str(forward) for forward in plan.forwards],
            "given": list(plan.given),
            "attention": list(plan.warnings),
            "diff": {"before": plan.undo if plan.changed else plan.text, "after": plan.text},
        }

    def _run(self, command: Sequence[str], text: str) -> str:
        """Carry a command to the router. Raises :class:`KitError` with what the router said."""
        # With something on standard input ssh gives no terminal, which would mix warnings into the answer.
        done = self._low_level_execute_command(shlex.join(command), in_data=text.encode() or b"\n")
        if done["rc"] != 0:
            raise KitError(
                f"the router refused `{shlex.join(command)}`",
                seen=(done["stderr"] or done["stdout"]).strip()[-400:],
                next="it must be a Linux router with nftables, reached as root",
            )
        return str(done["stdout"])
