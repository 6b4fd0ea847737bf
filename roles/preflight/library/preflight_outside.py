#!/usr/bin/python
"""Ansible module: look at a site's address from the observer. Facts only; the action plugin ``preflight`` judges them."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.qbo_kit_look import from_outside

DOCUMENTATION = r"""
module: preflight_outside
short_description: Looks at a site's address from outside, before and after it is built
description: Where a challenge's address leads, which certificate is shown, what the domains above send. Changes nothing.
options:
  fqdn: {type: str, required: true, description: The secure address people type.}
  address: {type: str, required: true, description: The site's external IPv4 address.}
  above: {type: list, elements: str, default: [], description: The domains above the name.}
author: qbo-kit
"""

EXAMPLES = r"""
- name: Look from outside
  preflight_outside:
    fqdn: qbo.mycompany.com
    address: 11.22.33.10
    above: [mycompany.com]
"""

RETURN = r"""
facts: {description: What was seen, as qbo_sync/edge/preflight/look.py gives it., type: dict, returned: always}
"""


def main():
    """Look at everything and report."""
    module = AnsibleModule(
        argument_spec={
            "fqdn": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "above": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, facts=from_outside(module.params))


if __name__ == "__main__":
    main()
