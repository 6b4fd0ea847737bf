"""Step 2: which active customers, suppliers and items nobody uses, and which look entered twice. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from qbo_sync.intuit import Intuit
from qbo_sync.switch import cleanup
from qbo_sync.switch.cleanup import CLEANED, Entry, Open, Usage
from qbo_sync.switch.inactivations import Inactivation, Inactivations
from qbo_sync.switch.model import QBO_ENTITY, TITLE, Kind
from qbo_sync.switch.steps.site import Outcome, Site

INACTIVATE, REACTIVATE = "inactivate", "reactivate"
MADE_INACTIVE = "Made inactive by this kit"


def prepare(site: Site, months: int) -> Outcome:
    """List the active records that no transaction of the last ``months`` months names, with what is still open on them."""
    cut_off = _months_ago(datetime.now(UTC).date(), months)
    since = cut_off.isoformat()
    with site.intuit() as intuit:
        company = str(intuit.company_info().get("CompanyName", ""))
        entries = {kind: list(active(site, intuit, kind)) for kind in CLEANED}
        usage = used_since(intuit, since)
        usage.add_open(open_documents(intuit))
    for kind in CLEANED:
        usage.add_parents(entries[kind])
    gone = _still_gone(Inactivations(site.store.directory), entries)
    sorted_ = {kind: cleanup.sort(entries[kind], usage, since) for kind in CLEANED}
    tables = {
        TITLE[kind]: [_line(e, usage, "unused", f"in no transaction since {since}") for e in sorted_[kind].free]
        for kind in CLEANED
    }
    tables |= {
        "Unused, but something is open": [_held(e, usage) for kind in CLEANED for e in sorted_[kind].held],
        "Perhaps entered twice": _doubles(entries, usage),
        MADE_INACTIVE: [way_back(each) for each in gone],
    }
    answer = site.answer(
        "prepare",
        summary={
            kind.value: {
                "active": len(entries[kind]),
                "used": len(found.used),
                "unused": len(found.free) + len(found.held),
                "free": len(found.free),
                "held": len(found.held),
            }
            for kind, found in sorted_.items()
        },
        items=[_item(row) for table in tables.values() for row in table],
    )
    answer.lines = [f"In use: named by a transaction since {cut_off.day} {cut_off:%B %Y}, or entered since then."]
    if any(tables[TITLE[kind]] for kind in CLEANED) or tables["Perhaps entered twice"]:
        answer.outcome = "attention"
        answer.next = f"write '{INACTIVATE}' beside what nobody needs and run: qbo-sync prepare --apply FILE"
    return Outcome(answer, tables={title: table for title, table in tables.items() if table}, title=company, has_report=True)


def _months_ago(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, 1)


def active(site: Site, intuit: Intuit, kind: Kind, where: str = "") -> Iterator[Entry]:
    """The active records of a kind; of the items only those that an import takes."""
    for row in intuit.query(QBO_ENTITY[kind], where=where):
        if kind is not Kind.INVENTORY_ITEM or row.get("Type") in site.settings.imports.item_types:
            yield cleanup.entry(kind, row)


def used_since(intuit: Intuit, since: str) -> Usage:
    """Whom the transactions dated ``since`` or later name."""
    usage = Usage()
    for entity in cleanup.TRANSACTIONS:
        usage.add(intuit.query(entity, where=f"TxnDate >= '{since}'"))
    return usage


def open_documents(intuit: Intuit) -> Iterator[dict[str, Any]]:
    """Unpaid invoices and bills, and estimates nobody has turned into an invoice, however old."""
    for entity, condition in cleanup.OPEN:
        yield from intuit.query(entity, where=condition)


def _still_gone(log: Inactivations, entries: Mapping[Kind, Sequence[Entry]]) -> list[Inactivation]:
    """What was made inactive and still is; who made it active again in QuickBooks needs no way back."""
    here = {entry.key for found in entries.values() for entry in found}
    known = log.all()
    log.forget(key for key in known if key in here)
    return [each for key, each in known.items() if key not in here]


# --- the lists -----------------------------------------------------------------------------------------------------


def _line(entry: Entry, usage: Usage, result: str, reason: str) -> dict[str, Any]:
    opened = usage.open.get(entry.key, Open())
    line: dict[str, Any] = {
        "kind": entry.kind.value,
        "qbo_id": entry.qbo_id,
        "miracle_id": "",
        "name": entry.path,
        "result": result,
        "reason": reason,
        "balance": entry.balance,
        "open_documents": opened.documents,
        "open_amount": opened.amount,
        "decision": "",
    }
    if entry.kind is Kind.INVENTORY_ITEM:
        line["in_stock"] = cleanup.quantity(entry.stock)
    return line


def _held(entry: Entry, usage: Usage) -> dict[str, Any]:
    why = cleanup.holds(entry, usage.open.get(entry.key, Open())) or "has sub-records that stay active"
    line = _line(entry, usage, "held", f"{why}: stays active")
    del line["decision"]
    return line


def _doubles(entries: Mapping[Kind, Sequence[Entry]], usage: Usage) -> list[dict[str, Any]]:
    """Those that may be one, under each other, with one number."""
    found = [double for kind in CLEANED for double in cleanup.doubles(entries[kind])]
    return [
        {"group": number, **_line(entry, usage, "double", f"shares {', '.join(double.shared)}"), "used": entry.key in usage.used}
        for number, double in enumerate(found, start=1)
        for entry in double.entries
    ]


def way_back(each: Inactivation, decision: str = "") -> dict[str, Any]:
    """A line of the list that ``prepare --revert`` takes."""
    return {
        "kind": each.kind.value,
        "qbo_id": each.qbo_id,
        "miracle_id": "",
        "name": each.name,
        "result": "inactivated",
        "reason": f"made inactive {each.changed_at[:10]}",
        "decision": decision,
    }


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {"id": row["qbo_id"], "kind": row["kind"], "qbo": row["name"], "result": row["result"], "reason": row["reason"]}
    figures = ("group", "balance", "open_documents", "open_amount", "in_stock", "used")
    exact = {name: f"{row[name]:f}" if isinstance(row[name], Decimal) else row[name] for name in figures if name in row}
    return shown | exact
