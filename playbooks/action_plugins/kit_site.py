"""Refuse a site whose ``site_*`` variables are missing or misspelt, before any role begins; say how far it is.

The first task of every playbook::

    - name: Refuse a site with missing or misspelt names
      kit_site:

Changes nothing; works in check mode. Published: ``kit_connected``, whether the site's last ``connect`` found it connected
and it was not taken off since.
"""

from __future__ import annotations

import difflib
from typing import Any

from qbo_sync.edge import state
from qbo_sync.edge.action import SITE_VARIABLES, KitAction
from qbo_sync.errors import UsageError


class ActionModule(KitAction):
    """See the module's docstring."""

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Compare the host's ``site_*`` variables with the ones there are."""
        given = [name for name in self.task_vars if name.startswith("site_")]
        missing = [f"{name} ({meaning})" for name, meaning in SITE_VARIABLES.items() if not self.variable(name)]
        wrong = []
        for name in sorted(set(given) - set(SITE_VARIABLES)):
            near = difflib.get_close_matches(name, SITE_VARIABLES, n=1)
            wrong.append(f"{name} is not known" + (f" (did you mean {near[0]}?)" if near else ""))
        if missing or wrong:
            said = [f"missing: {', '.join(missing)}"] if missing else []
            raise UsageError(
                "the site's variables are not complete or not right",
                seen="; ".join([*wrong, *said]),
                next=f"mend inventory/group_vars/site_{self.site}/main.yml; roles/README.md lists them all. Nothing was changed",
                site=self.site,
            )
        steps = state.read(self.store / "state.json").get(self.site, {})
        return {"changed": False, "ansible_facts": {"kit_connected": _connected(steps)}}


def _connected(steps: dict[str, Any]) -> bool:
    """What is recorded of a site outlasts its removal, so the later of the two counts."""
    connect, offboard = steps.get("connect", {}), steps.get("offboard", {})
    return connect.get("state") == "done" and connect["at"] > offboard.get("at", "")
