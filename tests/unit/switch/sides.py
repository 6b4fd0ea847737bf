"""Builds the two readings by hand, for the pure stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from qbo_sync.switch import audit, match, translate
from qbo_sync.switch.codec import Links, Records, Rows
from qbo_sync.switch.model import Account, Kind, PlannedRow, RatePeriod, Row, TaxCode, TaxComponent
from qbo_sync.switch.read import Books, Company
from qbo_sync.switch.shelf import listings

Json = dict[str, Any]


def company(
    rows: Mapping[Kind, list[Json]] | None = None,
    *,
    taxes: list[TaxCode] | None = None,
    preferences: Json | None = None,
    other_items: Mapping[str, int] | None = None,
    employees: Mapping[str, str] | None = None,
    accounts: Mapping[str, Account] | None = None,
    info: Json | None = None,
) -> Company:
    """A QBO company with these raw rows."""
    given = rows or {}
    active = {kind: [r for r in given.get(kind, []) if r.get("Active", True)] for kind in Kind}
    return Company(
        realm="1",
        name="Acme",
        read_at=datetime(2026, 11, 24, tzinfo=UTC),
        records=listings(Records(), {kind: [translate.record(kind, r) for r in active[kind]] for kind in Kind}),
        inactive={
            kind: {str(r["Id"]): str(r.get("DisplayName") or r["Name"]) for r in given.get(kind, []) if not r.get("Active", True)}
            for kind in Kind
        },
        other_items=other_items or {},
        employees=employees or {},
        accounts=accounts or {},
        taxes=taxes or [],
        info=info or {},
        preferences=preferences or {"CurrencyPrefs": {"HomeCurrency": {"value": "USD"}}},
    )


def books(
    rows: Mapping[Kind, list[Row]] | None = None,
    *,
    taxes: list[TaxCode] | None = None,
    links: Mapping[tuple[str, str], tuple[str, str]] | None = None,
    lengths: Mapping[str, int] | None = None,
    by_line_item: bool = True,
    currency: str = "USD",
    export_enabled: bool = False,
    other_realms: list[str] | None = None,
    declares_taxes: bool = True,
    purchase_taxes: bool = True,
    export_format: str = "quickbooks_online",
) -> Books:
    """A Miracle Service with these rows."""
    return Books(
        rows=listings(Rows(), rows or {}, keyed=True),
        taxes=(taxes or []) if declares_taxes else None,
        links=Links((*record, *target) for record, target in (links or {}).items()),
        lengths={kind: lengths or {} for kind in Kind},
        tax_method="line_item" if by_line_item else "by_total",
        tax_by_line_item=by_line_item,
        currency=currency,
        export_format=export_format,
        export_fits=export_format == "quickbooks_online",
        purchase_taxes=purchase_taxes,
        export_enabled=export_enabled,
        other_realms=other_realms or [],
    )


def row(kind: Kind, miracle_id: str, path: str, **fields: Any) -> Row:
    """A row of Miracle Service."""
    return Row(kind, miracle_id, path.rpartition(":")[2], path, {"name": path.rpartition(":")[2], **fields})


def customer(qbo_id: str, name: str, **more: Any) -> Json:
    """A raw QBO customer."""
    return {"Id": qbo_id, "SyncToken": "0", "DisplayName": name, "Active": True, "Taxable": True, **more}


def named(qbo_id: str, name: str, **more: Any) -> Json:
    """A raw row of a kind with a Name."""
    return {"Id": qbo_id, "SyncToken": "0", "Name": name, "Active": True, **more}


def tax(
    name: str,
    *rates: str,
    active: bool = True,
    agency: str = "State",
    compound: bool = False,
    code_id: str = "2",
    purchase: tuple[str, ...] = (),
    periods: tuple[RatePeriod, ...] = (),
) -> TaxCode:
    """A tax code with these rates."""
    parts = tuple(TaxComponent(f"{name} {n}", rate, agency, compound and n > 0, periods) for n, rate in enumerate(rates))
    bought = tuple(TaxComponent(f"{name} {n} bought", rate, agency, compound=False) for n, rate in enumerate(purchase))
    return TaxCode(code_id, name, "", active, parts, bought)


def sides(qbo: Company, miracle: Books) -> audit.Sides:
    """Both, matched."""
    return audit.Sides(qbo, miracle, match.match(qbo, miracle))


def rules_that_fire(qbo: Company, miracle: Books) -> set[str]:
    """The ids of the rules that fire."""
    return {finding.rule for finding in audit.audit(sides(qbo, miracle), {})}


def one(rows: Iterable[PlannedRow], kind: Kind, qbo_id: str) -> PlannedRow:
    """The planned row of one record."""
    return next(r for r in rows if r.kind is kind and r.qbo_id == qbo_id)
