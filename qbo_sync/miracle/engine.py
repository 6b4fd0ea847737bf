"""Connections to Miracle Service's database, and what differs between the kinds of database.

SQLite, PostgreSQL and MariaDB are tested on real servers; what is sent to SQL Server is compiled and looked at in the tests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Engine, Table, event, exc
from sqlalchemy.engine import URL, make_url

from qbo_sync import config
from qbo_sync.errors import KitError, Unreachable, UsageError

# A lost connection is said once, by our own error; the pool would print its traceback as well.
logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())

DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mssql": "mssql+pymssql",
}

# Said on every new connection; {s} is how many seconds it waits for a lock. MySQL and MariaDB: a text that is too long is
# refused, never cut, and gaps are locked (they are not in READ COMMITTED).
ON_CONNECT = {
    "sqlite": ("PRAGMA foreign_keys = ON", "PRAGMA busy_timeout = {s}000", "PRAGMA cache_size = -32768"),
    "postgresql": ("SET lock_timeout = '{s}s'",),
    "mysql": (
        "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION innodb_lock_wait_timeout = {s}",
    ),
    "mssql": ("SET LOCK_TIMEOUT {s}000",),
}

# Keeps other writers out of a table until the transaction ends. Readers are let in, except by SQL Server, whose readers wait
# unless the database reads snapshots. MySQL and MariaDB: the lock on the gap above the highest id stops inserts. SQLite:
# BEGIN IMMEDIATE already did it for the whole file.
LOCKS = {
    "postgresql": "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE",
    "mysql": "SELECT {id} FROM {table} ORDER BY {id} DESC LIMIT 1 FOR UPDATE",
    "mssql": "SELECT TOP 1 {id} FROM {table} WITH (TABLOCKX, HOLDLOCK)",
}

# What triggers raise and checks refuse where the driver files it under its general error: a matter of one row.
# PostgreSQL also refuses to COPY into views and under row security, where the INSERT of a single row works.
ROW_STATES = {"P0001", "0A000", "42809"}
ROW_ERRORS = {"mysql": {1644, 3819, 4025}, "mssql": {245, 515, 547, 2601, 2627, 2628, 8115, 8152, 50000}}

# A missing permission, which PyMySQL files under the errors of a lost connection.
DENIED = {"mysql": {1044, 1142, 1143, 1227, 1370}}

# What a database says when waiting for somebody else's lock took too long.
LOCK_WORDS = ("lock timeout", "lock wait timeout", "database is locked", "lock request time out")


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
    return engine_for(url.set(drivername=DRIVERS.get(url.drivername, url.drivername)), settings.lock_wait_s)


def engine_for(url: URL, lock_wait_s: int = 30) -> Engine:
    """An engine whose transactions hold SQLite's write lock from their first statement on when they write."""
    engine = sa.create_engine(url, pool_pre_ping=True)
    statements = [statement.format(s=lock_wait_s) for statement in ON_CONNECT.get(family(engine), ())]

    def connected(connection: Any, _: Any) -> None:
        if engine.dialect.name == "sqlite":
            connection.isolation_level = None  # the driver would begin only at the first write, after the checks before it
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        if engine.dialect.name == "postgresql":
            connection.commit()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN")

    listen: Callable[..., Any] = event.listen
    listen(engine, "connect", connected)
    if engine.dialect.name == "sqlite":
        listen(engine, "begin", begun)
    return engine


def family(engine: Engine) -> str:
    """The dialect's name; MariaDB counts as MySQL."""
    return "mysql" if engine.dialect.name == "mariadb" else engine.dialect.name


def lock(connection: Connection, table: Table, id_column: str) -> None:
    """Keep other writers out of a table until the transaction ends."""
    if statement := lock_statement(connection.engine.dialect, table, id_column):
        connection.exec_driver_sql(statement).close()


def lock_statement(dialect: Dialect, table: Table, id_column: str) -> str:
    """What does that, in a dialect's words; empty where nothing is needed."""
    preparer = dialect.identifier_preparer
    statement = LOCKS.get("mysql" if dialect.name == "mariadb" else dialect.name, "")
    return statement.format(table=preparer.format_table(table), id=preparer.quote(id_column))


