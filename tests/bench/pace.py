"""How near to Intuit's limits a long reading stays, and that it never passes them: `./kit bench pace [--minutes N]`.

The look-alike enforces 500 requests a minute, 10 a second and 10 at once; it answers after 400 to 500 ms, half of it on the way
there. One client reads a list of 300 pages over and over. Wanted: at least 95 % of what is allowed, and not one request refused.
"""

from __future__ import annotations

import argparse
import time

from qbo_sync.intuit import Intuit
from tests.bench.site import connected

ALLOWED_PER_MINUTE, AT_ONCE, SHARE = 500, 10, 0.95
LOOKALIKE = ("--limits", "on", "--limit", f"at_once={AT_ONCE}", "--latency-ms", "400", "--jitter-ms", "100")
SIZES = ("--customers", "300000", "--vendors", "5", "--items", "5")


def main(arguments: list[str]) -> int:
    """Print requests a minute, refusals and the most requests under way; exit code 1 when one of them is not as wanted."""
    parser = argparse.ArgumentParser(prog="./kit bench pace")
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args(arguments).minutes
    with connected(*SIZES, *LOOKALIKE) as bench:
        before, began = bench.stats(), time.monotonic()
        with Intuit.open(bench.site.settings) as intuit:
            _read(intuit, began + 60 * minutes)
        taken, after = (time.monotonic() - began) / 60, bench.stats()
    used = {name: after[name] - before[name] for name in ("requests", "throttled")}
    per_minute = used["requests"] / taken
    share = per_minute / ALLOWED_PER_MINUTE
    print(f"{taken:.1f} minutes: {used['requests']} requests, {per_minute:.0f} a minute, {share:.1%} of what is allowed")
    print(f"{used['throttled']} refused; at most {after['peak_in_flight']} under way at once")
    return int(share < SHARE or used["throttled"] > 0 or after["peak_in_flight"] > AT_ONCE)


def _read(intuit: Intuit, until: float) -> None:
    """Read the customers again and again until the time is up."""
    while True:
        for _page in intuit.read({"Customer": "all"}):
            if time.monotonic() >= until:
                return
