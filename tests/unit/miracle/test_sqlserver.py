"""What SQL Server would be sent. No live one was at hand: every statement is compiled for its dialect and looked at."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql
from sqlalchemy.dialects.mssql import pymssql
from sqlalchemy.schema import CreateSchema, CreateTable, ExecutableDDLElement

from qbo_sync.miracle import Miracle, checking, journal, load, migrations, reference
from qbo_sync.miracle.database import Pending, engine_for
from qbo_sync.miracle.engine import insert_statement, lock_statement

DIALECT = mssql.dialect(deprecate_large_types=True)  # as SQLAlchemy sets it on SQL Server 2012 and later
PARAMETERS_AT_MOST = 2100
ROWS = 2500


def compiled(statement: Any) -> str:
    return str(statement.compile(dialect=DIALECT))


@pytest.fixture
def sent(tmp_path: Path) -> list[tuple[Any, int]]:
    """Every statement that writing, checking and taking back many rows executes, with its number of parameters."""
    engine = engine_for(sa.make_url(f"sqlite:///{tmp_path / 'miracle.db'}"))
    reference.create_all(engine)
    seen: list[tuple[Any, int]] = []

    def executed(_: Any, statement: Any, many: Any, one: Any, __: Any) -> None:
        if not isinstance(statement, ExecutableDDLElement):
            keys = list((many or [one])[0]) or None
            text = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True}, column_keys=keys)
            seen.append((statement, len(text.params)))

    sa.event.listen(engine, "before_execute", executed)
    with Miracle(engine, load("reference"), "1") as miracle:
        run = miracle.begin_run("r1", "import", "p1")
        values = {"taxable": True, "unit_price": Decimal("1.5")}
        with run.chunk("inventory_item") as chunk:
            pending = [Pending(str(n), "0", f"Item {n}", {"name": f"Item {n}", **values}) for n in range(ROWS)]
            done = chunk.insert("inventory_item", pending)
        with run.chunk("inventory_item") as chunk:
            ids = [d.miracle_id for d in done]
            assert len(chunk.hashes("inventory_item", ids)) == len(chunk.digests("inventory_item", ids)) == ROWS
            chunk.extent("inventory_item")
            assert len(list(chunk.names("inventory_item"))) == len(list(chunk.names("inventory_item", ids))) == ROWS
            chunk.extent("inventory_item", 1)
            assert sum(map(len, chunk.standing("inventory_item"))) == ROWS
            assert len(chunk.links_of("inventory_item", [d.qbo_id for d in done])) == ROWS
            chunk.used_by("supplier", ids)
            made = list(miracle.made())
            chunk.remove("inventory_item", made[: ROWS // 2], keep_mark=True)
            chunk.remove("inventory_item", made[ROWS // 2 :], keep_mark=False)
            chunk.add_tax_code({"name": "State"}, [{"name": "State", "rate": Decimal("8.25")}])
            chunk.set_setting("accounting_export", "1")
            chunk.mark_removed("inventory_item", ["1"])
            chunk.forget_matches("r1")
        run.finish()
        miracle.links()
        miracle.number_linked("inventory_item")
        miracle.has_links("inventory_item")
        miracle.runs()
        checking.check(miracle)
    return seen


def test_no_statement_has_more_parameters_than_sql_server_takes(sent: list[tuple[Any, int]]) -> None:
    assert 900 < max(count for _, count in sent) < PARAMETERS_AT_MOST


def test_every_statement_can_be_said_in_its_dialect(sent: list[tuple[Any, int]]) -> None:
    words = {compiled(statement).split()[0] for statement, _ in sent}
    savepoints = {"SAVE", "ROLLBACK", "RELEASE"}  # the last is never sent: the dialect knows that SQL Server has none
    assert words == {"SELECT", "INSERT", "UPDATE", "DELETE", *savepoints}


def test_rows_are_inserted_without_output_so_that_tables_with_triggers_take_them() -> None:
    table = sa.Table(
        "Order Details", sa.MetaData(schema="dbo"), sa.Column("Group", sa.Unicode(50)), sa.Column("name", sa.Unicode(50))
    )
    said = insert_statement(pymssql.dialect(), table, ["Group", "name"])
    assert said == "INSERT INTO dbo.[Order Details] ([Group], name) VALUES (%s, %s)"


def test_ids_are_given_by_identity_and_texts_keep_every_script() -> None:
    table = compiled(CreateTable(reference.metadata.tables["customer"]))
    assert "id INTEGER NOT NULL IDENTITY" in table
    assert re.search(r"name NVARCHAR\(500\)", table)
    assert "taxable BIT NOT NULL DEFAULT 1" in table
    assert "notes NVARCHAR(max)" in table
    assert not re.search(r"\bVARCHAR|\bTEXT", table)
    assert "unit_price NUMERIC(19, 6)" in compiled(CreateTable(reference.metadata.tables["inventory_item"]))


def test_our_own_tables_stand_in_a_schema_of_their_own() -> None:
    tables = journal.tables("mssql")
    assert compiled(CreateSchema("qbo_sync")) == "CREATE SCHEMA qbo_sync"
    assert "CREATE TABLE qbo_sync.qbo_sync_link" in compiled(CreateTable(tables.link))
    row = compiled(CreateTable(tables.row))
    assert "name NVARCHAR(max) NOT NULL" in row
    assert "IDENTITY" not in row


def test_the_lock_reads_the_table_and_quotes_its_names() -> None:
    table = sa.Table("Order Details", sa.MetaData(schema="dbo"), sa.Column("Select Id", sa.Integer))
    said = lock_statement(DIALECT, table, "Select Id")
    assert said == "SELECT TOP 1 [Select Id] FROM dbo.[Order Details] WITH (TABLOCKX, HOLDLOCK)"


def test_permissions_are_tried_by_statements_that_concern_no_row(sent: list[tuple[Any, int]]) -> None:
    said = {" ".join(compiled(statement).split()) for statement, _ in sent}
    assert any(s.startswith("INSERT INTO customer_type (name) SELECT") and s.endswith("WHERE 0 = 1") for s in said)
    assert "DELETE FROM customer WHERE 0 = 1" in said
    assert "UPDATE setting SET value=setting.value WHERE 0 = 1" in said


def test_a_column_is_added_to_our_own_tables() -> None:
    run = journal.tables("mssql").run
    said = migrations.add_statement(DIALECT, run, run.c.program)
    assert said == "ALTER TABLE qbo_sync.qbo_sync_run ADD program VARCHAR(20) NULL"


def test_names_that_need_quotes_have_them_in_what_is_read_written_and_taken_back() -> None:
    """Blanks, reserved words, a bracket inside."""
    table = sa.Table("Order Details", sa.MetaData(schema="dbo"), sa.Column("Select", sa.Integer), sa.Column("a]b", sa.Unicode(9)))
    nothing = sa.select(table.c["a]b"]).where(table.c.Select.in_([1]))
    assert compiled(nothing).startswith("SELECT dbo.[Order Details].[a]]b]")
    assert "WHERE dbo.[Order Details].[Select] IN" in compiled(nothing)
    assert compiled(sa.delete(table).where(table.c.Select == 1)).startswith("DELETE FROM dbo.[Order Details] WHERE")
    assert insert_statement(pymssql.dialect(), table, ["a]b"]) == "INSERT INTO dbo.[Order Details] ([a]]b]) VALUES (%s)"


def test_an_insert_has_one_row_so_that_no_limit_of_rows_is_met() -> None:
    said = insert_statement(pymssql.dialect(), reference.metadata.tables["customer"], ["name", "email"])
    assert said.count("(") == 2


def test_the_highest_of_a_list_is_asked_for_with_top() -> None:
    table = reference.metadata.tables["customer"]
    assert compiled(sa.select(table.c.id).order_by(table.c.id).limit(5)).startswith("SELECT TOP __[POSTCOMPILE_param_1]")
