"""Every rule of the audit fires on the fault it is for, and keeps still on what only comes near it."""

from __future__ import annotations

import pytest

from qbo_sync.switch.audit import RULES, Rule, audit
from qbo_sync.switch.audit.taxes import total
from qbo_sync.switch.model import Account, Kind, RatePeriod, Severity
from tests.unit.switch.sides import Books, Company, Json, books, company, customer, named, row, rules_that_fire, sides, tax

C, T, S, G, P, M = (
    Kind.CUSTOMER,
    Kind.PAYMENT_TERM,
    Kind.SUPPLIER,
    Kind.GROUP_TYPE,
    Kind.INVENTORY_ITEM,
    Kind.PAYMENT_METHOD,
)
USD = {"CurrencyPrefs": {"HomeCurrency": {"value": "USD"}}}
OHIO = tax("Ohio", "5.75")
Case = tuple[Company, Books]


def prefs(**groups: Json) -> Company:
    """A company with these preferences."""
    return company(preferences={**USD, **groups})


def term(qbo_id: str = "1", name: str = "Net 30", **numbers: object) -> Json:
    return named(qbo_id, name, **{"Type": "STANDARD", "DueDays": 30, **numbers})


def item(qbo_id: str = "1", name: str = "Pump", **more: object) -> Json:
    accounts = {f"{each}AccountRef": {"value": each} for each in ("Income", "Expense", "Asset")}
    return named(qbo_id, name, **{"Type": "Inventory", **accounts, **more})


def said(**values: str) -> Company:
    """A company whose CompanyInfo says this."""
    return company({G: [named("1", "North")]}, info={"NameValue": [{"Name": k, "Value": v} for k, v in values.items()]})


def emails(*addresses: str, kind: Kind = C) -> Company:
    return company({kind: [customer(f"{n}", f"N{n}x", PrimaryEmailAddr={"Address": a}) for n, a in enumerate(addresses)]})


def phones(*numbers: str) -> Company:
    return company({C: [customer(f"{n}", f"N{n}x", PrimaryPhone={"FreeFormNumber": p}) for n, p in enumerate(numbers)]})


def bought(*rates: str) -> Company:
    return company(taxes=[tax("GST", "10", purchase=rates)])


BOUGHT = books(taxes=[tax("GST", "10", purchase=("10",))])
AMY, PUMP = {C: [customer("1", "Amy")]}, {P: [item()]}
CHANGES = RatePeriod("6", "2027-01-01", "")
WAS = RatePeriod("5.5", "2019-01-01", "2025-12-31")
JOB = customer("2", "Pool", FullyQualifiedName="Amy:Pool", ParentRef={"value": "1"})
CIRCLE = {C: [row(C, "1", "a", parent_id=2), row(C, "2", "b", parent_id=1)]}

