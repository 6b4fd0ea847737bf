"""How long a full read of a large company takes, in how many requests: `./kit bench intuit [CUSTOMERS VENDORS ITEMS]`.

The look-alike answers after 600 ms and enforces Intuit's limits (10 requests/s, 500/min), as the real service would. What is read
is what an audit reads: all lists, taxes, company and preferences.
"""

from __future__ import annotations

import resource
import time

from qbo_sync.intuit import Intuit
from qbo_sync.switch.read import WANTED
from tests.bench.site import connected


def main(arguments: list[str]) -> int:
    """Print seconds, requests, rows and peak memory of one full read."""
    customers, vendors, items = arguments or ["20000", "2000", "15000"]
    size = ["--customers", customers, "--vendors", vendors, "--items", items]
    with connected(*size, "--latency-ms", "600", "--limits", "on") as bench:
        before = bench.stats()
        began = time.monotonic()
        with Intuit.open(bench.site.settings) as intuit:
            rows = sum(len(page.rows) for page in intuit.read(WANTED))
        seconds = time.monotonic() - began
        after = bench.stats()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    used = {name: after[name] - before[name] for name in ("requests", "metered", "metered_by_query", "throttled")}
    print(
        f"read {rows} rows in {seconds:.1f} s: {used['requests']} requests, {used['throttled']} throttled, {peak:.0f} MB at most"
    )
    print(f"metered: {used['metered']} if a batch counts once, {used['metered_by_query']} if each of its queries counts;"
          " Intuit does not say which")  # fmt: skip
    return 0
