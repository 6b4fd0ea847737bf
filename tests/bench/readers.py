"""One full reading of a company, alone in its process: `python -m tests.bench.readers`, which :mod:`tests.bench.reading` starts.

It takes its order as JSON on standard input and answers with one line of JSON: rows, seconds, and the most memory it held (in
MB). Each reader loads what it needs itself, so that neither carries the other's libraries.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any


def ours(order: dict[str, Any]) -> Iterator[int]:
    """The kit's own client."""
    from qbo_sync import config
    from qbo_sync.intuit import Intuit

    with Intuit.open(config.load(Path(order["settings"]))) as intuit:
        for page in intuit.read(order["wanted"]):
            yield len(page.rows)


def peer(order: dict[str, Any]) -> Iterator[int]:
    """python-quickbooks as it comes, page after page as its own documentation shows, and one object for each row."""
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    from intuitlib.client import AuthClient
    from quickbooks import QuickBooks, objects

    class Elsewhere(QuickBooks):  # type: ignore[misc]
        api_url_v3 = f"{order['address']}/v3"

    discovery = f"{order['address']}/.well-known/openid_configuration"
    auth = AuthClient(*order["client"], order["redirect_uri"], discovery, **order["tokens"])
    qb = Elsewhere(auth_client=auth, company_id=order["realm"], minorversion=75)
    yield int(objects.CompanyInfo.get(order["realm"], qb=qb) is not None)
    yield int(objects.Preferences.get(qb=qb) is not None)
    for name, condition in order["lists"]:
        # Two classes are not where the others are.
        module = {"CustomerType": "customertype", "Class": "trackingclass"}.get(name)
        entity = getattr(import_module(f"quickbooks.objects.{module}") if module else objects, name)
        yield from _pages(entity, condition, order["page_rows"], qb)


def _pages(entity: Any, where: str, page_rows: int, qb: Any) -> Iterator[int]:
    start, found = 1, page_rows
    while found == page_rows:
        found = len(entity.where(where, order_by="Id", start_position=start, max_results=page_rows, qb=qb))
        start += found
        yield found


def peak_mb(process: int | str = "self") -> float:
    """The most memory a process ever held; ``getrusage`` would name that of the process which started it."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not say how much memory a process held")


def main() -> None:
    """Read everything and say what it took."""
    order = json.load(sys.stdin)
    began = time.monotonic()
    rows = sum({"ours": ours, "peer": peer}[order["who"]](order))
    print(json.dumps({"rows": rows, "seconds": time.monotonic() - began, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
