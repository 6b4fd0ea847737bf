"""Carry the certificate program (``qbo_sync.edge.certificate``) to the edge host, as one executable file."""

from __future__ import annotations

import hashlib
import shlex
from typing import Any, ClassVar

from qbo_sync.edge import program
from qbo_sync.edge.action import KitAction
from qbo_sync.errors import KitError


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {"dest": {"type": "path", "required": True}}

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Compare the host's file with the one wanted, and replace it whole."""
        content = program.pack(program.CERTIFICATE, "qbo_sync.edge.certificate.__main__")
        dest = shlex.quote(arguments["dest"])
        wanted = hashlib.sha256(content).hexdigest()
        seen = self._low_level_execute_command(f"sha256sum {dest} 2>/dev/null || true")["stdout"].split(" ")[0].strip()
        if seen != wanted and not self.check_mode:
            tmp = self._make_tmp_path()
            try:
                carried = self._connection._shell.join_path(tmp, "program")
                self._transfer_data(carried, content)
                put = f"install -o root -g root -m 0755 {carried} {dest}.new && mv -T {dest}.new {dest}"
                done = self._low_level_execute_command(put)
                if done["rc"] != 0:
                    raise KitError(f"could not write {arguments['dest']}", seen=done["stderr"].strip(), site=self.site)
            finally:
                self._remove_tmp_path(tmp, force=True)
        return {"changed": seen != wanted, "diff": {"before": f"{seen}\n", "after": f"{wanted}\n"}}
