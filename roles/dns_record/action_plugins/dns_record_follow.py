"""Bring the settings and the secret that a changing address is followed with to the edge host, for root alone.

Runs on the control node, where the secret's file is (a vault is opened); names are all that ``--diff`` shows. With
``validate: true`` everything is checked and nothing is sent.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from qbo_sync.config import read_secret
from qbo_sync.edge import follow
from qbo_sync.edge.action import CarryingAction
from qbo_sync.errors import UsageError


class ActionModule(CarryingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "folder": {"type": "str", "required": True},
        "settings": {"type": "dict", "required": True},
        "dns": {"type": "dict", "required": True},
        "validate": {"type": "bool", "default": False},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make every file's content, and carry those that differ."""
        folder, given = arguments["folder"], arguments["dns"]
        settings = follow.Settings(**arguments["settings"], dns={**given, "token_file": f"{folder}/token"})
        files = {"token": read_secret(self.secret_file(given["token_file"]), "secret of dns_record_token_file").encode()}
        if given["api_ca_file"]:
            settings.dns["api_ca_file"] = f"{folder}/ca.pem"
            files["ca.pem"] = _content(given["api_ca_file"])
        files["settings.json"] = json.dumps(asdict(settings), indent=1, sort_keys=True).encode()
        return {"changed": False} if arguments["validate"] else self.carry_secrets(folder, files, last="settings.json")


def _content(name: str) -> bytes:
    try:
        return Path(name).expanduser().read_bytes()
    except OSError as error:
        raise UsageError("the file of dns_record_api_ca_file cannot be read", seen=f"{name}: {error.strerror}") from None
