"""Reads both sides, once each. Everything that compares them works on what was read here and asks for nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from qbo_sync.miracle import Miracle
from qbo_sync.switch import translate
from qbo_sync.switch.model import QBO_ENTITY, Kind, Record, Row, TaxCode, TaxComponent


class Reader(Protocol):
    """What is needed of the Intuit client."""

    realm: str

    def query(self, entity: str, *, active: Any = ..., where: str = ...) -> Any: ...
    def company_info(self) -> dict[str, Any]: ...
    def preferences(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Company:
    """One reading of the QBO company.

    ``records`` are the active ones, in an order in which parents come first; ``inactive`` the names of the others, by id;
    ``other_items`` counts active items of types that are not imported.
    """

    realm: str
    name: str
    read_at: datetime
    records: Mapping[Kind, list[Record]]
    inactive: Mapping[Kind, Mapping[str, str]]
    raw_terms: Mapping[str, Mapping[str, Any]]
    other_items: Mapping[str, int]
    taxes: list[TaxCode]
    info: Mapping[str, Any]
    preferences: Mapping[str, Any]


@dataclass(frozen=True)
class Books:
    """One reading of Miracle Service.

    ``taxes`` is ``None`` where the profile declares none; ``links``: (kind, QBO id) → (Miracle id, state).
    """

    rows: Mapping[Kind, list[Row]]
    taxes: list[TaxCode] | None
    links: Mapping[tuple[str, str], tuple[str, str]]
    lengths: Mapping[Kind, Mapping[str, int]]
    tax_method: str | None
    tax_by_line_item: bool
    currency: str | None
    export_enabled: bool | None
    other_realms: list[str]


def company(intuit: Reader, item_types: tuple[str, ...]) -> Company:
    """Read everything the audit and the import need: one query series per kind, active and inactive together."""
    read_at = datetime.now(UTC)
    records: dict[Kind, list[Record]] = {}
    inactive: dict[Kind, dict[str, str]] = {}
    raw_terms: dict[str, Mapping[str, Any]] = {}
    other_items: dict[str, int] = {}
    for kind in Kind:
        active: list[Record] = []
        hidden: dict[str, str] = {}
        for row in intuit.query(QBO_ENTITY[kind], active="all"):
            if kind is Kind.INVENTORY_ITEM and row.get("Type") not in item_types:
                if translate.is_active(row):
                    other_items[str(row.get("Type"))] = other_items.get(str(row.get("Type")), 0) + 1
                continue
            found = translate.record(kind, row)
            if translate.is_active(row):
                active.append(found)
                if kind is Kind.PAYMENT_TERM:
                    raw_terms[found.qbo_id] = row
            else:
                hidden[found.qbo_id] = found.path
        records[kind] = sorted(active, key=lambda r: r.level)
        inactive[kind] = hidden
    info = intuit.company_info()
    return Company(
        realm=intuit.realm,
        name=str(info.get("CompanyName", "")),
        read_at=read_at,
        records=records,
        inactive=inactive,
        raw_terms=raw_terms,
        other_items=other_items,
        taxes=translate.tax_codes(intuit.query("TaxCode"), intuit.query("TaxRate", active="all"), intuit.query("TaxAgency")),
        info=info,
        preferences=intuit.preferences(),
    )


def books(miracle: Miracle) -> Books:
    """Read what Miracle Service holds. Writes nothing."""
    profile = miracle.profile
    method = miracle.setting(profile.tax_method.setting) if profile.tax_method else None
    return Books(
        rows={kind: rows_of(miracle, kind) for kind in Kind},
        taxes=[_tax_code(code, components) for code, components in miracle.taxes()] if profile.taxes else None,
        links=miracle.links(),
        lengths={kind: miracle.lengths(kind) for kind in Kind},
        tax_method=method,
        tax_by_line_item=profile.tax_method is None or method == profile.tax_method.line_item,
        currency=miracle.setting(profile.currency.setting) if profile.currency else None,
        export_enabled=miracle.export_enabled(),
        other_realms=miracle.other_realms(),
    )


def rows_of(miracle: Miracle, kind: Kind) -> list[Row]:
    """All rows of a kind with their full names."""
    found = {str(row["id"]): row for row in miracle.rows(kind)}
    return [row_from(kind, row, found) for row in found.values()]


def row_from(kind: Kind, row: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> Row:
    """One row with its full name, built over ``parent_id``; a broken or circular chain ends where it breaks."""
    parts = [str(row["name"])]
    seen = {str(row["id"])}
    parent = row.get("parent_id")
    while parent is not None and str(parent) in others and str(parent) not in seen:
        seen.add(str(parent))
        parts.append(str(others[str(parent)]["name"]))
        parent = others[str(parent)].get("parent_id")
    return Row(kind, str(row["id"]), str(row["name"]), ":".join(reversed(parts)), row)


def _tax_code(code: Mapping[str, Any], components: list[dict[str, Any]]) -> TaxCode:
    parts = tuple(
        TaxComponent(
            name=str(c.get("name") or ""),
            rate=translate.plain(Decimal(str(c.get("rate") or 0))),
            agency=str(c.get("agency") or ""),
            compound=bool(c.get("compound")),
        )
        for c in components
    )
    return TaxCode(str(code["id"]), str(code["name"]), str(code.get("description") or ""), bool(code.get("active", True)), parts)
