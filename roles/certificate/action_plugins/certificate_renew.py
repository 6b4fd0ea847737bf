"""Call the certificate program on the edge host: order where needed, lay at the stable path, see it served.

::

    - name: Have the certificate, and serve it
      certificate_renew:
        program: /usr/local/sbin/qbo-kit-certificate
        name: qbo.example.com
        expected: true

Its words become the task's; ``changed`` says whether another certificate is served than before. ``expected`` is what check mode
answers: whether one will be. With ``look: true`` nothing is done: the task fails when nginx serves another one than is kept.
"""

from __future__ import annotations

import json
import shlex
from typing import Any, ClassVar

from qbo_sync.edge.action import KitAction
from qbo_sync.errors import KitError


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {
        "program": {"type": "path", "required": True},
        "name": {"type": "str", "required": True},
        "force": {"type": "bool", "default": False},
        "expected": {"type": "bool", "default": False},
        "look": {"type": "bool", "default": False},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run it and read its answer."""
        if self.check_mode:
            return {"changed": arguments["expected"]}
        verb = ["deploy", "--check"] if arguments["look"] else ["renew", "--now", *(["--force"] if arguments["force"] else [])]
        command = [arguments["program"], "--name", arguments["name"], "--format", "json", *verb]
        done = self._low_level_execute_command(shlex.join(command), executable="/bin/sh")
        try:
            # Over a terminal, as Ansible's ssh has one, what others say on standard error comes first.
            said = json.loads(done["stdout"].strip().splitlines()[-1])
        except (ValueError, IndexError):
            raise KitError(
                f"{arguments['program']} could not be run",
                seen=done["stderr"].strip()[-600:],
                next="see that the host has python3",
            ) from None
        if done["rc"] != 0:
            raise KitError("\n".join(said["troubles"]))
        return {"changed": bool(said["answer"]["changed"])}
