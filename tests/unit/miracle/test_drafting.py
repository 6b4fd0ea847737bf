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
