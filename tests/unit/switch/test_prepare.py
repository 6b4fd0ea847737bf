"""Step 2: what nobody uses, inactivated on request and taken back, on the real look-alike."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from qbo_sync import report
from qbo_sync.switch import steps
from tests.unit.switch.conftest import Acme


def by_id(acme: Acme, entity: str) -> dict[str, dict[str, object]]:
    return {row["Id"]: row for row in acme.entities(entity)}


def test_what_a_recent_transaction_names_is_in_use(acme: Acme) -> None:
    listed = steps.prepare(acme.site, 24)
    vendor = listed.tables["Suppliers"][0]
    acme.put(
        "Bill", {"Id": "7001", "SyncToken": "0", "TxnDate": "2026-11-01", "VendorRef": {"value": vendor["qbo_id"]}, "Line": []}
    )
    again = steps.prepare(acme.site, 24)
    assert vendor["qbo_id"] not in {row["qbo_id"] for row in again.tables["Suppliers"]}
    assert len(again.tables["Suppliers"]) == len(listed.tables["Suppliers"]) - 1


def test_ticked_records_go_inactive_and_come_back_under_their_names(acme: Acme) -> None:
    before = by_id(acme, "Vendor")
    listed = steps.prepare(acme.site, 24).tables["Suppliers"]
    free = [r for r in listed if not before[r["qbo_id"]].get("Balance")][:2]
    done = steps.prepare_apply(acme.site, [{**r, "decision": "inactivate"} for r in free])
    assert {row["Active"] for i, row in by_id(acme, "Vendor").items() if i in {r["qbo_id"] for r in free}} == {False}
    revert = [{k: str(v) for k, v in row.items()} for row in done.tables["Changed in QuickBooks Online"]]
    steps.prepare_revert(acme.site, revert)
    after = by_id(acme, "Vendor")
    for row in free:
        assert after[row["qbo_id"]]["Active"] is True
        assert after[row["qbo_id"]]["DisplayName"] == before[row["qbo_id"]]["DisplayName"]


def test_a_balance_or_stock_or_an_active_child_holds_a_record(acme: Acme) -> None:
    vendor = next(iter(acme.active("Vendor")))
    acme.put("Vendor", {**vendor, "Balance": 12.5})
    item = next(row for row in acme.active("Item") if row["Type"] == "Inventory")
    acme.put("Item", {**item, "QtyOnHand": 3})
    parent = next(row["ParentRef"]["value"] for row in acme.active("Customer") if "ParentRef" in row)
    ticks = [
        {"kind": "supplier", "qbo_id": vendor["Id"], "decision": "inactivate"},
        {"kind": "inventory_item", "qbo_id": item["Id"], "decision": "inactivate"},
        {"kind": "customer", "qbo_id": parent, "decision": "inactivate"},
    ]
    done = steps.prepare_apply(acme.site, ticks)
    assert done.answer.summary == {"changed": 0, "kept": 3}
    text = "\n".join(done.answer.lines)
    assert "balance 12.5" in text
    assert "3 in stock" in text
    assert by_id(acme, "Vendor")[vendor["Id"]]["Active"] is True


def test_the_list_itself_is_the_tick_file(acme: Acme) -> None:
    """The workbook that prepare writes is read back with ticks in it."""
    outcome = steps.prepare(acme.site, 24)
    site = acme.site
    files = report.write(site.store.reports, outcome.answer, company="x", made_at=datetime.now(UTC), tables=outcome.tables)
    rows = report.read_decisions(Path(files["xlsx"]), ("inactivate",))
    assert {(r["kind"], r["qbo_id"]) for r in rows} == {(r["kind"], r["qbo_id"]) for t in outcome.tables.values() for r in t}
