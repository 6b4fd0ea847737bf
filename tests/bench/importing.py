"""How fast records are compared and written: `./kit bench import [CUSTOMERS]`, on SQLite, without latency or limits."""

from __future__ import annotations

import resource
import time

from qbo_sync.miracle import Miracle
from qbo_sync.switch import apply as applying
from qbo_sync.switch import audit, match, plan, read
from qbo_sync.switch.store import new_id
from tests.bench.site import Bench, connected


def main(arguments: list[str]) -> int:
    """Print records/s of every stage, then of a second import, in which everything is there already."""
    customers = int(arguments[0]) if arguments else 20_000
    size = ["--customers", str(customers), "--vendors", str(customers // 10), "--items", str(customers // 2)]
    with connected(*size, "--limits", "off") as bench:
        _measure(bench)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


def _measure(bench: Bench) -> None:
    with bench.site.intuit() as intuit:
        company = _timed("read QuickBooks Online", lambda: read.company(intuit, ("Inventory", "NonInventory", "Service")))
    records = sum(len(rows) for rows in company.records.values())
    with Miracle.open(bench.site.settings, company.realm) as miracle:
        for title in ("first import", "second import"):
            print(f"{title}: {records} records")
            _import(company, miracle, records)


def _import(company: read.Company, miracle: Miracle, records: int) -> None:
    books = _timed("  read Miracle Service", lambda: read.books(miracle), records)
    rows = _timed("  match", lambda: match.match(company, books), records)
    _timed("  audit", lambda: audit.audit(audit.Sides(company, books, rows), {}), records)
    made = _timed("  plan", lambda: plan.build(new_id(), company, books, rows), records)
    run = miracle.begin_run(new_id(), "import", made.id)
    _timed("  write", lambda: applying.apply(made, miracle, run, 1000, lambda *_: None), records)
    run.finish()


def _timed(what, work, records: int = 0):  # type: ignore[no-untyped-def]
    began = time.monotonic()
    done = work()
    seconds = time.monotonic() - began
    print(f"{what:<28} {seconds:7.2f} s" + (f"  {records / seconds:10.0f} records/s" if records else ""), flush=True)
    return done
