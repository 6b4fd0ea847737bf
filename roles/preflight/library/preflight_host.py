#!/usr/bin/python
"""Ansible module: look at an edge host before anything is installed. Facts only; the action plugin ``preflight`` judges them."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.qbo_kit_look import on_host

DOCUMENTATION = r"""
module: preflight_host
short_description: Looks at an edge host before anything is installed
description:
  - Who listens on the ports, how much room there is, what the clock says, the way out and back, and what certbot keeps there.
  - Changes nothing. A file of a random name lies where challenges go for as long as it is fetched.
options:
  fqdn: {type: str, required: true, description: The secure address people type.}
  address: {type: str, required: true, description: The site's external IPv4 address.}
  lan_address: {type: str, required: true, description: The edge host's address in the local network.}
  ports: {type: list, elements: int, default: [80, 443], description: The ports that people from outside shall reach.}
  now: {type: float, required: true, description: The control node's time, in seconds since 1970 UTC.}
  folders: {type: list, elements: str, default: [/opt, /var], description: Where room is needed.}
  webroot: {type: str, default: /var/lib/qbo-kit/acme, description: Where nginx answers challenges from.}
  letsencrypt: {type: str, default: /etc/letsencrypt, description: The folder of certbot.}
  budget: {type: str, default: /var/lib/qbo-kit/certificate/budget.json, description: The record of failures and certificates.}
  way_to: {type: str, default: "", description: An address on the internet, to see the way out. Empty means it is not looked at.}
  echo_url: {type: str, default: "", description: An address that answers with the caller's own address.}
author: qbo-kit
"""

EXAMPLES = r"""
- name: Look at the edge host
  preflight_host:
    fqdn: qbo.mycompany.com
    address: 11.22.33.10
    lan_address: 10.10.0.10
    now: "{{ now().timestamp() }}"
"""

RETURN = r"""
facts:
  description: What was seen, as qbo_sync/edge/preflight/look.py gives it, and C(skew_s), the clock against the control node's.
  type: dict
  returned: always
"""


def main():
    """Look at everything and report."""
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "fqdn": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "lan_address": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "default": [80, 443]},
            "now": {"type": "float", "required": True},
            "folders": {"type": "list", "elements": "str", "default": ["/opt", "/var"]},
            "webroot": {"type": "str", "default": "/var/lib/qbo-kit/acme"},
            "letsencrypt": {"type": "str", "default": "/etc/letsencrypt"},
            "budget": {"type": "str", "default": "/var/lib/qbo-kit/certificate/budget.json"},
            "way_to": text,
            "echo_url": text,
        },
        supports_check_mode=True,
    )
    facts = on_host(module.params)
    module.exit_json(changed=False, facts={**facts, "skew_s": facts["now"] - module.params["now"]})


if __name__ == "__main__":
    main()
