"""Refuse, by name, each variable that starts with the role's prefix and is in no argument spec.

A role calls it first in ``tasks/validate.yml``::

    - name: Refuse variables that this role does not know
      kit_known_variables:
        role: certificate            # the prefix, without the underscore
        path: "{{ role_path }}"      # where meta/argument_specs.yml is found

Known are the options of the entry point ``main`` and ``<role>_result``. ``site_*`` names are held against ``SITE_VARIABLES``.
Changes nothing; works in check mode.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, ClassVar

import yaml

from qbo_sync.edge.action import SITE_VARIABLES, KitAction
from qbo_sync.errors import UsageError


def unknown(names: list[str], prefix: str, known: list[str]) -> list[str]:
    """One line for each of ``names`` that starts with ``prefix`` and isn't known, with the nearest known name."""
    lines = []
    for name in sorted(n for n in names if n.startswith(prefix) and n not in known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        lines.append(name + (f" (did you mean {near[0]}?)" if near else ""))
    return lines


class ActionModule(KitAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "role": {"type": "str", "required": True},
        "path": {"type": "path", "required": True},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Compare the host's variables with the role's argument spec."""
        role = arguments["role"]
        spec = yaml.safe_load((Path(arguments["path"]) / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
        known = [*spec["argument_specs"]["main"]["options"], f"{role}_result"]
        names = list(self.task_vars)
        wrong = unknown(names, f"{role}_", known) + unknown(names, "site_", list(SITE_VARIABLES))
        if wrong:
            raise UsageError(
                f"the role {role} does not know: {', '.join(wrong)}",
                next=f"mend or remove these names in the site's files; roles/{role}/README.md lists all. Nothing was changed",
                site=self.site,
            )
        return {"changed": False}
