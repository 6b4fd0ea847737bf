"""What stands on the host where the reverse proxy is to go: nginx, its server blocks, who has ports 80 and 443. Reads only.

::

    - name: See what stands on the host
      reverse_proxy_facts:
        own: [/etc/nginx/conf.d/qbo-kit.conf]
        certificate_directory: /etc/qbo-kit/tls/qbo.example.com
        placeholder: /etc/qbo-kit/tls/qbo.example.com.d/placeholder
        default_site: /etc/nginx/sites-available/default
      register: __reverse_proxy_seen       # .facts

``servers`` among the facts are the server blocks of others, not those in the files ``own``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import LookingAction
from qbo_sync.edge.looks import nginx


class ActionModule(LookingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "own": {"type": "list", "elements": "path", "required": True},
        "certificate_directory": {"type": "path", "required": True},
        "placeholder": {"type": "path", "required": True},
        "default_site": {"type": "path", "required": True},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look."""
        return {"changed": False, "facts": self.look(nginx, arguments)}
