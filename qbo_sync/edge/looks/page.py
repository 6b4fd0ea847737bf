"""What one of this host's own pages answers, over plain HTTP."""

from __future__ import annotations

import http.client
import json
import sys
import time
from typing import Any

MOST = 1 << 16  # bytes of a page that are read
TIMEOUT_S, PAUSE_S = 10, 0.25


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """``status``, ``location`` and ``content`` of a page, or ``problem``; the last look, when none met what is wanted.

    ``asked``: ``port``, ``path``, ``name`` (the site's name that is asked for), ``status`` (the wanted one) and ``patience_s``,
    the time for which it is asked again. No redirect is followed.
    """
    end = time.monotonic() + asked["patience_s"]
    while True:
        seen = ask(asked["port"], asked["path"], asked["name"])
        if seen.get("status") == asked["status"] or time.monotonic() >= end:
            return seen
        time.sleep(PAUSE_S)


def ask(port: int, path: str, name: str) -> dict[str, Any]:
    """One question."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Host": name})
        answer = connection.getresponse()
        content = answer.read(MOST).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return {"problem": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()
    return {"status": answer.status, "location": answer.getheader("Location") or "", "content": content}


if __name__ == "__main__":
    json.dump(look(json.load(sys.stdin)), sys.stdout)
