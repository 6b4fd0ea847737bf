"""Step 2: what nobody uses, inactivated on request and taken back, on the real look-alike."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qbo_sync import report
from qbo_sync.errors import UsageError
from qbo_sync.report.decisions import COLUMNS
from qbo_sync.switch import steps
from qbo_sync.switch.inactivations import GONE, Inactivations
from tests.unit.report.schema import check
from tests.unit.switch.conftest import Acme

PROGRAM = """
import os, signal, sqlite3, sys
from pathlib import Path
from qbo_sync import config, report
from qbo_sync.switch import inactivations, steps
from qbo_sync.switch.steps import inactivating

class Dies(inactivations.Inactivations):
    def is_gone(self, kind, qbo_id):
        os.kill(os.getpid(), signal.SIGKILL)

inactivating.Inactivations = Dies
ticks = report.read_decisions(Path(sys.argv[2]), ("inactivate",))
steps.prepare_apply(steps.Site(config.load(Path(sys.argv[1]))), ticks, lambda done, of: None)
"""


OPEN = {"Invoice": "CustomerRef", "Estimate": "CustomerRef", "Bill": "VendorRef"}


def nothing(_: int, __: int) -> None:
    """No progress shown."""


def by_id(acme: Acme, entity: str) -> dict[str, dict[str, Any]]:
    return {row["Id"]: row for row in acme.entities(entity)}


def ticked(rows: list[dict[str, Any]], word: str = "inactivate") -> list[dict[str, str]]:
    return [{**{name: str(value) for name, value in row.items()}, "decision": word} for row in rows]


def written(acme: Acme, outcome: steps.Outcome) -> Path:
    """The workbook of a step, as a person gets it."""
    check(outcome.answer)
    store = acme.site.store.reports
    files = report.write(store, outcome.answer, company="x", made_at=datetime.now(UTC), tables=outcome.tables)
    return Path(files["xlsx"])


def idle(acme: Acme, entity: str, kind: str, number: int) -> list[dict[str, Any]]:
    """Records that nothing holds, as lines of a list to tick."""
    named = {row[ref]["value"] for name, ref in OPEN.items() for row in acme.entities(name) if ref in row}
    parents = {row["ParentRef"]["value"] for row in acme.active(entity) if "ParentRef" in row}
    rows = [row for row in acme.active(entity) if not row["Balance"] and row["Id"] not in named | parents]
    return [{"kind": kind, "qbo_id": row["Id"], "name": row["DisplayName"]} for row in rows[:number]]


def test_what_a_recent_transaction_names_is_in_use(acme: Acme) -> None:
    outcome = steps.prepare(acme.site, 24)
    vendor = outcome.tables["Suppliers"][0]
    acme.put(
        "Bill", {"Id": "7001", "SyncToken": "0", "TxnDate": "2026-11-01", "VendorRef": {"value": vendor["qbo_id"]}, "Line": []}
    )
    again = steps.prepare(acme.site, 24)
    assert vendor["qbo_id"] not in {row["qbo_id"] for row in again.tables["Suppliers"]}
    figures = again.answer.summary["supplier"]
    assert figures["used"] == outcome.answer.summary["supplier"]["used"] + 1
    assert figures["active"] == figures["used"] + figures["free"] + figures["held"]
    # The workbook is the file to tick: every line that may be ticked comes back from it.
    rows = report.read_decisions(written(acme, again), ("inactivate",))
    asked = [(r["kind"], r["qbo_id"]) for table in again.tables.values() for r in table if "decision" in r]
    assert sorted((r["kind"], r["qbo_id"]) for r in rows) == sorted(asked)


def test_an_old_open_document_holds_a_record(acme: Acme) -> None:
    first, second = idle(acme, "Vendor", "supplier", 2)
    old = {"SyncToken": "0", "TxnDate": "2015-01-01", "Line": [], "Balance": 40.5}
    acme.put("Bill", {"Id": "7001", "VendorRef": {"value": first["qbo_id"]}, **old})
    listed = steps.prepare(acme.site, 24).tables
    held = next(row for row in listed["Unused, but something is open"] if row["qbo_id"] == first["qbo_id"])
    assert (held["open_documents"], f"{held['open_amount']:.2f}", held["reason"]) == (1, "40.50", "1 open document: stays active")
    assert "decision" not in held
    done = steps.prepare_apply(acme.site, ticked([first, second]), nothing)
    assert done.answer.summary == {"changed": 1, "before": 0, "kept": 1}
    assert by_id(acme, "Vendor")[first["qbo_id"]]["Active"] is True


def test_ticked_records_go_inactive_and_come_back_under_their_names(acme: Acme) -> None:
    """Through the workbooks, as a person does it: tick, apply, and give the resulting list back."""
    before = by_id(acme, "Vendor")
    two = idle(acme, "Vendor", "supplier", 2)
    done = steps.prepare_apply(acme.site, ticked(two), nothing)
    ids = {row["qbo_id"] for row in two}
    assert {before["Active"] for i, before in by_id(acme, "Vendor").items() if i in ids} == {False}
    way_back = report.read_decisions(written(acme, done), ("inactivate", "reactivate"))
    assert {row["qbo_id"] for row in way_back if row["decision"] == "reactivate"} == ids
    listed = steps.prepare(acme.site, 24).tables["Made inactive by this kit"]
    assert {row["qbo_id"] for row in listed} == ids
    back = steps.prepare_revert(acme.site, way_back, nothing)
    assert back.answer.summary == {"changed": 2, "before": 0, "kept": 0}
    after = by_id(acme, "Vendor")
    for qbo_id in ids:
        assert (after[qbo_id]["Active"], after[qbo_id]["DisplayName"]) == (True, before[qbo_id]["DisplayName"])
    assert Inactivations(acme.site.store.directory).all() == {}


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
    done = steps.prepare_apply(acme.site, ticks, nothing)
    assert done.answer.summary == {"changed": 0, "before": 0, "kept": 3}
    text = "\n".join(done.answer.lines)
    assert "balance 12.50" in text
    assert "3 in stock" in text
    assert by_id(acme, "Vendor")[vendor["Id"]]["Active"] is True


def test_a_whole_family_can_go_and_come_back(acme: Acme) -> None:
    child = next(row for row in acme.active("Customer") if "ParentRef" in row)
    family = [
        row
        for row in acme.active("Customer")
        if child["ParentRef"]["value"] in (row["Id"], row.get("ParentRef", {}).get("value"))
    ]
    for row in family:
        acme.put("Customer", {**row, "Balance": 0, "BalanceWithJobs": 0})
    for entity in ("Invoice", "Estimate"):
        for row in acme.entities(entity):
            acme.put(entity, {**row, "Balance": 0, "TxnStatus": "Closed"})
    ticks = ticked([{"kind": "customer", "qbo_id": row["Id"], "name": row["FullyQualifiedName"]} for row in family])
    done = steps.prepare_apply(acme.site, ticks, nothing)
    assert done.answer.summary == {"changed": len(family), "before": 0, "kept": 0}
    back = steps.prepare_revert(acme.site, ticked(list(done.tables["Made inactive by this kit"]), "reactivate"), nothing)
    assert back.answer.summary == {"changed": len(family), "before": 0, "kept": 0}
    after = by_id(acme, "Customer")
    assert {row["Id"]: row["FullyQualifiedName"] for row in family} == {
        row["Id"]: after[row["Id"]]["FullyQualifiedName"] for row in family
    }


def test_who_was_changed_by_somebody_meanwhile_is_read_again_and_comes_back_under_the_new_name(acme: Acme) -> None:
    first = min(acme.active("Vendor"), key=lambda row: str(row["DisplayName"]))
    acme.put("Vendor", {**first, "Balance": 0})
    for bill in acme.entities("Bill"):
        acme.put("Bill", {**bill, "Balance": 0})
    acme.fault({"when": {"path": "/vendor", "entity": "Vendor", "times": 1}, "fault": "moved"})
    done = steps.prepare_apply(acme.site, ticked([{"kind": "supplier", "qbo_id": first["Id"], "name": "x"}]), nothing)
    assert done.answer.summary == {"changed": 1, "before": 0, "kept": 0}
    way_back = list(done.tables["Made inactive by this kit"])
    assert "moved" in way_back[0]["name"]
    steps.prepare_revert(acme.site, ticked(way_back, "reactivate"), nothing)
    assert by_id(acme, "Vendor")[first["Id"]]["DisplayName"] == way_back[0]["name"]


def test_an_untouched_file_is_refused(acme: Acme) -> None:
    with pytest.raises(UsageError, match="no row is ticked with 'inactivate'"):
        steps.prepare_apply(acme.site, [], nothing)


def test_a_killed_run_goes_on_and_can_be_taken_back(acme: Acme) -> None:
    """SIGKILL between Intuit's answer for the first record and the note of it; then the same file again."""
    before = by_id(acme, "Customer")
    three = idle(acme, "Customer", "customer", 3)
    ids = {row["qbo_id"] for row in three}
    file = acme.folder / "ticks.csv"
    lines = [f"{row['kind']},{row['qbo_id']},,{row['name']},unused,,inactivate" for row in three]
    file.write_text("\n".join([",".join(COLUMNS), *lines]))
    died = subprocess.run([sys.executable, "-c", PROGRAM, str(acme.folder / "acme.toml"), str(file)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert [i for i in ids if not by_id(acme, "Customer")[i]["Active"]] != []
    time.sleep(1)  # the dead one's requests count against the same limit
    again = steps.prepare_apply(acme.site, report.read_decisions(file, ("inactivate",)), nothing)
    assert again.answer.summary == {"changed": 2, "before": 1, "kept": 0}
    assert {row["Active"] for i, row in by_id(acme, "Customer").items() if i in ids} == {False}
    assert {each.state for each in Inactivations(acme.site.store.directory).all().values()} == {GONE}
    way_back = report.read_decisions(written(acme, again), ("inactivate", "reactivate"))
    steps.prepare_revert(acme.site, way_back, nothing)
    after = by_id(acme, "Customer")
    assert {i: after[i]["DisplayName"] for i in ids} == {i: before[i]["DisplayName"] for i in ids}
