"""Connects to ports from where this runs, waits a moment for a word, and says what answers. Changes nothing."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any


def met(address: str, port: int, word: str, timeout_s: float) -> str:
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


def said_by(connection: socket.socket, timeout_s: float) -> bytes | None:
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


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """``found``: for each port ``reached`` (the word was told), ``open`` (nothing was said), ``other``, ``refused``, ``silent``.

    ``asked``: ``address`` (IPv4), ``ports`` (TCP), ``word`` (what the right host tells), ``timeout_s`` for each connection.
    """
    return {"found": {str(port): met(asked["address"], port, asked["word"], asked["timeout_s"]) for port in asked["ports"]}}


if __name__ == "__main__":
    json.dump(look(json.load(sys.stdin)), sys.stdout)
