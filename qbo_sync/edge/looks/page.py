"""What one of this host's own pages answers, over plain HTTP."""

from __future__ import annotations

import http.client
import json
import sys
from typing import Any

MOST = 1 << 16  # bytes of a page that are read


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """``status``, ``location`` and ``content`` of a page, or ``problem``.

    ``asked``: ``port``, ``path``, ``name`` (the site's name that is asked for) and ``timeout_s``. No redirect is followed.
    """
    connection = http.client.HTTPConnection("127.0.0.1", asked["port"], timeout=asked["timeout_s"])
    try:
        connection.request("GET", asked["path"], headers={"Host": asked["name"]})
        answer = connection.getresponse()
        content = answer.read(MOST).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return {"problem": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()
    return {"status": answer.status, "location": answer.getheader("Location") or "", "content": content}


if __name__ == "__main__":
    json.dump(look(json.load(sys.stdin)), sys.stdout)
