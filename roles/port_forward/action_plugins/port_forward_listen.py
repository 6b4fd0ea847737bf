"""Answer on ports of the task's host with a word, for a short while, so that a look from outside can tell it from any other.

::

    - name: Listen
      port_forward_listen:
        ports: [80, 443]
      register: __port_forward_listen      # .word, .served, .hardware

``served`` are the ports that another program has; they are left to it. ``hardware`` is the hardware address of the card that has
``address``. With ``end`` the process that tells this word is ended. It ends by itself after ``seconds``, so it is no change of
the host, and check mode looks as well.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import LookingAction
from qbo_sync.edge.looks import listen


class ActionModule(LookingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "ports": {"type": "list", "elements": "int", "default": []},
        "end": {"type": "str", "default": ""},
        "seconds": {"type": "int", "default": 60},
        "address": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Listen, or end it."""
        return {"changed": False, **self.look(listen, arguments)}