def insert_many(connection: Connection, table: Table, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    """Insert rows in their order, by the fastest way that fires triggers and fills in defaults: COPY, or one prepared INSERT.

    SQLAlchemy's own executemany works on every value of every row in Python, which takes longer than the database does.
    """
    dialect = connection.engine.dialect
    if dialect.name == "postgresql":
        preparer = dialect.identifier_preparer
        names = ", ".join(preparer.quote(column) for column in columns)
        _copy(connection, f"COPY {preparer.format_table(table)} ({names}) FROM STDIN".replace("%%", "%"), rows)
        return
    connection.exec_driver_sql(insert_statement(dialect, table, columns), rows)


def insert_columns(connection: Connection, table: Table, columns: Sequence[str], values: Sequence[list[Any]]) -> None:
    """The same for the values of each column, as our types have them.

    COPY takes them as they are. Elsewhere a column without any value is NULL in the statement itself, for binding each NULL
    takes SQLite's driver longer than binding a text.
    """
    dialect = connection.engine.dialect
    if dialect.name == "postgresql":
        insert_many(connection, table, columns, list(zip(*values, strict=True)))
        return
    empty = [column for column, of_all in zip(columns, values, strict=True) if of_all.count(None) == len(of_all)]
    given = [column for column in columns if column not in empty]
    bound = []
    for column, of_all in zip(columns, values, strict=True):
        if column in given:
            convert = table.c[column].type.dialect_impl(dialect).bind_processor(dialect)
            bound.append(of_all if convert is None else list(map(convert, of_all)))
    connection.exec_driver_sql(insert_statement(dialect, table, given, empty), list(zip(*bound, strict=True)))


def read_whole(
    connection: Connection, table: Table, id_column: str, how: str, values: Sequence[Any], also: str = ""
) -> list[Sequence[Any]]:
    """Whole rows as the driver gives them, in order of id: the id, one column ``also`` (or the id again), then every column.

    ``how`` the ids stand to ``values``: ``>`` one of them, or ``IN``. Without values all rows are read.
    """
    quote = connection.dialect.identifier_preparer.quote
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    marks = f"({', '.join([mark] * len(values))})" if how == "IN" else mark
    columns = ", ".join(quote(name) for name in (id_column, also or id_column, *table.columns.keys()))
    where = f"WHERE {quote(id_column)} {how} {marks}" if values else ""
    named = connection.dialect.identifier_preparer.format_table(table)
    found = connection.exec_driver_sql(f"SELECT {columns} FROM {named} {where} ORDER BY {quote(id_column)}", tuple(values))  # noqa: S608
    return list(found.all())


def insert_statement(dialect: Dialect, table: Table, columns: Sequence[str], empty: Sequence[str] = ()) -> str:
    """The INSERT of one row, in a dialect's words; many rows are many executions, so no database's limit is met.

    ``empty``: columns that are NULL in all of them.
    """
    preparer = dialect.identifier_preparer
    names = ", ".join(preparer.quote(column) for column in (*columns, *empty))
    marks = ", ".join(["?" if dialect.paramstyle == "qmark" else "%s"] * len(columns) + ["NULL"] * len(empty))
    return f"INSERT INTO {preparer.format_table(table)} ({names}) VALUES ({marks})"  # noqa: S608 - quoted names only


def _copy(connection: Connection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    import psycopg  # here, since most sites have another database

    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise exc.DBAPIError.instance(
            statement, None, error, psycopg.Error, connection_invalidated=driver.closed, dialect=connection.engine.dialect
        ) from error


def concerns_a_row(engine: Engine, error: exc.DBAPIError) -> bool:
    """Whether the database refused a row for what is in it, and not the whole transaction."""
    if isinstance(error, exc.IntegrityError | exc.DataError):
        return True
    if family(engine) == "postgresql":
        return getattr(error.orig, "sqlstate", None) in ROW_STATES
    return _code(error) in ROW_ERRORS.get(family(engine), ())


def _code(error: exc.DBAPIError) -> Any:
    return error.orig.args[0] if error.orig is not None and error.orig.args else None


def said(error: exc.DBAPIError) -> str:
    """The database's own words, one line."""
    text = str(error.orig).strip().splitlines()
    return text[0] if text else type(error.orig).__name__


@contextmanager
def unreachable_if_down(engine: Engine) -> Iterator[None]:
    """Turn a lost or refused connection into :class:`Unreachable`, any other refusal into :class:`KitError`.

    Neither shows the address's credentials.
    """
    place = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError) as error:
        if _code(error) in DENIED.get(family(engine), ()):
            raise _refused(place, error) from error
        if any(words in said(error).lower() for words in LOCK_WORDS):
            raise Unreachable(
                f"somebody else holds what is to be written in the Miracle Service database ({place})",
                seen=said(error),
                next="let them finish, or end the program that hangs, then run this again; what was written before stays",
            ) from error
        raise Unreachable(
            f"the Miracle Service database did not answer ({place})",
            seen=said(error),
            next="check that the database server runs and that the settings under [miracle] are right, then run this again",
        ) from error
    except exc.DBAPIError as error:
        raise _refused(place, error) from error


def _refused(place: str, error: exc.DBAPIError) -> KitError:
    return KitError(
        f"the Miracle Service database refused a statement ({place})",
        seen=said(error),
        next="see what is missing with: qbo-sync profile check",
    )