# rule: what makes it fire, and what must not though it comes near
CASES: dict[str, tuple[Case, Case]] = {
    "SET-001": ((company(), books(currency="CAD")), (company(), books(currency="usd"))),
    "SET-002": ((company(), books(by_line_item=False)), (company(), books())),
    "SET-003": (
        (company({G: [named("1", "North")]}), books()),
        (company({G: [named("1", "North")]}, preferences={"AccountingInfoPrefs": {"ClassTrackingPerTxnLine": True}}), books()),
    ),
    "SET-004": (
        (company(PUMP, preferences={**USD, "ProductAndServicesPrefs": {"QuantityOnHand": False}}), books()),
        (
            company({P: [item(Type="Service")]}, preferences={**USD, "ProductAndServicesPrefs": {"QuantityOnHand": False}}),
            books(),
        ),
    ),
    "SET-005": (
        (prefs(CurrencyPrefs={"MultiCurrencyEnabled": True}), books()),
        (prefs(CurrencyPrefs={"MultiCurrencyEnabled": False}), books()),
    ),
    "SET-006": (
        (company({C: [customer("1", "Maple", CurrencyRef={"value": "CAD"})]}), books()),
        (company({C: [customer("1", "Maple", CurrencyRef={"value": "USD"})]}), books()),
    ),
    "SET-007": ((company(), books(other_realms=["99"])), (company(), books(links={("customer", "1"): ("1", "made")}))),
    "SET-008": (
        (company(), books(export_enabled=True)),
        (company(), books(export_enabled=True, links={("customer", "1"): ("1", "made")})),
    ),
    "SET-009": ((company(info={"Country": "CAN"}), books()), (company(info={"Country": "USA"}), books())),
    "SET-010": (
        (said(OfferingSku="QuickBooks Online Simple Start"), books()),
        (said(OfferingSku="QuickBooks Online Plus"), books()),
    ),
    "SET-011": ((said(SubscriptionStatus="EXPIRED"), books()), (said(SubscriptionStatus="TRIAL"), books())),
    "SET-012": ((said(SubscriptionStatus="TRIAL"), books()), (said(SubscriptionStatus="PAID"), books())),
    "SET-013": ((said(IsQbdtMigrated="true"), books()), (said(IsQbdtMigrated="false"), books())),
    "SET-014": (
        (prefs(ProductAndServicesPrefs={"ForPurchase": False}), books()),
        (prefs(ProductAndServicesPrefs={"ForPurchase": True}), books()),
    ),
    "SET-015": (
        (prefs(SalesFormsPrefs={"CustomTxnNumbers": False}), books()),
        (prefs(SalesFormsPrefs={"CustomTxnNumbers": True}), books()),
    ),
    "SET-016": (
        (company({T: [term(Active=False)]}, preferences={"SalesFormsPrefs": {"DefaultTerms": {"value": "1"}}}), books()),
        (company({T: [term()]}, preferences={"SalesFormsPrefs": {"DefaultTerms": {"value": "1"}}}), books()),
    ),
    # The sides were read on 24 November 2026.
    "SET-017": (
        (prefs(AccountingInfoPrefs={"BookCloseDate": "2026-11-23"}), books()),
        (prefs(AccountingInfoPrefs={"BookCloseDate": "2026-11-24"}), books()),
    ),
    "SET-018": (
        (prefs(AccountingInfoPrefs={"BookCloseDate": "2026-11-24"}), books()),
        (prefs(AccountingInfoPrefs={"BookCloseDate": "2026-11-23"}), books()),
    ),
    "SET-019": ((company(), books(export_format="myob")), (company(), books())),
    "SET-020": (
        (prefs(AccountingInfoPrefs={"ClassTrackingPerTxn": True}), books()),
        (prefs(AccountingInfoPrefs={"ClassTrackingPerTxn": True, "ClassTrackingPerTxnLine": True}), books()),
    ),
    "SET-021": (
        (company({C: [customer("1", "Amy", CurrencyRef={"value": "USD"})]}), books({C: [row(C, "1", "Amy", currency="CAD")]})),
        (company({C: [customer("1", "Amy", CurrencyRef={"value": "USD"})]}), books({C: [row(C, "1", "Amy", currency=None)]})),
    ),
    "TAX-001": ((company(taxes=[OHIO]), books()), (company(taxes=[OHIO]), books(taxes=[tax("OHIO", "5.75")]))),
    "TAX-002": (
        (company(taxes=[OHIO]), books(taxes=[tax("OHIO", "5.5")])),
        (company(taxes=[tax("Ohio", "5", "0.75")]), books(taxes=[OHIO])),
    ),
    "TAX-003": (
        (company(taxes=[tax("Tucson", "7.1", "2")]), books(taxes=[tax("Tucson", "9.1")])),
        (company(taxes=[tax("Tucson", "7.1", "2")]), books(taxes=[tax("Tucson", "7.1", "2")])),
    ),
    "TAX-004": (
        (company(taxes=[tax("Tucson", "7.1", "2")]), books(taxes=[tax("Tucson", "2", "7.1")])),
        (company(taxes=[tax("Tucson", "7.1", "2")]), books(taxes=[tax("Tucson", "7.1", "2")])),
    ),
    "TAX-005": (
        (company(taxes=[OHIO]), books(taxes=[tax("Ohio sales tax", "5.75")])),
        # two codes have these rates, and a rate of nothing says nothing
        (
            company(taxes=[OHIO, tax("Exempt", "0")]),
            books(taxes=[tax("A", "5.75"), tax("B", "5.75"), tax("Zero rated", "0")]),
        ),
    ),
    "TAX-006": (
        (company(taxes=[OHIO]), books(taxes=[tax("Ohio", "5.75", active=False)])),
        (company(taxes=[OHIO]), books(taxes=[tax("Ohio", "5.75", active=False), OHIO])),
    ),
    "TAX-007": (
        (company(taxes=[OHIO]), books(taxes=[tax("Ohio", "5.75", agency="County")])),
        (company(taxes=[OHIO]), books(taxes=[tax("Ohio", "5.75", agency="")])),
    ),
    "TAX-008": ((company(), books(taxes=[OHIO])), (company(), books(taxes=[tax("Ohio", "5.75", active=False)]))),
    "TAX-009": ((prefs(TaxPrefs={"PartnerTaxEnabled": True}), books()), (prefs(TaxPrefs={}), books())),
    "TAX-010": (
        (prefs(TaxPrefs={"UsingSalesTax": False}), books(taxes=[OHIO])),
        (prefs(TaxPrefs={"UsingSalesTax": False}), books(taxes=[tax("Ohio", "5", active=False)])),
    ),
    "TAX-011": (
        (company(AMY), books({C: [row(C, "1", "Amy", taxable=False)]})),
        (company(AMY, info={"Country": "GB"}), books({C: [row(C, "1", "Amy", taxable=False)]})),
    ),
    "TAX-012": (
        (company({P: [item(Taxable=True)]}), books({P: [row(P, "1", "Pump", taxable=False)]})),
        (company({P: [item(Taxable=True)]}), books({P: [row(P, "1", "Pump", taxable=True)]})),
    ),
    "TAX-013": ((company(), books(taxes=[tax("Non", "5")])), (company(), books(taxes=[tax("None", "5")]))),
    "TAX-014": (
        (prefs(TaxPrefs={"PartnerTaxEnabled": False}), books()),
        (prefs(TaxPrefs={"UsingSalesTax": True}), books()),
    ),
    "TAX-015": (
        (company(), books(taxes=[OHIO, tax("ohio", "5")])),
        (company(), books(taxes=[OHIO, tax("ohio", "5", active=False)])),
    ),
    "TAX-016": (
        (company(taxes=[tax("Ohio", "5.75", periods=(CHANGES,))]), books()),
        (company(taxes=[tax("Ohio", "5.75", periods=(WAS,))]), books()),
    ),
    "TAX-017": ((bought("10"), books(taxes=[tax("GST", "10")])), (bought("10"), BOUGHT)),
    "TAX-018": ((bought("10", "2"), BOUGHT), (bought("10"), BOUGHT)),
    "TAX-019": (
        (bought("10"), books(taxes=[tax("GST", "10")], purchase_taxes=False)),
        (bought(), books(taxes=[tax("GST", "10")], purchase_taxes=False)),
    ),
    "TAX-020": (
        (company(taxes=[tax("Exempt", "0"), tax("Zero", "0")]), books()),
        (company(taxes=[tax("Exempt", "0"), OHIO]), books()),
    ),
    "TAX-021": (
        (company(taxes=[OHIO], preferences={"TaxPrefs": {"TaxGroupCodeRef": {"value": "9"}}}), books()),
        (company(taxes=[tax("No VAT", code_id="9")], preferences={"TaxPrefs": {"TaxGroupCodeRef": {"value": "9"}}}), books()),
    ),
    "TRM-001": (
        (company({T: [term()]}), books({T: [row(T, "1", "Net 30", due_days=28)]})),
        (company({T: [term()]}), books({T: [row(T, "1", "Net 30", due_days=30, discount_percent=0)]})),
    ),
    "TRM-002": (
        (company({T: [term()]}), books({T: [row(T, "1", "30 days", due_days=30)]})),
        (company({T: [term()]}), books({T: [row(T, "1", "30 days", due_days=29)]})),
    ),
    "TRM-003": (
        (company({T: [term(Type="DATE_DRIVEN", DayOfMonthDue=1, DueNextMonthDays=5)]}), books()),
        (company({T: [term(Type="DATE_DRIVEN", DayOfMonthDue=1, DueNextMonthDays=0)]}), books()),
    ),
    "TRM-004": (
        (company({T: [term(Type="DATE_DRIVEN", DayOfMonthDue=25, DiscountDayOfMonth=10)]}), books()),
        (company({T: [term(DiscountDays=10, DiscountPercent=2)]}), books()),
    ),
    "TRM-005": (
        (company({T: [term(), term("2", "30 days")]}), books()),
        (company({T: [term(), term("2", "Net 31", DueDays=31)]}), books()),
    ),
    "ITM-001": ((company({P: [item(IncomeAccountRef={})]}), books()), (company(PUMP), books())),
    "ITM-002": (
        (company({P: [item(AssetAccountRef={})]}), books()),
        (company({P: [item(Type="Service", AssetAccountRef={})]}), books()),
    ),
    "ITM-003": (
        (company(PUMP, accounts={"Income": Account("Sales (deleted)", "Income", active=False)}), books()),
        (company(PUMP, accounts={"Income": Account("Sales", "Income", active=True)}), books()),
    ),
    "ITM-004": (
        (company({P: [item("1", "A", Sku="p-1"), item("2", "B", Sku="P-1 ")]}), books()),
        (company({P: [item("1", "A"), item("2", "B")]}), books()),
    ),
    "ITM-005": (
        (company(PUMP), books({P: [row(P, "1", "Pump", item_type="Service")]})),
        (company(PUMP), books({P: [row(P, "1", "Pump", item_type="inventory")]})),
    ),
    "ITM-006": (
        (company({P: [item(Sku="P-1")]}), books({P: [row(P, "1", "Pump", part_number="P-2")]})),
        (company({P: [item(Sku="P-1")]}), books({P: [row(P, "1", "Pump", part_number=None)]})),
    ),
    "LST-001": ((company(AMY), books()), (company(AMY), books({C: [row(C, "1", "Amy")]}))),
    "LST-002": ((company(), books({C: [row(C, "1", "Walk-in")]})), (company(AMY), books({C: [row(C, "1", "AMY")]}))),
    "LST-003": (
        (company({C: [customer("1", "Amys")]}), books({C: [row(C, "1", "Amy's")]})),
        (company({C: [customer("1", "Amys")]}), books({C: [row(C, "1", "Tom's")]})),
    ),
    "LST-004": (
        (company(AMY), books({C: [row(C, "1", "amy"), row(C, "2", "AMY")]})),
        (company(AMY), books({C: [row(C, "1", "amy"), row(C, "2", "Amy:Amy")]})),
    ),
    "LST-005": ((company({C: [customer("1", "a:b")]}), books()), (company({C: [customer("1", "a-b")]}), books())),
    "LST-006": (
        (company(AMY), books(links={("customer", "1"): ("5", "removed")})),
        (company(AMY), books({C: [row(C, "5", "Amy")]}, links={("customer", "1"): ("5", "made")})),
    ),
    "LST-007": ((company(other_items={"Service": 3}), books()), (company(PUMP), books())),
    "LST-008": ((company(), books({C: [row(C, "1", "Amy")]})), (company(AMY), books({C: [row(C, "1", "Amy")]}))),
    "LST-009": (
        (company({S: [customer("1", "Tim", TaxIdentifier="XXXXXX9875")]}), books()),
        (company({S: [customer("1", "Tim", TaxIdentifier="")]}), books()),
    ),
    "LST-010": (
        (company(), books({S: [row(S, "1", "Tim"), row(S, "2", "TIM ")]})),
        (company(), books({C: [row(C, "1", "Amy:Pool"), row(C, "2", "Tim:Pool")]})),
    ),
    "LST-011": (
        (company({C: [customer("1", "Amy"), JOB]}), books({C: [row(C, "1", "Pool", parent_id=None)]})),
        (company({C: [customer("1", "Amy"), JOB]}), books({C: [row(C, "1", "Tim:Pool", parent_id=4)]})),
    ),
    "REF-001": (
        (company({T: [term(Active=False)], C: [customer("1", "Amy", SalesTermRef={"value": "1"})]}), books()),
        (company({T: [term()], C: [customer("1", "Amy", SalesTermRef={"value": "1"})]}), books()),
    ),
    "REF-002": (
        (company({C: [customer("1", "f", FullyQualifiedName="a:b:c:d:e:f")]}), books()),
        (company({C: [customer("1", "e", FullyQualifiedName="a:b:c:d:e")]}), books()),
    ),
    "REF-003": (
        (company({T: [term()], C: [customer("1", "Amy", SalesTermRef={"value": "9"})]}), books()),
        (company({T: [term("9", Active=False)], C: [customer("1", "Amy", SalesTermRef={"value": "9"})]}), books()),
    ),
    "REF-004": (
        (company(), books(CIRCLE)),
        (company(), books({C: [row(C, "1", "a", parent_id=None), row(C, "2", "b", parent_id=1)]})),
    ),
    "NAM-001": (
        (company({C: [customer("1", "Amy (deleted)")]}), books()),
        (company({C: [customer("1", "Amy (deleted)", Active=False)]}), books()),
    ),
    "NAM-002": (
        (company({C: [customer("1", "Amy 123")]}), books({C: [row(C, "1", "Amy")]})),
        (company({C: [customer("1", "Amy 123")]}), books({C: [row(C, "1", "Tim")]})),
    ),
    "NAM-003": ((company({C: [customer("1", "Amy  Bird")]}), books()), (company({C: [customer("1", "Amy Bird")]}), books())),
    "NAM-004": (
        (company({C: [customer("1", "Amy"), customer("2", "ＡＭＹ")]}), books()),
        (company({C: [customer("1", "Amy"), customer("2", "Amyh")]}), books()),
    ),
    "NAM-005": (
        (company({C: [customer("1", "Cal Telephone")], S: [customer("2", "CAL Telephone Inc")]}), books()),
        (company({C: [customer("1", "Cal Telephone")], S: [customer("2", "Cal Television")]}), books()),
    ),
    "NAM-006": ((emails("a@x.com,b@x.com"), books()), (emails("a@x.com"), books())),
    "NAM-007": ((emails("a@x.com", "A@X.com"), books()), (emails("a@x.com", "b@x.com"), books())),
    "NAM-008": (
        (company(), books({S: [row(S, "1", "Tim\tLee")]})),
        (company(), books({M: [row(M, "1", "Cheque")]})),
    ),
    "NAM-009": (
        (company(), books({P: [row(P, "1", "p" * 101)]})),
        (company(), books({P: [row(P, "1", "p" * 100)]})),
    ),
    "NAM-010": (
        (company({C: [customer("1", "\u0410my")]}), books()),
        (company({C: [customer("1", "\u041c\u043e\u0441\u043a\u0432\u0430 Amy")]}), books()),
    ),
    "NAM-011": (
        (company({C: [customer("1", "Amy\u200b Bird")]}), books()),
        (company({C: [customer("1", "\U0001f469\u200d\U0001f527 Amy")]}), books()),
    ),
    "NAM-012": (
        (phones("(415) 444-6538", "415 444 6538"), books()),
        (phones("(415) 444-6538", "415 444 6539"), books()),
    ),
    "NAM-013": (
        (company(employees={"1": "Emily Platt"}), books({C: [row(C, "1", "emily platt", parent_id=None)]})),
        (company(employees={"1": "Emily Platt"}), books({C: [row(C, "1", "emily platt", parent_id=7)]})),
    ),
}


