"""A site's secure address, looked at from the task's host: name, ports, certificate, a wrong name, pages. Changes nothing.

::

    - name: Look from outside
      verify_site:
        fqdn: qbo.mycompany.com
        address: 11.22.33.10               # the external IPv4 address it must lead to
        paths: [{path: /, status: 200, contains: ""}]
      delegate_to: observer
      register: __verify_look              # .checks, .certificate

``ca_pem`` is the text of a CA file; empty means the host's own CAs. ``echo_url`` answers with the caller's address. ``redirect``
says whether port 80 must lead people on to https, ``other_names_refused`` whether another name must be refused instead of passed
on. ``open_ports`` are the TCP ports that may answer; empty means that none is tried. Each check has ``id``, ``ok``, ``seen`` and
``next``; what is not right fails nothing here.
"""

from __future__ import annotations

import ssl
from typing import Any, ClassVar

from qbo_sync.edge.action import LookingAction
from qbo_sync.edge.looks import address
from qbo_sync.errors import UsageError


class ActionModule(LookingAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "fqdn": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "ca_pem": {"type": "str", "default": ""},
        "echo_url": {"type": "str", "default": ""},
        "paths": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "str", "required": True},
                "status": {"type": "int", "default": 200},
                "contains": {"type": "str", "default": ""},
            },
        },
        "redirect": {"type": "bool", "default": True},
        "min_days": {"type": "int", "default": 7},
        "other_names_refused": {"type": "bool", "default": True},
        "open_ports": {"type": "list", "elements": "int", "default": []},
        "timeout_s": {"type": "int", "default": 10},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look."""
        try:
            ssl.create_default_context(cadata=arguments["ca_pem"] or None)
        except ssl.SSLError as error:
            raise UsageError("the CA file is not a PEM certificate", seen=str(error), next="mend verify_ca_file") from error
        return {"changed": False, **self.look(address, arguments)}
