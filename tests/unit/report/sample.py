"""An invented company whose names are as awkward as real ones, and a few that are hostile."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from qbo_sync.switch.model import Answer, Finding, Kind, PlannedRow, Result, Severity

MADE_AT = datetime(2025, 4, 3, 14, 5, 33, tzinfo=UTC)
COMPANY = "Mackenzie O'Hara Refrigeration & Heating Ltd."
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://example.com","Click")',
    "+1 613 555 0100",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "invoice\u202egnp.exe",
    "bell\x07 escape\x1b[31m null\x00",
    "[red]markup[/red]",
    "{{ 7 * 7 }}",
    "'=1+1",
    "#N/A",
    "\ud800 alone",
)
NAMES = ("Amy's Bird Sanctuary", "O'Neil & Sons", "شركة الخليج للتكييف", "株式会社山田空調", "L" * 300, *HOSTILE)


def planned(qbo_id: str, name: str, result: Result = Result.NEW, kind: Kind = Kind.CUSTOMER, **values: str) -> PlannedRow:
    action = {Result.NEW: "insert", Result.MATCHED: "link"}.get(result, "")
    given = {"reason": f"reason of {qbo_id}", "action": action, **values}
    return PlannedRow(kind, qbo_id, "0", name, given.pop("path", name), 0, result, **given)


def rows() -> list[PlannedRow]:
    """Two rows of every kind and every result, and one per awkward name."""
    every = [
        planned(
            f"{place}-{result}-{n}", f"{kind} {result} {n}", result, kind, miracle_id=str(n) if result is not Result.NEW else ""
        )
        for place, kind in enumerate(Kind)
        for result in Result
        for n in (1, 2)
    ]
    return every + [planned(f"name-{n}", name, Result.WEAK, reason=f"same as {name}") for n, name in enumerate(NAMES)]


def kind_summary(of: list[PlannedRow], *, written: bool = False) -> dict[str, dict[str, int]]:
    summary = {}
    for kind in Kind:
        mine = [row for row in of if row.kind is kind]
        figures = {"read": len(mine), **{result.value: sum(row.result is result for row in mine) for result in Result}}
        summary[kind.value] = {**figures, "written": figures["new"] if written else 0}
    return summary


def finding(rule: str, severity: Severity, name: str, accepted: str = "", **values: str) -> Finding:
    said = {
        "title": f"title of {rule}",
        "kind": "tax_code",
        "qbo": f"QuickBooks says {name}",
        "miracle": f"Miracle says {name}",
        "remedy": f"mend {rule}",
        "where": f"click {rule}",
        **values,
    }
    return Finding(f"{rule}/{name}", rule, severity, name=name, accepted=accepted, **said)


def findings() -> list[Finding]:
    return [
        finding("TAX-001", Severity.BLOCKER, "California", remedy="add California"),
        finding("TAX-001", Severity.BLOCKER, "Tucson", remedy="add Tucson"),
        finding("TRM-001", Severity.BLOCKER, "Net 30", kind="payment_term"),
        *(finding("NAM-003", Severity.WARNING, name, kind="customer") for name in NAMES),
        finding("IMP-001", Severity.INFO, "Residential", kind="customer_type"),
        finding("CUR-001", Severity.BLOCKER, "Home currency", accepted="agreed with the owner"),
    ]


def audit_answer() -> Answer:
    summary = {"blocker": 3, "warning": len(NAMES), "info": 1, "accepted": 1}
    items = [
        {"id": f.id, "kind": f.kind, "severity": f.severity.value, "qbo": f.qbo, "miracle": f.miracle, "remedy": f.remedy}
        for f in findings()
    ]
    return Answer("audit", "acme", "blocked", summary, items, next="correct the blockers, then run: qbo-sync audit")


def plan_answer() -> Answer:
    return Answer("plan", "acme", "attention", kind_summary(rows()), next="fill in the decisions")


def import_answer() -> Answer:
    return Answer("import", "acme", "attention", kind_summary(rows(), written=True))


def review_tables() -> dict[str, list[dict[str, str]]]:
    made = {"result": "made", "reason": "run 1", "decision": ""}
    rows = [{"kind": "customer", "qbo_id": str(n), "miracle_id": str(n), "name": name, **made} for n, name in enumerate(NAMES)]
    return {"Customers": rows}


def hostile_tables() -> dict[str, list[dict[str, object]]]:
    """Every sort of list of a clean-up or a reconciliation, with hostile values in every place that the books fill."""
    line = {"kind": "customer", "result": "unused", "balance": Decimal("-1204.5"), "open_documents": 2, "in_stock": 3}
    to_tick = [{**line, "qbo_id": name, "name": name, "reason": name, "decision": ""} for name in NAMES]
    differing = [
        {"name": name, "kind": "customer", "field": name, "qbo": name, "miracle": name, "qbo_id": name, "miracle_id": name}
        for name in NAMES
    ]
    return {"Customers": to_tick, "Same record, other details": differing, "<i>": [{"name": name, "<u>": name} for name in NAMES]}


def reconcile_answer() -> Answer:
    details = [{"field": "bill_line1", "qbo": "4581 Finch St.", "miracle": "Finch Street 4581"}]
    items = [
        {"id": "5", "kind": "payment_term", "qbo": "Net 30", "miracle": "4", "result": "different", "reason": "31 days there"},
        {"id": "7", "kind": "customer", "qbo": "Cool Cars", "miracle": "", "result": "only_qbo", "reason": "not imported yet"},
        {"id": "1", "kind": "customer", "qbo": "Amy", "miracle": "8", "result": "equal", "reason": "", "differences": details},
        {"id": "", "kind": "supplier", "qbo": "", "miracle": "88", "result": "only_miracle", "name": "Norton Lumber"},
    ]
    summary = {"equal": 41, "different": 1, "only_qbo": 1, "only_miracle": 1, "details": 1}
    return Answer("reconcile", "acme", "attention", summary, items)


def reconcile_tables() -> dict[str, list[dict[str, str]]]:
    term = {"name": "Net 30", "kind": "payment_term", "qbo_id": "5", "miracle_id": "4"}
    amy = {"name": "Amy", "kind": "customer", "qbo_id": "1", "miracle_id": "8"}
    return {
        "Do not agree": [{**term, "field": "", "reason": "31 days there"}],
        "Only in QuickBooks Online": [{"name": "Cool Cars", "kind": "customer", "reason": "not imported yet", "qbo_id": "7"}],
        "Same record, other details": [
            {**amy, "field": "bill_line1", "qbo": "4581 Finch St.", "miracle": "Finch Street 4581"},
            {**amy, "field": "payment_term_id", "qbo": "Net 30", "miracle": ""},
        ],
        "Only in Miracle Service": [{"name": "Norton Lumber", "kind": "supplier", "miracle_id": "88"}],
    }
