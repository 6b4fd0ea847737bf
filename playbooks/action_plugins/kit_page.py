"""See that a page of the host itself answers with a status: the task fails when it does not. Changes nothing.

::

    - name: Ask for the health page
      kit_page:
        port: 8765
        path: /qbo/healthz
        name: 127.0.0.1          # the site's name that is asked for
        status: 200
        patience_s: 10           # for which it is asked again

Asks over plain HTTP at 127.0.0.1 and follows no redirect. In check mode nothing is asked: what answers may not be there yet.
Published: ``status``, ``location``, ``content``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import LookingAction
from qbo_sync.edge.looks import page
from qbo_sync.errors import KitError


class ActionModule(LookingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "port": {"type": "int", "required": True},
        "path": {"type": "str", "default": "/"},
        "name": {"type": "str", "default": "127.0.0.1"},
        "status": {"type": "int", "default": 200},
        "patience_s": {"type": "int", "default": 0},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look, and compare."""
        if self.check_mode:
            return {"skipped": True, "msg": "not asked in check mode"}
        seen = self.look(page, arguments)
        if seen.get("status") != arguments["status"]:
            raise KitError(
                f"{arguments['name']}: port {arguments['port']} of the host itself does not answer as it should",
                seen=seen.get("problem") or f"{arguments['path']} is answered with {seen['status']} {seen['location']}".rstrip(),
                next=f"wanted {arguments['status']}; on the host, see who listens there: ss -ltnp",
            )
        return {"changed": False, **seen}
