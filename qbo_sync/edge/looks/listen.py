"""Answers on ports for a short while, so that a look from outside can tell this host from any other.

Starts one process that tells a word to whoever connects, as nobody, and ends by itself. A port that another program has is left
to it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def start(ports: list[int], word: str, seconds: int) -> list[int]:
    """Start the process apart from this one, and return the ports it got."""
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER, word, str(seconds), *map(str, ports)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    said = process.stdout.readline().split() if process.stdout else []
    return [int(port) for port in said[1:]]


def stop(word: str) -> None:
    """End the processes that were started with this word."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if command[2:4] == [LISTENER.encode(), word.encode()]:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue  # It ended meanwhile.


def hardware(address: str) -> str:
    """The hardware address of the network card that has the address; empty when there is none."""
    for card in Path("/sys/class/net").iterdir():
        shown = subprocess.run(["ip", "-4", "-o", "addr", "show", "dev", card.name], capture_output=True, text=True, check=False)
        if address and f" {address}/" in shown.stdout:
            return (card / "address").read_text(encoding="ascii").strip()
    return ""


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """``word`` (a new one each time), ``served`` (ports that another program has) and ``hardware`` (that of the card).

    ``asked``: ``ports``, ``seconds`` after which the process ends by itself, ``address`` of this host in the local network, and
    ``end``: the word of a process to end instead.
    """
    if asked["end"]:
        stop(asked["end"])
        return {}
    word = "qbokit-" + secrets.token_hex(8)
    got = start(asked["ports"], word, asked["seconds"])
    return {"word": word, "served": [port for port in asked["ports"] if port not in got], "hardware": hardware(asked["address"])}


if __name__ == "__main__":
    json.dump(look(json.load(sys.stdin)), sys.stdout)
