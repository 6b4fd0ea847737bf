"""Miracle Service's database: reads the declared tables, and writes rows together with their journal.

Only tables that the profile declares are ever touched. Everything that writes happens inside :meth:`Run.chunk`, one transaction
that holds the kind's table against other writers, checks the run's fence and keeps rows and journal together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Table, event, exc, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.schema import CreateSchema

from qbo_sync import config
from qbo_sync.errors import Blocked, Unreachable, UsageError
from qbo_sync.miracle import journal
from qbo_sync.miracle.profile import KINDS, KindMap, Profile, load

DECIMALS = frozenset({"discount_percent", "rate", "unit_price", "unit_cost", "quantity_on_hand"})

# Keeps other writers out of a table until the transaction ends, readers not. MySQL and MariaDB: the lock on the gap above the
# highest id stops inserts. SQLite: BEGIN IMMEDIATE already did it for the whole file.
LOCKS = {
    "postgresql": "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE",
    "mysql": "SELECT {id} FROM {table} ORDER BY {id} DESC LIMIT 1 FOR UPDATE",
    "mariadb": "SELECT {id} FROM {table} ORDER BY {id} DESC LIMIT 1 FOR UPDATE",
    "mssql": "SELECT TOP 0 {id} FROM {table} WITH (TABLOCKX, HOLDLOCK)",
}

READ_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Inserted:
    """One row that a chunk made, or could not make (``problem`` says why in the database's words)."""

    qbo_id: str
    miracle_id: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """One row to insert: our fields with references already resolved to Miracle ids."""

    qbo_id: str
    sync_token: str
    name: str
    values: Mapping[str, Any]


class Miracle:
    """One site's Miracle Service database. Use :meth:`open`, then close, or as a context manager."""

    def __init__(self, engine: Engine, profile: Profile, realm: str) -> None:
        self.engine = engine
        self.profile = profile
        self.realm = realm
        self._writer = engine.execution_options(writing=True)
        self.journal = journal.tables(engine.dialect.name)
        self._tables: dict[str, Table] = {}

    @classmethod
    def open(cls, settings: config.Settings, realm: str = "") -> Miracle:
        """Connect and check the profile against the real tables.

        Raises :class:`UsageError` (profile or settings wrong) or :class:`Unreachable` (no answer from the database).
        """
        profile = load(settings.miracle.profile)
        miracle = cls(create_engine(settings.miracle), profile, realm)
        problems = miracle.check()
        if problems:
            raise UsageError(
                "the profile does not fit the Miracle Service database",
                seen="; ".join(problems),
                next="mend the profile, then run: qbo-sync profile check",
            )
        return miracle

    def __enter__(self) -> Miracle:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()

    # --- reading -----------------------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """What the profile declares and the database lacks, one sentence each; empty when all is there."""
        problems: list[str] = []
        with unreachable_if_down(self.engine):
            inspector = inspect(self.engine)
            for table, columns in sorted(self._declared().items()):
                if not inspector.has_table(table):
                    problems.append(f"table '{table}' is missing")
                    continue
                there = {c["name"] for c in inspector.get_columns(table)}
                problems += [f"column '{table}.{column}' is missing" for column in sorted(columns - there)]
        return problems

    def _declared(self) -> dict[str, set[str]]:
        declared: dict[str, set[str]] = {}
        for part in self.profile.kinds.values():
            declared.setdefault(part.table, set()).update({part.id, *part.columns.values()})
            for table, column in part.referred_by:
                declared.setdefault(table, set()).add(column)
        if taxes := self.profile.taxes:
            declared.setdefault(taxes.code.table, set()).update({taxes.code.id, *taxes.code.columns.values()})
            component = taxes.component
            declared.setdefault(component.table, set()).update(
                {component.code_id, component.position, *component.columns.values()}
            )
        if settings := self.profile.settings:
            declared.setdefault(settings.table, set()).update({settings.name, settings.value})
        return declared

    def table(self, name: str) -> Table:
        """The reflected table; only those that the profile declares can be asked for."""
        if name not in self._tables:
            with unreachable_if_down(self.engine):
                self._tables[name] = Table(name, sa.MetaData(), autoload_with=self.engine, resolve_fks=False)
        return self._tables[name]

    def lengths(self, kind: str) -> dict[str, int]:
        """The longest text each field's column takes, in characters, where the column has a limit."""
        part = self.profile.kinds[kind]
        columns = self.table(part.table).c
        return {
            field: length
            for field, column in part.columns.items()
            if (length := getattr(columns[column].type, "length", None)) and field not in DECIMALS
        }

    def rows(self, kind: str, *, above: str = "", connection: Connection | None = None) -> Iterator[dict[str, Any]]:
        """All rows of a kind in order of id, as our fields plus ``id`` (text); with ``above``, only ids greater than that."""
        part = self.profile.kinds[kind]
        table = self.table(part.table)
        columns = [table.c[part.id].label("id"), *(table.c[c].label(f) for f, c in part.columns.items() if f != "id")]
        statement = select(*columns).order_by(table.c[part.id])
        if above:
            statement = statement.where(table.c[part.id] > self._key(part, above))
        with self._reading(connection) as reader:
            for row in reader.execute(statement, execution_options={"yield_per": READ_ROWS}).mappings():
                yield {field: _from_database(field, value) for field, value in row.items()}

    def taxes(self) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """The tax codes, each with its components in order; empty when the profile declares none."""
        maps = self.profile.taxes
        if maps is None:
            return []
        codes, parts = self.table(maps.code.table), self.table(maps.component.table)
        code_columns = [codes.c[maps.code.id].label("id"), *(codes.c[c].label(f) for f, c in maps.code.columns.items())]
        part_columns = [
            parts.c[maps.component.code_id].label("code_id"),
            *(parts.c[c].label(f) for f, c in maps.component.columns.items()),
        ]
        with self._reading() as reader:
            components: dict[str, list[dict[str, Any]]] = {}
            order = (parts.c[maps.component.code_id], parts.c[maps.component.position])
            for row in reader.execute(select(*part_columns).order_by(*order)).mappings():
                values = {f: _from_database(f, v) for f, v in row.items()}
                components.setdefault(str(values.pop("code_id")), []).append(values)
            found = reader.execute(select(*code_columns).order_by(codes.c[maps.code.id])).mappings()
            return [({f: _from_database(f, v) for f, v in row.items()}, components.get(str(row["id"]), [])) for row in found]

    def setting(self, name: str) -> str | None:
        """One of Miracle Service's settings, or ``None`` when it is not there."""
        where = self.profile.settings
        if where is None:
            return None
        table = self.table(where.table)
        with self._reading() as reader:
            value = reader.execute(select(table.c[where.value]).where(table.c[where.name] == name)).scalar()
        return None if value is None else str(value)

    def export_enabled(self) -> bool | None:
        """Whether the accounting export is on; ``None`` when the profile declares no switch."""
        switch = self.profile.export_switch
        return None if switch is None else self.setting(switch.setting) == switch.enabled

    def links(self) -> dict[tuple[str, str], tuple[str, str]]:
        """The saved links of this realm: (kind, QBO id) → (Miracle id, state). Empty before the first import."""
        if not self._has_journal():
            return {}
        with self._reading() as reader:
            found = reader.execute(select(self.journal.link).where(self.journal.link.c.realm == self.realm))
            return {(row.kind, row.qbo_id): (row.miracle_id, row.state) for row in found}

    def other_realms(self) -> list[str]:
        """Realms, other than this one, that this database is already linked with."""
        if not self._has_journal():
            return []
        with self._reading() as reader:
            statement = select(self.journal.link.c.realm).where(self.journal.link.c.realm != self.realm).distinct()
            return sorted(reader.execute(statement).scalars())

    def made(self, run_id: str = "") -> list[dict[str, Any]]:
        """The journal's rows that still stand as made, newest first; of one run when ``run_id`` is given."""
        if not self._has_journal():
            return []
        ours = select(self.journal.run.c.id).where(self.journal.run.c.realm == self.realm)
        statement = select(self.journal.row).where(self.journal.row.c.state == "made", self.journal.row.c.run_id.in_(ours))
        if run_id:
            statement = statement.where(self.journal.row.c.run_id == run_id)
        statement = statement.order_by(self.journal.row.c.run_id.desc(), self.journal.row.c.seq.desc())
        with self._reading() as reader:
            return [dict(row) for row in reader.execute(statement).mappings()]

    def runs(self) -> list[dict[str, Any]]:
        """The runs of this realm, oldest first."""
        if not self._has_journal():
            return []
        with self._reading() as reader:
            statement = select(self.journal.run).where(self.journal.run.c.realm == self.realm).order_by(self.journal.run.c.fence)
            return [dict(row) for row in reader.execute(statement).mappings()]

    def _has_journal(self) -> bool:
        with unreachable_if_down(self.engine):
            return inspect(self.engine).has_table(self.journal.link.name, schema=self.journal.metadata.schema)

    @contextmanager
    def _reading(self, connection: Connection | None = None) -> Iterator[Connection]:
        if connection is not None:
            yield connection
            return
        with unreachable_if_down(self.engine), self.engine.connect() as fresh:
            yield fresh

    def _key(self, part: KindMap, miracle_id: str) -> Any:
        column = self.table(part.table).c[part.id]
        return int(miracle_id) if isinstance(column.type, sa.Integer) else miracle_id

    # --- writing -----------------------------------------------------------------------------------------------

    def begin_run(self, run_id: str, command: str, plan_id: str) -> Run:
        """Start a run: makes our tables when missing and takes the highest fence, which stops any older writer."""
        with unreachable_if_down(self.engine):
            with self._writer.begin() as connection:
                schema = self.journal.metadata.schema
                if schema and not inspect(connection).has_schema(schema):
                    connection.execute(CreateSchema(schema))
                self.journal.metadata.create_all(connection)
            with self._writer.begin() as connection:
                highest = connection.execute(select(sa.func.max(self.journal.run.c.fence))).scalar() or 0
                connection.execute(
                    self.journal.run.insert().values(
                        id=run_id,
                        realm=self.realm,
                        command=command,
                        plan_id=plan_id,
                        fence=highest + 1,
                        started_at=_now(),
                        state="running",
                    )
                )
        return Run(self, run_id, highest + 1)


class Run:
    """One writing run; everything it writes goes through :meth:`chunk`."""

    def __init__(self, miracle: Miracle, run_id: str, fence: int) -> None:
        self.miracle = miracle
        self.run_id = run_id
        self.fence = fence
        self._seq = 0

    @contextmanager
    def chunk(self, kind: str = "") -> Iterator[Chunk]:
        """One transaction. With ``kind``, that kind's table is held against other writers until it ends."""
        miracle = self.miracle
        with unreachable_if_down(miracle.engine), miracle._writer.begin() as connection:
            if kind:
                part = miracle.profile.kinds[kind]
                quote = miracle.engine.dialect.identifier_preparer.quote
                lock = LOCKS.get(miracle.engine.dialect.name)
                if lock:
                    connection.exec_driver_sql(lock.format(table=quote(part.table), id=quote(part.id)))
            self._check_fence(connection)
            yield Chunk(self, connection)

    def _check_fence(self, connection: Connection) -> None:
        highest = connection.execute(select(sa.func.max(self.miracle.journal.run.c.fence))).scalar()
        if highest != self.fence:
            raise Blocked(
                "another run took over this site while this one was working",
                seen=f"our run has number {self.fence}, the newest has {highest}",
                next="let the other run finish; nothing was written twice",
            )

    def finish(self, state: str = "done") -> None:
        """Write how the run ended."""
        with self.chunk() as chunk:
            chunk.connection.execute(
                self.miracle.journal.run.update()
                .where(self.miracle.journal.run.c.id == self.run_id)
                .values(state=state, finished_at=_now())
            )

    def next_seq(self) -> int:
        """The next number of a journal row."""
        self._seq += 1
        return self._seq


class Chunk:
    """An open transaction of a run."""

    def __init__(self, run: Run, connection: Connection) -> None:
        self.run = run
        self.miracle = run.miracle
        self.journal = run.miracle.journal
        self.connection = connection

    def rows_above(self, kind: str, miracle_id: str) -> Iterator[dict[str, Any]]:
        """Rows of a kind with a greater id: what appeared since the reading."""
        return self.miracle.rows(kind, above=miracle_id, connection=self.connection)

    def fetch(self, kind: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The whole rows with these ids as they are now, every column, keyed by id."""
        part = self.miracle.profile.kinds[kind]
        return {str(row[part.id]): row for row in self._fetch(part, list(ids))}

    def _fetch(self, part: KindMap, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        table = self.miracle.table(part.table)
        for start in range(0, len(ids), 500):
            keys = [self.miracle._key(part, i) for i in ids[start : start + 500]]
            statement = select(table).where(table.c[part.id].in_(keys))
            yield from (dict(row) for row in self.connection.execute(statement).mappings())

    def insert(self, kind: str, pending: Sequence[Pending]) -> list[Inserted]:
        """Insert rows, their links and their journal. A row the database refuses comes back with its problem."""
        done = self._insert_rows(kind, pending)
        by_qbo = {p.qbo_id: p for p in pending}
        good = [d for d in done if not d.problem]
        hashes = {i: row_hash(row) for i, row in self.fetch(kind, [d.miracle_id for d in good]).items()}
        table_name = self.miracle.profile.kinds[kind].table
        if good:
            self.connection.execute(
                self.journal.row.insert(),
                [
                    {
                        "run_id": self.run.run_id,
                        "seq": self.run.next_seq(),
                        "kind": kind,
                        "table_name": table_name,
                        "miracle_id": d.miracle_id,
                        "qbo_id": d.qbo_id,
                        "row_hash": hashes[d.miracle_id],
                        "state": "made",
                        "name": by_qbo[d.qbo_id].name,
                    }
                    for d in good
                ],
            )
            self.link(kind, [(d.qbo_id, d.miracle_id, by_qbo[d.qbo_id].sync_token) for d in good], "made")
        return done

    def _insert_rows(self, kind: str, pending: Sequence[Pending]) -> list[Inserted]:
        if not pending:
            return []
        try:
            with self.connection.begin_nested():
                return self._insert_together(kind, pending)
        except (exc.IntegrityError, exc.DataError) as error:
            if len(pending) == 1:
                return [Inserted(pending[0].qbo_id, "", str(error.orig).strip().splitlines()[0])]
            return [done for one in pending for done in self._insert_rows(kind, [one])]

    def _insert_together(self, kind: str, pending: Sequence[Pending]) -> list[Inserted]:
        part = self.miracle.profile.kinds[kind]
        table = self.miracle.table(part.table)
        fields = [f for f in part.columns if any(f in p.values for p in pending)]
        values = [
            {part.columns[f]: self._to_database(part, table.c[part.columns[f]], f, p.values.get(f)) for f in fields}
            for p in pending
        ]
        statement = table.insert().returning(table.c[part.id], sort_by_parameter_order=True)
        ids = self.connection.execute(statement, values).scalars().all()
        return [Inserted(p.qbo_id, str(i)) for p, i in zip(pending, ids, strict=True)]

    def _to_database(self, part: KindMap, column: sa.Column[Any], field: str, value: Any) -> Any:
        if value is None:
            return None
        if field in part.references:
            return int(value) if isinstance(column.type, sa.Integer) else value
        if isinstance(value, Decimal) and isinstance(column.type, sa.String):
            return format(value, "f")
        return value

    def link(self, kind: str, links: Sequence[tuple[str, str, str]], state: str) -> None:
        """Save links (QBO id, Miracle id, SyncToken). A link that stands already stays as it is."""
        there = {
            row.qbo_id
            for start in range(0, len(links), 500)
            for row in self.connection.execute(
                select(self.journal.link.c.qbo_id).where(
                    self.journal.link.c.realm == self.miracle.realm,
                    self.journal.link.c.kind == kind,
                    self.journal.link.c.qbo_id.in_([q for q, _, _ in links[start : start + 500]]),
                )
            )
        }
        fresh = [
            {
                "realm": self.miracle.realm,
                "kind": kind,
                "qbo_id": q,
                "miracle_id": m,
                "sync_token": t,
                "state": state,
                "run_id": self.run.run_id,
            }
            for q, m, t in links
            if q not in there
        ]
        if fresh:
            self.connection.execute(self.journal.link.insert(), fresh)

    def used_by(self, kind: str, miracle_id: str) -> list[str]:
        """The tables that the profile declares as referring to this kind and that do refer to this row."""
        part = self.miracle.profile.kinds[kind]
        used = []
        for table_name, column in part.referred_by:
            table = self.miracle.table(table_name)
            key = self.miracle._key(part, miracle_id)
            count = self.connection.execute(select(sa.func.count()).where(table.c[column] == key)).scalar()
            if count:
                used.append(f"{table_name}.{column} ({count})")
        return used

    def remove(self, made: Mapping[str, Any], *, keep_mark: bool) -> None:
        """Delete one row that we made. With ``keep_mark`` the link stays as ``removed``, so it is never made again."""
        kind = str(made["kind"])
        part = self.miracle.profile.kinds[kind]
        table = self.miracle.table(part.table)
        self.connection.execute(table.delete().where(table.c[part.id] == self.miracle._key(part, str(made["miracle_id"]))))
        mine = (self.journal.row.c.run_id == made["run_id"]) & (self.journal.row.c.seq == made["seq"])
        self.connection.execute(self.journal.row.update().where(mine).values(state="discarded" if keep_mark else "undone"))
        same = (
            (self.journal.link.c.realm == self.miracle.realm)
            & (self.journal.link.c.kind == kind)
            & (self.journal.link.c.qbo_id == made["qbo_id"])
        )
        if keep_mark:
            self.connection.execute(self.journal.link.update().where(same).values(state="removed"))
        else:
            self.connection.execute(self.journal.link.delete().where(same))

    def forget_matches(self, run_id: str) -> int:
        """Delete the links to rows that were there before, made by that run. Returns how many."""
        mine = (self.journal.link.c.realm == self.miracle.realm) & (self.journal.link.c.run_id == run_id)
        gone = self.connection.execute(
            self.journal.link.delete().where(mine, self.journal.link.c.state.in_(("matched", "decided")))
        )
        return int(gone.rowcount)

    def mark_removed(self, links: Sequence[tuple[str, str]]) -> None:
        """Mark links (kind, QBO id) whose rows a person deleted in Miracle Service."""
        for kind, qbo_id in links:
            same = (
                (self.journal.link.c.realm == self.miracle.realm)
                & (self.journal.link.c.kind == kind)
                & (self.journal.link.c.qbo_id == qbo_id)
            )
            self.connection.execute(self.journal.link.update().where(same).values(state="removed"))

    def add_tax_code(self, code: Mapping[str, Any], components: Sequence[Mapping[str, Any]]) -> str:
        """Add a tax code with its components, journalled. Returns its id."""
        maps = self.miracle.profile.taxes
        assert maps is not None  # noqa: S101 - the caller read the taxes from these tables
        codes, parts = self.miracle.table(maps.code.table), self.miracle.table(maps.component.table)
        values = {maps.code.columns[f]: v for f, v in code.items() if f in maps.code.columns}
        code_id = self.connection.execute(codes.insert().returning(codes.c[maps.code.id]), [values]).scalar_one()
        for position, component in enumerate(components, start=1):
            columns = maps.component.columns
            fields = {columns[f]: self._text(parts.c[columns[f]], v) for f, v in component.items() if f in columns}
            self.connection.execute(
                parts.insert().values({maps.component.code_id: code_id, maps.component.position: position, **fields})
            )
        row = self.connection.execute(select(codes).where(codes.c[maps.code.id] == code_id)).mappings().one()
        self.connection.execute(
            self.journal.row.insert().values(
                run_id=self.run.run_id,
                seq=self.run.next_seq(),
                kind="tax_code",
                table_name=maps.code.table,
                miracle_id=str(code_id),
                qbo_id=str(code.get("qbo_id", "")),
                row_hash=row_hash(dict(row)),
                state="fixed",
                name=str(code["name"]),
            )
        )
        return str(code_id)

    @staticmethod
    def _text(column: sa.Column[Any], value: Any) -> Any:
        return format(value, "f") if isinstance(value, Decimal) and isinstance(column.type, sa.String) else value

    def set_setting(self, name: str, value: str) -> None:
        """Set one of Miracle Service's settings, adding it when it is not there."""
        where = self.miracle.profile.settings
        assert where is not None  # noqa: S101 - the profile's own check demands it for every setting
        table = self.miracle.table(where.table)
        changed = self.connection.execute(table.update().where(table.c[where.name] == name).values({where.value: value}))
        if changed.rowcount == 0:
            self.connection.execute(table.insert().values({where.name: name, where.value: value}))


def row_hash(row: Mapping[str, Any]) -> str:
    """SHA-256 over a whole row, the same on every reading of an unchanged row."""
    text = json.dumps({str(k): None if v is None else str(v) for k, v in row.items()}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _from_database(field: str, value: Any) -> Any:
    if field == "id":
        return str(value)
    if field in DECIMALS and value is not None:
        return Decimal(str(value))
    return value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def unreachable_if_down(engine: Engine) -> Iterator[None]:
    """Turn a lost or refused connection into :class:`Unreachable`, without the address's credentials."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError) as error:
        text = str(error.orig).strip().splitlines()
        raise Unreachable(
            f"the Miracle Service database did not answer ({engine.url.render_as_string(hide_password=True)})",
            seen=text[0] if text else type(error.orig).__name__,
            next="check that the database server runs and that the settings under [miracle] are right, then run this again",
        ) from error


def create_engine(settings: config.Miracle) -> Engine:
    """An engine for the site's database; the password comes from its file."""
    try:
        url = make_url(settings.database_url)
    except exc.ArgumentError as error:
        raise UsageError(
            "database_url is not an SQLAlchemy address", seen=str(error), next="for example postgresql://user@host/database"
        ) from error
    if settings.password_file:
        url = url.set(password=config.read_secret(settings.password_file, "database password"))
    return engine_for(_with_driver(url))


def _with_driver(url: URL) -> URL:
    drivers = {
        "postgresql": "postgresql+psycopg",
        "mysql": "mysql+pymysql",
        "mariadb": "mariadb+pymysql",
        "mssql": "mssql+pymssql",
    }
    return url.set(drivername=drivers.get(url.drivername, url.drivername))


def engine_for(url: URL) -> Engine:
    """An engine whose transactions hold SQLite's write lock from their first statement on when they write."""
    engine = sa.create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        _begin_explicitly(engine)
    return engine


def _begin_explicitly(engine: Engine) -> None:
    # The driver would begin only at the first write and not hold the lock for the checks before it.
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 30000")

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN")

    listen: Callable[..., Any] = event.listen
    listen(engine, "connect", connected)
    listen(engine, "begin", begun)


__all__ = ["KINDS", "Chunk", "Inserted", "Miracle", "Pending", "Run", "create_engine", "engine_for", "row_hash"]
