"""Transactions: what the service works out, which references it refuses, and how lines keep their Ids."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.contract.conftest import Caller


def sale(item: dict[str, Any], amount: float, **more: Any) -> dict[str, Any]:
    return {
        "Amount": amount,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": item["Id"]}},
        **more,
    }


def expense(amount: float) -> dict[str, Any]:
    detail = {"AccountRef": {"value": "80"}}
    return {"Amount": amount, "DetailType": "AccountBasedExpenseLineDetail", "AccountBasedExpenseLineDetail": detail}


@pytest.fixture
def item(intuit: Caller) -> dict[str, Any]:
    return intuit.rows("Item", "where Type = 'Service' maxresults 1")[0]


@pytest.fixture
def customer(intuit: Caller) -> dict[str, Any]:
    return next(row for row in intuit.rows("Customer") if "SalesTermRef" in row)


def test_an_invoice_is_summed_numbered_and_due(intuit: Caller, customer: dict[str, Any], item: dict[str, Any]) -> None:
    sent = {"CustomerRef": {"value": customer["Id"]}, "TxnDate": "2026-01-10", "Line": [sale(item, 10), sale(item, 2.5)]}
    one, two = (intuit.post("invoice", sent).json()["Invoice"] for _ in range(2))
    assert (one["TotalAmt"], one["Balance"], one["DueDate"]) == (12.5, 12.5, "2026-02-09")
    assert [line.get("Id") for line in one["Line"]] == ["1", "2", None]
    assert one["CustomerRef"]["name"] == customer["DisplayName"]
    assert int(two["DocNumber"]) == int(one["DocNumber"]) + 1
    assert int(two["Id"]) == int(one["Id"]) + 1
    net15 = next(row for row in intuit.rows("Term") if row.get("DueDays") == 15)
    due = intuit.post("invoice", {**sent, "SalesTermRef": {"value": net15["Id"]}}).json()["Invoice"]["DueDate"]
    assert due == "2026-01-25"
    found = intuit.rows("Invoice", f"where CustomerRef = '{customer['Id']}' and TxnDate = '2026-01-10' orderby Id")
    assert [row["Id"] for row in found][:2] == [one["Id"], two["Id"]]


def test_lines_that_stay_keep_their_ids_and_new_ones_get_new_ones(
    intuit: Caller, customer: dict[str, Any], item: dict[str, Any]
) -> None:
    made = intuit.post("invoice", {"CustomerRef": {"value": customer["Id"]}, "Line": [sale(item, 1), sale(item, 2)]})
    row = made.json()["Invoice"]
    second = row["Line"][1]
    sent = {"Id": row["Id"], "SyncToken": "0", "sparse": True, "Line": [second, sale(item, 40)]}
    new = intuit.post("invoice", sent).json()["Invoice"]
    assert [(line.get("Id"), line["Amount"]) for line in new["Line"]] == [("2", 2), ("3", 40), (None, 42)]
    assert (new["SyncToken"], new["TotalAmt"], new["DocNumber"]) == ("1", 42, row["DocNumber"])
    note = intuit.post("invoice", {"Id": row["Id"], "SyncToken": "1", "sparse": True, "PrivateNote": "late"}).json()["Invoice"]
    assert note["Line"] == new["Line"]
    same = intuit.post("invoice", {"Id": row["Id"], "SyncToken": "2", "sparse": True, "PrivateNote": "late"}).json()["Invoice"]
    assert same == note


def test_every_kind_can_be_made_and_is_told_by_change_data_capture(
    intuit: Caller, customer: dict[str, Any], item: dict[str, Any]
) -> None:
    vendor = intuit.rows("Vendor")[0]
    who, lines = {"CustomerRef": {"value": customer["Id"]}}, [sale(item, 30)]
    intuit.lab("clock", {"advance_s": 60})
    since = intuit.get("preferences").json()["time"]
    intuit.lab("clock", {"advance_s": 60})
    sent = {
        "Estimate": {**who, "Line": lines},
        "SalesReceipt": {**who, "Line": lines},
        "Payment": {**who, "TotalAmt": 30},
        "Bill": {"VendorRef": {"value": vendor["Id"]}, "Line": [expense(30)]},
        "Purchase": {"AccountRef": {"value": "35"}, "PaymentType": "Cash", "Line": [expense(30)]},
    }
    made = {kind: intuit.post(kind.lower(), body).json()[kind] for kind, body in sent.items()}
    assert {row["TotalAmt"] for row in made.values()} == {30}
    assert (made["Bill"]["Balance"], made["SalesReceipt"]["Balance"], made["Payment"]["UnappliedAmt"]) == (30, 0, 30)
    assert len({row["Id"] for row in made.values()}) == 5
    groups = intuit.get("cdc", entities=",".join(sent), changedSince=since).json()["CDCResponse"][0]["QueryResponse"]
    assert [[row["Id"] for row in group[kind]] for kind, group in zip(sent, groups, strict=True)] == [
        [made[kind]["Id"]] for kind in sent
    ]


def test_payments_and_sales_receipts_are_voided_by_an_update(
    intuit: Caller, customer: dict[str, Any], item: dict[str, Any]
) -> None:
    sent = {"CustomerRef": {"value": customer["Id"]}, "Line": [sale(item, 30)]}
    row = intuit.post("salesreceipt", sent).json()["SalesReceipt"]
    body = {"Id": row["Id"], "SyncToken": "0", "sparse": True}
    void = intuit.post("salesreceipt", body, operation="update", include="void").json()["SalesReceipt"]
    assert (void["TotalAmt"], void["PrivateNote"], void["SyncToken"]) == (0, "Voided", "1")


@pytest.mark.parametrize(
    ("entity", "sent", "code"),
    [
        ("invoice", {"Line": [expense(1)]}, "2020"),
        ("bill", {"VendorRef": {"value": "9999999"}, "Line": [expense(1)]}, "2500"),
        ("purchase", {"AccountRef": {"value": "35"}, "Line": [expense(1)]}, "2020"),
        ("invoice", {"Colour": "red"}, "2010"),
    ],
)
def test_refused_transactions(entity: str, sent: dict[str, Any], code: str, intuit: Caller) -> None:
    assert intuit.error(intuit.post(entity, sent))["code"] == code


KINDS = ("Invoice", "Estimate", "SalesReceipt", "Payment", "Bill", "Purchase")


def named(row: dict[str, Any]) -> set[tuple[str, str]]:
    """Every customer, vendor and item that a transaction names."""
    found = {("Customer", row["CustomerRef"]["value"])} if "CustomerRef" in row else set()
    found |= {("Vendor", row[name]["value"]) for name in ("VendorRef", "EntityRef") if name in row}
    return found | {
        ("Item", line["SalesItemLineDetail"]["ItemRef"]["value"]) for line in row["Line"] if "SalesItemLineDetail" in line
    }


def test_a_generated_company_traded_of_late_with_some_of_its_active_records(intuit: Caller) -> None:
    year_ago = (datetime.now(UTC) - timedelta(days=361)).date().isoformat()
    everything = [row for kind in KINDS for row in intuit.rows(kind, "maxresults 1000")]
    recent = [row for kind in KINDS for row in intuit.rows(kind, f"where TxnDate >= '{year_ago}' maxresults 1000")]
    assert len(everything) == 60
    assert 40 < len(recent) < 60
    assert all(intuit.rows(kind) for kind in KINDS)
    active = {(kind, row["Id"]) for kind in ("Customer", "Vendor", "Item") for row in intuit.rows(kind, "maxresults 1000")}
    used = {each for row in everything for each in named(row)}
    assert used < active
    assert {kind for kind, _ in used} == {kind for kind, _ in active - used} == {"Customer", "Vendor", "Item"}
    for row in everything:
        sums = [line["Amount"] for line in row["Line"] if line["DetailType"] != "SubTotalLineDetail"]
        assert row["TotalAmt"] == (round(sum(sums), 2) if sums else row["UnappliedAmt"])


def test_nothing_is_invented_for_a_recorded_company(start: Callable[..., Caller], tmp_path: Path) -> None:
    vendor = {"Id": "1", "SyncToken": "0", "DisplayName": "Only", "Active": True, "MetaData": {}}
    (tmp_path / "vendor.json").write_text(json.dumps({"QueryResponse": {"Vendor": [vendor]}}))
    intuit = start("--data", str(tmp_path))
    assert intuit.rows("Customer")
    assert [row for kind in KINDS for row in intuit.lab(f"entities/{kind}")] == []


def test_a_line_of_a_us_company_is_taxed_or_not(intuit: Caller, customer: dict[str, Any], item: dict[str, Any]) -> None:
    def invoice(code: str) -> Any:
        line = sale(item, 10)
        line["SalesItemLineDetail"]["TaxCodeRef"] = {"value": code}
        return intuit.post("invoice", {"CustomerRef": {"value": customer["Id"]}, "Line": [line]})

    assert invoice("TAX").status_code == 200
    assert intuit.error(invoice("3"))["code"] == "6100"


def test_only_active_records_go_into_new_transactions_and_inactive_ones_stay_in_old(
    intuit: Caller, customer: dict[str, Any], item: dict[str, Any]
) -> None:
    invoice = {"CustomerRef": {"value": customer["Id"]}, "Line": [sale(item, 10)]}
    made = intuit.post("invoice", invoice).json()["Invoice"]
    intuit.post("item", {"Id": item["Id"], "SyncToken": item["SyncToken"], "sparse": True, "Active": False}).raise_for_status()
    assert intuit.error(intuit.post("invoice", invoice))["code"] == "610"
    changed = {"Id": made["Id"], "SyncToken": made["SyncToken"], "sparse": True, "Line": made["Line"]}
    new = intuit.post("invoice", {**changed, "PrivateNote": "Still there"}).json()["Invoice"]
    assert new["Line"][0]["SalesItemLineDetail"]["ItemRef"]["name"] == f"{item['Name']} (deleted)"
