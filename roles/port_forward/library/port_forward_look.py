#!/usr/bin/python
"""Ansible module: connect to ports from where this runs, and say what answers. Standard library only; changes nothing."""

from __future__ import annotations

import socket

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: port_forward_look
short_description: Says what answers at ports of an address
description:
  - Connects to each port and waits a moment for a word. Changes nothing. Runs on any host with Python 3.9.
options:
  address: {type: str, required: true, description: The IPv4 address to connect to.}
  ports: {type: list, elements: int, required: true, description: The TCP ports.}
  word: {type: str, required: true, description: The word that the right host tells.}
  timeout_s: {type: float, default: 5, description: Seconds for each connection.}
author: qbo-kit
"""

EXAMPLES = r"""
- name: Look
  port_forward_look:
    address: 11.22.33.10
    ports: [80, 443]
    word: 4711
"""

RETURN = r"""
found:
  description: For each port reached (the word was told), open (nothing was said), other, refused or silent.
  type: dict
  returned: always
"""


def look(address, port, word, timeout_s):
    """What answers at one port."""
    try:
        with socket.create_connection((address, port), timeout=timeout_s) as connection:
            # A web server says nothing until it is asked; the listener speaks first.
            said = said_by(connection, min(timeout_s, 2))
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "silent"
    if said is None:
        return "open"
    return "reached" if said == word.encode() + b"\n" else "other"


def said_by(connection, timeout_s):
    """What the other side says first, whole; nothing when it waits for us."""
    connection.settimeout(timeout_s)
    said = b""
    try:
        while len(said) < 1024:
            part = connection.recv(1024)
            if not part:
                break
            said += part
    except OSError:
        return said or None
    return said


def main():
    """Look at every port."""
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "required": True},
            "word": {"type": "str", "required": True},
            "timeout_s": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    given = module.params
    found = {str(port): look(given["address"], port, given["word"], given["timeout_s"]) for port in given["ports"]}
    module.exit_json(changed=False, found=found)


if __name__ == "__main__":
    main()
