"""The generated company over HTTP: paging, orders, hidden rows, and that it is a believable company."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from lab.intuit.generate import MANY, Generator, generate
from lab.intuit.made.seed import Sizes

if TYPE_CHECKING:
    from tests.contract.conftest import Caller

KINDS = ("Customer", "Vendor", "Item", "Term", "PaymentMethod", "Class", "CustomerType")
BOTH = "where Active in (true, false)"


def held(intuit: Caller, entity: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = intuit.lab(f"entities/{entity}")
    return rows


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["Id"] for row in rows]


# Queries ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_inactive_rows_are_hidden_unless_active_is_asked_for(kind: str, intuit: Caller) -> None:
    everything = held(intuit, kind)
    active = {row["Id"] for row in everything if row["Active"]}
    inactive = {row["Id"] for row in everything if not row["Active"]}
    assert active
    assert inactive
    assert set(ids(intuit.rows(kind, "maxresults 1000"))) == active
    assert set(ids(intuit.rows(kind, "where Active = false maxresults 1000"))) == inactive
    assert set(ids(intuit.rows(kind, f"{BOTH} maxresults 1000"))) == active | inactive
    counts = [
        intuit.query(f"select count(*) from {kind} {rest}").json()["QueryResponse"]["totalCount"]
        for rest in ("", "where Active = false", BOTH)
    ]
    assert counts == [len(active), len(inactive), len(everything)]


def test_pages_ordered_by_id_hold_every_row_once_and_end_empty(intuit: Caller) -> None:
    seen: list[str] = []
    start = 1
    while rows := intuit.rows("Customer", f"{BOTH} orderby Id startposition {start} maxresults 40"):
        seen += ids(rows)
        start += len(rows)
    assert seen == sorted(ids(held(intuit, "Customer")), key=int)
    past_the_end = intuit.query(f"select * from Customer {BOTH} orderby Id startposition {start} maxresults 40")
    assert past_the_end.json()["QueryResponse"] == {}


def test_the_envelope_tells_the_rows_of_this_page(intuit: Caller) -> None:
    answer = intuit.query("select * from Customer startposition 101 maxresults 1000").json()
    response = answer["QueryResponse"]
    assert response["startPosition"] == 101
    assert response["maxResults"] == len(response["Customer"]) < 100
    assert len(intuit.rows("Customer")) == 100
    assert answer["time"].endswith(("-07:00", "-08:00"))


def test_default_orders_and_orders_asked_for(intuit: Caller) -> None:
    def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
        return [row[name] for row in rows]

    customers = column(intuit.rows("Customer", "maxresults 1000"), "FullyQualifiedName")
    assert customers == sorted(customers)
    assert column(intuit.rows("Vendor"), "DisplayName") == sorted(column(intuit.rows("Vendor"), "DisplayName"))
    balances = column(intuit.rows("Customer", "orderby Balance desc, DisplayName maxresults 1000"), "Balance")
    assert balances == sorted(balances, reverse=True)
    assert ids(intuit.rows("Class", "orderby Id")) == sorted(ids(intuit.rows("Class")), key=int)


def test_conditions_compare_by_the_kind_of_value(intuit: Caller) -> None:
    customers = [row for row in held(intuit, "Customer") if row["Active"]]
    rich = {row["Id"] for row in customers if row["Balance"] > 1000}
    assert rich
    assert set(ids(intuit.rows("Customer", "where Balance > '1000.00' maxresults 1000"))) == rich
    named = {row["Id"] for row in customers if "o'" in row["DisplayName"].lower()}
    assert named
    for pattern in ("%O\\'%", "%o\\'%"):
        assert set(ids(intuit.rows("Customer", f"where displayname like '{pattern}' maxresults 1000"))) == named
    name = customers[0]["DisplayName"]
    assert ids(intuit.rows("Customer", f"where DisplayName = '{name.upper()}'")) == [customers[0]["Id"]]
    times = sorted(row["MetaData"]["LastUpdatedTime"] for row in customers)
    later = intuit.rows("Customer", f"where MetaData.LastUpdatedTime > '{times[len(times) // 2]}' maxresults 1000")
    assert 0 < len(later) < len(customers)
    assert intuit.rows("Customer", "where MetaData.LastUpdatedTime > '2100-01-01'") == []
    assert intuit.rows("Customer", "where Active = true and Active = false") == []


def test_a_query_may_be_posted_as_text(intuit: Caller) -> None:
    answer = intuit.http.post(
        f"{intuit.company}/query",
        data=b"select count(*) from Vendor",
        headers={"Authorization": f"Bearer {intuit.grant['access_token']}", "Content-Type": "application/text"},
        timeout=30,
    )
    assert answer.json()["QueryResponse"] == {"totalCount": len([row for row in held(intuit, "Vendor") if row["Active"]])}


def test_columns_asked_for_come_alone(intuit: Caller) -> None:
    (row,) = intuit.rows("Customer", "maxresults 1")
    answer = intuit.query("select Id, DisplayName from Customer maxresults 1").json()["QueryResponse"]["Customer"]
    assert answer == [{"Id": row["Id"], "DisplayName": row["DisplayName"], "domain": "QBO", "sparse": True}]


def test_answers_carry_intuits_headers(intuit: Caller) -> None:
    answer = intuit.get("preferences")
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    assert answer.headers["Intuit-Tid"] != intuit.get("preferences").headers["Intuit-Tid"]
    assert {"Qbo-Version", "Service-Time", "X-Spanid", "Cache-Control", "Expires"} <= {name.title() for name in answer.headers}


def test_pseudo_tax_codes_have_no_version_and_no_state(intuit: Caller) -> None:
    codes = {row["Id"]: row for row in intuit.rows("TaxCode")}
    assert {"TAX", "NON"} <= codes.keys()
    assert not {"SyncToken", "Active", "domain", "sparse"} & codes["TAX"].keys()
    assert set(ids(intuit.rows("TaxCode", "where Active = true"))) == codes.keys() - {"TAX", "NON"}
    assert intuit.get("taxcode/NON").json()["TaxCode"] == codes["NON"]


# The company --------------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_company_and_another_seed_another() -> None:
    sizes = Sizes(30, 10, 20)
    first, again, other = (generate("1", seed, sizes) for seed in (5, 5, 6))
    assert all(first[kind].rows == again[kind].rows for kind in first.tables)
    assert first["Customer"].rows != other["Customer"].rows


def test_a_very_large_company_made_by_several_processes_has_the_same_rows() -> None:
    sizes = Sizes(MANY + 1, 2, 2)
    company, maker = generate("1", 5, sizes), Generator(5, sizes)
    assert len(company["Customer"].rows) == sizes.customers
    for number in (0, 999, 1000, 15_999, 16_000, MANY - 1, MANY):
        assert company["Customer"].get(maker.customers.id(number)) == maker.customers.row(number)


@pytest.fixture(scope="module")
def large() -> dict[str, list[dict[str, Any]]]:
    company = generate("1", 3, Sizes(6000, 1500, 4000))
    return {kind: list(table.decoded()) for kind, table in company.tables.items()}


def test_names_are_unique_where_quickbooks_wants_it(large: dict[str, list[dict[str, Any]]]) -> None:
    shared = [row["DisplayName"] for kind in ("Customer", "Vendor", "Employee") for row in large[kind] if "ParentRef" not in row]
    spaces = [
        shared,
        [row["FullyQualifiedName"] for row in large["Customer"]],
        [row["FullyQualifiedName"] for row in large["Class"]],
        *([row["Name"] for row in large[kind]] for kind in ("Item", "Term", "PaymentMethod", "CustomerType", "TaxCode")),
    ]
    for names in spaces:
        assert [name for name, count in Counter(map(str.casefold, names)).items() if count > 1] == []
    assert not [name for name in shared if set(name) & set(":\t\n")]


def test_every_reference_leads_to_a_row_and_parents_of_active_rows_are_active(large: dict[str, list[dict[str, Any]]]) -> None:
    by_id = {kind: {row["Id"]: row for row in rows} for kind, rows in large.items()}
    assert len(by_id["Customer"]) == 6000
    targets = {
        "SalesTermRef": "Term",
        "TermRef": "Term",
        "PaymentMethodRef": "PaymentMethod",
        "CustomerTypeRef": "CustomerType",
        "DefaultTaxCodeRef": "TaxCode",
        "PrefVendorRef": "Vendor",
        "AgencyRef": "TaxAgency",
        "IncomeAccountRef": "Account",
    }
    met = set()
    for kind, rows in large.items():
        for row in rows:
            for name, target in {**targets, "ParentRef": kind}.items():
                if name in row:
                    met.add(name)
                    assert row[name]["value"] in by_id[target], (kind, row["Id"], name)
            if "ParentRef" in row and row["Active"]:
                assert by_id[kind][row["ParentRef"]["value"]]["Active"]
    assert met == {*targets, "ParentRef"}


def test_nothing_was_made_or_changed_after_today_however_large_the_company() -> None:
    maker = Generator(1, Sizes(1_000_000, 2, 2))
    rows = [maker.customers.row(number) for number in (*range(0, 1_000_000, 50_000), *range(999_900, 1_000_000))]
    assert max(row["MetaData"]["LastUpdatedTime"] for row in rows) < "2026-01-01"


def test_it_holds_what_makes_such_companies_hard(large: dict[str, list[dict[str, Any]]]) -> None:
    names = [row["DisplayName"] for row in large["Customer"]]
    for part in ("'", "\\", '"', "&", "☀️", "ל", "%", "#"):
        assert any(part in name for name in names), part
    assert {row.get("Level") for row in large["Customer"]} == {None, 1, 2, 3, 4}
    for kind in ("Class", "CustomerType", "Item"):
        assert any(len(row["Id"]) == 19 for row in large[kind]), kind
    assert {row["Type"] for row in large["Item"]} == {"Service", "Inventory", "NonInventory", "Category", "Group"}
    for kind in ("Customer", "Vendor", "Item"):
        inactive = [row for row in large[kind] if not row["Active"]]
        assert 0.05 < len(inactive) / len(large[kind]) < 0.15
        assert all(row.get("DisplayName", row.get("Name")).endswith(" (deleted)") for row in inactive)
    assert any("," in row.get("PrimaryEmailAddr", {}).get("Address", "") for row in large["Customer"])
    assert any(row.get("TaxIdentifier", "").startswith("XXXXXX") for row in large["Vendor"])
    assert any(row.get("PrimaryTaxIdentifier", "").startswith("XXXXX") for row in large["Customer"])
    assert any(row.get("ParentRef") for row in large["Department"])
    assert large["Attachable"][0]["AttachableRef"][0]["EntityRef"]["value"] == large["Vendor"][0]["Id"]
    assert any(row.get("PrimaryTaxIdentifier", "").startswith("XXXXX") for row in large["Customer"])
    assert any(row.get("ParentRef") for row in large["Department"])
    assert large["Attachable"][0]["AttachableRef"][0]["EntityRef"]["value"] == large["Vendor"][0]["Id"]
    balances = {row["Id"]: row for row in large["Customer"]}
    child = next(row for row in large["Customer"] if row.get("Level") == 4 and row["Balance"])
    parent = balances[child["ParentRef"]["value"]]
    assert parent["BalanceWithJobs"] == round(parent["Balance"] + child["BalanceWithJobs"], 2)
