"""Which certificate a site hands out, seen from where this runs. Whether its chain is trusted is not the question here."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import sys
from typing import Any


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """``fingerprint`` (SHA-256, hexadecimal digits) of what is served, or ``problem``.

    ``asked``: ``name``, ``address`` (where to connect, when the name may lead nowhere; empty: where it leads), ``timeout_s``.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        plain = socket.create_connection((asked["address"] or asked["name"], 443), timeout=asked["timeout_s"])
        with context.wrap_socket(plain, server_hostname=asked["name"]) as tls:
            return {"fingerprint": hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()}
    except OSError as error:
        return {"problem": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    json.dump(look(json.load(sys.stdin)), sys.stdout)
