"""`./kit demo`: one company through the whole guide, told as a story.

With a lab (root and network namespaces) every part is real but Intuit and Cloudflare. Without one, the data half runs on
loopback: the Intuit look-alike and a SQLite database, from the connection to the export.
"""

from __future__ import annotations

import time

from lab.demo import loopback, whole
from lab.demo.narration import say
from lab.world import image

USAGE = """usage: ./kit demo [--keep] [--data-half]

  --keep        leave the lab running afterwards, to look around (./kit lab status, ./kit lab shell edge)
  --data-half   only the data half, on loopback
"""


def main(arguments: list[str]) -> int:
    """Tell the story that this machine can carry."""
    unknown = set(arguments) - {"--keep", "--data-half"}
    if unknown:
        say(USAGE)
        return 2
    began = time.monotonic()
    reason = image.available()
    if reason or "--data-half" in arguments:
        if reason:
            say(f"Left out: DNS, router, certificate, proxy and the roles ({reason}).")
        loopback.tell()
    else:
        whole.tell(keep="--keep" in arguments)
    say(f"\nDone in {time.monotonic() - began:.0f} s.")
    return 0
