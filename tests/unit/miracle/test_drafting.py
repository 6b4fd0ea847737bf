"""A profile proposed for a database: what is placed, and what is said to be left for a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.miracle import drafting, load, reference
from qbo_sync.miracle.database import engine_for
from qbo_sync.miracle.profile import Profile


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = engine_for(sa.make_url(f"sqlite:///{tmp_path / 'miracle.db'}"))
    yield engine
    engine.dispose()


def test_the_draft_for_the_reference_schema_is_the_reference_profile(engine: sa.Engine) -> None:
    reference.create_all(engine)
    drafted = drafting.draft(engine, "reference")
    kinds, known = Profile.model_validate(drafted.profile).kinds, load("reference").kinds
    for kind, part in known.items():
        assert (kinds[kind].table, kinds[kind].id) == (part.table, part.id)
        assert dict(kinds[kind].columns) == dict(part.columns)
        assert dict(kinds[kind].references) == dict(part.references)
        assert set(kinds[kind].referred_by) == set(part.referred_by)
    assert Profile.model_validate(drafted.profile).taxes == load("reference").taxes
    assert drafted.left_over == ["which settings of setting are tax_method, currency, export_format and export_switch"]


def test_the_draft_is_a_file_that_can_be_read_back(engine: sa.Engine) -> None:
    reference.create_all(engine)
    drafted = drafting.draft(engine, "maple")
    text = drafted.text()
    assert yaml.safe_load(text) == drafted.profile
    assert all(f"# * {line}" in text for line in drafted.left_over)


def test_what_cannot_be_placed_is_said(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, secret_score REAL NOT NULL)")
        connection.exec_driver_sql("CREATE TABLE weather (day DATE, degrees REAL)")
    left = drafting.draft(engine, "small").left_over
    assert "customers.secret_score must not be empty: what is to stand there? (defaults of customer)" in left
    assert "no table was found for supplier; name one under kinds" in left
    assert "no tables of tax codes and their rates were found; without them taxes are not compared" in left
    assert not any("weather" in line for line in left)


# No foreign keys, keys by number, everything shortened.
OTHER = """
CREATE TABLE tbl_customer (cust_no INTEGER PRIMARY KEY, cust_name VARCHAR(100) NOT NULL, contact_first_name VARCHAR(50),
 contact_last_name VARCHAR(50), email_addr VARCHAR(100), phone1 VARCHAR(30), cell_phone VARCHAR(30), billing_addr1 VARCHAR(99),
 billing_zip VARCHAR(20), cust_category_no INTEGER, pay_terms_no INTEGER, pay_method_no INTEGER, parent_cust_no INTEGER,
 tax_exempt SMALLINT, tax_code_no INTEGER, balance NUMERIC(12, 2));
CREATE TABLE tbl_vendor (vendor_no INTEGER PRIMARY KEY, vendor_name VARCHAR(99) NOT NULL, address1 VARCHAR(80), terms_no INTEGER);
CREATE TABLE tbl_stock_item (stock_no INTEGER PRIMARY KEY, item_code VARCHAR(40), short_desc VARCHAR(80) NOT NULL, long_desc TEXT,
 list_price NUMERIC(12, 4), cost_price NUMERIC(12, 4), on_hand NUMERIC(12, 2), preferred_vendor_no INTEGER, reorder INTEGER);
CREATE TABLE lkp_pay_terms (terms_no INTEGER PRIMARY KEY, terms_desc VARCHAR(40) NOT NULL, days_due INTEGER);
CREATE TABLE lkp_pay_method (method_no INTEGER PRIMARY KEY, method_name VARCHAR(40) NOT NULL);
CREATE TABLE lkp_cust_category (category_no INTEGER PRIMARY KEY, category_name VARCHAR(40) NOT NULL);
CREATE TABLE lkp_class (class_no INTEGER PRIMARY KEY, class_name VARCHAR(40) NOT NULL, parent_class_no INTEGER);
CREATE TABLE tax_code (tax_code_no INTEGER PRIMARY KEY, tax_name VARCHAR(40) NOT NULL, active SMALLINT);
CREATE TABLE tax_code_rate (tax_code_no INTEGER, line_no INTEGER, rate_desc VARCHAR(40), rate_pct NUMERIC(9, 4));
CREATE TABLE app_config (param_name VARCHAR(40) PRIMARY KEY, param_value VARCHAR(100));
CREATE TABLE work_order (wo_no INTEGER PRIMARY KEY, cust_no INTEGER, wo_class_no INTEGER)
"""


def test_without_foreign_keys_references_go_by_names_and_that_is_said(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for statement in OTHER.split(";"):
            connection.exec_driver_sql(statement)
    drafted = drafting.draft(engine, "other")
    profile = Profile.model_validate(drafted.profile)
    assert dict(profile.kinds["customer"].columns) == {
        "name": "cust_name",
        "first_name": "contact_first_name",
        "last_name": "contact_last_name",
        "email": "email_addr",
        "phone": "phone1",
        "mobile": "cell_phone",
        "bill_line1": "billing_addr1",
        "bill_postcode": "billing_zip",
        "customer_type_id": "cust_category_no",
        "payment_term_id": "pay_terms_no",
        "payment_method_id": "pay_method_no",
        "parent_id": "parent_cust_no",
        "tax_code_id": "tax_code_no",
    }
    assert dict(profile.kinds["inventory_item"].columns) == {
        "part_number": "item_code",
        "name": "short_desc",
        "description": "long_desc",
        "unit_price": "list_price",
        "unit_cost": "cost_price",
        "quantity_on_hand": "on_hand",
        "preferred_supplier_id": "preferred_vendor_no",
    }
    assert profile.kinds["customer"].referred_by == (("tbl_customer", "parent_cust_no"), ("work_order", "cust_no"))
    assert set(profile.kinds["payment_term"].referred_by) == {("tbl_customer", "pay_terms_no"), ("tbl_vendor", "terms_no")}
    assert profile.taxes is not None
    assert profile.taxes.component.code_id == "tax_code_no"
    assert any("goes by names" in line for line in drafted.left_over)


def test_an_empty_database_gives_a_draft_of_nothing(engine: sa.Engine) -> None:
    drafted = drafting.draft(engine, "empty")
    assert drafted.profile == {"profile": "empty", "kinds": {}}
    assert len(drafted.left_over) == 9


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tblCustTypes", ["customer", "type"]),
        ("PAYMENT_TERMS", ["payment", "term"]),
        ("ShipZip", ["shipping", "postcode"]),
        ("InventoryQtyOnHand", ["inventory", "quantity", "on", "hand"]),
        ("categories", ["category"]),
        ("IsTaxable", ["taxable"]),
        ("Surname", ["last", "name"]),
        ("v", ["v"]),
    ],
)
def test_names_are_taken_apart_into_words(name: str, found: list[str]) -> None:
    assert drafting.words(name) == found


@given(st.text())
def test_any_name_can_be_taken_apart(name: str) -> None:
    assert all(word == word.lower() for word in drafting.words(name))
