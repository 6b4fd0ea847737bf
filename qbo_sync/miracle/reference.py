"""The reference schema: our own documented stand-in for the Miracle Service database.

The real schema of Miracle Service is not public; no table name of it is claimed here. A site declares its real tables in a
profile; this schema is what the lab, the tests and the default profile use (docs/reference-schema.md).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Engine, ForeignKey, Integer, MetaData, Table, Unicode, UnicodeText, false, true

from qbo_sync.miracle.money import Money

metadata = MetaData()


def _table(name: str, *columns: Column[Any]) -> None:
    # SQLite would give the id of a deleted row anew, and a link could then point at somebody else.
    Table(name, metadata, *columns, sqlite_autoincrement=any(column.autoincrement is True for column in columns))


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


def _refers(name: str, table: str, *, index: bool = False) -> Column[int]:
    """``index`` where the other table is a long one: deleting its rows would otherwise go through this table for each."""
    return Column(name, Integer, ForeignKey(f"{table}.id"), index=index)


def _address(prefix: str) -> list[Column[str]]:
    lines = [Column(f"{prefix}line{n}", Unicode(500)) for n in range(1, 5)]
    places = [Column(f"{prefix}{part}", Unicode(255)) for part in ("city", "region", "postcode", "country")]
    return [*lines, *places]


_table("customer_type", _id(), Column("name", Unicode(100), nullable=False))
_table("group_type", _id(), Column("name", Unicode(100), nullable=False), _refers("parent_id", "group_type", index=True))
_table(
    "payment_term",
    _id(),
    Column("name", Unicode(31), nullable=False),
    Column("due_days", Integer),
    Column("discount_percent", Money(4)),
    Column("discount_days", Integer),
    Column("day_of_month_due", Integer),
)
_table("payment_method", _id(), Column("name", Unicode(31), nullable=False))
_table(
    "tax_code",
    _id(),
    Column("name", Unicode(100), nullable=False),
    Column("description", Unicode(255)),
    Column("active", Boolean, nullable=False, server_default=true()),
)
for _which in ("tax_component", "purchase_tax_component"):
    _table(
        _which,
        Column("tax_code_id", Integer, ForeignKey("tax_code.id"), primary_key=True),
        Column("position", Integer, primary_key=True, autoincrement=False),
        Column("name", Unicode(100), nullable=False),
        Column("rate", Money(6), nullable=False),
        Column("agency", Unicode(100)),
        Column("compound", Boolean, nullable=False, server_default=false()),
    )
_table(
    "supplier",
    _id(),
    Column("name", Unicode(500), nullable=False),
    Column("company_name", Unicode(100)),
    Column("email", Unicode(500)),
    Column("phone", Unicode(50)),
    *_address(""),
    _refers("payment_term_id", "payment_term"),
    Column("account_number", Unicode(100)),
    Column("currency", Unicode(3)),
)
_table(
    "inventory_item",
    _id(),
    Column("part_number", Unicode(100)),
    Column("name", Unicode(100), nullable=False),
    Column("description", UnicodeText),
    Column("unit_price", Money(6)),
    Column("unit_cost", Money(6)),
    Column("quantity_on_hand", Money(6)),
    Column("taxable", Boolean, nullable=False, server_default=false()),
    Column("item_type", Unicode(30)),
    _refers("preferred_supplier_id", "supplier", index=True),
)
_table(
    "customer",
    _id(),
    Column("name", Unicode(500), nullable=False),
    Column("company_name", Unicode(100)),
    Column("first_name", Unicode(100)),
    Column("last_name", Unicode(100)),
    Column("email", Unicode(500)),
    Column("phone", Unicode(50)),
    Column("mobile", Unicode(50)),
    *_address("bill_"),
    *_address("ship_"),
    _refers("customer_type_id", "customer_type"),
    _refers("payment_term_id", "payment_term"),
    _refers("payment_method_id", "payment_method"),
    _refers("parent_id", "customer", index=True),
    Column("taxable", Boolean, nullable=False, server_default=true()),
    _refers("tax_code_id", "tax_code"),
    Column("currency", Unicode(3)),
    Column("notes", UnicodeText),
)
_table("setting", Column("name", Unicode(100), primary_key=True), Column("value", Unicode(255)))


def create_all(engine: Engine) -> None:
    """Create the reference schema where it is missing; tables that exist stay as they are."""
    metadata.create_all(engine)
