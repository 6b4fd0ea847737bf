"""Recorded writes, batches and changes, sent again and compared field by field.

Where only the answer was kept, the request is made from it: its properties without those that the server gives.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.recording import turn_clock_to, without_metadata, without_time

if TYPE_CHECKING:
    from tests.contract.conftest import Caller
    from tests.contract.recording import Load, Read


def test_recorded_create_of_a_customer(intuit: Caller, recorded: Read) -> None:
    before = recorded("sandbox_us/customer_query_all_41.json")
    before["QueryResponse"]["Customer"] = [row for row in before["QueryResponse"]["Customer"] if row["Id"] != "70"]
    intuit.lab("load", [before, recorded("sandbox_us/preferences_read.json")])
    answer = intuit.post("customer", recorded("requests/customer_create__request.json")).json()
    expected = recorded("sandbox_us/customer_create.json")
    assert without_metadata(answer, "Customer") == without_metadata(expected, "Customer")


def test_recorded_full_update_of_a_customer(replay: Load, recorded: Read) -> None:
    caller = replay("sandbox_us/customer_read_68.json")
    answer = caller.post("customer", recorded("requests/customer_update_full_68__request.json")).json()
    expected = recorded("sandbox_us/customer_update_full_68.json")
    assert without_metadata(answer, "Customer") == without_metadata(expected, "Customer")
    assert answer["Customer"]["MetaData"]["CreateTime"] == expected["Customer"]["MetaData"]["CreateTime"]


def test_recorded_create_of_an_invoice(replay: Load, recorded: Read) -> None:
    expected = recorded("sandbox_us/invoice_create.json")
    caller = replay(
        "sandbox_us/customer_query_all_41.json", "sandbox_us/preferences_read.json", "sandbox_us/item_query_all_19.json"
    )
    turn_clock_to(caller, expected["time"])
    # The sandbox gave number and Id by what it held; this is the highest of each before the invoice.
    caller.lab("entities/Invoice", {"Id": "265", "SyncToken": "0", "DocNumber": "1042", "MetaData": {}})
    answer = caller.post("invoice", recorded("requests/invoice_create__request.json")).json()
    assert without_metadata(answer, "Invoice") == without_metadata(expected, "Invoice")
    assert caller.get("invoice/266").json()["Invoice"] == answer["Invoice"]


GIVEN_BY_SERVER = {"Id", "SyncToken", "MetaData", "domain", "sparse", "FullyQualifiedName"}


def as_sent(row: dict[str, Any]) -> dict[str, Any]:
    """What a client sent to get this row, as far as the row tells."""
    return {name: value for name, value in row.items() if name not in GIVEN_BY_SERVER}


def test_recorded_create_of_an_inventory_item(intuit: Caller, recorded: Read) -> None:
    expected = recorded("sandbox_us/item_create_inventory.json")
    before = recorded("sandbox_us/item_query_all_19.json")
    before["QueryResponse"]["Item"] = [row for row in before["QueryResponse"]["Item"] if row["Id"] != expected["Item"]["Id"]]
    intuit.lab("load", before)
    # These three are defaults.
    sent = {k: v for k, v in as_sent(expected["Item"]).items() if k not in ("Active", "Taxable", "UnitPrice", "PurchaseCost")}
    answer = intuit.post("item", sent).json()
    assert without_metadata(answer, "Item") == without_metadata(expected, "Item")


def test_recorded_update_of_an_item(intuit: Caller, recorded: Read) -> None:
    expected = recorded("sandbox_us/item_update.json")
    before = {**expected["Item"], "SyncToken": "2", "Description": "Rock Fountain"}
    intuit.lab("load", {"Item": before})
    sent = {"Id": before["Id"], "SyncToken": "2", "sparse": True, "Description": expected["Item"]["Description"]}
    answer = intuit.post("item", sent).json()
    assert without_metadata(answer, "Item") == without_metadata(expected, "Item")


def test_recorded_create_and_void_of_a_sales_receipt(intuit: Caller, recorded: Read) -> None:
    made, voided = (recorded(f"sandbox_us/{name}.json") for name in ("salesreceipt_create", "salesreceipt_void"))
    line = made["SalesReceipt"]["Line"][0]
    item = line["SalesItemLineDetail"]["ItemRef"]
    intuit.lab("load", {"Item": {"Id": item["value"], "Name": "Test Product", "FullyQualifiedName": item["name"]}})
    intuit.lab("entities/SalesReceipt", {"Id": "5", "SyncToken": "0", "DocNumber": "1004", "MetaData": {}})
    turn_clock_to(intuit, made["time"])
    sent = {"Line": [{name: value for name, value in line.items() if name not in ("Id", "LineNum")}]}
    answer = intuit.post("salesreceipt", sent).json()
    assert without_metadata(answer, "SalesReceipt") == without_metadata(made, "SalesReceipt")
    gone = intuit.post("salesreceipt", {"Id": answer["SalesReceipt"]["Id"], "SyncToken": "0"}, operation="void").json()
    assert without_metadata(gone, "SalesReceipt") == without_metadata(voided, "SalesReceipt")


def test_recorded_update_of_the_preferences(replay: Load, recorded: Read) -> None:
    caller = replay("sandbox_us/preferences_read.json")
    answer = caller.post("preferences", recorded("sandbox_us/preferences_read.json")["Preferences"]).json()
    assert without_time(answer) == without_time(recorded("sandbox_us/preferences_update.json"))


def upload(intuit: Caller, said: dict[str, Any], size: int) -> Any:
    files = {
        "file_metadata_01": ("metadata.json", json.dumps(said), "application/json"),
        "file_content_01": (said["FileName"], b"x" * size, said["ContentType"]),
    }
    headers = {"Authorization": f"Bearer {intuit.grant['access_token']}", "Accept": "application/json"}
    answer = intuit.http.post(f"{intuit.company}/upload", files=files, headers=headers, timeout=30)
    assert answer.status_code == 200
    return answer.json()["AttachableResponse"]


def test_recorded_upload_of_a_file_for_an_invoice(intuit: Caller, recorded: Read) -> None:
    ((expected,),) = (recorded("sandbox_us/attachable_upload.json")["AttachableResponse"],)
    row = expected["Attachable"]
    intuit.lab("load", {"Invoice": {"Id": "75", "SyncToken": "0", "MetaData": {}}})
    said = {name: row[name] for name in ("FileName", "ContentType", "AttachableRef")}
    (answer,) = upload(intuit, said, row["Size"])
    given = {"Id", "FileAccessUri", "TempDownloadUri", "MetaData"}
    kept = answer["Attachable"]
    assert {k: v for k, v in kept.items() if k not in given} == {k: v for k, v in row.items() if k not in given}
    assert len(kept["Id"]) == len(row["Id"])
    assert kept["FileAccessUri"] == f"/v3/company/{intuit.grant['realmId']}/download/{kept['Id']}"
    assert intuit.get(f"attachable/{kept['Id']}").json()["Attachable"] == kept


def test_recorded_upload_for_a_record_that_is_not_there(intuit: Caller, recorded: Read) -> None:
    said = {"FileName": "no_detail.xml", "ContentType": "text/xml"}
    intuit.lab("load", [])
    answer = upload(intuit, {**said, "AttachableRef": [{"EntityRef": {"value": "75", "type": "Estimate"}}]}, 5)
    assert answer == recorded("faults/http200_attachable_upload_fault.json")["AttachableResponse"]


def test_recorded_update_of_a_sales_receipt(replay: Load, recorded: Read) -> None:
    caller = replay("sandbox_us/salesreceipt_read_17.json", "sandbox_us/item_query_all_19.json")
    answer = caller.post("salesreceipt", recorded("requests/salesreceipt_update_17__request.json")).json()
    expected = recorded("sandbox_us/salesreceipt_update_17.json")
    assert without_metadata(answer, "SalesReceipt") == without_metadata(expected, "SalesReceipt")


@pytest.mark.parametrize(
    ("entity", "before", "name"),
    [
        ("account", "account_read_5_before_deactivate", "account_deactivate_5"),
        ("employee", "employee_read_55_before_deactivate", "employee_deactivate_55"),
    ],
)
def test_an_update_that_changes_nothing_leaves_version_and_time(
    entity: str, before: str, name: str, replay: Load, recorded: Read
) -> None:
    answer = replay(f"sandbox_us/{before}.json").post(entity, recorded(f"requests/{name}__request.json")).json()
    assert without_time(answer) == without_time(recorded(f"sandbox_us/{name}.json"))


@pytest.mark.parametrize(
    ("entity", "before", "name"),
    [("invoice", "invoice_read_266_before_delete", "invoice_delete_266"), ("attachable", "attachable_read", "attachable_delete")],
)
def test_recorded_deletes(entity: str, before: str, name: str, replay: Load, recorded: Read) -> None:
    caller = replay(f"sandbox_us/{before}.json")
    sent = {"SyncToken": "0", **recorded(f"requests/{name}__request.json")}
    assert without_time(caller.post(entity, sent, operation="delete").json()) == without_time(recorded(f"sandbox_us/{name}.json"))
    assert caller.error(caller.get(f"{entity}/{sent['Id']}"))["code"] == "610"


def test_recorded_void(replay: Load, recorded: Read) -> None:
    caller = replay("sandbox_us/invoice_read_264_before_void.json")
    answer = caller.post("invoice", recorded("requests/invoice_void_264__request.json"), operation="void").json()
    assert without_metadata(answer, "Invoice") == without_metadata(recorded("sandbox_us/invoice_void_264.json"), "Invoice")


def test_recorded_batch(replay: Load, recorded: Read) -> None:
    caller = replay("sandbox_us/salesreceipt_query_all.json", "sandbox_us/customer_query_all_41.json")
    answer = caller.post("batch", recorded("requests/batch_response_mixed__request.json")).json()["BatchItemResponse"]
    expected = recorded("batch_cdc/batch_response_mixed.json")["BatchItemResponse"]
    assert [item["bId"] for item in answer] == [item["bId"] for item in expected]
    assert without_metadata(answer[0], "Vendor") == without_metadata(expected[0], "Vendor")
    assert answer[1] == expected[1]
    assert answer[2]["Fault"]["Error"][0]["code"] == expected[2]["Fault"]["Error"][0]["code"] == "5010"
    assert answer[3] == expected[3]


def test_recorded_change_data_capture(intuit: Caller, recorded: Read) -> None:
    expected = recorded("batch_cdc/cdc_estimate.json")
    (group,) = expected["CDCResponse"][0]["QueryResponse"]
    intuit.lab("load", {"QueryResponse": group})
    answer = intuit.get("cdc", entities="estimate", changedSince="2011-10-10T09:00:00-07:00").json()
    assert without_time(answer) == without_time(expected)
