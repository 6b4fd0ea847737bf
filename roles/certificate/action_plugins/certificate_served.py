"""See which certificate visitors are served: the task fails when it is another one than expected, or none. Changes nothing.

::

    - name: See from outside that visitors are served this one
      certificate_served:
        name: qbo.example.com
        expect: "{{ fingerprint }}"        # SHA-256, hexadecimal digits
      delegate_to: observer

``address`` is where to connect when the name may lead nowhere. Whether the chain is trusted the role ``verify`` asks. Without
``expect`` nothing fails. Published: ``fingerprint``, or ``problem`` where nobody answers.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import LookingAction
from qbo_sync.edge.looks import served
from qbo_sync.errors import KitError


class ActionModule(LookingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "name": {"type": "str", "required": True},
        "expect": {"type": "str", "default": ""},
        "address": {"type": "str", "default": ""},
        "timeout_s": {"type": "int", "default": 10},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look, and compare."""
        name, expect = arguments["name"], arguments["expect"]
        seen = self.look(served, arguments)
        if not expect:
            return {"changed": False, **seen}
        if "problem" in seen:
            raise KitError(
                f"{name}: nobody outside can see the certificate",
                seen=seen["problem"],
                next="see that the A record leads to the site's external address and that port 443 is forwarded to the edge host",
            )
        if seen["fingerprint"] != expect:
            raise KitError(
                f"{name}: visitors are served another certificate than the edge host's",
                seen=f"fingerprint {seen['fingerprint'][:16]}..., wanted {expect[:16]}...",
                next="port 443 leads to another machine, or something between answers (a proxied DNS record, the router itself)",
            )
        return {"changed": False, **seen}
