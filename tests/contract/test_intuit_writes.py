"""Writes to list entities: versions, names, the suffix of inactive records, and that a repeated request is done once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Caller


def first(intuit: Caller, entity: str, rest: str = "") -> dict[str, Any]:
    return intuit.rows(entity, f"{rest} maxresults 1")[0]


def change(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"Id": row["Id"], "SyncToken": row["SyncToken"], "sparse": True, **changes}


def test_a_sparse_update_changes_what_was_sent_and_nothing_else(intuit: Caller) -> None:
    row = first(intuit, "Vendor")
    new = intuit.post("vendor", change(row, AcctNum="A-17")).json()["Vendor"]
    assert int(new["SyncToken"]) == int(row["SyncToken"]) + 1
    assert new["MetaData"]["LastUpdatedTime"] > row["MetaData"]["LastUpdatedTime"]
    given = {"AcctNum", "SyncToken", "MetaData"}
    assert {k: v for k, v in new.items() if k not in given} == {k: v for k, v in row.items() if k not in given}
    assert intuit.get(f"vendor/{row['Id']}").json()["Vendor"] == new


def test_a_full_update_empties_what_was_not_sent(intuit: Caller) -> None:
    row = next(row for row in intuit.rows("Customer") if "PrimaryPhone" in row and "ParentRef" not in row)
    sent = {name: row[name] for name in ("Id", "SyncToken", "DisplayName")}
    new = intuit.post("customer", sent).json()["Customer"]
    assert "PrimaryPhone" not in new
    renamed = intuit.post(
        "customer", {**sent, "SyncToken": new["SyncToken"], "DisplayName": "Quist, Zoila", "PrintOnCheckName": "Z. Quist"}
    )
    assert renamed.json()["Customer"]["PrintOnCheckName"] == "Z. Quist"
    assert new["Balance"] == row["Balance"]


def test_an_empty_text_empties_a_property_and_is_not_kept(intuit: Caller) -> None:
    row = intuit.post("vendor", {"DisplayName": "Blank & Sons", "AcctNum": "A-1", "CompanyName": "", "Notes": None}).json()[
        "Vendor"
    ]
    assert not {"CompanyName", "Notes"} & row.keys()
    new = intuit.post("vendor", change(row, AcctNum="")).json()["Vendor"]
    assert "AcctNum" not in new


def test_an_old_version_is_refused(intuit: Caller) -> None:
    row = first(intuit, "Vendor")
    intuit.post("vendor", change(row, AcctNum="A-17")).raise_for_status()
    assert intuit.error(intuit.post("vendor", change(row, AcctNum="A-18")))["code"] == "5010"
    assert intuit.get(f"vendor/{row['Id']}").json()["Vendor"]["AcctNum"] == "A-17"


@pytest.mark.parametrize(
    ("entity", "label"), [("Customer", "DisplayName"), ("Item", "Name"), ("Class", "Name"), ("Term", "Name")]
)
def test_inactivation_adds_the_suffix_hides_the_row_and_frees_the_name(entity: str, label: str, intuit: Caller) -> None:
    rows = intuit.rows(entity, "orderby Id")
    parents = {row["ParentRef"]["value"] for row in rows if "ParentRef" in row}
    row = next(row for row in rows if not row.get("Balance") and row["Id"] not in parents and "ParentRef" not in row)
    new = intuit.post(entity.lower(), change(row, Active=False)).json()[entity]
    assert (new[label], new["Active"]) == (f"{row[label]} (deleted)", False)
    if "FullyQualifiedName" in row:
        assert new["FullyQualifiedName"] == f"{row['FullyQualifiedName']} (deleted)"
    assert new.get("PrintOnCheckName") == row.get("PrintOnCheckName")
    assert row["Id"] not in [other["Id"] for other in intuit.rows(entity, "maxresults 1000")]
    again = intuit.post(entity.lower(), {label: row[label]})
    assert again.status_code == 200
    assert again.json()[entity]["Id"] != row["Id"]


def test_a_record_with_a_balance_stays_active(intuit: Caller) -> None:
    row = first(intuit, "Customer", "where Balance > '0'")
    assert intuit.error(intuit.post("customer", change(row, Active=False)))["code"] == "6220"
    assert intuit.get(f"customer/{row['Id']}").json()["Customer"] == row


def test_a_name_is_taken_across_customers_vendors_and_employees_in_any_case(intuit: Caller) -> None:
    for kind in ("Customer", "Vendor", "Employee"):
        row = next(row for row in intuit.rows(kind) if "ParentRef" not in row)
        assert intuit.error(intuit.post("vendor", {"DisplayName": row["DisplayName"].upper()}))["code"] == "6240"


def test_a_hidden_inactive_record_still_holds_its_name(intuit: Caller) -> None:
    row = first(intuit, "Customer")
    intuit.lab("entities/Customer", {**row, "Active": False})
    assert intuit.error(intuit.post("customer", {"DisplayName": row["DisplayName"]}))["code"] == "6240"


def test_sub_customers_share_names_only_with_their_siblings(intuit: Caller) -> None:
    parents = [row for row in intuit.rows("Customer") if "ParentRef" not in row][:2]
    jobs = [{"DisplayName": "Boat House", "Job": True, "ParentRef": {"value": parent["Id"]}} for parent in parents]
    made = [intuit.post("customer", job).json()["Customer"] for job in jobs]
    assert [row["FullyQualifiedName"] for row in made] == [f"{parent['DisplayName']}:Boat House" for parent in parents]
    assert [row["Level"] for row in made] == [1, 1]
    assert intuit.error(intuit.post("customer", jobs[0]))["code"] == "6240"


def test_nesting_ends_after_five_levels(intuit: Caller) -> None:
    deepest = next(row for row in intuit.rows("Customer", "maxresults 1000") if row.get("Level") == 4)
    sent = {"DisplayName": "Attic", "Job": True, "ParentRef": {"value": deepest["Id"]}}
    assert intuit.error(intuit.post("customer", sent))["code"] == "6180"


@pytest.mark.parametrize(
    ("entity", "sent", "code"),
    [
        ("customer", {}, "6080"),
        ("customer", {"DisplayName": "a:b"}, "6000"),
        ("customer", {"DisplayName": "Lost", "ParentRef": {"value": "999999"}}, "610"),
        ("term", {}, "2020"),
        ("vendor", {"displayname": "x"}, "2010"),
        ("vendor", {"Id": "999999", "SyncToken": "0", "sparse": True}, "610"),
        ("taxcode", {"Name": "x"}, "500"),
    ],
)
def test_refused_writes(entity: str, sent: dict[str, Any], code: str, intuit: Caller) -> None:
    assert intuit.error(intuit.post(entity, sent))["code"] == code


def test_a_customer_without_display_name_is_named_by_its_parts(intuit: Caller) -> None:
    row = intuit.post("customer", {"GivenName": "Zoila", "FamilyName": "Quist"}).json()["Customer"]
    assert (row["DisplayName"], row["PrintOnCheckName"], row["Active"]) == ("Zoila Quist", "Zoila Quist", True)


def test_a_new_row_shows_up_in_lists_that_were_read_before(intuit: Caller) -> None:
    before = [row["Id"] for row in intuit.rows("Vendor", "orderby Id maxresults 1000")]
    made = intuit.post("vendor", {"DisplayName": "Brand New Supply"}).json()["Vendor"]
    assert [row["Id"] for row in intuit.rows("Vendor", "orderby Id maxresults 1000")] == [*before, made["Id"]]


def test_a_new_name_must_be_free_too(intuit: Caller) -> None:
    one, other = intuit.rows("Vendor", "maxresults 2")
    assert intuit.error(intuit.post("vendor", change(one, DisplayName=other["DisplayName"])))["code"] == "6240"
    assert intuit.post("vendor", change(one, DisplayName=one["DisplayName"].upper())).status_code == 200


def test_the_suffix_is_not_added_to_a_name_that_came_with_it(intuit: Caller) -> None:
    row = first(intuit, "Term")
    name = f"{row['Name']} (deleted)"
    assert intuit.post("term", change(row, Name=name, Active=False)).json()["Term"]["Name"] == name


def test_the_same_requestid_is_done_once_and_answered_alike(intuit: Caller) -> None:
    sent = {"DisplayName": "Once Only Supply"}
    one, two = (intuit.post("vendor", sent, requestid="r-1") for _ in range(2))
    assert one.json() == two.json()
    assert len(intuit.rows("Vendor", "where DisplayName = 'Once Only Supply'")) == 1
    assert intuit.error(intuit.post("vendor", {"DisplayName": "Other Supply"}, requestid="r-1"))["code"] == "600"
    assert intuit.error(intuit.post("vendor", sent, requestid="x" * 51))["code"] == "2130"


def test_batch_items_stand_alone(intuit: Caller) -> None:
    items = [
        {"bId": "a", "Query": "select * from Term maxresults 1"},
        {"bId": "b", "Query": "select * from NULL"},
        {"bId": "c", "operation": "create", "Vendor": {"DisplayName": "Batch Supply"}},
        {"bId": "d", "Query": "select count(*) from Customer"},
    ]
    answer = intuit.post("batch", {"BatchItemRequest": items})
    seen = {item["bId"]: item for item in answer.json()["BatchItemResponse"]}
    assert answer.status_code == 200
    assert seen["a"]["QueryResponse"]["maxResults"] == 1
    assert seen["b"]["Fault"]["Error"][0]["code"] == "4000"
    assert seen["c"]["Vendor"]["DisplayName"] == "Batch Supply"
    assert seen["d"]["QueryResponse"]["totalCount"] > 0
    assert intuit.error(intuit.post("batch", {"BatchItemRequest": items * 8}))["code"] == "1040"


def test_change_data_capture_tells_what_changed_since(intuit: Caller) -> None:
    row = first(intuit, "Vendor")
    # MetaData has whole seconds and an answer's time has milliseconds, so the change is made clearly later.
    intuit.lab("clock", {"advance_s": 60})
    since = intuit.get("preferences").json()["time"]
    intuit.lab("clock", {"advance_s": 60})
    new = intuit.post("vendor", change(row, AcctNum="A-99")).json()["Vendor"]
    answer = intuit.get("cdc", entities="Vendor,Item", changedSince=since).json()["CDCResponse"][0]["QueryResponse"]
    assert answer == [{"Vendor": [new], "startPosition": 1, "maxResults": 1}, {}]
    intuit.lab("clock", {"advance_s": 60})
    earlier_row = next(row for row in intuit.rows("Vendor", "orderby Id desc") if row["Id"] != new["Id"])
    later = intuit.post("vendor", change(earlier_row, AcctNum="A-98")).json()["Vendor"]
    intuit.lab("clock", {"advance_s": 60})
    latest = intuit.post("vendor", change(new, AcctNum="A-97")).json()["Vendor"]
    (group,) = intuit.get("cdc", entities="vendor", changedSince=since).json()["CDCResponse"][0]["QueryResponse"]
    assert group["Vendor"] == [later, latest]
    assert intuit.error(intuit.get("cdc", entities="TaxCode", changedSince=since))["code"] == "500"
    assert intuit.error(intuit.get("cdc", entities="Vendor", changedSince="soon"))["code"] == "2020"


def test_change_data_capture_tells_what_was_deleted(intuit: Caller) -> None:
    intuit.lab("entities/Invoice", {"Id": "501", "SyncToken": "0", "MetaData": {"LastUpdatedTime": "2026-01-05T09:00:00-08:00"}})
    since = intuit.get("preferences").json()["time"]
    intuit.lab("clock", {"advance_s": 60})
    stub = intuit.post("invoice", {"Id": "501", "SyncToken": "0"}, operation="delete").json()["Invoice"]
    (group,) = intuit.get("cdc", entities="Invoice", changedSince=since).json()["CDCResponse"][0]["QueryResponse"]
    assert [{name: row[name] for name in stub} for row in group["Invoice"]] == [stub]
    assert stub == {"domain": "QBO", "status": "Deleted", "Id": "501"}
    assert intuit.error(intuit.post("vendor", {"Id": "1", "SyncToken": "0"}, operation="delete"))["code"] == "500"


@pytest.mark.parametrize(
    ("entity", "name", "longest"),
    [("customer", "DisplayName", 500), ("vendor", "AcctNum", 100), ("item", "Name", 100), ("term", "Name", 31)],
)
def test_a_text_that_is_too_long_is_refused(entity: str, name: str, longest: int, intuit: Caller) -> None:
    known = {"vendor": {"DisplayName": "Long & Sons"}, "item": {"Type": "Service"}}.get(entity, {})
    refused = intuit.error(intuit.post(entity, {**known, name: "x" * (longest + 1)}))
    assert (refused["code"], refused["element"]) == ("2050", name)
    assert intuit.post(entity, {**known, name: "x" * longest}).status_code == 200


def test_an_account_takes_no_quotation_mark_and_no_colon(intuit: Caller) -> None:
    for name in ('Tools "old"', "Tools:old"):
        assert intuit.error(intuit.post("account", {"Name": name, "AccountType": "Expense"}))["code"] == "6000"


def test_preferences_change_by_what_is_sent(intuit: Caller) -> None:
    held = intuit.get("preferences").json()["Preferences"]
    sent = {"Id": held["Id"], "SyncToken": held["SyncToken"], "sparse": True, "ReportPrefs": {"ReportBasis": "Cash"}}
    new = intuit.post("preferences", sent).json()["Preferences"]
    assert new["ReportPrefs"] == {"ReportBasis": "Cash"}
    assert new["TaxPrefs"] == held["TaxPrefs"]
    assert int(new["SyncToken"]) == int(held["SyncToken"]) + 1
    assert intuit.error(intuit.post("preferences", sent))["code"] == "5010"


def test_a_tax_code_is_made_with_its_rates_and_not_changed(intuit: Caller) -> None:
    held = intuit.rows("TaxRate")[0]
    new = {"TaxRateName": "Harbor fee", "RateValue": "1.5", "TaxAgencyId": "1", "TaxApplicableOn": "Sales"}
    asked = {"TaxCode": "Harbor", "TaxRateDetails": [{"TaxRateId": held["Id"]}, new]}
    made = intuit.post("taxservice/taxcode", asked).json()
    assert [detail["RateValue"] for detail in made["TaxRateDetails"]] == [f"{held['RateValue']:g}%", "1.5%"]
    code = intuit.get(f"taxcode/{made['TaxCodeId']}").json()["TaxCode"]
    rates = [detail["TaxRateRef"]["value"] for detail in code["SalesTaxRateList"]["TaxRateDetail"]]
    assert rates == [detail["TaxRateId"] for detail in made["TaxRateDetails"]]
    assert intuit.get(f"taxrate/{rates[1]}").json()["TaxRate"]["RateValue"] == 1.5
    assert intuit.error(intuit.post("taxservice/taxcode", asked))["code"] == "6240"
    assert intuit.error(intuit.post("taxcode", {"Id": code["Id"], "SyncToken": "0", "Name": "Port"}))["code"] == "500"


def test_change_data_capture_ends_at_a_thousand_and_knows_no_taxes(intuit: Caller) -> None:
    now = "2026-03-01T10:00:%02d-08:00"
    rows = [
        {"Id": str(900_000 + n), "DisplayName": f"Row {n}", "SyncToken": "0", "MetaData": {"LastUpdatedTime": now % (n % 60)}}
        for n in range(1100)
    ]
    intuit.lab("load", {"QueryResponse": {"Vendor": rows}})
    answer = intuit.get("cdc", entities="Vendor", changedSince="2026-02-28T00:00:00-08:00").json()
    (group,) = answer["CDCResponse"][0]["QueryResponse"]
    times = [row["MetaData"]["LastUpdatedTime"] for row in group["Vendor"]]
    assert len(times) == 1000
    assert times == sorted(times)
    for kind in ("TaxCode", "TaxRate", "CustomerType"):
        assert intuit.error(intuit.get("cdc", entities=kind, changedSince="2026-02-28T00:00:00-08:00"))["code"] == "500"


def test_what_a_record_names_must_be_there_and_its_parent_active(intuit: Caller) -> None:
    gone = first(intuit, "Customer", "where Active = false")
    new = {"DisplayName": "Quist Annex", "Job": True, "ParentRef": {"value": gone["Id"]}}
    assert intuit.error(intuit.post("customer", new))["code"] == "610"
    assert intuit.error(intuit.post("customer", {"DisplayName": "Quist", "SalesTermRef": {"value": "999"}}))["code"] == "2500"
    row = first(intuit, "Vendor")
    assert intuit.error(intuit.post("vendor", change(row, TermRef={"value": "999"})))["code"] == "2500"
    assert intuit.post("vendor", change(row, TermRef={"value": "3"})).status_code == 200
