"""The site's store: plans, findings, decisions and reports, so that reading and auditing write nothing to Miracle Service.

One SQLite file in ``[store] directory``, mode 0600 in a folder of mode 0700, and one more for each plan. The run lock is a file
of its own: the operating system frees it the moment its holder dies.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec

from qbo_sync import config
from qbo_sync.errors import Blocked, KitError, UsageError
from qbo_sync.switch.model import Decided, Decision, Finding, Kind
from qbo_sync.switch.shelf import Shelf

if TYPE_CHECKING:
    from qbo_sync.switch.plan import Plan

SCHEMA = """
CREATE TABLE IF NOT EXISTS reading (id TEXT PRIMARY KEY, command TEXT NOT NULL, read_at TEXT NOT NULL, findings BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS accepted (finding TEXT PRIMARY KEY, reason TEXT NOT NULL, accepted_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS withdrawn (
  finding TEXT NOT NULL, accepted TEXT NOT NULL, accepted_at TEXT NOT NULL,
  reason TEXT NOT NULL, person TEXT NOT NULL, withdrawn_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decision (
  kind TEXT NOT NULL, qbo_id TEXT NOT NULL, decision TEXT NOT NULL, miracle_id TEXT NOT NULL,
  decided_by TEXT NOT NULL DEFAULT '', PRIMARY KEY (kind, qbo_id));
CREATE TABLE IF NOT EXISTS open_plan (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS import (run_id TEXT PRIMARY KEY, finished_at TEXT NOT NULL, written INTEGER NOT NULL);
"""

# Readings of the past whose findings are kept; only the newest is ever compared with.
READINGS_KEPT = 50


@dataclass(frozen=True)
class Reading:
    """What one audit or plan found, and when both sides were read."""

    command: str
    read_at: datetime
    findings: list[Finding]


@dataclass(frozen=True)
class Withdrawn:
    """An acceptance that was taken back: the reason it had been given for, and why, by whom and when it was taken back."""

    accepted: str
    reason: str
    person: str
    at: datetime

    def said(self) -> str:
        """In one line."""
        return (
            f"no longer accepted since {self.at:%Y-%m-%d}, by {self.person}: {self.reason} (had been accepted: {self.accepted})"
        )


def _add_new_columns(database: sqlite3.Connection) -> None:
    """Bring a store of an earlier version up to date."""
    if "decided_by" not in {row[1] for row in database.execute("PRAGMA table_info(decision)")}:
        database.execute("ALTER TABLE decision ADD COLUMN decided_by TEXT NOT NULL DEFAULT ''")


def new_id() -> str:
    """An id that sorts by time and is unique: ``20261124T091500-3fa2``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{token_hex(2)}"


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A file of the store; what is done in here is written whole, or not at all when it fails."""
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        yield database


class SiteStore:
    """Opened per command; cheap."""

    def __init__(self, settings: config.Settings) -> None:
        self.site = settings.site
        self.directory = settings.store.directory
        self._plans_kept = settings.store.plans_kept
        self.reports = self.directory / "reports"
        self._plans = self.directory / "plans"
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.reports.mkdir(exist_ok=True, mode=0o700)
            self._plans.mkdir(exist_ok=True, mode=0o700)
            self._path = self.directory / "switch.db"
            self._path.touch(mode=0o600)
            with opened(self._path) as database:
                database.executescript(SCHEMA)
                _add_new_columns(database)
        except (OSError, sqlite3.Error) as error:
            raise UsageError(
                f"the site's store cannot be used: {self.directory}",
                seen=str(error),
                next="make the folder writable for this user, or set [store] directory to another one",
            ) from error

    @contextmanager
    def run_lock(self) -> Iterator[None]:
        """One writing run at a time. Raises :class:`Blocked` when another holds the site."""
        path = self.directory / "run.lock"
        path.touch(mode=0o600)
        lock = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise Blocked(
                    "another run holds this site",
                    seen=f"{path} is locked",
                    next="wait until it has ended, then run this again",
                ) from error
            yield
        finally:
            lock.close()

    # --- findings ----------------------------------------------------------------------------------------------

    def save_reading(self, command: str, read_at: datetime, findings: list[Finding]) -> None:
        """Keep what an audit or a plan found."""
        with opened(self._path) as database:
            database.execute(
                "INSERT INTO reading VALUES (?, ?, ?, ?)",
                (new_id(), command, read_at.isoformat(), msgspec.json.encode(findings)),
            )
            newest = "SELECT id FROM reading ORDER BY read_at DESC, id DESC LIMIT ?"
            database.execute(f"DELETE FROM reading WHERE id NOT IN ({newest})", (READINGS_KEPT,))  # noqa: S608

    def newest_reading(self) -> Reading | None:
        """The last look at both sides, by audit or by plan."""
        with opened(self._path) as database:
            found = database.execute("SELECT command, read_at, findings FROM reading ORDER BY read_at DESC, id DESC").fetchone()
        if found is None:
            return None
        return Reading(found[0], datetime.fromisoformat(found[1]), msgspec.json.decode(found[2], type=list[Finding]))

    def accept(self, finding: str, reason: str) -> None:
        """Note that a person lives with a finding, and why."""
        with opened(self._path) as database:
            database.execute("INSERT OR REPLACE INTO accepted VALUES (?, ?, ?)", (finding, reason, datetime.now(UTC).isoformat()))

    def accepted(self) -> dict[str, str]:
        """Finding id → reason."""
        with opened(self._path) as database:
            return dict(database.execute("SELECT finding, reason FROM accepted"))

    def withdraw(self, finding: str, reason: str, person: str) -> None:
        """Take an acceptance back; what it was is kept, with who took it back, when and why."""
        with opened(self._path) as database:
            database.execute(
                "INSERT INTO withdrawn SELECT finding, reason, accepted_at, ?, ?, ? FROM accepted WHERE finding = ?",
                (reason, person, datetime.now(UTC).isoformat(), finding),
            )
            database.execute("DELETE FROM accepted WHERE finding = ?", (finding,))

    def withdrawn(self) -> dict[str, Withdrawn]:
        """Finding id → the last time its acceptance was taken back."""
        with opened(self._path) as database:
            rows = database.execute("SELECT finding, accepted, reason, person, withdrawn_at FROM withdrawn ORDER BY withdrawn_at")
            return {finding: Withdrawn(was, why, by, datetime.fromisoformat(at)) for finding, was, why, by, at in rows}

    # --- decisions ---------------------------------------------------------------------------------------------

    def decide(self, decisions: Mapping[tuple[Kind, str], Decided]) -> None:
        """Keep a person's decisions; a later one on the same record replaces an earlier one."""
        with opened(self._path) as database:
            database.executemany(
                "INSERT OR REPLACE INTO decision (kind, qbo_id, decision, miracle_id, decided_by) VALUES (?, ?, ?, ?, ?)",
                [(kind.value, qbo_id, d.decision.value, d.miracle_id, d.by) for (kind, qbo_id), d in decisions.items()],
            )

    def decisions(self) -> dict[tuple[Kind, str], Decided]:
        """All decisions so far."""
        with opened(self._path) as database:
            rows = database.execute("SELECT kind, qbo_id, decision, miracle_id, decided_by FROM decision").fetchall()
        return {(Kind(kind), qbo_id): Decided(Decision(decision), target, by) for kind, qbo_id, decision, target, by in rows}

    def forget_decisions(self, records: list[tuple[Kind, str]]) -> None:
        """Drop decisions on records that are no longer there to decide on."""
        with opened(self._path) as database:
            database.executemany("DELETE FROM decision WHERE kind = ? AND qbo_id = ?", [(k.value, q) for k, q in records])

    # --- plans and imports -------------------------------------------------------------------------------------

    @contextmanager
    def new_plan(self) -> Iterator[Shelf]:
        """A file for the rows of a plan, which is gone afterwards unless the plan was saved."""
        path = self._plans / f"{new_id()}.part"
        path.touch(mode=0o600)
        try:
            yield Shelf(path)
        finally:
            path.unlink(missing_ok=True)

    def save_plan(self, plan: Plan) -> None:
        """Keep a plan; the oldest ones go, since each is a large file, but none whose import has not come to its end."""
        plan.rows.shelf.keep(msgspec.json.encode(plan.head), self._plans / f"{plan.id}.db")
        needed = self.open_plans()
        for old in sorted(self._plans.glob("*.db"))[: -self._plans_kept]:
            if old.stem not in needed:
                old.unlink()

    def begin_plan(self, plan_id: str) -> None:
        """Note that an import of this plan begins: until it has ended, the plan and its reports are needed."""
        with opened(self._path) as database:
            database.execute("INSERT OR IGNORE INTO open_plan VALUES (?)", (plan_id,))

    def open_plans(self) -> set[str]:
        """The plans whose import began and did not end, among those that are still there."""
        with opened(self._path) as database:
            begun = {row[0] for row in database.execute("SELECT id FROM open_plan")}
        return {plan_id for plan_id in begun if (self._plans / f"{plan_id}.db").exists()}

    def plan(self, plan_id: str = "") -> Plan | None:
        """The plan with that id, or the newest; ``None`` when there is none.

        Raises :class:`KitError` when the stored plan is not what was stored.
        """
        # Here, since planning needs both sides' libraries and most commands of the store have no plan to do with.
        from qbo_sync.switch.match import Matched
        from qbo_sync.switch.plan import Head, Plan

        found = [path for path in sorted(self._plans.glob("*.db")) if plan_id in ("", path.stem)]
        if not found:
            return None
        shelf = Shelf(found[-1])
        try:
            plan = Plan(msgspec.json.decode(shelf.document(), type=Head), Matched(shelf))
        except (KitError, msgspec.DecodeError, ValueError):
            plan = None
        if plan is None or plan.hash != plan.computed_hash():
            raise KitError(
                f"plan {found[-1].stem} is not the one that was made",
                seen="its hash differs",
                next="make a new plan: qbo-sync plan",
            )
        return plan

    def save_import(self, run_id: str, written: int) -> None:
        """Note that an import ended. Whatever plan was begun before is settled or outdated by it."""
        with opened(self._path) as database:
            database.execute("DELETE FROM open_plan")
            database.execute("INSERT INTO import VALUES (?, ?, ?)", (run_id, datetime.now(UTC).isoformat(), written))

    def last_import(self) -> datetime | None:
        """When the last import ended."""
        with opened(self._path) as database:
            found = database.execute("SELECT MAX(finished_at) FROM import").fetchone()
        return datetime.fromisoformat(found[0]) if found and found[0] else None
