"""Imports disturbed at random moments: `./kit bench kills [N] [--database sqlite|postgresql|mariadb]`.

Each round starts an import in a process of its own and disturbs it at a random moment, in turn: SIGKILL; the connection to the
database cut (where it is a server); the disk with its tables full (root only); a user of Miracle Service who holds a table longer
than an import waits. One more run then has to reach exactly what an undisturbed import reaches, and `undo` has to bring back
exactly what was there before.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from qbo_sync.errors import KitError
from qbo_sync.miracle import Miracle, journal, reference
from qbo_sync.miracle.database import create_engine
from qbo_sync.switch import apply as applying
from qbo_sync.switch import steps
from qbo_sync.switch.plan import Plan
from qbo_sync.switch.store import new_id
from tests.bench.site import Bench, connected
from tests.databases import servers

# Large enough that MariaDB, which takes room for a table in advance, needs more.
SIZE = ("--customers", "240", "--vendors", "12", "--items", "12", "--limits", "off")
CHUNK_ROWS = 16

CUT = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mariadb": "SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}


@dataclass
class Tally:
    """What happened, by disturbance. ``stopped``: rounds whose import did not finish; ``inside``: those that wrote a part."""

    rounds: Counter[str] = field(default_factory=Counter)
    stopped: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
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

    def give_back_room(self) -> None:
        """Let the database give the disk back what it keeps of removed rows."""
        tables = [table.name for table in reference.metadata.sorted_tables]
        statements = {"sqlite": ["VACUUM"], "postgresql": ["VACUUM FULL"]}
        plain = sa.create_engine(self.engine.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with plain.connect() as connection:
            for statement in statements.get(self.engine.dialect.name, [f"OPTIMIZE TABLE {table}" for table in tables]):
                connection.exec_driver_sql(statement)

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


class Disturbances:
    """What befalls an import. Each starts one, lets it write some chunks, and disturbs it some seconds later."""

    def __init__(self, target: Target, plan: Plan, chance: random.Random, disk: Path | None) -> None:
        self.target = target
        self.plan = plan
        self.chance = chance
        self.disk = disk
        self.chunks: list[float] = []
        self.growth = 0

    def names(self) -> list[str]:
        """Those that can happen to this database."""
        cut = ["cut"] if self.target.engine.dialect.name in CUT else []
        return ["kill", *cut, "held", *(["full"] if self.disk else [])]

    def undisturbed(self) -> None:
        """One import by itself, to know how long and how large one is."""
        before = self._room()
        self.target.apply(self.plan, lambda: self.chunks.append(time.monotonic()))
        self.growth = max(before - self._room(), 1)

    def kill(self) -> int:
        """SIGKILL."""
        child = self._under_way()
        os.kill(child, signal.SIGKILL)
        return child

    def cut(self) -> int:
        """The server ends its connection."""
        child = self._under_way()
        self.target.cut()
        return child

    def held(self) -> int:
        """A user adds a row and does not finish."""
        child = self._under_way()
        with self.target.engine.execution_options(writing=True).connect() as user:
            user.execute(sa.text("INSERT INTO customer (name, taxable) VALUES ('half typed', :yes)"), {"yes": True})
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            user.rollback()
        self.target.engine.dispose()
        return child

    def full(self) -> int:
        """The disk is full after a part of what an import needs."""
        assert self.disk is not None
        self.target.give_back_room()
        ballast = self.disk / "ballast"
        size = self._room() - self.chance.randrange(self.growth)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
        try:
            child = self._start(os.pipe())
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        finally:
            ballast.unlink()
        return child

    def _room(self) -> int:
        if self.disk is None:
            return 0
        seen = os.statvfs(self.disk)
        return seen.f_bavail * seen.f_frsize

    def _under_way(self) -> int:
        """Start an import; give it back at a random moment."""
        reader, writer = os.pipe()
        child = self._start((reader, writer))
        os.close(writer)
        for _ in range(self.chance.randrange(len(self.chunks))):
            os.read(reader, 1)
        os.close(reader)
        a_chunk_s = (self.chunks[-1] - self.chunks[0]) / (len(self.chunks) - 1)
        time.sleep(self.chance.uniform(0, 2 * a_chunk_s))
        return child

    def _start(self, pipe: tuple[int, int]) -> int:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.signal(signal.SIGPIPE, signal.SIG_IGN)
                with suppress(KitError):  # what an import says when it cannot go on
                    self.target.apply(self.plan, lambda: self._heard(pipe[1]))
                status = 0
            finally:
                os._exit(status)
        return child

    @staticmethod
    def _heard(writer: int) -> None:
        with suppress(BrokenPipeError):
            os.write(writer, b".")


def measure(bench: Bench, rounds: int, seed: int, disk: Path | None = None) -> Tally:
    """Disturb imports of one site; see the module's words. ``disk``: where the database's tables are, if it can be filled."""
    chance = random.Random(seed)
    target, tally = Target(bench), Tally()
    plan = target.plan()
    before = target.rows()
    disturbances = Disturbances(target, plan, chance, disk)
    disturbances.undisturbed()
    result, complete = target.picture(), target.links()
    _undo(target, before, tally, "undisturbed")
    names = disturbances.names()
    for number in range(rounds):
        name = names[number % len(names)]
        where = f"round {number} ({name})"
        _, ended = os.waitpid(getattr(disturbances, name)(), 0)
        if ended not in (0, signal.SIGKILL):
            tally.wrong.append(f"{where}: the import ended with status {ended}")
        written = target.links()
        tally.stopped[name] += written < complete
        tally.inside[name] += 0 < written < complete
        target.apply(plan)
        if target.picture() != result:
            tally.wrong.append(f"{where}: the result differs from the undisturbed one")
        _undo(target, before, tally, where)
        tally.rounds[name] += 1
    return tally


def _undo(target: Target, before: Mapping[str, Any], tally: Tally, where: str) -> None:
    kept = target.undo()
    if kept or target.rows() != before or target.links():
        tally.wrong.append(f"{where}: undo did not bring back what was there before ({kept} rows kept)")


@contextmanager
def small(name: str) -> Iterator[tuple[sa.URL, Path | None]]:
    """A fresh database on a small disk, and the disk; without root a SQLite file on the usual one."""
    with tempfile.TemporaryDirectory(prefix="qbo-kit-bench-") as folder:
        path = Path(folder)
        if name != "sqlite":
            with servers.running(name, path) as server, server.small_database() as found:
                yield found
        elif os.geteuid() != 0:
            yield sa.make_url(f"sqlite:///{path / 'miracle.db'}"), None
        else:
            with small_disk(path):
                yield sa.make_url(f"sqlite:///{path / 'miracle.db'}"), path


@contextmanager
def small_disk(path: Path) -> Iterator[None]:
    """Mount a small disk on a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={servers.SMALL}", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def main(arguments: list[str]) -> int:
    """Print what happened; exit status 1 when a round went wrong."""
    parser = argparse.ArgumentParser(prog="./kit bench kills")
    parser.add_argument("rounds", nargs="?", type=int, default=300)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "mariadb"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with small(options.database) as (url, disk), connected(*SIZE, database_url=url, lock_wait_s=1) as bench:
        tally = measure(bench, options.rounds, options.seed, disk)
    said = ", ".join(
        f"{number} {name} ({tally.stopped[name]} stopped, {tally.inside[name]} with a part written)"
        for name, number in tally.rounds.items()
    )
    print(f"{options.database}: imports disturbed in {time.monotonic() - began:.0f} s: {said}; {len(tally.wrong)} wrong")
    for line in tally.wrong[:20]:
        print(f"  {line}")
    return 1 if tally.wrong else 0
