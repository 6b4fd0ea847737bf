"""How fast records are compared and written: `./kit bench import [--records N] [--postgresql|--mariadb]`.

Without latency or limits on the QuickBooks side, and from what the reading kept, as `plan --since` does: otherwise the threads
that read would count as translating. Printed beside a plain SQLAlchemy ORM import of the same records, which looks nothing up and
keeps no journal. Each import runs in a process of its own, whose peak memory is printed. A server's files are in memory, so its
disk takes no part.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, registry

from qbo_sync import config
from qbo_sync.intuit import Intuit, Page, Snapshot
from qbo_sync.intuit.query import Active
from qbo_sync.miracle import Miracle, reference
from qbo_sync.switch import apply as applying
from qbo_sync.switch import collector, match, plan, read, steps
from qbo_sync.switch.model import Kind, Record
from qbo_sync.switch.store import new_id
from tests.bench.site import Bench, connected, database

ITEM_TYPES = ("Inventory", "NonInventory", "Service")
CHUNK_ROWS = 4000
# What the generator makes of a company with so many customers, a tenth as many suppliers and half as many items, is more.
RECORDS_PER_CUSTOMER = 1.44


def main(arguments: list[str]) -> int:
    """Print records/s of every stage, of a second import, in which everything is there already, and of the ORM."""
    parser = argparse.ArgumentParser(prog="./kit bench import")
    parser.add_argument("--records", type=int, default=100_000, help="about how many")
    parser.add_argument("--postgresql", dest="database", action="store_const", const="postgresql", default="sqlite")
    parser.add_argument("--mariadb", dest="database", action="store_const", const="mariadb")
    parser.add_argument("--without-orm", action="store_true", help="leave the comparison out")
    options = parser.parse_args(arguments)
    number = round(options.records / RECORDS_PER_CUSTOMER)
    size = ("--customers", str(number), "--vendors", str(number // 10), "--items", str(number // 2), "--limits", "off")
    with database(options.database) as url, connected(*size, database_url=url) as bench:
        for title in ("first import", "second import", "undo"):
            _alone(bench, title)
    if not options.without_orm:
        with database(options.database) as url, connected(*size, database_url=url) as bench:
            _alone(bench, "plain SQLAlchemy ORM")
    return 0


def _alone(bench: Bench, title: str) -> None:
    """Run one of :data:`WORKS` in a process of its own."""
    print(title, flush=True)
    subprocess.run([sys.executable, "-m", "tests.bench.importing", str(bench.folder / "bench.toml"), title], check=True)


class Clock:
    """Says what a stage took: seconds, seconds of this process, and records per second."""

    def __init__(self) -> None:
        self.records = 0
        self.spent = self.used = 0.0

    @contextmanager
    def stage(self, what: str, *, counts: bool = False) -> Iterator[None]:
        """Time what is inside. ``counts``: it belongs to the writing side."""
        began, used = time.monotonic(), time.process_time()
        yield
        self.say(what, time.monotonic() - began, time.process_time() - used, counts=counts)

    def say(self, what: str, seconds: float, used: float, *, counts: bool = False) -> None:
        """Print one stage."""
        if counts:
            self.spent, self.used = self.spent + seconds, self.used + used
        rate = f"{self.records / seconds:10,.0f} records/s" if self.records and seconds else ""
        print(f"  {what:<46} {seconds:7.2f} s ({used:6.2f} s of this process)  {rate}", flush=True)

    def total(self, what: str) -> None:
        """Print what the writing side took together, and this process' peak memory."""
        self.say(what, self.spent, self.used)
        print(f"  {'peak memory':<46} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:7.0f} MB", flush=True)


class Kept:
    """The company as the last reading kept it, and how long it takes to get that by itself."""

    def __init__(self, site: steps.Site, intuit: Intuit) -> None:
        self.snapshot = Snapshot(site.settings, intuit, only_changes=True)
        self.realm = intuit.realm
        self.spent = self.used = 0.0

    def read(self, wanted: Mapping[str, Active]) -> Iterator[Page]:
        """The pages."""
        pages = iter(self.snapshot.read(wanted))
        while True:
            began, used = time.monotonic(), time.process_time()
            page = next(pages, None)
            self.spent, self.used = self.spent + time.monotonic() - began, self.used + time.process_time() - used
            if page is None:
                return
            yield page


def _company(site: steps.Site, clock: Clock) -> read.Company:
    with site.intuit() as intuit:
        with clock.stage("read QuickBooks Online"):
            rows = sum(len(page.rows) for page in Snapshot(site.settings, intuit).read(read.WANTED))
        kept = Kept(site, intuit)
        began, used = time.monotonic(), time.process_time()
        company = read.company(kept, ITEM_TYPES)
        spent, used = time.monotonic() - began, time.process_time() - used
    clock.records = sum(map(len, company.records.values()))
    clock.say(f"read the {rows:,} rows that were kept", kept.spent, kept.used)
    clock.say("translate", spent - kept.spent, used - kept.used, counts=True)
    return company


@collector.paused()
def _import(site: steps.Site) -> None:
    clock = Clock()
    company = _company(site, clock)
    with Miracle.open(site.settings, company.realm) as miracle, site.store.new_plan() as shelf:
        with clock.stage("read Miracle Service"):
            books = read.books(miracle)
        with clock.stage("match", counts=True):
            rows = match.match(company, books, shelf=shelf)
        with clock.stage("plan", counts=True):
            made = plan.build(new_id(), company, books, rows)
            site.store.save_plan(made)
        with clock.stage("write rows, links and journal", counts=True):
            if applying.something_to_do(made, miracle):
                run = miracle.begin_run(new_id(), "import", made.id)
                applying.apply(made, miracle, run, CHUNK_ROWS, lambda *_: None)
                run.finish()
    clock.total(f"all of it for {clock.records:,} records, reading aside")


def _undo(site: steps.Site) -> None:
    clock = Clock()
    with site.miracle() as miracle:
        (run,) = (run["id"] for run in miracle.runs() if run["command"] == "import")
        clock.records = sum(miracle.number_linked(kind) for kind in Kind)
    with clock.stage("undo", counts=True):
        steps.undo(site, run)
    clock.total("all of it")


def _orm(site: steps.Site) -> None:
    """The same records as objects: one class per table, parents by relation of ids, one flush per thousand."""
    clock = Clock()
    company = _company(site, clock)
    classes = {kind: type(kind.name, (), {}) for kind in Kind}
    for kind, cls in classes.items():
        registry().map_imperatively(cls, reference.metadata.tables[kind.value])
    ids: dict[tuple[Kind, str], int] = {}
    with (
        Miracle.open(site.settings, company.realm) as miracle,
        Session(miracle.engine) as session,
        clock.stage("write rows", counts=True),
    ):
        for kind in Kind:
            for records in company.records[kind].chunks(CHUNK_ROWS):
                _flush(session, classes[kind], kind, records, ids)
    clock.total("all of it, reading aside")


def _flush(session: Session, cls: type, kind: Kind, records: list[Record], ids: dict[tuple[Kind, str], int]) -> None:
    made = []
    columns = reference.metadata.tables[kind.value].columns
    for record in records:
        one: Any = cls()
        for name, value in record.fields.items():
            if name in columns:
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


WORKS: dict[str, Callable[[steps.Site], None]] = {
    "first import": _import,
    "second import": _import,
    "undo": _undo,
    "plain SQLAlchemy ORM": _orm,
}


if __name__ == "__main__":
    WORKS[sys.argv[2]](steps.Site(config.load(Path(sys.argv[1]))))
