"""Bring the certificate program's settings and secrets to the edge host, into a folder only root can read.

With ``validate: true`` everything is checked and nothing is sent: that is how a run refuses before it changes anything. Files of
an earlier run that are no longer wanted are removed. Names are all that ``--diff`` shows.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge import carried
from qbo_sync.edge.action import CarryingAction


class ActionModule(CarryingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "settings": {"type": "dict", "required": True},
        "authorities": {"type": "list", "elements": "dict", "default": []},
        "dns": {"type": "dict", "default": {}},
        "files": {"type": "dict", "default": {}},
        "alerts": {"type": "dict", "default": {}},
        "pfx": {"type": "dict", "default": {}},
        "validate": {"type": "bool", "default": False},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make every file's content, and carry those that differ."""
        wanted = carried.Carried(arguments["settings"]["name"], self.secret_file)
        parts = [arguments[part] for part in ("authorities", "dns", "files", "alerts", "pfx")]
        wanted.settings(arguments["settings"], *parts)
        if arguments["validate"]:
            return {"changed": False}
        return self.carry_secrets(wanted.folder, wanted.files, last=carried.SETTINGS)
