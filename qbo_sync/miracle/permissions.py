"""What the database user may do, tried without touching a row: each statement concerns none, and all are rolled back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, exc, inspect
from sqlalchemy.schema import CreateSchema, CreateTable

from qbo_sync.miracle import journal
from qbo_sync.miracle.database import Miracle
from qbo_sync.miracle.engine import family, said
from qbo_sync.miracle.remark import Remark

ASK = "Have it granted to this user. Where a view takes no rows, name its table in the profile."


def check(miracle: Miracle, gone: set[str]) -> Iterator[Remark]:
    """What would be refused; tables that are not there (``gone``) are left out."""
    with miracle.writer.connect() as connection, connection.begin() as everything:
        yield from _Probe(miracle, connection, gone).run()
        everything.rollback()


class _Probe:
    def __init__(self, miracle: Miracle, connection: Connection, gone: set[str]) -> None:
        self.miracle = miracle
        self.connection = connection
        self.gone = gone

    def run(self) -> Iterator[Remark]:
        profile = self.miracle.profile
        for name in sorted(set(self.miracle.declared()) - self.gone):
            nothing = sa.select(sa.literal(1)).select_from(self.miracle.table(name)).where(sa.false())
            yield from self._refused(name, "read it", nothing)
        for part in profile.kinds.values():
            if part.table not in self.gone:
                yield from self._insert(part.table, [*part.columns.values(), *part.defaults], part.id)
                table = self.miracle.table(part.table)
                why = "delete from it, which the lock on it, discard and undo need"
                yield from self._refused(part.table, why, sa.delete(table).where(sa.false()))
        yield from self._taxes()
        yield from self._switch()
        yield from self._own_tables()

    def _insert(self, table: str, columns: Sequence[str], key: str, *, problem: bool = True) -> Iterator[Remark]:
        there = self.miracle.table(table)
        names = [name for name in dict.fromkeys(columns) if name in there.c]
        nothing = sa.select(*(there.c[name] for name in names)).where(sa.false())
        yield from self._refused(table, "insert into it", sa.insert(there).from_select(names, nothing), problem=problem)
        default = there.c[key].server_default if key in there.c else None
        sequence = re.search(r"nextval\('([^']+)'", str(getattr(getattr(default, "arg", None), "text", "")))
        if sequence and family(self.miracle.engine) == "postgresql":
            may = sa.select(sa.func.has_sequence_privilege(sequence[1], "USAGE"))
            if self.connection.execute(may).scalar() is False:
                yield Remark(
                    f"{table}.{key}", f"this user may not use the sequence {sequence[1]}, which makes its ids", ASK, problem
                )

    def _taxes(self) -> Iterator[Remark]:
        taxes = self.miracle.profile.taxes
        if taxes is None:
            return
        wanted = [(taxes.code.table, list(taxes.code.columns.values()), taxes.code.id)]
        for rates in filter(None, (taxes.component, taxes.purchase)):
            wanted.append((rates.table, [rates.code_id, rates.position, *rates.columns.values()], rates.position))
        for table, columns, key in wanted:
            if table not in self.gone:
                yield from self._insert(table, columns, key, problem=False)

    def _switch(self) -> Iterator[Remark]:
        where = self.miracle.profile.settings
        if where is None or where.table in self.gone or self.miracle.profile.export_switch is None:
            return
        table = self.miracle.table(where.table)
        if where.value in table.c:
            change = sa.update(table).values({where.value: table.c[where.value]}).where(sa.false())
            yield from self._refused(where.table, "change it, which export enable needs", change, problem=False)

    def _own_tables(self) -> Iterator[Remark]:
        tables = self.miracle.journal
        schema = tables.metadata.schema
        there = inspect(self.connection)
        why = "make our own tables (qbo_sync_…), which every import needs"
        if tables.link.name in there.get_table_names(schema):
            for table in (tables.link, tables.run, tables.row):
                yield from self._refused(table.name, "change it", sa.delete(table).where(sa.false()))
        elif family(self.miracle.engine) == "mysql":  # where making a table cannot be taken back
            yield from self._granted(why)
        elif schema and not there.has_schema(schema):
            yield from self._refused(f"schema {schema}", why, CreateSchema(schema))
        else:
            yield from self._refused("the database", why, CreateTable(journal.probe(schema)))

    def _granted(self, why: str) -> Iterator[Remark]:
        database = self.miracle.engine.url.database or ""
        grants = " ".join(str(row[0]) for row in self.connection.execute(sa.text("SHOW GRANTS")))
        if not re.search(rf"GRANT (?:ALL PRIVILEGES|[^;`]*\bCREATE\b[^;`]*) ON (?:\*|`{re.escape(database)}`)\.\*", grants):
            yield Remark("the database", f"nothing says that this user may {why}", ASK, problem=False)

    def _refused(self, table: str, what: str, statement: Any, *, problem: bool = True) -> Iterator[Remark]:
        try:
            with self.connection.begin_nested() as nested:
                self.connection.execute(statement).close()
                nested.rollback()
        except exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            yield Remark(table, f"this user may not {what} ({said(error)})", ASK, problem)
