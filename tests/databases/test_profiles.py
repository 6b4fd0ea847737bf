"""A database made by somebody else: a profile is drafted for it and completed, and the whole import runs through it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from qbo_sync.miracle import Miracle, checking, drafting, load, reference
from qbo_sync.miracle.database import engine_for
from qbo_sync.switch import audit, match, read
from qbo_sync.switch.model import Kind, Result
from tests.databases import elsewhere
from tests.databases.conftest import EVERYWHERE, Books
from tests.unit.switch import sides

SERVERS = ("postgresql", "mariadb")


@pytest.fixture
def strange(database_url: sa.URL, tmp_path: Path) -> Iterator[Books]:
    """That database, through the profile that was drafted for it and completed by hand."""
    user = engine_for(database_url)
    elsewhere.create(user)
    profile = drafting.draft(user, "strange").profile | elsewhere.BY_HAND
    profile["kinds"]["customer"]["defaults"] = {"BranchNo": 7}
    profile["kinds"]["supplier"]["defaults"] = {"CurrencyCode": "USD"}
    path = tmp_path / "strange.yml"
    path.write_text(yaml.safe_dump(profile))
    with Miracle(engine_for(database_url), load(str(path)), "1") as miracle:
        yield Books(miracle, user)
    user.dispose()


def company() -> read.Company:
    """Something of each kind, each referring to all it can."""
    first = {"value": "1"}
    term = sides.named("1", "2% 10 Net 30", Type="STANDARD", DueDays=30, DiscountDays=10, DiscountPercent=2)
    town = sides.named("2", "Town", FullyQualifiedName="North:Town", ParentRef=first)
    pump = sides.named("1", "Pump", Type="Inventory", UnitPrice=12.5, QtyOnHand=3, PrefVendorRef=first)
    address = {"Line1": "1 Main St", "City": "Tucson", "PostalCode": "85701"}
    refers = {"CustomerTypeRef": first, "SalesTermRef": first, "PaymentMethodRef": {"value": "2"}}
    amy = sides.customer("1", "Söhne & 🙂", BillAddr=address, **refers)
    pool = sides.customer("2", "Pool", FullyQualifiedName="Söhne & 🙂:Pool", ParentRef=first, Taxable=False)
    return sides.company(
        {
            Kind.CUSTOMER_TYPE: [sides.named("1", "Residential")],
            Kind.PAYMENT_TERM: [term],
            Kind.PAYMENT_METHOD: [sides.named("1", "Check"), sides.named("2", "Gift Certificate")],
            Kind.GROUP_TYPE: [sides.named("1", "North"), town],
            Kind.SUPPLIER: [sides.customer("1", "Tim's Pumps", TermRef=first)],
            Kind.INVENTORY_ITEM: [pump],
            Kind.CUSTOMER: [amy, pool],
        }
    )


@pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
def test_the_completed_draft_fits(strange: Books) -> None:
    remarks = checking.check(strange.miracle)
    assert [str(remark) for remark in remarks if remark.problem] == []
    assert {remark.where for remark in remarks if "insert" in remark.what} <= {"TaxRates"}


@pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
def test_the_whole_import_runs_through_it_once_and_back(strange: Books) -> None:
    tables = {part.table for part in strange.miracle.profile.kinds.values()}
    quote = strange.user.dialect.identifier_preparer.quote
    qbo = company()
    assert strange.apply(strange.plan(qbo)).refused == []
    rows = {kind: {row["name"]: row for row in strange.miracle.rows(kind)} for kind in Kind}
    amy, pool = rows[Kind.CUSTOMER]["Söhne & 🙂"], rows[Kind.CUSTOMER]["Pool"]
    assert amy["payment_method_id"] == "Gift Certificate"
    assert str(amy["payment_term_id"]) == rows[Kind.PAYMENT_TERM]["2% 10 Net 30"]["id"]
    assert str(pool["parent_id"]) == amy["id"]
    assert (bool(amy["taxable"]), bool(pool["taxable"])) == (True, False)
    assert str(rows[Kind.INVENTORY_ITEM]["Pump"]["preferred_supplier_id"]) == rows[Kind.SUPPLIER]["Tim's Pumps"]["id"]
    assert rows[Kind.INVENTORY_ITEM]["Pump"]["unit_price"] == 12.5
    assert {row[0] for row in strange.sql(f"SELECT {quote('BranchNo')} FROM {quote('Clients')}")} == {7}
    assert [row[0] for row in strange.sql(f"SELECT {quote('CurrencyCode')} FROM {quote('Vendors')}")] == ["USD"]
    strange.apply(strange.plan(qbo))
    books = read.books(strange.miracle)
    planned = match.match(qbo, books)
    assert {row.result for row in planned} == {Result.LINKED}
    assert {f.rule for f in audit.audit(audit.Sides(qbo, books, planned), {}) if f.severity == "blocker"} == set()
    assert {table: len(strange.sql(f"SELECT * FROM {quote(table)}")) for table in tables} == {
        "ClientTypes": 1,
        "CreditTerms": 1,
        "PayMethods": 2,
        "JobGroups": 2,
        "Vendors": 1,
        "Products": 1,
        "Clients": 2,
    }


@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
def test_a_permission_that_is_missing_is_named(database_url: sa.URL) -> None:
    owner = engine_for(database_url)
    reference.create_all(owner)
    setting = reference.metadata.tables["setting"]
    with owner.begin() as connection:
        for name, value in elsewhere.SETTINGS.items():
            connection.execute(setting.insert().values(name=name, value=value))
        for statement in LIMITED[owner.dialect.name if owner.dialect.name == "postgresql" else "mariadb"]:
            connection.exec_driver_sql(statement)
    limited = database_url.set(username="limited", password="limited")
    try:
        with Miracle(engine_for(limited), load("reference"), "1") as miracle:
            found = {(remark.problem, remark.where, remark.what.split(" (")[0]) for remark in checking.check(miracle)}
        wanted = {
            (True, "customer", "this user may not insert into it"),
            (True, "supplier", "this user may not delete from it, which the lock on it, discard and undo need"),
            (False, "setting", "this user may not change it, which export enable needs"),
        }
        if owner.dialect.name == "postgresql":
            wanted |= {
                (True, "customer.id", "this user may not use the sequence customer_id_seq, which makes its ids"),
                (True, "schema qbo_sync", "this user may not make our own tables"),
            }
        else:
            wanted |= {(False, "the database", "nothing says that this user may make our own tables")}
        assert found == wanted
    finally:
        with owner.begin() as connection:
            for statement in AGAIN[owner.dialect.name if owner.dialect.name == "postgresql" else "mariadb"]:
                connection.exec_driver_sql(statement)
        owner.dispose()


LIMITED = {
    "postgresql": [
        "CREATE ROLE limited LOGIN PASSWORD 'limited'",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO limited",
        "REVOKE INSERT ON customer FROM limited",
        "REVOKE USAGE ON SEQUENCE customer_id_seq FROM limited",
        "REVOKE DELETE ON supplier FROM limited",
        "REVOKE UPDATE ON setting FROM limited",
    ],
    "mariadb": [
        "CREATE USER limited@localhost IDENTIFIED BY 'limited'",
        *(
            f"GRANT {rights} ON {table} TO limited@localhost"
            for table in reference.metadata.tables
            for rights in [
                {"customer": "SELECT, UPDATE, DELETE", "supplier": "SELECT, INSERT, UPDATE", "setting": "SELECT"}.get(
                    table, "SELECT, INSERT, UPDATE, DELETE"
                )
            ]
        ),
    ],
}
AGAIN = {
    "postgresql": ["DROP OWNED BY limited", "DROP ROLE limited"],
    "mariadb": ["DROP USER limited@localhost"],
}
