"""How fast the look-alike itself is: `./kit bench pages [CUSTOMERS VENDORS ITEMS]`, a million rows unless told otherwise.

It must never be what a measurement of a client measures. So it is asked for one page of 1,000 rows after the other by a client
that looks at none of them; in the order of Id, as good clients ask, and in the order of names, as others do. It has one core.
Beside what the client saw stands how many pages a second of that core's time it made, which a busy machine does not change.
"""

from __future__ import annotations

import os
import time
from itertools import count
from pathlib import Path

import requests

from lab import child
from tests.bench.readers import peak_mb

SIZES = [600_000, 50_000, 350_000]
ENTITIES = ("Customer", "Vendor", "Item")
PAGE_ROWS, PAGES_PER_SECOND = 1000, 40


def main(arguments: list[str]) -> int:
    """Print how long it took to be ready, its memory, and pages a second; exit code 1 when they are too few."""
    sizes = [int(size) for size in arguments] or SIZES
    names = ("--customers", "--vendors", "--items")
    options = [word for name, size in zip(names, sizes, strict=True) for word in (name, str(size))]
    began = time.monotonic()
    with child.started("intuit", "--limits", "off", *options) as (address, process):
        print(f"{sum(sizes):,} rows: ready after {time.monotonic() - began:.0f} s")
        speeds = [_speed(address, process, "Id", " ORDERBY Id"), _speed(address, process, "names", "")]
        print(f"memory of the look-alike: {peak_mb(process):.0f} MB at most")
    print(f"at least {PAGES_PER_SECOND} pages/s are wanted, on one core")
    return int(min(speeds) < PAGES_PER_SECOND)


def _speed(address: str, process: int, order: str, words: str) -> float:
    """Pages a second of one core, over all lists but for the first page of each, before which an order is made that is kept."""
    pages, seconds, used, first_s = 0, 0.0, 0.0, 0.0
    with requests.Session() as http:
        grant = http.post(f"{address}/lab/token", json={}, timeout=60).json()
        http.headers["Authorization"] = f"Bearer {grant['access_token']}"
        for entity in ENTITIES:
            for number in count():
                text = f"SELECT * FROM {entity}{words} STARTPOSITION {number * PAGE_ROWS + 1} MAXRESULTS {PAGE_ROWS}"
                began, used_before = time.monotonic(), _cpu_seconds(process)
                answer = http.get(f"{address}/v3/company/{grant['realmId']}/query", params={"query": text}, timeout=600)
                took = time.monotonic() - began
                answer.raise_for_status()
                if b'"maxResults":1000' not in answer.content[-120:]:
                    break
                if number:
                    pages, seconds, used = pages + 1, seconds + took, used + _cpu_seconds(process) - used_before
                else:
                    first_s += took
    print(
        f"in the order of {order}: {pages / seconds:.0f} pages/s seen, {pages / used:.0f} pages/s of one core;"
        f" the first pages of the three lists together {first_s:.1f} s"
    )
    return pages / used


def _cpu_seconds(process: int) -> float:
    """How long a process has kept a core busy."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
