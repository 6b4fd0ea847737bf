"""Every rule of the audit fires on the fault it is for, and keeps still otherwise."""

from __future__ import annotations

import pytest

from qbo_sync.switch.audit import RULES
from qbo_sync.switch.audit.taxes import total
from qbo_sync.switch.model import Kind, Severity
from tests.unit.switch.sides import Books, Company, books, company, customer, named, row, rules_that_fire, tax

C, T, S, G = Kind.CUSTOMER, Kind.PAYMENT_TERM, Kind.SUPPLIER, Kind.GROUP_TYPE
USD = {"CurrencyPrefs": {"HomeCurrency": {"value": "USD"}}}
OHIO = tax("Ohio", "5.75")
ALL_LISTS = {kind: [customer("1", f"One {kind}") if kind in (C, S) else named("1", "One", Type="Inventory")] for kind in Kind}
CLEAN = (company({**ALL_LISTS, G: []}, taxes=[OHIO]), books(taxes=[OHIO]))


def term(**numbers: object) -> dict[str, object]:
    return named("1", "Net 30", **{"Type": "STANDARD", "DueDays": 30, **numbers})


FIRES: list[tuple[str, Company, Books]] = [
    ("TAX-001", company(taxes=[OHIO]), books()),
    ("TAX-002", company(taxes=[OHIO]), books(taxes=[tax("OHIO", "5.5")])),
    ("TAX-003", company(taxes=[tax("Tucson", "7.1", "2")]), books(taxes=[tax("Tucson", "9.1")])),
    ("TAX-004", company(taxes=[tax("Tucson", "7.1", "2")]), books(taxes=[tax("Tucson", "2", "7.1")])),
    ("TAX-005", company(taxes=[OHIO]), books(taxes=[tax("Ohio sales tax", "5.75")])),
    ("TAX-006", company(taxes=[OHIO]), books(taxes=[tax("Ohio", "5.75", active=False)])),
    ("TAX-007", company(taxes=[OHIO]), books(taxes=[tax("Ohio", "5.75", agency="County")])),
    ("TAX-008", company(), books(taxes=[OHIO])),
    ("TAX-009", company(preferences={**USD, "TaxPrefs": {"PartnerTaxEnabled": True}}), books()),
    ("TAX-010", company(preferences={**USD, "TaxPrefs": {"UsingSalesTax": False}}), books(taxes=[OHIO])),
    ("SET-001", company(), books(currency="CAD")),
    ("SET-002", company(), books(by_line_item=False)),
    ("SET-003", company({G: [named("1", "North")]}), books()),
    (
        "SET-004",
        company(
            {Kind.INVENTORY_ITEM: [named("1", "Pump", Type="Inventory")]},
            preferences={**USD, "ProductAndServicesPrefs": {"QuantityOnHand": False}},
        ),
        books(),
    ),
    ("SET-005", company(preferences={"CurrencyPrefs": {"MultiCurrencyEnabled": True}}), books()),
    ("SET-006", company({C: [customer("1", "Maple", CurrencyRef={"value": "CAD"})]}), books()),
    ("SET-007", company(), books(other_realms=["99"])),
    ("SET-008", company(), books(export_enabled=True)),
    ("TRM-001", company({T: [term()]}), books({T: [row(T, "1", "Net 30", due_days=28)]})),
    ("TRM-002", company({T: [term()]}), books({T: [row(T, "1", "30 days", due_days=30)]})),
    ("TRM-003", company({T: [term(Type="DATE_DRIVEN", DayOfMonthDue=1, DueNextMonthDays=5)]}), books()),
    ("LST-001", company({C: [customer("1", "Amy")]}), books()),
    ("LST-002", company(), books({C: [row(C, "1", "Walk-in")]})),
    ("LST-003", company({C: [customer("1", "Amys")]}), books({C: [row(C, "1", "Amy's")]})),
    ("LST-004", company({C: [customer("1", "Amy")]}), books({C: [row(C, "1", "amy"), row(C, "2", "AMY")]})),
    ("LST-005", company({C: [customer("1", "a:b")]}), books()),
    ("LST-006", company({C: [customer("1", "Amy")]}), books(links={("customer", "1"): ("5", "removed")})),
    ("LST-007", company(other_items={"Service": 3}), books()),
    ("LST-008", company(), books()),
    (
        "REF-001",
        company({T: [term(Active=False)], C: [customer("1", "Amy", SalesTermRef={"value": "1"})]}),
        books(),
    ),
    ("REF-002", company({C: [customer("1", "f", FullyQualifiedName="a:b:c:d:e:f")]}), books()),
    ("NAM-001", company({C: [customer("1", "Amy (deleted)")]}), books()),
    ("NAM-002", company({C: [customer("1", "Amy 123")]}), books({C: [row(C, "1", "Amy")]})),
    ("NAM-003", company({C: [customer("1", "Amy  Bird")]}), books()),
    ("NAM-004", company({C: [customer("1", "Amy"), customer("2", "ＡＭＹ")]}), books()),
    ("NAM-005", company({C: [customer("1", "Cal Telephone")], S: [customer("2", "CAL Telephone Inc")]}), books()),
    ("NAM-006", company({C: [customer("1", "Amy", PrimaryEmailAddr={"Address": "a@x.com,b@x.com"})]}), books()),
    (
        "NAM-007",
        company({C: [customer(i, f"N{i}x", PrimaryEmailAddr={"Address": "a@x.com"}) for i in ("1", "2")]}),
        books(),
    ),
]


def test_every_rule_has_a_case() -> None:
    assert {rule.id for rule in RULES} == {rule_id for rule_id, _, _ in FIRES}
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(("rule_id", "qbo", "miracle"), FIRES, ids=[case[0] for case in FIRES])
def test_the_rule_fires(rule_id: str, qbo: Company, miracle: Books) -> None:
    assert rule_id in rules_that_fire(qbo, miracle)


def test_a_clean_site_has_nothing_but_what_will_be_added() -> None:
    assert rules_that_fire(*CLEAN) <= {"LST-001", "LST-008"}


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_the_rule_keeps_still_on_a_clean_site(rule: object) -> None:
    if rule.id in ("LST-001", "LST-008"):  # type: ignore[attr-defined]
        everything = {kind: [row(kind, "1", f"One {kind}" if kind in (C, S) else "One")] for kind in Kind}
        qbo = company({**ALL_LISTS}, preferences={**USD, "AccountingInfoPrefs": {"ClassTrackingPerTxn": True}})
        assert rule.id not in rules_that_fire(qbo, books(everything))  # type: ignore[attr-defined]
    else:
        assert rule.id not in rules_that_fire(*CLEAN)  # type: ignore[attr-defined]


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_every_rule_says_what_to_do_and_where(rule: object) -> None:
    assert rule.remedy.endswith(".")  # type: ignore[attr-defined]
    assert rule.where  # type: ignore[attr-defined]
    assert isinstance(rule.severity, Severity)  # type: ignore[attr-defined]


def test_a_profile_without_taxes_compares_none() -> None:
    assert not {r for r in rules_that_fire(company(taxes=[OHIO]), books(declares_taxes=False)) if r.startswith("TAX")}


def test_compound_rates_are_charged_on_tax() -> None:
    assert str(total(tax("Quebec", "5", "10", compound=True)).normalize()) == "15.5"
    assert str(total(tax("Plain", "5", "10")).normalize()) == "15"
