"""Reads both sides, once each. Everything that compares them works on what was read here and asks for nothing more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from qbo_sync.intuit import Page
from qbo_sync.intuit.query import Active
from qbo_sync.miracle import Miracle
from qbo_sync.miracle.database import TaxRows
from qbo_sync.switch import translate
from qbo_sync.switch.model import KIND_OF, QBO_ENTITY, Account, Kind, Record, Row, TaxCode, TaxComponent


class Reader(Protocol):
    """What is needed of the Intuit client."""

    realm: str

    def read(self, wanted: Mapping[str, Active]) -> Iterable[Page]: ...


@dataclass(frozen=True)
class Company:
    """One reading of the QBO company.

    ``records`` are the active ones, in an order in which parents come first; ``inactive`` the names of the others, by id;
    ``other_items`` counts active items of types that are not imported; ``employees`` and ``accounts`` by id, the inactive too.
    Records of a large company lie on disk: go through them as often as needed, keep keys instead of records, and expect no index.
    """

    realm: str
    name: str
    read_at: datetime
    records: Mapping[Kind, Collection[Record]]
    inactive: Mapping[Kind, Mapping[str, str]]
    other_items: Mapping[str, int]
    employees: Mapping[str, str]
    accounts: Mapping[str, Account]
    taxes: list[TaxCode]
    info: Mapping[str, Any]
    preferences: Mapping[str, Any]


@dataclass(frozen=True)
class Books:
    """One reading of Miracle Service.

    ``taxes`` is ``None`` where the profile declares none, ``purchase_taxes`` whether it has a place for those on purchases;
    ``export_fits`` whether the export is made for QuickBooks Online; ``links``: (kind, QBO id) → (Miracle id, state).
    """

    rows: Mapping[Kind, Collection[Row]]
    taxes: list[TaxCode] | None
    links: Mapping[tuple[str, str], tuple[str, str]]
    lengths: Mapping[Kind, Mapping[str, int]]
    tax_method: str | None
    tax_by_line_item: bool
    currency: str | None
    export_format: str | None
    export_fits: bool
    purchase_taxes: bool
    export_enabled: bool | None
    other_realms: list[str]


WANTED: Mapping[str, Active] = {
    **{QBO_ENTITY[kind]: "all" for kind in Kind},
    "TaxCode": "active",
    "TaxRate": "all",
    "TaxAgency": "active",
    "Employee": "all",
    "Account": "all",
    "CompanyInfo": "active",
    "Preferences": "active",
}


class _Found:
    """The records of one kind, by QBO id; a row that was changed during the reading comes again and replaces the earlier one."""

    def __init__(self, kind: Kind, item_types: tuple[str, ...]) -> None:
        self._kind = kind
        self._item_types = item_types
        self.active: dict[str, Record] = {}
        self.inactive: dict[str, str] = {}
        self.other_types: dict[str, str] = {}

    def put(self, row: Mapping[str, Any]) -> None:
        """Take one row."""
        qbo_id, active = str(row.get("Id", "")), translate.is_active(row)
        for held in (self.active, self.inactive, self.other_types):
            held.pop(qbo_id, None)
        if self._kind is Kind.INVENTORY_ITEM and row.get("Type") not in self._item_types:
            if active:
                self.other_types[qbo_id] = str(row.get("Type"))
            return
        found = translate.record(self._kind, row)
        if active:
            self.active[qbo_id] = found
        else:
            self.inactive[qbo_id] = found.path


def company(intuit: Reader, item_types: tuple[str, ...]) -> Company:
    """Read everything the audit and the import need, active and inactive together."""
    read_at = datetime.now(UTC)
    found: dict[str, _Found] = {}
    others: dict[str, dict[str, Mapping[str, Any]]] = {}
    for page in intuit.read(WANTED):
        kind = KIND_OF.get(page.entity)
        if page.first:
            others[page.entity] = {}
            if kind:
                found[page.entity] = _Found(kind, item_types)
        for row in page.rows:
            if kind:
                found[page.entity].put(row)
            else:
                others[page.entity][str(row.get("Id", ""))] = row
    of = {kind: found[QBO_ENTITY[kind]] for kind in Kind}
    info = next(iter(others["CompanyInfo"].values()), {})
    return Company(
        realm=intuit.realm,
        name=str(info.get("CompanyName", "")),
        read_at=read_at,
        records={kind: sorted(of[kind].active.values(), key=lambda r: r.level) for kind in Kind},
        inactive={kind: of[kind].inactive for kind in Kind},
        other_items=Counter(of[Kind.INVENTORY_ITEM].other_types.values()),
        employees={qbo_id: str(row.get("DisplayName", "")) for qbo_id, row in others["Employee"].items()},
        accounts={qbo_id: translate.account(row) for qbo_id, row in others["Account"].items()},
        taxes=translate.tax_codes(*(others[name].values() for name in ("TaxCode", "TaxRate", "TaxAgency"))),
        info=info,
        preferences=next(iter(others["Preferences"].values()), {}),
    )


def books(miracle: Miracle) -> Books:
    """Read what Miracle Service holds. Writes nothing."""
    profile = miracle.profile
    method = miracle.setting(profile.tax_method.setting) if profile.tax_method else None
    form = miracle.setting(profile.export_format.setting) if profile.export_format else None
    return Books(
        rows={kind: rows_of(miracle, kind) for kind in Kind},
        taxes=[_tax_code(rows) for rows in miracle.taxes()] if profile.taxes else None,
        links=miracle.links(),
        lengths={kind: miracle.lengths(kind) for kind in Kind},
        tax_method=method,
        tax_by_line_item=profile.tax_method is None or method == profile.tax_method.line_item,
        currency=miracle.setting(profile.currency.setting) if profile.currency else None,
        export_format=form,
        export_fits=profile.export_format is None or form == profile.export_format.quickbooks_online,
        purchase_taxes=bool(profile.taxes and profile.taxes.purchase),
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


def _tax_code(rows: TaxRows) -> TaxCode:
    code = rows.code
    return TaxCode(
        id=str(code["id"]),
        name=str(code["name"]),
        description=str(code.get("description") or ""),
        active=bool(code.get("active", True)),
        components=tuple(_component(row) for row in rows.sales),
        purchase=tuple(_component(row) for row in rows.purchase),
    )


def _component(row: Mapping[str, Any]) -> TaxComponent:
    return TaxComponent(
        name=str(row.get("name") or ""),
        rate=translate.plain(Decimal(str(row.get("rate") or 0))),
        agency=str(row.get("agency") or ""),
        compound=bool(row.get("compound")),
    )
