"""Say where a site stands, from what the last runs recorded in ``store/state.json``; reads nothing else, changes nothing.

::

    - name: Read what the last runs left behind
      kit_status:
      register: __kit_status          # .lines for people, .steps as data
"""

from __future__ import annotations

from typing import Any

from qbo_sync.edge import state
from qbo_sync.edge.action import KitAction

ORDER = (
    *("checklist", "preflight", "dns_record", "dns_record_message", "port_forward", "reverse_proxy", "certificate", "verify"),
    *("handoff_message", "handoff"),
    *("qbo_sync", "connect", "prepare", "profile_check", "audit", "plan", "import", "review", "reconcile", "export_enable"),
)


class ActionModule(KitAction):
    """See the module's docstring."""

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The site's steps in the guide's order."""
        steps = state.read(self.store / "state.json").get(self.site, {})
        ordered = sorted(steps.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER))
        lines = [f"{self.site}: nothing recorded yet; begin with playbooks/preflight.yml"] if not ordered else []
        for step, result in ordered:
            lines.append(f"{self.site}: {step} {result['state']} ({result.get('at', '')})")
            if result["state"] != "done" and result.get("next"):
                lines += [f"  {line.strip()}" for line in result["next"].splitlines()]
        return {"changed": False, "lines": lines, "steps": steps}
