#!/usr/bin/python
"""Which certificate a site hands out, seen from where this runs. Standard library only; reads, never writes."""

from __future__ import annotations

import hashlib
import socket
import ssl

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: certificate_served
short_description: the SHA-256 fingerprint of the certificate that is served
description: Looks from the outside. Whether the chain is trusted is not the question here; the role verify asks that.
options:
  name: {description: the secure address, type: str, required: true}
  expect: {description: "the fingerprint that must be served, in hexadecimal digits", type: str, required: true}
  address: {description: "where to connect, when the name may lead nowhere; empty: where it leads", type: str, default: ""}
  timeout_s: {description: seconds for the connection, type: int, default: 10}
author: qbo-kit
"""

EXAMPLES = """
- certificate_served:
    name: qbo.example.com
    expect: "{{ fingerprint }}"
  delegate_to: observer
"""

RETURN = """
fingerprint: {description: what was served, type: str, returned: when something was}
"""


def main():
    """Look, compare, and say what was seen."""
    spec = {"name": {"type": "str", "required": True}, "expect": {"type": "str", "required": True}}
    spec["address"] = {"type": "str", "default": ""}
    module = AnsibleModule({**spec, "timeout_s": {"type": "int", "default": 10}}, supports_check_mode=True)
    name, expect = module.params["name"], module.params["expect"]
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        plain = socket.create_connection((module.params["address"] or name, 443), timeout=module.params["timeout_s"])
        with context.wrap_socket(plain, server_hostname=name) as tls:
            seen = hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()
    except OSError as error:
        module.fail_json(
            msg=f"{name}: nobody outside can see the certificate.\n  seen: {type(error).__name__}: {error}\n"
            "  next: see that the A record leads to the site's external address and that port 443 is forwarded to the edge host"
        )
    if seen != expect:
        module.fail_json(
            msg=f"{name}: visitors are served another certificate than the edge host's.\n"
            f"  seen: fingerprint {seen[:16]}..., wanted {expect[:16]}...\n"
            "  next: port 443 leads to another machine, or something in between answers (a proxied DNS record, the router itself)"
        )
    module.exit_json(changed=False, fingerprint=seen)


if __name__ == "__main__":
    main()
