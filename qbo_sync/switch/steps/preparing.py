"""Step 2: which active customers, suppliers and items nobody uses; on request, inactivates the ticked ones, with a way back.

The only step that writes to QuickBooks Online, and only rows that a person ticked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from qbo_sync.errors import IntuitFault, UsageError
from qbo_sync.intuit import Intuit
from qbo_sync.switch.model import QBO_ENTITY, TITLE, Kind
from qbo_sync.switch.steps.site import Outcome, Site
from qbo_sync.switch.store import new_id

INACTIVATE, REACTIVATE = "inactivate", "reactivate"
CLEANED = (Kind.CUSTOMER, Kind.SUPPLIER, Kind.INVENTORY_ITEM)
TRANSACTIONS = ("Invoice", "Estimate", "SalesReceipt", "Payment", "Bill", "Purchase")


def prepare(site: Site, months: int) -> Outcome:
    """List the active records that no transaction of the last ``months`` months names. Writes nothing."""
    since = _months_ago(date.today(), months)
    with site.intuit() as intuit:
        name = str(intuit.company_info().get("CompanyName", ""))
        used = {key for entity in TRANSACTIONS for row in _since(intuit, entity, since) for key in _named(row)}
        rows = {kind: [r for r in intuit.query(QBO_ENTITY[kind]) if _counts(kind, r, site)] for kind in CLEANED}
    tables = {
        TITLE[kind]: [_line(kind, row, since) for row in rows[kind] if (kind, str(row["Id"])) not in used] for kind in CLEANED
    }
    answer = site.answer(
        "prepare",
        summary={kind.value: {"active": len(rows[kind]), "unused": len(tables[TITLE[kind]])} for kind in CLEANED},
        items=[
            {"id": r["qbo_id"], "kind": r["kind"], "qbo": r["name"], "result": r["result"], "reason": r["reason"]}
            for table in tables.values()
            for r in table
        ],
    )
    if answer.items:
        answer.outcome = "attention"
        answer.next = f"write '{INACTIVATE}' beside what nobody needs and run: qbo-sync prepare --apply FILE"
    return Outcome(answer, tables={title: table for title, table in tables.items() if table}, title=name, has_report=True)


def _months_ago(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, 1)


def _since(intuit: Intuit, entity: str, since: date) -> Iterator[dict[str, Any]]:
    return intuit.query(entity, where=f"TxnDate >= '{since.isoformat()}'")


def _counts(kind: Kind, row: Mapping[str, Any], site: Site) -> bool:
    return kind is not Kind.INVENTORY_ITEM or row.get("Type") in site.settings.imports.item_types


def _named(transaction: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    """Every customer, supplier and item that a transaction names, its lines included."""
    for parts in (transaction, *transaction.get("Line", ())):
        for key, kind in (("CustomerRef", Kind.CUSTOMER), ("VendorRef", Kind.SUPPLIER), ("EntityRef", Kind.SUPPLIER)):
            if isinstance(parts.get(key), Mapping):
                yield kind, str(parts[key].get("value"))
        for detail in parts.values():
            if isinstance(detail, Mapping) and isinstance(detail.get("ItemRef"), Mapping):
                yield Kind.INVENTORY_ITEM, str(detail["ItemRef"].get("value"))
            if isinstance(detail, Mapping) and isinstance(detail.get("CustomerRef"), Mapping):
                yield Kind.CUSTOMER, str(detail["CustomerRef"].get("value"))


def _line(kind: Kind, row: Mapping[str, Any], since: date) -> dict[str, Any]:
    held = _held(kind, row)
    return {
        "kind": kind.value,
        "qbo_id": str(row["Id"]),
        "miracle_id": "",
        "name": str(row.get("FullyQualifiedName") or row.get("DisplayName") or row.get("Name")),
        "result": "unused",
        "reason": f"in no transaction since {since:%Y-%m-%d}" + (f"; {held}: stays active" if held else ""),
        "decision": "",
    }


def _held(kind: Kind, row: Mapping[str, Any]) -> str:
    """Why a record must stay active; empty when nothing holds it."""
    if kind is Kind.INVENTORY_ITEM:
        stock = Decimal(str(row.get("QtyOnHand") or 0))
        return f"{stock:f} in stock" if stock else ""
    balance = Decimal(str(row.get("BalanceWithJobs") or row.get("Balance") or 0))
    return f"balance {balance:f}" if balance else ""


def apply(site: Site, ticked: Sequence[Mapping[str, str]]) -> Outcome:
    """Inactivate the ticked records in QuickBooks Online, never one with a balance or stock or an active child."""
    wanted = _ticked(ticked, INACTIVATE)
    with site.store.run_lock(), site.intuit() as intuit:
        now = {kind: {str(r["Id"]): r for r in intuit.query(QBO_ENTITY[kind])} for kind in {k for k, _ in wanted}}
        parents = {str(r["ParentRef"]["value"]) for r in now.get(Kind.CUSTOMER, {}).values() if r.get("ParentRef")}
        done, kept = [], []
        for kind, qbo_id in wanted:
            row = now[kind].get(qbo_id)
            child = kind is Kind.CUSTOMER and qbo_id in parents
            reason = (
                "it is not active any more"
                if row is None
                else _held(kind, row) or ("it has active sub-customers" if child else "")
            )
            if row is None or reason:
                kept.append((kind, qbo_id, reason))
                continue
            before = str(row.get("DisplayName") or row.get("Name"))
            if refused := _change(intuit, kind, row, {"Active": False}):
                kept.append((kind, qbo_id, refused))
            else:
                done.append(_tick(kind, qbo_id, before, "inactivated", REACTIVATE))
    return _changed(
        site, "prepare --apply", done, kept, "to take it back, run: qbo-sync prepare --revert FILE with the list above"
    )


def revert(site: Site, ticked: Sequence[Mapping[str, str]]) -> Outcome:
    """Make the listed records active again, under the names they had."""
    wanted = {key: row["name"] for row in ticked for key in _ticked([row], REACTIVATE)}
    with site.store.run_lock(), site.intuit() as intuit:
        hidden = {
            kind: {str(r["Id"]): r for r in intuit.query(QBO_ENTITY[kind], active="inactive")} for kind in {k for k, _ in wanted}
        }
        done, kept = [], []
        for (kind, qbo_id), name in wanted.items():
            row = hidden[kind].get(qbo_id)
            field = "Name" if kind is Kind.INVENTORY_ITEM else "DisplayName"
            # Whether Intuit takes "(deleted)" off by itself is not documented, so the name is sent along.
            refused = "it is active already" if row is None else _change(intuit, kind, row, {"Active": True, field: name})
            if refused:
                kept.append((kind, qbo_id, refused))
            else:
                done.append(_tick(kind, qbo_id, name, "active again", ""))
    return _changed(site, "prepare --revert", done, kept, "run: qbo-sync prepare")


def _ticked(rows: Sequence[Mapping[str, str]], word: str) -> list[tuple[Kind, str]]:
    wanted = [(Kind(row["kind"]), row["qbo_id"]) for row in rows if row["decision"] == word and row["kind"] in set(CLEANED)]
    if not wanted:
        raise UsageError(f"no row is ticked with '{word}'", next=f"write '{word}' into the column decision, then run this again")
    return wanted


def _change(intuit: Intuit, kind: Kind, row: Mapping[str, Any], change: dict[str, Any]) -> str:
    """Send one sparse update; what Intuit said when it refused, else nothing."""
    body = {"Id": str(row["Id"]), "SyncToken": str(row["SyncToken"]), **change}
    try:
        intuit.update(QBO_ENTITY[kind], body, request_id=new_id())
    except IntuitFault as fault:
        return fault.seen or fault.what
    return ""


def _tick(kind: Kind, qbo_id: str, name: str, result: str, decision: str) -> dict[str, str]:
    line = {"kind": kind.value, "qbo_id": qbo_id, "miracle_id": "", "name": name}
    return {**line, "result": result, "reason": "", "decision": decision}


def _changed(site: Site, command: str, done: list[dict[str, str]], kept: list[tuple[Kind, str, str]], next_step: str) -> Outcome:
    answer = site.answer(command, summary={"changed": len(done), "kept": len(kept)}, next=next_step if done else "")
    answer.items = [{"id": r["qbo_id"], "kind": r["kind"], "qbo": r["name"], "result": r["result"]} for r in done]
    answer.items += [{"id": i, "kind": k.value, "result": "kept", "reason": reason} for k, i, reason in kept]
    answer.lines = [f"{r['kind'].replace('_', ' ')} '{r['name']}': {r['result']}" for r in done]
    answer.lines += [f"{k.value.replace('_', ' ')} {i} stays as it is: {reason}" for k, i, reason in kept]
    if kept:
        answer.outcome = "attention"
    return Outcome(answer, tables={"Changed in QuickBooks Online": done} if done else {}, has_report=True)
