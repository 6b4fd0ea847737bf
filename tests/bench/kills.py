"""Imports killed at random moments: `./kit bench kills [N] [--database sqlite|postgresql|mariadb]`.

Each round starts an import in a process of its own and ends it at a random moment: by SIGKILL or, where the database is a server,
every second time by cutting its connection. One more run then has to reach exactly what an undisturbed import reaches, and `undo`
has to bring back exactly what was there before.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from qbo_sync.errors import Unreachable
from qbo_sync.miracle import Miracle, journal, reference
from qbo_sync.miracle.database import create_engine
from qbo_sync.switch import apply as applying
from qbo_sync.switch import steps
from qbo_sync.switch.plan import Plan
from qbo_sync.switch.store import new_id
from tests.bench.site import Bench, connected, database

SIZE = ("--customers", "60", "--vendors", "12", "--items", "12", "--limits", "off")
CHUNK_ROWS = 6

CUT = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mariadb": "SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}


@dataclass
class Tally:
    """What happened. ``inside``: rounds that ended with some, but not all, of the import done."""

    rounds: int = 0
    killed: int = 0
    cut: int = 0
    inside: int = 0
    wrong: list[str] = field(default_factory=list)


class Target:
    """The database an import is made into, and how to look at it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.settings = bench.site.settings
        self.realm = bench.site.realm
        self.engine = create_engine(self.settings.miracle)
        self.journal = journal.tables(self.engine.dialect.name)

    def plan(self) -> Plan:
        """The plan that every round applies."""
        site = self.bench.site
        for finding in steps.audit(site).findings:
            if finding.severity == "blocker" and not finding.accepted:
                steps.accept(site, {finding.id: "not what is looked at here"})
        steps.make_plan(site)
        plan = site.store.plan()
        assert plan is not None
        return plan

    def apply(self, plan: Plan, progress: Callable[[], object] = lambda: None) -> None:
        """One import, as `qbo-sync import` applies its plan. ``progress`` is called after every chunk."""
        with Miracle.open(self.settings, self.realm) as miracle:
            run = miracle.begin_run(new_id(), "import", plan.id)
            applying.apply(plan, miracle, run, CHUNK_ROWS, lambda *_: progress())
            run.finish()

    def undo(self) -> int:
        """Take back every import that still stands; how many rows stayed."""
        with Miracle.open(self.settings, self.realm) as miracle:
            standing = {row.run_id for row in miracle.made()} | self._matched_by()
            runs = [run["id"] for run in miracle.runs() if run["id"] in standing]
        return sum(steps.undo(self.bench.site, run).answer.summary["kept"] for run in reversed(runs))

    def rows(self) -> dict[str, list[Any]]:
        """Every table of Miracle Service's own, row by row, ids included."""
        with self.engine.connect() as connection:
            found = {
                t.name: sorted(map(tuple, connection.execute(sa.select(t))), key=repr) for t in reference.metadata.sorted_tables
            }
        self.engine.dispose()
        return found

    def picture(self) -> dict[str, list[str]]:
        """Rows and links with every id turned into the name it stands for: equal for equal contents, whatever the ids are."""
        with self.engine.connect() as connection:
            tables = {t.name: list(connection.execute(sa.select(t)).mappings()) for t in reference.metadata.sorted_tables}
            links = list(connection.execute(sa.select(self.journal.link)).mappings()) if self._journalled() else []
        self.engine.dispose()
        names = {table: {row["id"]: row["name"] for row in rows if "id" in row} for table, rows in tables.items()}
        seen = {table: sorted(_named(table, row, names) for row in rows) for table, rows in tables.items()}
        seen["links"] = sorted(
            f"{r['kind']} {r['qbo_id']} {r['state']} {names[r['kind']].get(int(r['miracle_id']))}" for r in links
        )
        return seen

    def links(self) -> int:
        """How many records are linked."""
        return len(self.picture()["links"])

    def cut(self) -> None:
        """Cut every connection but this one."""
        with self.engine.connect() as connection:
            for (statement,) in connection.exec_driver_sql(CUT[self.engine.dialect.name]).all():
                if isinstance(statement, str):
                    with suppress(sa.exc.OperationalError):  # gone by itself meanwhile
                        connection.exec_driver_sql(statement)
        self.engine.dispose()

    def _journalled(self) -> bool:
        return sa.inspect(self.engine).has_table("qbo_sync_link", schema=self.journal.metadata.schema)

    def _matched_by(self) -> set[str]:
        with self.engine.connect() as connection:
            found = set(connection.execute(sa.select(self.journal.link.c.run_id)).scalars())
        self.engine.dispose()
        return found


