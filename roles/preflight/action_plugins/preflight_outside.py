"""Look at a site's address from outside: where a challenge leads, which certificate is shown, what the domains ``above`` send.

::

    - name: Look from outside
      preflight_outside:
        fqdn: qbo.mycompany.com
        address: 11.22.33.10
        above: [mycompany.com]
      delegate_to: observer
      register: __preflight_outside        # .facts

Facts only, which the action ``preflight`` judges. Changes nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import LookingAction
from qbo_sync.edge.looks import host


class ActionModule(LookingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "fqdn": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "above": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look."""
        return {"changed": False, "facts": self.look(host, {**arguments, "outside": True})}
