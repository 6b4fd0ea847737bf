#!/usr/bin/python
"""Ansible module: answer on ports for a short while, so that a look from outside can tell this host from any other."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: port_forward_listen
short_description: Answers on ports with a word, for a short while
description:
  - Starts one process that tells the word to whoever connects, as nobody, and ends by itself after some seconds.
  - A port that another program has is left to it. With state=absent the process is ended.
options:
  state: {type: str, choices: [present, absent], default: present, description: Whether to listen or to stop.}
  ports: {type: list, elements: int, required: true, description: The TCP ports.}
  word: {type: str, default: "", description: "With state=absent: the word of the process to end."}
  seconds: {type: int, default: 60, description: After so many seconds the process ends by itself.}
  address: {type: str, default: "", description: This host's address in the local network. Its hardware address is looked up.}
author: qbo-kit
"""

EXAMPLES = r"""
- name: Listen
  port_forward_listen:
    ports: [80, 443]
"""

RETURN = r"""
word:
  description: The word that is told, a new one each time.
  type: str
  returned: with state=present
served:
  description: Ports that another program listens on already.
  type: list
  returned: with state=present
hardware:
  description: The hardware address of the network card that has the address; empty when it isn't found.
  type: str
  returned: with state=present
"""

# Started with the word, the seconds and the ports. Says "ready" with the ports that were free, becomes nobody (the ports are
# taken by then), and tells the word to all comers until the time is over.
LISTENER = """
import os, selectors, signal, socket, sys
word, seconds, *ports = sys.argv[1:]
signal.alarm(int(seconds))
selector, got = selectors.DefaultSelector(), []
for port in ports:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("0.0.0.0", int(port)))
        listener.listen(8)
    except OSError:
        continue
    selector.register(listener, selectors.EVENT_READ)
    got.append(port)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print("ready", *got, flush=True)
os.close(1)
while got:
    for key, _ in selector.select():
        connection, _ = key.fileobj.accept()
        with connection:
            try:
                connection.sendall(word.encode() + b"\\n")
            except OSError:
                pass
"""


def start(ports, word, seconds):
    """Start the process apart from this one, and return the ports it got."""
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER, word, str(seconds), *map(str, ports)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    said = process.stdout.readline().split()
    return [int(port) for port in said[1:]]


def stop(word):
    """End the processes that were started with this word."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if command[2:4] == [LISTENER.encode(), word.encode()]:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue  # It ended meanwhile.


def hardware(address):
    """The hardware address of the network card that has the address."""
    for card in Path("/sys/class/net").iterdir():
        shown = subprocess.run(["ip", "-4", "-o", "addr", "show", "dev", card.name], capture_output=True, text=True, check=False)
        if address and f" {address}/" in shown.stdout:
            return (card / "address").read_text(encoding="ascii").strip()
    return ""


def main():
    """Listen or stop."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "ports": {"type": "list", "elements": "int", "required": True},
            "word": {"type": "str", "default": ""},
            "seconds": {"type": "int", "default": 60},
            "address": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    if given["state"] == "absent":
        stop(given["word"])
        module.exit_json(changed=False)
    # A listener that goes by itself is no change of the host, so check mode looks as well.
    word = "qbokit-" + secrets.token_hex(8)
    got = start(given["ports"], word, given["seconds"])
    served = [port for port in given["ports"] if port not in got]
    module.exit_json(changed=False, word=word, served=served, hardware=hardware(given["address"]))


if __name__ == "__main__":
    main()
