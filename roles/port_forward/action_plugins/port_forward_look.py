"""Connect to ports of an address from the task's host, and say what answers. Changes nothing.

::

    - name: Look
      port_forward_look:
        address: 11.22.33.10
        ports: [80, 443]
        word: "{{ __port_forward_listen.word }}"     # what the right host tells
      delegate_to: observer
      register: __port_forward_look                  # .found, a word for each port
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import LookingAction
from qbo_sync.edge.looks import ports


class ActionModule(LookingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "address": {"type": "str", "required": True},
        "ports": {"type": "list", "elements": "int", "required": True},
        "word": {"type": "str", "required": True},
        "timeout_s": {"type": "float", "default": 5},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look."""
        return {"changed": False, **self.look(ports, arguments)}
