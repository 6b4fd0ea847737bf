"""Our own tables in Miracle Service's database: links, runs and every row made.

They stand in a schema of their own (``qbo_sync``) where the database has schemas, are named ``qbo_sync_*`` everywhere, and are
made at the first write. They are written in the same transaction as the rows they speak of, so neither can exist alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from sqlalchemy import Column, Integer, MetaData, String, Table, UnicodeText


@dataclass(frozen=True)
class Journal:
    """Our tables, in the schema they have on this kind of database; ``version`` holds one row (migrations)."""

    metadata: MetaData
    link: Table
    run: Table
    row: Table
    version: Table


def now() -> str:
    """The time as the journal notes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def tables(dialect: str) -> Journal:
    """Our tables for a dialect: in schema ``qbo_sync`` on PostgreSQL and SQL Server, beside the others elsewhere."""
    metadata = MetaData(schema="qbo_sync" if dialect in ("postgresql", "mssql") else None)
    return Journal(metadata, _link(metadata), _run(metadata), _row(metadata), _version(metadata))


def probe(schema: str | None) -> Table:
    """A table that is made and rolled back, to see whether ours could be made."""
    return Table("qbo_sync_probe", MetaData(schema=schema), Column("id", Integer, primary_key=True, autoincrement=False))


def _link(metadata: MetaData) -> Table:
    # state: made (by an import), matched (was there), decided (a person linked it), removed (discarded or deleted in step 4).
    return Table(
        "qbo_sync_link",
        metadata,
        Column("realm", String(32), primary_key=True),
        Column("kind", String(20), primary_key=True),
        Column("qbo_id", String(40), primary_key=True),
        Column("miracle_id", String(64), nullable=False),
        Column("sync_token", String(20), nullable=False),
        Column("state", String(10), nullable=False),
        Column("run_id", String(40), nullable=False),
        sqlite_with_rowid=False,
    )


def _run(metadata: MetaData) -> Table:
    # fence: grows with every run, never given twice; a writer whose fence is no longer the highest stops inside its transaction.
    # program: the version of qbo-sync; empty in runs of versions that did not say so.
    return Table(
        "qbo_sync_run",
        metadata,
        Column("id", String(40), primary_key=True),
        Column("realm", String(32), nullable=False),
        Column("command", String(20), nullable=False),
        Column("plan_id", String(40), nullable=False),
        Column("fence", Integer, nullable=False, unique=True),
        Column("started_at", String(32), nullable=False),
        Column("finished_at", String(32)),
        Column("state", String(10), nullable=False),
        Column("program", String(20)),
    )


def _version(metadata: MetaData) -> Table:
    return Table("qbo_sync_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))


def _row(metadata: MetaData) -> Table:
    # row_hash: of the whole row as read back after the insert, so defaults and triggers are part of it.
    return Table(
        "qbo_sync_row",
        metadata,
        Column("run_id", String(40), primary_key=True),
        Column("seq", Integer, primary_key=True, autoincrement=False),
        Column("kind", String(20), nullable=False),
        Column("table_name", String(128), nullable=False),
        Column("miracle_id", String(64), nullable=False),
        Column("qbo_id", String(40), nullable=False),
        Column("row_hash", String(64), nullable=False),
        Column("state", String(10), nullable=False),
        Column("name", UnicodeText, nullable=False),
        sqlite_with_rowid=False,
    )
