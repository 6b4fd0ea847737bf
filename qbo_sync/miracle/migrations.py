"""Makes our own tables, and brings those of an older version of the program up to this one's.

``qbo_sync_version`` holds one row with the number of the form the tables have; tables without it have form 1. Each step can be
repeated: MariaDB and MySQL commit every change of a table at once, so a step that was cut off there is met half done. Elsewhere
all steps are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Table, inspect, select
from sqlalchemy.schema import CreateColumn, CreateSchema

from qbo_sync.errors import Blocked
from qbo_sync.miracle.journal import Journal

VERSION = 2


def bring_up(connection: Connection, journal: Journal) -> None:
    """Make our tables, or change them. Raises :class:`Blocked` when a newer program made them."""
    schema = journal.metadata.schema
    if schema and not inspect(connection).has_schema(schema):
        connection.execute(CreateSchema(schema))
    form = found(connection, journal)
    if form is not None and form > VERSION:
        raise Blocked(
            "our tables in the Miracle Service database were made by a newer qbo-sync; nothing was written",
            seen=f"they have form {form}, this program knows {VERSION}",
            next="install the newer qbo-sync on this host, then run this again",
        )
    if form == VERSION:
        return
    journal.metadata.create_all(connection)
    for step in range((form or VERSION) + 1, VERSION + 1):
        STEPS[step](connection, journal)
    connection.execute(journal.version.delete())
    connection.execute(journal.version.insert().values(version=VERSION))


def found(connection: Connection, journal: Journal) -> int | None:
    """The form our tables have; ``None`` where there are none."""
    schema = journal.metadata.schema
    there = inspect(connection)
    if there.has_table(journal.version.name, schema=schema):
        form: int | None = connection.execute(select(journal.version.c.version)).scalar()
        return form or 1
    return 1 if there.has_table(journal.run.name, schema=schema) else None


def _program_of_runs(connection: Connection, journal: Journal) -> None:
    """Form 2: each run says which version of the program it was."""
    _add(connection, journal.run, journal.run.c.program)


STEPS: dict[int, Callable[[Connection, Journal], None]] = {2: _program_of_runs}


def _add(connection: Connection, table: Table, column: Column[Any]) -> None:
    there = {each["name"] for each in inspect(connection).get_columns(table.name, schema=table.schema)}
    if column.name not in there:
        connection.exec_driver_sql(add_statement(connection.dialect, table, column))


def add_statement(dialect: Dialect, table: Table, column: Column[Any]) -> str:
    """What adds a column, in words that every dialect takes."""
    return f"ALTER TABLE {dialect.identifier_preparer.format_table(table)} ADD {CreateColumn(column).compile(dialect=dialect)}"
