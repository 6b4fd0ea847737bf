"""Debian packages that must be on the host.

::

    - name: Install nginx from Debian
      kit_packages:
        names: [nginx, openssl]

Asks dpkg first, so an unchanged host costs one command and check mode works where python3-apt is missing; what is missing goes to
``ansible.builtin.apt``. Never upgrades, never removes: other things on the host may rely on a package that is there.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import KitAction


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {"names": {"type": "list", "elements": "str", "required": True}}

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Install the packages that dpkg does not list as installed."""
        names = arguments["names"]
        query = "dpkg-query --show --showformat '${Package} ${db:Status-Status}\\n' " + " ".join(names)
        # dpkg-query ends with 1 when one of the names was never known; its other lines still count.
        lines = self._low_level_execute_command(query + " 2>/dev/null")["stdout_lines"]
        missing = [name for name in names if f"{name} installed" not in lines]
        if missing and not self.check_mode:
            module_args = {"name": missing, "state": "present", "update_cache": True, "install_recommends": False}
            result: dict[str, Any] = self._execute_module("ansible.builtin.apt", module_args, task_vars=self.task_vars)
            return result
        return {"changed": bool(missing), "diff": {"before": "", "after": "".join(f"{name}\n" for name in missing)}}
