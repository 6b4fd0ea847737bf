"""A Miracle Service stand-in that already holds part of the company, with differences to find.

What it holds is drawn from the rows the Intuit look-alike serves, so the story is the same with the recorded company and with
the project's own: some records are there, one looks almost the same, one tax has an old rate, one is missing, one term differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from qbo_sync.miracle import reference

Json = Mapping[str, Any]
Entities = Callable[[str], Sequence[Json]]

OLD_RATE = Decimal("0.25")


def fill(engine: Engine, entities: Entities) -> None:
    """Create the reference schema and the site's own data; a stand-in that is filled already stays as it is."""
    reference.create_all(engine)
    with engine.begin() as connection:
        if connection.execute(sa.select(sa.func.count()).select_from(_table("setting"))).scalar():
            return
        _settings(connection)
        terms = _terms(connection, entities)
        _names(connection, "payment_method", entities("PaymentMethod"), every=2)
        _names(connection, "customer_type", entities("CustomerType"), every=3)
        _names(connection, "group_type", _tops(entities("Class")), every=4)
        _taxes(connection, entities)
        _suppliers(connection, entities, terms)
        _items(connection, entities)
        _customers(connection, entities, terms)


def mend(engine: Engine, entities: Entities) -> list[str]:
    """Correct by hand what an audit blocks on, as a person would in Miracle Service. Says what was done."""
    said = []
    rates = {str(r["Name"]): Decimal(str(r["RateValue"])) for r in entities("TaxRate")}
    terms = {str(t["Name"]).casefold(): t for t in _active(entities("Term"))}
    component, term = _table("tax_component"), _table("payment_term")
    with engine.begin() as connection:
        for row in connection.execute(sa.select(component)).mappings().all():
            right = rates.get(row["name"])
            if right is not None and right != row["rate"]:
                this = (component.c.tax_code_id == row["tax_code_id"]) & (component.c.position == row["position"])
                connection.execute(component.update().where(this).values(rate=right))
                said.append(f"tax rate '{row['name']}': {row['rate'].normalize():f} % → {right} %")
        for row in connection.execute(sa.select(term)).mappings().all():
            days = terms.get(row["name"].casefold(), {}).get("DueDays")
            if days is not None and days != row["due_days"]:
                connection.execute(term.update().where(term.c.id == row["id"]).values(due_days=days))
                said.append(f"payment term '{row['name']}': due in {row['due_days']} days → {days} days")
    return said


def _table(name: str) -> sa.Table:
    return reference.metadata.tables[name]


def _insert(connection: Connection, table: str, **values: Any) -> int:
    return int(connection.execute(_table(table).insert().values(**values).returning(_table(table).c.id)).scalar_one())


def _active(rows: Sequence[Json]) -> list[Json]:
    return [row for row in rows if row.get("Active", True)]


def _tops(rows: Sequence[Json]) -> list[Json]:
    return [row for row in _active(rows) if "ParentRef" not in row]


def _settings(connection: Connection) -> None:
    settings = {"tax_method": "line_item", "currency": "USD", "export_format": "quickbooks_online", "accounting_export": "0"}
    for name, value in settings.items():
        connection.execute(_table("setting").insert().values(name=name, value=value))


def _names(connection: Connection, table: str, rows: Sequence[Json], *, every: int) -> None:
    for row in _active(rows)[::every]:
        _insert(connection, table, name=row["Name"])


def _terms(connection: Connection, entities: Entities) -> list[int]:
    """The first as it is, one with other days under the same name, one with the same days under another name."""
    standard = [t for t in _active(entities("Term")) if t.get("Type", "STANDARD") == "STANDARD" and t.get("DueDays")]
    made = []
    for position, term in enumerate(standard[:3]):
        name = f"{term['DueDays']} days" if position == 2 else term["Name"]
        days = term["DueDays"] - (1 if position == 1 else 0)
        made.append(_insert(connection, "payment_term", name=name, due_days=days))
    return made


def _taxes(connection: Connection, entities: Entities) -> None:
    """One code with an old rate, one that only Miracle Service has; every other code of QBO is missing."""
    rates = {str(r["Id"]): r for r in entities("TaxRate")}
    agencies = {str(a["Id"]): str(a["DisplayName"]) for a in entities("TaxAgency")}
    codes = [c for c in _active(entities("TaxCode")) if (c.get("SalesTaxRateList") or {}).get("TaxRateDetail")]
    for code in [c for c in codes if len(c["SalesTaxRateList"]["TaxRateDetail"]) == 1][:1]:
        rate = rates[str(code["SalesTaxRateList"]["TaxRateDetail"][0]["TaxRateRef"]["value"])]
        agency = agencies.get(str((rate.get("AgencyRef") or {}).get("value")))
        old = Decimal(str(rate["RateValue"])) - OLD_RATE
        _tax(connection, str(code["Name"]), str(rate["Name"]), old, agency)
    _tax(connection, "Old county tax", "Old county tax", Decimal("1.5"), "County Treasurer")


def _tax(connection: Connection, name: str, component: str, rate: Decimal, agency: str | None) -> None:
    code = _insert(connection, "tax_code", name=name, active=True)
    values = {"tax_code_id": code, "position": 1, "name": component, "rate": rate, "agency": agency, "compound": False}
    connection.execute(_table("tax_component").insert().values(**values))


def _suppliers(connection: Connection, entities: Entities, terms: Sequence[int]) -> None:
    term = terms[0] if terms else None
    for row in _active(entities("Vendor"))[::5]:
        _insert(connection, "supplier", name=row["DisplayName"].upper(), currency="USD", payment_term_id=term)
    _insert(connection, "supplier", name="Miracle Parts Direct", currency="USD")


def _items(connection: Connection, entities: Entities) -> None:
    for row in [i for i in _active(entities("Item")) if i.get("Type") == "Inventory"][:1]:
        _insert(connection, "inventory_item", name=row["Name"], part_number=row.get("Sku"), item_type="Inventory")


def _customers(connection: Connection, entities: Entities, terms: Sequence[int]) -> None:
    """Every sixth top customer as it is, one with a number behind its name, one that QBO does not have."""
    tops = _tops(entities("Customer"))
    for row in tops[::6]:
        _insert(connection, "customer", name=row["DisplayName"], currency="USD", payment_term_id=terms[0] if terms else None)
    for row in tops[1:2]:
        _insert(connection, "customer", name=f"{row['DisplayName']} 204", currency="USD")
    _insert(connection, "customer", name="Walk-in customer", currency="USD")
