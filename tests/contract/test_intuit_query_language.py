"""The look-alike's query language: what it understands, what it refuses and with which of the two error classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.intuit.company import Company
from lab.intuit.query import Condition, QueryParserError, QueryValidationError, parse
from lab.intuit.schema import ENTITIES
from lab.intuit.select import run


def escaped(name: str) -> str:
    """The documented way to write a value: a backslash before each backslash and apostrophe."""
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


@given(st.text())
def test_any_name_in_quotes_is_read_back(name: str) -> None:
    statement = parse(f"select * from Customer where DisplayName = {escaped(name)} maxresults 7")
    assert statement.conditions == (Condition("DisplayName", "=", (name,)),)
    assert statement.limit == 7


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique_by=str.casefold), st.data())
def test_any_company_name_finds_its_own_row_and_no_other(names: list[str], data: st.DataObject) -> None:
    company = Company("1")
    for number, name in enumerate(names):
        company["Vendor"].put({"Id": str(number), "DisplayName": name, "Active": True})
    wanted = data.draw(st.sampled_from(names))
    answer = run(parse(f"select Id from Vendor where DisplayName = {escaped(wanted)}"), company)
    assert [f'"Id":"{names.index(wanted)}"'.encode() in row for row in answer.rows] == [True]


@given(st.text(alphabet="SELCTFROMWHINDBYselctfromwhi *(),'=<>\\%0123456789 \n\tx"))
def test_anything_else_is_refused_with_one_of_the_two_errors(text: str) -> None:
    try:
        statement = parse(text)
    except (QueryParserError, QueryValidationError) as error:
        refusal = str(error)
    else:
        refusal = "" if statement.entity else "no entity"
    assert refusal == "" or refusal.startswith(("QueryParserError: ", "QueryValidationError: "))


def test_words_are_read_in_any_letter_case_and_the_tail_in_any_order() -> None:
    first = parse("select * from customer where active in (true, FALSE) orderby Id desc startposition 5 maxresults 10")
    second = parse("SELECT  *\nFROM customer WHERE active IN (true,FALSE)\tORDER BY Id DESC MAXRESULTS 10 STARTPOSITION 5")
    assert first == second
    assert (first.entity, first.order, first.start, first.limit) == ("customer", (("Id", True),), 5, 10)
    assert first.conditions == (Condition("active", "in", ("true", "FALSE")),)


def test_defaults_and_the_cap_of_a_page() -> None:
    assert (parse("select * from Item").start, parse("select * from Item").limit) == (1, 100)
    assert parse("select * from Item maxresults 5000").limit == 1000
    assert parse("select count(*) from Item").count


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", 'Encountered "<EOF>" at line 1, column 1.\nWas expecting:\n    <SELECT> ...\n    '),
        ("select * from Customer where", 'Encountered "<EOF>" at line 1, column 29.\nWas expecting:\n    <IDENTIFIER> ...\n    '),
        (
            "select *\nfrom 'x'",
            'Encountered " <STRING> "\'x\' "" at line 2, column 6.\nWas expecting:\n    <IDENTIFIER> ...\n    ',
        ),
        ("select * from Item maxresults ten", 'Encountered " <IDENTIFIER> "ten "" at line 1, column 31.'),
        ("select * from Item maxresults 1.5", 'Encountered " <NUMBER> "1.5 "" at line 1, column 31.'),
        ("select * from Item where Name = 'open", 'Lexical error at line 1, column 38.  Encountered: <EOF> after : "\'open"'),
        (
            "select * from Item where Name \u2013 'x'",
            'Lexical error at line 1, column 31.  Encountered: "\\u2013" (8211), after : ""',
        ),
        ("select * from Item where Name != 'x'", 'Lexical error at line 1, column 31.  Encountered: "!" (33), after : ""'),
        ("select * from Item where Name = 'O''Brien'", 'Encountered " <STRING> "\'Brien\' "" at line 1, column 36.'),
        ("select * from Item order Name", 'Encountered " <IDENTIFIER> "Name "" at line 1, column 26.'),
        ("select * from Item group by Name", 'Encountered " <IDENTIFIER> "group "" at line 1, column 20.'),
    ],
)
def test_what_is_no_statement_is_told_in_the_parsers_words(text: str, detail: str) -> None:
    with pytest.raises(QueryParserError) as caught:
        parse(text)
    assert detail in str(caught.value)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("select * from Custmoer", "invalid context declaration: Custmoer"),
        ("select * from Customer startposition 0", "value 0 is too small. Min allowed value is 1"),
        ("select * from Customer maxresults 0", "value 0 is too small. Min allowed value is 1"),
        ("select * from Customer where Nickname = 'x'", "Property Nickname not found for Entity Customer"),
        ("select * from Customer where CustomerTypeRef = '1'", "property 'CustomerTypeRef' is not queryable"),
        ("select * from Item where UnitPrice > '5'", "property 'UnitPrice' is not queryable"),
        ("select * from Customer orderby Nickname", "Property Nickname not found for Entity Customer"),
        ("select * from Customer where Id > '5'", "operator > is not supported for property Id"),
        ("select * from Customer where Active = 'maybe'", "value maybe is not valid for property Active"),
        ("select * from Customer where Active = true or Id = '1'", "operator OR is not supported"),
        ("select * from Customer where Balance > 'much'", "value much is not a number for Balance"),
        ("select * from Customer where MetaData.CreateTime > 'soon'", "value soon is not a valid date time"),
    ],
)
def test_what_does_not_exist_is_a_validation_error(text: str, detail: str) -> None:
    company = Company("1")
    company["Customer"].put({"Id": "1", "DisplayName": "One", "Active": True, "Balance": 1})
    with pytest.raises(QueryValidationError) as caught:
        run(parse(text), company)
    assert detail in str(caught.value)


def test_today_is_the_companys_date() -> None:
    company = Company("1")
    for row_id, day in (("1", "2026-03-01"), ("2", "2026-03-02")):
        company["Invoice"].put({"Id": row_id, "TxnDate": day})
    answer = run(parse("select * from Invoice where TxnDate >= current_date", "2026-03-02"), company)
    assert [json.loads(row)["Id"] for row in answer.rows] == ["2"]
    with pytest.raises(QueryParserError):
        parse("select * from Invoice where TxnDate >= yesterday", "2026-03-02")


def test_every_documented_property_can_be_asked_for_and_the_others_cannot(recorded: Callable[[str], Any]) -> None:
    documented = recorded("schema/filterable_docs.json")
    documented.pop("_note")
    for name, said in documented.items():
        entity = ENTITIES[name]
        assert set(said["filterable"]) <= entity.filterable, name
        assert set(said.get("sortable_only", ())) <= entity.sortable, name
        assert set(said.get("not_filterable", ())) <= entity.unqueryable, name
