"""One full read of a company in a process of its own: `python -m tests.bench.reading ours|peer FOLDER ADDRESS` (of the bench).

What is read is what an audit reads. Prints one line of JSON: rows, seconds, and the most memory the process ever held, in MB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

from qbo_sync.intuit.query import PAGE_ROWS
from tests.bench.site import CLIENT, REALM, Bench

TOP = Path(__file__).resolve().parents[2]
PEER = f"python-quickbooks {version('python-quickbooks')}"


@dataclass(frozen=True)
class Reading:
    """What one reading took; ``used`` is what the look-alike counted meanwhile."""

    rows: int
    seconds: float
    peak_mb: float
    used: dict[str, int]


def measured(who: str, bench: Bench) -> Reading:
    """Let ``ours`` or the ``peer`` read the bench's company, alone in a new process."""
    before = bench.stats()
    command = [sys.executable, "-m", "tests.bench.reading", who, str(bench.folder), bench.address]
    done = subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE, text=True)
    after = bench.stats()
    return Reading(**json.loads(done.stdout), used={name: after[name] - before[name] for name in before})


def ours(folder: str, _address: str) -> Iterator[int]:
    """The kit's own client."""
    from qbo_sync import config
    from qbo_sync.intuit import Intuit
    from qbo_sync.switch.read import WANTED

    with Intuit.open(config.load(Path(folder) / "bench.toml")) as intuit:
        for page in intuit.read(WANTED):
            yield len(page.rows)


def peer(_folder: str, address: str) -> Iterator[int]:
    """python-quickbooks as it comes, page after page as its own documentation shows, and one object for each row."""
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    from intuitlib.client import AuthClient
    from quickbooks import QuickBooks, objects
    from quickbooks.objects.customertype import CustomerType

    class Elsewhere(QuickBooks):  # type: ignore[misc]
        api_url_v3 = f"{address}/v3"

    grant = requests.post(f"{address}/lab/token", json={"realm": REALM}, timeout=60).json()
    tokens = {name: grant[name] for name in ("access_token", "refresh_token")}
    auth = AuthClient(*CLIENT, "http://localhost:8021/qbo/callback", f"{address}/.well-known/openid_configuration", **tokens)
    qb = Elsewhere(auth_client=auth, company_id=REALM, minorversion=75)
    named = ("Customer", "Vendor", "Item", "Term", "PaymentMethod", "Class", "TaxRate")
    for entity in (CustomerType, *(getattr(objects, name) for name in named)):
        yield from _peer_pages(entity, "Active IN (true, false)", qb)
    for entity in (objects.TaxCode, objects.TaxAgency):
        yield from _peer_pages(entity, "", qb)
    yield int(objects.CompanyInfo.get(REALM, qb=qb) is not None)
    yield int(objects.Preferences.get(qb=qb) is not None)


def _peer_pages(entity: Any, where: str, qb: Any) -> Iterator[int]:
    start, found = 1, PAGE_ROWS
    while found == PAGE_ROWS:
        found = len(entity.where(where, order_by="Id", start_position=start, max_results=PAGE_ROWS, qb=qb))
        start += found
        yield found


def peak_mb(process: int | str = "self") -> float:
    """The most memory a process ever held; ``getrusage`` would name that of the process which started it."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not say how much memory a process held")


def main(who: str, folder: str, address: str) -> None:
    """Read everything and say what it took."""
    readers: dict[str, Callable[[str, str], Iterator[int]]] = {"ours": ours, "peer": peer}
    began = time.monotonic()
    rows = sum(readers[who](folder, address))
    print(json.dumps({"rows": rows, "seconds": time.monotonic() - began, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
