"""How names are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.switch import names


@given(st.text())
def test_normalising_twice_changes_nothing(name: str) -> None:
    assert names.normal(names.normal(name)) == names.normal(name)


@given(st.text(), st.sampled_from(["  ", "\t", "\u00a0", "\u2003"]))
def test_white_space_and_case_do_not_matter(name: str, space: str) -> None:
    assert names.normal(f"{space}{name}{space}") == names.normal(name)
    assert names.normal(name.upper()) == names.normal(name.upper().casefold())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café Noir", "Cafe\u0301 noir"),
        ("ＡＣＭＥ", "acme"),
        ("Straße 1", "STRASSE 1"),
        ("Amy's  Bird Sanctuary ", "amy's bird sanctuary"),
    ],
)
def test_equal_names(one: str, other: str) -> None:
    assert names.normal(one) == names.normal(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Amy's", "Amys"), ("A&B", "A and B"), ("Smith, John", "John Smith"), ("X Inc.", "X")]
)
def test_names_that_only_look_alike(one: str, other: str) -> None:
    assert names.normal(one) != names.normal(other)
    assert names.loose(one) == names.loose(other)


def test_a_name_of_nothing_but_a_legal_form_is_kept() -> None:
    assert names.loose("Company Ltd") == "company ltd"


@pytest.mark.parametrize(
    ("name", "stem"), [("Alex Rodriguez 123", "alex rodriguez"), ("Route 66", "route"), ("123", ""), ("Plain", "")]
)
def test_trailing_numbers(name: str, stem: str) -> None:
    assert names.without_number(name) == stem


@pytest.mark.parametrize(("phone", "found"), [("(415) 444-6538", "4154446538"), ("+1 415 444 6538", "4154446538"), ("x204", "")])
def test_phones(phone: str, found: str) -> None:
    assert names.digits(phone) == found


def test_several_addresses_in_one_field() -> None:
    assert names.emails("A@x.com, b@x.com;c") == ["a@x.com", "b@x.com"]


@pytest.mark.parametrize(
    ("one", "other"), [("Café Rouge", "Cafe Rouge"), ("\u0410my", "Amy"), ("R\u00f8rlegger \u00c5s", "R\u00f8rlegger As")]
)
def test_accents_and_letters_that_look_alike_are_weak_likenesses(one: str, other: str) -> None:
    assert names.normal(one) != names.normal(other)
    assert names.loose(one) == names.loose(other)


@pytest.mark.parametrize(
    "name", ["Capacitor 5 \u00b5F", "5 \u03bcF", "4 k\u03a9", "\u041c\u043e\u0441\u043a\u0432\u0430 Ltd", "Caf\u00e9"]
)
def test_signs_of_measure_and_whole_words_of_a_script_are_not_mixed(name: str) -> None:
    assert names.mixed(name) == []


def test_a_millionth_is_not_a_thousandth() -> None:
    assert names.loose("Capacitor 5 \u00b5F") != names.loose("Capacitor 5 mF")


@given(st.text())
def test_every_name_can_be_looked_at(name: str) -> None:
    assert names.loose(names.loose(name)) == names.loose(name)
    assert all(mark in name for mark in (chr(int(found[2:], 16)) for found in names.invisible(name)))
    assert names.mixed(name) == [] or not name.isascii()
