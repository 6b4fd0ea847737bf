"""What certificates lie on the host: the lineage that is kept for a name, and what lies at the stable path. Reads only.

::

    - name: See what certificates lie on the host
      certificate_facts:
        name: qbo.example.com
        directory: /etc/qbo-kit/tls/qbo.example.com
      register: __certificate_seen         # .facts

``lineage`` is the folder of a pair that was brought; empty means the one certbot keeps.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import LookingAction
from qbo_sync.edge.looks import certificate


class ActionModule(LookingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "name": {"type": "str", "required": True},
        "directory": {"type": "path", "required": True},
        "config_dir": {"type": "path", "default": "/etc/letsencrypt"},
        "lineage": {"type": "str", "default": ""},
        "store": {"type": "path", "default": "/var/lib/qbo-kit/certificate"},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look."""
        return {"changed": False, "facts": self.look(certificate, arguments)}
