"""How long a full read of a large company takes, in how many requests: `./kit bench intuit [CUSTOMERS VENDORS ITEMS]`.

The look-alike answers after 600 ms and enforces Intuit's limits (10 requests/s, 500/min), as the real service would.
"""

from __future__ import annotations

import resource
import time

from qbo_sync.intuit import Intuit
from qbo_sync.switch.model import QBO_ENTITY
from tests.bench.site import connected


def main(arguments: list[str]) -> int:
    """Print seconds, requests, rows and peak memory of one full read."""
    customers, vendors, items = arguments or ["20000", "2000", "15000"]
    size = ["--customers", customers, "--vendors", vendors, "--items", items]
    with connected(*size, "--latency-ms", "600", "--limits", "on") as bench:
        before = bench.stats()
        began = time.monotonic()
        with Intuit.open(bench.site.settings) as intuit:
            rows = sum(1 for entity in QBO_ENTITY.values() for _ in intuit.query(entity, active="all"))
        seconds = time.monotonic() - began
        after = bench.stats()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"read {rows} rows in {seconds:.1f} s, {after['metered'] - before['metered']} metered requests, "
          f"{after['throttled'] - before['throttled']} throttled, peak memory {peak:.0f} MB")  # fmt: skip
    return 0