def test_every_rule_has_a_case() -> None:
    assert {rule.id for rule in RULES} == set(CASES)
    assert len({rule.id for rule in RULES}) == len(RULES) >= 45


@pytest.mark.parametrize("rule_id", CASES)
def test_the_rule_fires(rule_id: str) -> None:
    assert rule_id in rules_that_fire(*CASES[rule_id][0])


@pytest.mark.parametrize("rule_id", CASES)
def test_the_rule_keeps_still_on_what_only_comes_near(rule_id: str) -> None:
    assert rule_id not in rules_that_fire(*CASES[rule_id][1])


def test_a_clean_site_has_nothing_but_what_will_be_added() -> None:
    lists = {
        kind: [customer("1", f"One {kind}") if kind in (C, S) else item() if kind is P else named("1", "One")] for kind in Kind
    }
    lists[G] = []
    assert rules_that_fire(company(lists, taxes=[OHIO]), books(taxes=[OHIO])) == {"LST-001"}


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_every_rule_says_what_to_do_and_where(rule: Rule) -> None:
    assert rule.remedy.endswith(".")
    assert rule.where
    assert rule.check.__doc__
    assert isinstance(rule.severity, Severity)


@pytest.mark.parametrize("rule_id", CASES)
def test_the_ids_of_findings_are_their_own(rule_id: str) -> None:
    ids = [finding.id for finding in audit(sides(*CASES[rule_id][0]), {})]
    assert len(ids) == len(set(ids))


