"""How fast records are compared and written: `./kit bench import [CUSTOMERS] [--database sqlite|postgresql|mariadb]`.

Without latency or limits on the QuickBooks side. Printed beside a plain SQLAlchemy ORM import of the same records, which looks
nothing up and keeps no journal. A server's files are in memory, so its disk takes no part.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.orm import Session, registry

from qbo_sync.miracle import Miracle, reference
from qbo_sync.switch import apply as applying
from qbo_sync.switch import audit, collector, match, plan, read
from qbo_sync.switch.model import Kind, Record
from qbo_sync.switch.store import new_id
from tests.bench.site import Bench, connected, database

T = TypeVar("T")
ITEM_TYPES = ("Inventory", "NonInventory", "Service")


def main(arguments: list[str]) -> int:
    """Print records/s of every stage, of a second import, in which everything is there already, and of the ORM."""
    parser = argparse.ArgumentParser(prog="./kit bench import")
    parser.add_argument("customers", nargs="?", type=int, default=20_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "mariadb"), default="sqlite")
    options = parser.parse_args(arguments)
    number = options.customers
    size = ("--customers", str(number), "--vendors", str(number // 10), "--items", str(number // 2), "--limits", "off")
    with database(options.database) as url, connected(*size, database_url=url) as bench:
        company = _measure(bench)
    with database(options.database) as url, connected(*size, database_url=url) as bench:
        _orm(bench, company)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


def _measure(bench: Bench) -> read.Company:
    with bench.site.intuit() as intuit:
        company = _timed("read and translate QuickBooks Online", 0, lambda: read.company(intuit, ITEM_TYPES))
    records = sum(len(rows) for rows in company.records.values())
    with Miracle.open(bench.site.settings, company.realm) as miracle:
        for title in ("first import", "second import"):
            print(f"{title}: {records} records")
            _import(company, miracle, records)
    return company


@collector.paused()
def _import(company: read.Company, miracle: Miracle, records: int) -> None:
    books = _timed("  read Miracle Service", records, lambda: read.books(miracle))
    began, used = time.monotonic(), time.process_time()
    rows = _timed("  match", records, lambda: match.match(company, books))
    made = _timed("  plan", records, lambda: plan.build(new_id(), company, books, rows))
    run = miracle.begin_run(new_id(), "import", made.id)
    _timed("  write rows, links and journal", records, lambda: applying.apply(made, miracle, run, 1000, lambda *_: None))
    run.finish()
    _say("  match, plan and write together", records, time.monotonic() - began, time.process_time() - used)
    _timed("  audit", records, lambda: audit.audit(audit.Sides(company, books, rows), {}))


def _orm(bench: Bench, company: read.Company) -> None:
    """The same records as objects: one class per table, parents by relation of ids, one flush per thousand."""
    classes = {kind: type(kind.name, (), {}) for kind in Kind}
    for kind, cls in classes.items():
        registry().map_imperatively(cls, reference.metadata.tables[kind.value])
    records = sum(len(rows) for rows in company.records.values())
    ids: dict[tuple[Kind, str], int] = {}

    def work() -> None:
        with Miracle.open(bench.site.settings, company.realm) as miracle, Session(miracle.engine) as session:
            for kind in Kind:
                for level in sorted({record.level for record in company.records[kind]}):
                    rows = [record for record in company.records[kind] if record.level == level]
                    for start in range(0, len(rows), 1000):
                        _flush(session, classes[kind], kind, rows[start : start + 1000], ids)

    print(f"plain SQLAlchemy ORM: {records} records")
    _timed("  write rows", records, work)


def _flush(session: Session, cls: type, kind: Kind, rows: list[Record], ids: dict[tuple[Kind, str], int]) -> None:
    made = []
    for record in rows:
        one: Any = cls()
        for name, value in record.fields.items():
            setattr(one, name, value)
        for name, qbo_id in record.references.items():
            refers_to = kind if name == "parent_id" else match.REFERS_TO.get(name)
            if refers_to:
                setattr(one, name, ids.get((refers_to, qbo_id)))
        made.append((record.qbo_id, one))
    session.add_all(one for _, one in made)
    session.flush()
    for qbo_id, one in made:
        ids[kind, qbo_id] = one.id
    session.commit()


def _timed(what: str, records: int, work: Callable[[], T]) -> T:
    began, used = time.monotonic(), time.process_time()
    done = work()
    _say(what, records, time.monotonic() - began, time.process_time() - used)
    return done


def _say(what: str, records: int, seconds: float, used: float) -> None:
    rate = f"  {records / seconds:10.0f} records/s" if records else ""
    print(f"{what:<38} {seconds:7.2f} s ({used:.2f} s of this process){rate}", flush=True)
