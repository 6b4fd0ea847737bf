"""What a look from outside says about ports that a person forwards: done, or a wait with the text for that person."""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import KitAction
from qbo_sync.edge.router import manual


class ActionModule(KitAction):
    """See the module's docstring; it runs on the control node and changes nothing."""

    arguments: ClassVar[dict[str, Any]] = {
        "found": {"type": "dict", "required": True},
        "served": {"type": "list", "elements": "int", "required": True},
        "address": {"type": "str", "required": True},
        "external_address": {"type": "str", "required": True},
        "hardware": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Judge what was found."""
        found = {int(port): str(met) for port, met in arguments.pop("found").items()}
        manual.prove(found, arguments.pop("served"), **arguments)
        return {"changed": False, "forwards": [f"tcp {port} -> {arguments['address']}:{port}" for port in sorted(found)]}
