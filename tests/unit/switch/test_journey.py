"""Audit, plan, import, review, undo, reconcile and export against the look-alike: what a user would see on both sides."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from qbo_sync.errors import Blocked, UsageError
from qbo_sync.switch import steps
from qbo_sync.switch.model import QBO_ENTITY, Kind
from tests.unit.report.schema import check
from tests.unit.switch.conftest import Acme, quiet

everywhere = pytest.mark.parametrize("database_url", ["sqlite", "postgresql", "mariadb"], indirect=True)


def plan(acme: Acme, **decisions: Any) -> steps.Outcome:
    """A plan in which every open question is answered."""
    first = steps.make_plan(acme.site)
    answers = [
        {
            "kind": r.kind.value,
            "qbo_id": r.qbo_id,
            "miracle_id": r.miracle_id,
            "decision": "link" if r.result == "weak" else "skip",
        }
        for r in first.rows
        if r.result in ("weak", "conflict", "invalid")
    ]
    check(first.answer)
    return steps.make_plan(acme.site, answers) if answers else first


def import_all(acme: Acme) -> steps.Outcome:
    acme.mend()
    steps.audit(acme.site)
    plan(acme)
    return steps.import_(acme.site, "", replan=False, progress=quiet)


def written(outcome: steps.Outcome) -> int:
    return sum(tally["written"] for tally in outcome.answer.summary.values())


def names_in_miracle(acme: Acme, kind: Kind) -> list[str]:
    return [row[0] for row in acme.sql(f"SELECT name FROM {kind.value}")]


def test_blockers_stop_the_import_and_nothing_is_written(acme: Acme) -> None:
    before = acme.dump()
    found = steps.audit(acme.site)
    assert found.answer.outcome == "blocked"
    assert {f.rule for f in found.findings if f.severity == "blocker"} >= {"TAX-001", "TAX-002", "TRM-001"}
    plan(acme)
    with pytest.raises(Blocked, match="blockers stand") as refused:
        steps.import_(acme.site, "", replan=False, progress=quiet)
    assert "qbo-sync audit" in refused.value.next
    assert acme.dump() == before
    assert not acme.sql("SELECT name FROM sqlite_master WHERE name LIKE 'qbo_sync%'")


def test_an_accepted_blocker_blocks_no_more_and_stays_visible(acme: Acme) -> None:
    found = steps.audit(acme.site)
    for finding in found.findings:
        if finding.severity == "blocker":
            steps.accept(acme.site, {finding.id: "agreed with the accountant"})
    again = steps.audit(acme.site)
    assert again.answer.summary["blocker"] == 0
    assert again.answer.summary["accepted"] == found.answer.summary["blocker"]
    assert {f.accepted for f in again.findings if f.severity == "blocker"} == {"agreed with the accountant"}


def test_an_audit_since_the_last_one_lists_only_what_changed(acme: Acme) -> None:
    everything = steps.audit(acme.site)
    again = steps.audit(acme.site, since_last=True)
    assert list(again.findings) == []
    assert again.answer.summary == everything.answer.summary
    acme.sql("UPDATE setting SET value = 'CAD' WHERE name = 'currency'")
    assert [f.rule for f in steps.audit(acme.site, since_last=True).findings] == ["SET-001"]


def test_a_later_audit_reads_less_and_finds_the_same(acme: Acme) -> None:
    before = acme.stats()["rows"]
    steps.audit(acme.site)
    whole = acme.stats()["rows"] - before
    for entity, values in {"Vendor": {"DisplayName": "Renamed"}, "Term": {"DueDays": 17}, "Class": {"Active": False}}.items():
        acme.put(entity, {**acme.active(entity)[0], **values})
    acme.put("TaxRate", {**acme.entities("TaxRate")[0], "RateValue": 9.5})
    before = acme.stats()["rows"]
    steps.audit(acme.site, since_last=True)
    assert acme.stats()["rows"] - before < whole / 2
    kept = acme.site.store.newest_reading()
    everything = steps.audit(acme.site)
    assert kept is not None
    assert kept.findings == list(everything.findings)
    with_less, whole_plan = steps.make_plan(acme.site, since_last=True), steps.make_plan(acme.site)
    assert with_less.rows == whole_plan.rows


def test_only_findings_that_exist_can_be_accepted(acme: Acme) -> None:
    steps.audit(acme.site)
    with pytest.raises(UsageError, match="no finding 'TAX-999/x'"):
        steps.accept(acme.site, {"TAX-999/x": "because"})
    with pytest.raises(UsageError, match="with a reason"):
        steps.accept(acme.site, {"TAX-008/Old county tax": " "})


@everywhere
def test_every_active_record_arrives_once_and_no_inactive_one(acme: Acme) -> None:
    outcome = import_all(acme)
    assert outcome.answer.outcome == "ok"
    for kind in Kind:
        rows = acme.entities(QBO_ENTITY[kind])
        if kind is Kind.INVENTORY_ITEM:
            rows = [r for r in rows if r["Type"] == "Inventory"]
        active = [r for r in rows if r.get("Active", True)]
        linked = acme.links(kind.value)
        assert len(active) > 0, kind
        assert sorted(linked) == sorted(r["Id"] for r in active), kind
        assert len({miracle_id for miracle_id, _ in linked.values()}) == len(linked), kind
        inactive = {r.get("DisplayName") or r["Name"] for r in rows if not r.get("Active", True)}
        assert not inactive & set(names_in_miracle(acme, kind)), kind


def test_children_hang_under_their_parents_and_references_arrive(acme: Acme) -> None:
    import_all(acme)
    ids = {qbo_id: miracle_id for qbo_id, (miracle_id, state) in acme.links("customer").items() if state == "made"}
    terms = {qbo_id: miracle_id for qbo_id, (miracle_id, _) in acme.links("payment_term").items()}
    checked = 0
    for customer in acme.active("Customer"):
        if customer["Id"] not in ids:
            continue
        (parent, term), *_ = acme.sql("SELECT parent_id, payment_term_id FROM customer WHERE id = :id", id=ids[customer["Id"]])
        if "ParentRef" in customer and customer["ParentRef"]["value"] in ids:
            assert str(parent) == ids[customer["ParentRef"]["value"]]
            checked += 1
        if customer.get("SalesTermRef", {}).get("value") in terms:
            assert str(term) == terms[customer["SalesTermRef"]["value"]]
            checked += 1
    assert checked > 10


def test_a_second_import_writes_nothing_and_asks_nothing(acme: Acme) -> None:
    import_all(acme)
    after = acme.dump()
    asked = acme.stats()["requests"]
    again = steps.import_(acme.site, "", replan=False, progress=quiet)
    assert written(again) == 0
    assert acme.stats()["requests"] == asked
    fresh = steps.import_(acme.site, "", replan=True, progress=quiet)
    assert written(fresh) == 0
    assert fresh.answer.outcome == "ok"
    assert acme.dump() == after


def test_a_record_changed_in_quickbooks_since_the_plan_stops_the_import(acme: Acme) -> None:
    acme.mend()
    planned = plan(acme)
    before = acme.dump()
    new = next(r for r in planned.rows if r.kind == "supplier" and r.action == "insert")
    vendor = next(v for v in acme.entities("Vendor") if v["Id"] == new.qbo_id)
    acme.put("Vendor", {**vendor, "CompanyName": "Changed meanwhile", "SyncToken": str(int(vendor["SyncToken"]) + 1)})
    with pytest.raises(Blocked, match="QuickBooks Online has moved") as refused:
        steps.import_(acme.site, "", replan=False, progress=quiet)
    assert new.path in refused.value.seen
    assert acme.dump() == before
    assert written(steps.import_(acme.site, "", replan=True, progress=quiet)) > 0


@everywhere
def test_a_name_added_in_miracle_since_the_plan_is_not_doubled(acme: Acme) -> None:
    acme.mend()
    planned = plan(acme)
    new = next(r for r in planned.rows if r.kind == "customer" and r.action == "insert" and r.level == 0)
    acme.sql("INSERT INTO customer (name) VALUES (:name)", name=new.name.upper() + " ")
    with pytest.raises(Blocked, match="Miracle Service has moved") as refused:
        steps.import_(acme.site, "", replan=False, progress=quiet)
    assert new.path in refused.value.seen
    steps.import_(acme.site, "", replan=True, progress=quiet)
    assert len([n for n in names_in_miracle(acme, Kind.CUSTOMER) if n.strip().casefold() == new.name.casefold()]) == 1


@everywhere
def test_undo_takes_everything_back(acme: Acme) -> None:
    acme.mend()
    before = acme.dump()
    plan(acme)
    steps.import_(acme.site, "", replan=False, progress=quiet)
    undone = steps.undo(acme.site, acme.last_import())
    assert undone.answer.summary["kept"] == 0
    assert acme.dump() == before
    assert acme.links() == {}


def test_undo_keeps_what_somebody_edited(acme: Acme) -> None:
    import_all(acme)
    ((miracle_id,), *_) = acme.sql("SELECT id FROM inventory_item WHERE preferred_supplier_id IS NULL ORDER BY id DESC")
    acme.sql("UPDATE inventory_item SET description = 'edited by hand' WHERE id = :id", id=miracle_id)
    undone = steps.undo(acme.site, acme.last_import())
    assert undone.answer.summary["kept"] == 1
    assert "changed in Miracle Service" in undone.answer.lines[0]
    assert acme.sql("SELECT description FROM inventory_item WHERE id = :id", id=miracle_id) == [("edited by hand",)]


@everywhere
def test_a_discarded_row_is_never_made_again(acme: Acme) -> None:
    import_all(acme)
    review = steps.review(acme.site)
    listed = review.tables["Suppliers"][0]
    discarded = steps.discard(acme.site, [{**{k: str(v) for k, v in listed.items()}, "decision": "discard"}])
    assert listed["name"] not in names_in_miracle(acme, Kind.SUPPLIER)
    again = steps.import_(acme.site, "", replan=True, progress=quiet)
    assert written(again) == 0
    assert again.answer.summary["supplier"]["removed"] == 1
    reconciled = steps.reconcile(acme.site)
    assert reconciled.answer.summary["only_qbo"] == 0
    for outcome in (review, discarded, again, reconciled):
        check(outcome.answer)


def test_a_row_deleted_by_hand_is_never_made_again(acme: Acme) -> None:
    import_all(acme)
    miracle_id = next(miracle_id for miracle_id, state in acme.links("inventory_item").values() if state == "made")
    acme.sql("DELETE FROM inventory_item WHERE id = :id", id=miracle_id)
    for _ in range(2):
        again = steps.import_(acme.site, "", replan=True, progress=quiet)
        assert written(again) == 0
        assert again.answer.summary["inventory_item"]["removed"] == 1


def test_the_export_opens_only_when_everything_is_clean(acme: Acme) -> None:
    with pytest.raises(Blocked, match="nothing was imported"):
        steps.set_export(acme.site, enabled=True)
    import_all(acme)
    acme.put("Vendor", {"Id": "990001", "SyncToken": "0", "DisplayName": "Brand New Supplier", "Active": True})
    with pytest.raises(Blocked, match="not reconciled") as refused:
        steps.set_export(acme.site, enabled=True)
    assert "Brand New Supplier" in refused.value.seen
    assert acme.sql("SELECT value FROM setting WHERE name = 'accounting_export'") == [("0",)]
    steps.import_(acme.site, "", replan=True, progress=quiet)
    assert steps.set_export(acme.site, enabled=True).answer.outcome == "ok"
    assert acme.sql("SELECT value FROM setting WHERE name = 'accounting_export'") == [("1",)]
    asked = acme.stats()["requests"]
    assert steps.set_export(acme.site, enabled=True).answer.summary["written"] == 0
    assert acme.stats()["requests"] == asked
    steps.set_export(acme.site, enabled=False)
    assert acme.sql("SELECT value FROM setting WHERE name = 'accounting_export'") == [("0",)]


def test_one_run_at_a_time(acme: Acme) -> None:
    acme.mend()
    plan(acme)
    with acme.site.store.run_lock(), pytest.raises(Blocked, match="another run holds this site"):
        steps.import_(acme.site, "", replan=False, progress=quiet)


@pytest.mark.parametrize("after_chunks", [1, 4, 9])
def test_a_killed_import_goes_on_without_doubles(acme: Acme, after_chunks: int) -> None:
    """SIGKILL in the middle of an import, then one more run: the result equals the undisturbed one."""
    acme.mend()
    plan(acme)
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from qbo_sync import config\n"
        "from qbo_sync.switch import steps\n"
        "def progress(kind, rows):\n"
        "    print(kind, flush=True)\n"
        "    time.sleep(0.2)\n"
        "steps.import_(steps.Site(config.load(Path(sys.argv[1]))), '', replan=False, progress=progress)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(acme.folder / "acme.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for _ in range(after_chunks):
        process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    time.sleep(0.1)
    steps.import_(acme.site, "", replan=False, progress=quiet)
    for kind in Kind:
        links = acme.links(kind.value)
        rows = [r for r in acme.active(QBO_ENTITY[kind]) if kind is not Kind.INVENTORY_ITEM or r["Type"] == "Inventory"]
        assert sorted(links) == sorted(r["Id"] for r in rows), kind
        assert len({miracle_id for miracle_id, _ in links.values()}) == len(links), kind
    reconciled = steps.reconcile(acme.site).answer.summary
    assert (reconciled["different"], reconciled["only_qbo"]) == (0, 0)


def test_a_database_linked_with_another_company_is_refused(acme: Acme) -> None:
    import_all(acme)
    acme.sql("UPDATE qbo_sync_link SET realm = '999'")
    found = steps.audit(acme.site)
    assert "SET-007" in {f.rule for f in found.findings if f.severity == "blocker"}


def test_a_reading_of_a_small_company_takes_two_requests(acme: Acme) -> None:
    """All lists with the settings in one batch, and one more that asks what moved meanwhile."""
    before = acme.stats()["requests"]
    steps.audit(acme.site)
    assert acme.stats()["requests"] - before <= 2


def test_many_linked_rows_that_are_gone_stop_an_import(acme: Acme) -> None:
    """Another database, or one restored from before the import: nothing is marked as removed for good."""
    import_all(acme)
    acme.sql("DELETE FROM inventory_item")
    acme.sql("DELETE FROM customer")
    with pytest.raises(Blocked, match="linked rows are not in Miracle Service any more") as refused:
        steps.import_(acme.site, "", replan=True, progress=quiet)
    assert "the limit is 30 %" in refused.value.seen
    assert "removed" not in {state for _, state in acme.links().values()}
    settings = acme.folder / "acme.toml"
    settings.write_text(settings.read_text() + "[limits]\npercent = 100\n")
    marked = steps.import_(acme.site, "", replan=True, progress=quiet).answer.summary
    assert marked["customer"]["removed"] > 10
    assert "removed" in {state for _, state in acme.links("customer").values()}


def test_a_discard_of_nearly_everything_is_refused(acme: Acme) -> None:
    import_all(acme)
    listed = [dict(row) for rows in steps.review(acme.site).tables.values() for row in rows]
    with pytest.raises(Blocked, match="would be discarded"):
        steps.discard(acme.site, [{**{k: str(v) for k, v in row.items()}, "decision": "discard"} for row in listed])
    assert {state for _, state in acme.links().values()} == {"made", "matched", "decided"}


def test_a_plan_imported_again_after_a_discard_makes_nothing_anew(acme: Acme) -> None:
    import_all(acme)
    listed = steps.review(acme.site).tables["Suppliers"][0]
    steps.discard(acme.site, [{**{k: str(v) for k, v in listed.items()}, "decision": "discard"}])
    assert written(steps.import_(acme.site, "", replan=False, progress=quiet)) == 0
    assert listed["name"] not in names_in_miracle(acme, Kind.SUPPLIER)