def _named(table: str, row: Mapping[str, Any], names: Mapping[str, Mapping[int, str]]) -> str:
    shown = []
    for column in reference.metadata.tables[table].columns:
        value = row[column.name]
        for key in column.foreign_keys:
            value = names[key.column.table.name].get(value)
        if column.name != "id":
            shown.append(value)
    return repr(shown)


def measure(bench: Bench, rounds: int, seed: int) -> Tally:
    """Kill imports of one site; see the module's words."""
    chance = random.Random(seed)
    target, tally = Target(bench), Tally()
    plan = target.plan()
    before = target.rows()
    chunks: list[float] = []
    target.apply(plan, lambda: chunks.append(time.monotonic()))
    a_chunk_s = (chunks[-1] - chunks[0]) / (len(chunks) - 1)
    result, complete = target.picture(), target.links()
    _undo(target, before, tally, "undisturbed")
    for number in range(rounds):
        cut = target.engine.dialect.name in CUT and number % 2 == 1
        _disturbed(target, plan, chance.randrange(len(chunks)), chance.uniform(0, 2 * a_chunk_s), cut, tally)
        tally.inside += 0 < target.links() < complete
        target.apply(plan)
        if target.picture() != result:
            tally.wrong.append(f"round {number}: the result differs from the undisturbed one")
        _undo(target, before, tally, f"round {number}")
        tally.rounds += 1
    return tally


def _disturbed(target: Target, plan: Plan, chunks: int, after_s: float, cut: bool, tally: Tally) -> None:
    """Start an import, let it write some chunks, and end it some seconds later."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with suppress(Unreachable):  # what an import says when its connection is cut
                target.apply(plan, lambda: os.write(writer, b"."))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    for _ in range(chunks):
        os.read(reader, 1)
    time.sleep(after_s)
    if cut:
        target.cut()
        tally.cut += 1
    else:
        os.kill(child, signal.SIGKILL)
        tally.killed += 1
    _, ended = os.waitpid(child, 0)
    os.close(reader)
    if ended not in (0, signal.SIGKILL):
        tally.wrong.append(f"the import ended with status {ended}")


def _undo(target: Target, before: Mapping[str, Any], tally: Tally, where: str) -> None:
    kept = target.undo()
    if kept or target.rows() != before or target.links():
        tally.wrong.append(f"{where}: undo did not bring back what was there before ({kept} rows kept)")


def main(arguments: list[str]) -> int:
    """Print what happened; exit status 1 when a round went wrong."""
    parser = argparse.ArgumentParser(prog="./kit bench kills")
    parser.add_argument("rounds", nargs="?", type=int, default=300)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "mariadb"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with database(options.database) as url, connected(*SIZE, database_url=url) as bench:
        tally = measure(bench, options.rounds, options.seed)
    print(
        f"{options.database}: {tally.rounds} imports disturbed in {time.monotonic() - began:.0f} s ({tally.killed} killed, "
        f"{tally.cut} cut off; {tally.inside} with part of the rows written): {len(tally.wrong)} wrong"
    )
    for line in tally.wrong[:20]:
        print(f"  {line}")
    return 1 if tally.wrong else 0
