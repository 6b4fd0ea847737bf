"""What `profile check` says of a database that does not fit: each fault named once, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from qbo_sync.miracle import Miracle, checking, load, reference
from qbo_sync.miracle.database import engine_for
from qbo_sync.miracle.profile import Profile
from tests.databases import elsewhere


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = engine_for(sa.make_url(f"sqlite:///{tmp_path / 'miracle.db'}"))
    reference.create_all(engine)
    with engine.begin() as connection:
        for name, value in elsewhere.SETTINGS.items():
            connection.execute(reference.metadata.tables["setting"].insert().values(name=name, value=value))
    yield engine
    engine.dispose()


def said(engine: sa.Engine, *statements: str, profile: Profile | None = None) -> set[tuple[bool, str, str]]:
    """Change the database, then say what is checked: whether it is a problem, where, what."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    remarks = checking.check(Miracle(engine, profile or load("reference"), "1"))
    assert all(remark.remedy.endswith(".") for remark in remarks)
    return {(remark.problem, remark.where, remark.what) for remark in remarks}


def profile_with(**changes: Any) -> Profile:
    """The reference profile with a change to one kind: ``customer={"id": …}``."""
    kinds = load("reference").model_dump()["kinds"]
    changed = {kind: {**kinds[kind], **changes.get(kind, {})} for kind in kinds}
    return Profile.model_validate({**load("reference").model_dump(), "kinds": changed})


def test_a_database_that_fits_has_nothing_to_say(engine: sa.Engine) -> None:
    assert said(engine) == set()


def test_checking_changes_nothing(engine: sa.Engine) -> None:
    before = list(engine.raw_connection().iterdump())  # type: ignore[attr-defined]
    said(engine)
    assert list(engine.raw_connection().iterdump()) == before  # type: ignore[attr-defined]


def test_what_is_missing_is_named_and_the_rest_still_checked(engine: sa.Engine) -> None:
    found = said(engine, "DROP TABLE purchase_tax_component", "ALTER TABLE supplier DROP COLUMN phone", WORK_ORDER)
    assert found == {
        (True, "profile", "table 'purchase_tax_component' is missing"),
        (True, "profile", "column 'supplier.phone' is missing"),
        (True, "work_order.customer_id", NOT_DECLARED),
    }


WORK_ORDER = "CREATE TABLE work_order (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id))"
NOT_DECLARED = "it points at customer, and referred_by of customer does not name it"
SERIAL = "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"
PRICE = "unit_price VARCHAR(32)"
ITEM = "inventory_item.unit_price"
NOTHING_THERE = "it must not be empty, has no default, and the profile has nothing to put there"


def remade(table: str, old: str, new: str) -> tuple[str, ...]:
    """Statements that make an empty table anew with something else in its definition."""
    made = str(sa.schema.CreateTable(reference.metadata.tables[table]).compile(dialect=sa.create_engine("sqlite://").dialect))
    assert old in made
    return f"DROP TABLE {table}", made.replace(old, new, 1)


@pytest.mark.parametrize(
    ("table", "old", "new", "expected"),
    [
        ("payment_term", "due_days INTEGER", "due_days VARCHAR(9)", (True, "payment_term.due_days", "a whole number")),
        ("customer", "taxable BOOLEAN DEFAULT 1", "taxable CHAR(1)", (True, "customer.taxable", "yes or no")),
        ("supplier", "email VARCHAR(500)", "email INTEGER", (True, "supplier.email", "needs text")),
        ("inventory_item", PRICE, "unit_price FLOAT", (False, ITEM, "not exact")),
        ("inventory_item", PRICE, "unit_price INTEGER", (True, ITEM, "decimal")),
        (
            "inventory_item",
            "unit_price VARCHAR(32)",
            "unit_price NUMERIC(9, 1)",
            (True, ITEM, "1 decimal"),
        ),
        ("customer", "name VARCHAR(500)", "name VARCHAR(20)", (True, "customer.name", "20 characters")),
        ("customer", "first_name VARCHAR(100)", "first_name VARCHAR(60)", (False, "customer", "first_name takes 60 of 100")),
        ("supplier", "phone VARCHAR(50)", "phone VARCHAR(50) NOT NULL", (True, "supplier.phone", "must not be empty, and phone")),
        (
            "customer",
            "email VARCHAR(500)",
            "email VARCHAR(500), branch INTEGER NOT NULL",
            (True, "customer.branch", NOTHING_THERE),
        ),
        ("customer_type", SERIAL, "id INTEGER", (True, "customer_type.id", "unique")),
        (
            "customer_type",
            "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
            "id BIGINT PRIMARY KEY",
            (True, "customer_type.id", "no key"),
        ),
        ("customer_type", "PRIMARY KEY AUTOINCREMENT", "PRIMARY KEY", (False, "customer_type.id", "deleted row")),
        (
            "customer",
            "customer_type_id INTEGER",
            "customer_type_id VARCHAR(9)",
            (True, "customer.customer_type_id", "is varchar"),
        ),
    ],
)
def test_a_column_that_does_not_fit_is_named(
    engine: sa.Engine, table: str, old: str, new: str, expected: tuple[bool, str, str]
) -> None:
    found = [what for problem, where, what in said(engine, *remade(table, old, new)) if (problem, where) == expected[:2]]
    assert any(expected[2] in what for what in found), found


def test_a_default_of_the_profile_answers_what_must_not_be_empty(engine: sa.Engine) -> None:
    statements = remade("customer", "email VARCHAR(500)", "email VARCHAR(500) NOT NULL, branch INTEGER NOT NULL")
    assert len(said(engine, *statements)) == 2
    assert said(engine, profile=profile_with(customer={"defaults": {"email": "", "branch": 7}})) == set()


def test_a_table_that_refers_and_is_not_declared_is_named(engine: sa.Engine) -> None:
    assert said(engine, WORK_ORDER) == {(True, "work_order.customer_id", NOT_DECLARED)}


def test_settings_that_say_something_else_are_named(engine: sa.Engine) -> None:
    found = said(
        engine,
        "DELETE FROM setting WHERE name = 'currency'",
        "UPDATE setting SET value = 'on' WHERE name = 'accounting_export'",
    )
    assert found == {
        (False, "setting: currency", "there is no such setting, which currency names"),
        (True, "setting: accounting_export", "its value is 'on', neither '1' nor '0'"),
    }


def test_a_view_that_takes_no_rows_is_named(engine: sa.Engine) -> None:
    found = said(engine, "ALTER TABLE payment_method RENAME TO methods", "CREATE VIEW payment_method AS SELECT * FROM methods")
    assert {(problem, where) for problem, where, what in found if "insert into it" in what} == {(True, "payment_method")}


def test_a_database_that_may_only_be_read_is_named(tmp_path: Path, engine: sa.Engine) -> None:
    path = engine.url.database
    engine.dispose()
    with Miracle(engine_for(sa.make_url(f"sqlite:///file:{path}?mode=ro&uri=true")), load("reference"), "1") as miracle:
        found = {remark.where for remark in checking.check(miracle) if "insert into it" in remark.what and remark.problem}
    assert found == set(load("reference").kinds)