def test_a_profile_without_taxes_compares_none() -> None:
    assert not {r for r in rules_that_fire(company(taxes=[OHIO]), books(declares_taxes=False)) if r.startswith("TAX")}


def test_taxes_that_quickbooks_computes_by_itself_are_not_compared() -> None:
    by_itself = company(
        taxes=[tax("Contra Costa", "8.75", purchase=("1",))], preferences={"TaxPrefs": {"PartnerTaxEnabled": True}}
    )
    assert {r for r in rules_that_fire(by_itself, books(taxes=[OHIO])) if r.startswith("TAX")} == {"TAX-009"}


def test_a_rate_of_other_days_is_said() -> None:
    qbo = company(taxes=[tax("Ohio", "5.75", periods=(WAS,))])
    (finding,) = [f for f in audit(sides(qbo, books(taxes=[tax("Ohio", "5.5")])), {}) if f.rule == "TAX-002"]
    assert "the rate of 2019-01-01 to 2025-12-31" in finding.remedy


def test_compound_rates_are_charged_on_tax() -> None:
    assert str(total(tax("Quebec", "5", "10", compound=True)).normalize()) == "15.5"
    assert str(total(tax("Plain", "5", "10")).normalize()) == "15"


def test_many_that_need_nothing_are_one_line_and_those_that_want_a_decision_are_each_their_own() -> None:
    many = {T: [term()], C: [customer(str(n), f"N{n}x  y", SalesTermRef={"value": "9"}) for n in range(30)]}
    found = [f for f in audit(sides(company(many), books()), {}) if f.rule in ("NAM-003", "REF-003")]
    assert [f.id for f in found if f.rule == "NAM-003"] == ["NAM-003/customer"]
    assert next(f.qbo for f in found if f.rule == "NAM-003").startswith("30 times: N0x  y, ")
    assert len([f for f in found if f.rule == "REF-003"]) == 30


def test_a_list_that_a_small_plan_does_not_have_is_no_lost_reference() -> None:
    amy = customer("1", "Amy", CustomerTypeRef={"value": "5"})
    assert "REF-003" not in rules_that_fire(company({C: [amy]}), books())


def test_codes_without_rates_are_neither_missing_nor_unknown() -> None:
    no_vat = tax("No VAT")
    assert not {r for r in rules_that_fire(company(taxes=[no_vat]), books()) if r.startswith("TAX")}
    assert "TAX-008" not in rules_that_fire(company(taxes=[no_vat]), books(taxes=[tax("No VAT", "0")]))
