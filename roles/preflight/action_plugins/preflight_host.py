"""Look at the edge host before anything is installed: ports, room, clock, the way out and back, what certbot keeps there.

::

    - name: Look at the edge host
      preflight_host:
        fqdn: qbo.mycompany.com
        address: 11.22.33.10
        lan_address: 10.10.0.10
        now: "{{ now().timestamp() }}"
      register: __preflight_host           # .facts

Facts only, which the action ``preflight`` judges; ``skew_s`` is the host's clock against ``now``, the control node's. ``folders``
is where room is needed, ``webroot`` where nginx answers challenges from, ``budget`` the record of failures and certificates.
``way_to`` is an address on the internet, to see the way out; ``echo_url`` answers with the caller's own. Changes nothing: a file
of a random name lies where challenges go for as long as it is fetched.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qbo_sync.edge.action import LookingAction
from qbo_sync.edge.looks import host

TEXT = {"type": "str", "default": ""}


class ActionModule(LookingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "fqdn": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "lan_address": {"type": "str", "required": True},
        "ports": {"type": "list", "elements": "int", "default": [80, 443]},
        "now": {"type": "float", "required": True},
        "folders": {"type": "list", "elements": "str", "default": ["/opt", "/var"]},
        "webroot": {"type": "str", "default": "/var/lib/qbo-kit/acme"},
        "letsencrypt": {"type": "str", "default": "/etc/letsencrypt"},
        "budget": {"type": "str", "default": "/var/lib/qbo-kit/certificate/budget.json"},
        "way_to": TEXT,
        "echo_url": TEXT,
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look."""
        facts = self.look(host, {**arguments, "outside": False})
        return {"changed": False, "facts": {**facts, "skew_s": facts["now"] - arguments["now"]}}
