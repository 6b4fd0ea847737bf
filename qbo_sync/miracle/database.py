"""Miracle Service's database as it is read. Only tables that the profile declares are ever touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Table, exc, inspect, select

from qbo_sync import __version__, config
from qbo_sync.errors import Blocked, UsageError
from qbo_sync.miracle import journal, migrations
from qbo_sync.miracle.engine import create_engine, engine_for, unreachable_if_down
from qbo_sync.miracle.profile import KINDS, KindMap, Profile, TaxComponentMap, load
from qbo_sync.miracle.writing import Chunk, Inserted, Made, Pending, Run, row_hash

DECIMALS = frozenset({"discount_percent", "rate", "unit_price", "unit_cost", "quantity_on_hand"})

READ_ROWS = 1000


class TaxRows(NamedTuple):
    """A tax code's row with the rows of its rates, on sales and on purchases."""

    code: dict[str, Any]
    sales: list[dict[str, Any]]
    purchase: list[dict[str, Any]]


class Miracle:
    """One site's Miracle Service database. Use :meth:`open`, then close, or as a context manager."""

    def __init__(self, engine: Engine, profile: Profile, realm: str) -> None:
        self.engine = engine
        self.profile = profile
        self.realm = realm
        self.writer = engine.execution_options(writing=True)
        self.journal = journal.tables(engine.dialect.name)
        self._tables: dict[str, Table] = {}
        self._journal_seen = False

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
            for table, columns in sorted(self.declared().items()):
                if not inspector.has_table(table):
                    problems.append(f"table '{table}' is missing")
                    continue
                there = {c["name"] for c in inspector.get_columns(table)}
                problems += [f"column '{table}.{column}' is missing" for column in sorted(columns - there)]
        return problems

    def declared(self) -> dict[str, set[str]]:
        """Every table that the profile declares, with the columns of it that it names."""
        declared: dict[str, set[str]] = {}
        for part in self.profile.kinds.values():
            declared.setdefault(part.table, set()).update({part.id, *part.columns.values(), *part.defaults})
            for table, column in part.referred_by:
                declared.setdefault(table, set()).add(column)
        if taxes := self.profile.taxes:
            declared.setdefault(taxes.code.table, set()).update({taxes.code.id, *taxes.code.columns.values()})
            for component in filter(None, (taxes.component, taxes.purchase)):
                columns = {component.code_id, component.position, *component.columns.values()}
                declared.setdefault(component.table, set()).update(columns)
        if settings := self.profile.settings:
            declared.setdefault(settings.table, set()).update({settings.name, settings.value})
        return declared

    def table(self, name: str) -> Table:
        """The reflected table; only those that the profile declares can be asked for."""
        if name not in self._tables:
            with unreachable_if_down(self.engine):
                # SQL Server has no OUTPUT of new ids where a table has triggers; it is asked for the last one instead.
                returning = self.engine.dialect.name != "mssql"
                self._tables[name] = Table(
                    name, sa.MetaData(), autoload_with=self.engine, resolve_fks=False, implicit_returning=returning
                )
        return self._tables[name]

    def lengths(self, kind: str) -> dict[str, int]:
        """The longest text each field's column takes, in characters, where the column or the profile has a limit."""
        part = self.profile.kinds[kind]
        columns = self.table(part.table).c
        found = {
            field: length
            for field, column in part.columns.items()
            if (length := getattr(columns[column].type, "length", None)) and field not in DECIMALS
        }
        declared = self.profile.lengths.get(kind, {})
        return found | {field: min(length, found.get(field, length)) for field, length in declared.items()}

    def rows(self, kind: str, *, ids: Sequence[str] = (), connection: Connection | None = None) -> Iterator[dict[str, Any]]:
        """All rows of a kind in order of id, as our fields plus ``id`` (text); with ``ids`` only those (at most 1000)."""
        part = self.profile.kinds[kind]
        table = self.table(part.table)
        columns = [table.c[part.id].label("id"), *(table.c[c].label(f) for f, c in part.columns.items() if f != "id")]
        statement = select(*columns).order_by(table.c[part.id])
        if ids:
            statement = statement.where(table.c[part.id].in_([self.key(part, i) for i in ids]))
        fields = ["id", *(f for f in part.columns if f != "id")]
        decimals = [f for f in fields if f in DECIMALS]
        with self._reading(connection) as reader:
            for values in reader.execute(statement, execution_options={"yield_per": READ_ROWS}):
                row = dict(zip(fields, values, strict=True))
                row["id"] = str(row["id"])
                for field in decimals:
                    row[field] = _from_database(field, row[field])
                yield row

    def taxes(self) -> list[TaxRows]:
        """The tax codes, each with its rates in order; empty when the profile declares none."""
        maps = self.profile.taxes
        if maps is None:
            return []
        codes = self.table(maps.code.table)
        columns = [codes.c[maps.code.id].label("id"), *(codes.c[c].label(f) for f, c in maps.code.columns.items())]
        with self._reading() as reader:
            sales = self._rates(reader, maps.component)
            purchase = self._rates(reader, maps.purchase) if maps.purchase else {}
            found = reader.execute(select(*columns).order_by(codes.c[maps.code.id])).mappings()
            return [
                TaxRows(
                    {f: _from_database(f, v) for f, v in row.items()},
                    sales.get(str(row["id"]), []),
                    purchase.get(str(row["id"]), []),
                )
                for row in found
            ]

    def _rates(self, reader: Connection, component: TaxComponentMap) -> dict[str, list[dict[str, Any]]]:
        """The rates of every tax code, in order, by the code's id."""
        parts = self.table(component.table)
        code, position = parts.c[component.code_id], parts.c[component.position]
        columns = [code.label("code_id"), *(parts.c[c].label(f) for f, c in component.columns.items())]
        rates: dict[str, list[dict[str, Any]]] = {}
        for row in reader.execute(select(*columns).order_by(code, position)).mappings():
            values = {f: _from_database(f, v) for f, v in row.items()}
            rates.setdefault(str(values.pop("code_id")), []).append(values)
        return rates

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
        return {(kind, qbo_id): (miracle_id, state) for kind, qbo_id, miracle_id, state in self.link_rows()}

    def link_rows(self) -> Iterator[tuple[str, str, str, str]]:
        """The saved links of this realm, one by one: kind, QBO id, Miracle id and state."""
        if not self._has_journal():
            return
        link = self.journal.link
        statement = select(link.c.kind, link.c.qbo_id, link.c.miracle_id, link.c.state).where(link.c.realm == self.realm)
        with self._reading() as reader:
            for part in reader.execute(statement, execution_options={"yield_per": READ_ROWS}).partitions():
                yield from map(tuple, part)

    def other_realms(self) -> list[str]:
        """Realms, other than this one, that this database is already linked with."""
        if not self._has_journal():
            return []
        with self._reading() as reader:
            statement = select(self.journal.link.c.realm).where(self.journal.link.c.realm != self.realm).distinct()
            return sorted(reader.execute(statement).scalars())

    def number_linked(self, kind: str) -> int:
        """How many records of a kind are linked with a row."""
        if not self._has_journal():
            return 0
        link = self.journal.link
        mine = (link.c.realm == self.realm) & (link.c.kind == kind) & (link.c.state != "removed")
        with self._reading() as reader:
            return reader.execute(select(sa.func.count()).select_from(link).where(mine)).scalar_one()

    def has_links(self, kind: str) -> bool:
        """Whether any record of a kind is linked."""
        if not self._has_journal():
            return False
        link = self.journal.link
        mine = (link.c.realm == self.realm) & (link.c.kind == kind)
        with self._reading() as reader:
            return reader.execute(select(link.c.kind).where(mine).limit(1)).first() is not None

    def links_of(
        self, kind: str, qbo_ids: Sequence[str], *, but: str = "", connection: Connection | None = None
    ) -> dict[str, tuple[str, str]]:
        """The saved links of these records, but not those made by that run: QBO id → (Miracle id, state)."""
        found: dict[str, tuple[str, str]] = {}
        if not qbo_ids or not (connection or self._has_journal()):
            return found
        link = self.journal.link
        mine = (link.c.realm == self.realm) & (link.c.kind == kind) & (link.c.run_id != but)
        with self._reading(connection) as reader:
            for start in range(0, len(qbo_ids), READ_ROWS):
                statement = select(link.c.qbo_id, link.c.miracle_id, link.c.state)
                some = mine & link.c.qbo_id.in_(qbo_ids[start : start + READ_ROWS])
                found.update((row[0], (row[1], row[2])) for row in reader.execute(statement.where(some)).all())
        return found

    def made(self, run_id: str = "", kind: str = "") -> Iterator[Made]:
        """The journal's rows that still stand as made, newest first; of one run or one kind where they are given.

        They may be changed meanwhile: nothing is held open between two thousands.
        """
        if not self._has_journal():
            return
        table = self.journal.row
        ours = select(self.journal.run.c.id).where(self.journal.run.c.realm == self.realm)
        columns = [table.c[name] for name in Made.__struct_fields__]
        statement = select(*columns).where(table.c.state == "made", table.c.run_id.in_(ours))
        if run_id:
            statement = statement.where(table.c.run_id == run_id)
        if kind:
            statement = statement.where(table.c.kind == kind)
        statement = statement.order_by(table.c.run_id.desc(), table.c.seq.desc()).limit(READ_ROWS)
        page = statement
        while True:
            with self._reading() as reader:
                found = [Made(*values) for values in reader.execute(page).all()]
            yield from found
            if len(found) < READ_ROWS:
                return
            last = found[-1]
            before = (table.c.run_id < last.run_id) | ((table.c.run_id == last.run_id) & (table.c.seq < last.seq))
            page = statement.where(before)

    def runs(self) -> list[dict[str, Any]]:
        """The runs of this realm, oldest first."""
        if not self._has_journal():
            return []
        with self._reading() as reader:
            run = self.journal.run
            columns = [column for column in run.c if column is not run.c.program]  # which older tables do not have
            statement = select(*columns).where(run.c.realm == self.realm).order_by(run.c.fence)
            return [dict(row) for row in reader.execute(statement).mappings()]

    def _has_journal(self) -> bool:
        if not self._journal_seen:
            with unreachable_if_down(self.engine):
                self._journal_seen = inspect(self.engine).has_table(self.journal.link.name, schema=self.journal.metadata.schema)
        return self._journal_seen

    @contextmanager
    def _reading(self, connection: Connection | None = None) -> Iterator[Connection]:
        if connection is not None:
            yield connection
            return
        with unreachable_if_down(self.engine), self.engine.connect() as fresh:
            yield fresh

    def key(self, part: KindMap, miracle_id: str) -> Any:
        """A Miracle id as its column has it."""
        column = self.table(part.table).c[part.id]
        return int(miracle_id) if isinstance(column.type, sa.Integer) else miracle_id

    # --- writing -----------------------------------------------------------------------------------------------

    def begin_run(self, run_id: str, command: str, plan_id: str) -> Run:
        """Start a run: makes our tables when missing and takes the highest fence, which stops any older writer."""
        with unreachable_if_down(self.engine):
            self._make_journal()
            with self.writer.begin() as connection:
                highest = connection.execute(select(sa.func.max(self.journal.run.c.fence))).scalar() or 0
                run = {"id": run_id, "realm": self.realm, "command": command, "plan_id": plan_id, "fence": highest + 1}
                run["program"] = __version__
                try:
                    connection.execute(self.journal.run.insert().values(**run, started_at=journal.now(), state="running"))
                except exc.IntegrityError as error:
                    raise Blocked(
                        "another run began on this database at the same moment; nothing was written",
                        next="let the other run finish, then run this again",
                    ) from error
        return Run(self, run_id, highest + 1)

    def _make_journal(self) -> None:
        """Make our tables where they are missing or old. Another run may be making them too: each refusal is one step of its."""
        for left in reversed(range(len(self.journal.metadata.tables) + 3)):
            try:
                with self.writer.begin() as connection:
                    migrations.bring_up(connection, self.journal)
                return
            except exc.DBAPIError:
                if not left:
                    raise


def _from_database(field: str, value: Any) -> Any:
    if field == "id":
        return str(value)
    if field in DECIMALS and value is not None:
        return Decimal(str(value))
    return value


__all__ = ["KINDS", "Chunk", "Inserted", "Made", "Miracle", "Pending", "Run", "create_engine", "engine_for", "row_hash"]
