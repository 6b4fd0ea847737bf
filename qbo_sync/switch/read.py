"""Reads both sides, once each. Everything that compares them works on what was read here and asks for nothing more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from qbo_sync.intuit.query import Active
from qbo_sync.miracle import Miracle
from qbo_sync.miracle.database import TaxRows
from qbo_sync.switch import translate
from qbo_sync.switch.codec import ACTIVE, INACTIVE, OTHER, OTHER_INACTIVE, Links, Names, Records, Rows
from qbo_sync.switch.model import KIND_OF, QBO_ENTITY, Account, Kind, Record, Row, TaxCode, TaxComponent
from qbo_sync.switch.shelf import AT_ONCE, Listing, Shelf, Values

if TYPE_CHECKING:
    from qbo_sync.intuit import Page


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
    records: Mapping[Kind, Listing[Record]]
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

    rows: Mapping[Kind, Listing[Row]]
    taxes: list[TaxCode] | None
    links: Links
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


_NOWHERE: Mapping[str, Any] = {}
_records, _rows = Records(), Rows()


class _Found:
    """What is read of QuickBooks Online; a row that was changed during the reading comes again and replaces the earlier one."""

    def __init__(self, shelf: Shelf, item_types: tuple[str, ...]) -> None:
        self.shelf = shelf
        self._item_types = item_types
        self.others: dict[str, dict[str, Mapping[str, Any]]] = {}

    def put(self, page: Page) -> None:
        """Take a page."""
        kind = KIND_OF.get(page.entity)
        if page.first:
            self.others[page.entity] = {}
            if kind:
                self.shelf.clear(kind)
        if kind is None:
            self.others[page.entity].update((str(row.get("Id", "")), row) for row in page.rows)
        if kind:
            self.shelf.put(kind, [self._line(kind, row) for row in page.rows])

    def _line(self, kind: Kind, row: Mapping[str, Any]) -> Values:
        active = translate.is_active(row)
        if kind is Kind.INVENTORY_ITEM and row.get("Type") not in self._item_types:
            mark = OTHER if active else OTHER_INACTIVE
        else:
            mark = ACTIVE if active else INACTIVE
        return _records.encode(translate.record(kind, row) if mark == ACTIVE else translate.named(kind, row), mark)

    def other_items(self) -> dict[str, int]:
        """How many active items there are of each type that is not imported."""
        return self.shelf.tally(Kind.INVENTORY_ITEM, "key", OTHER)


def company(intuit: Reader, item_types: tuple[str, ...]) -> Company:
    """Read everything the audit and the import need, active and inactive together."""
    read_at = datetime.now(UTC)
    found = _Found(Shelf(), item_types)
    for page in intuit.read(WANTED):
        found.put(page)
    info = next(iter(found.others["CompanyInfo"].values()), {})
    return Company(
        realm=intuit.realm,
        name=str(info.get("CompanyName", "")),
        read_at=read_at,
        records={kind: Listing(found.shelf, kind, _records, [ACTIVE]) for kind in Kind},
        inactive={kind: Names(found.shelf, kind, INACTIVE) for kind in Kind},
        other_items=found.other_items(),
        employees={qbo_id: str(row.get("DisplayName", "")) for qbo_id, row in found.others["Employee"].items()},
        accounts={qbo_id: translate.account(row) for qbo_id, row in found.others["Account"].items()},
        taxes=translate.tax_codes(*(found.others[name].values() for name in ("TaxCode", "TaxRate", "TaxAgency"))),
        info=info,
        preferences=next(iter(found.others["Preferences"].values()), {}),
    )


def books(miracle: Miracle) -> Books:
    """Read what Miracle Service holds. Writes nothing."""
    profile = miracle.profile
    method = miracle.setting(profile.tax_method.setting) if profile.tax_method else None
    form = miracle.setting(profile.export_format.setting) if profile.export_format else None
    return Books(
        rows=rows_of(miracle),
        taxes=[_tax_code(rows) for rows in miracle.taxes()] if profile.taxes else None,
        links=Links(miracle.link_rows()),
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


def rows_of(miracle: Miracle) -> dict[Kind, Listing[Row]]:
    """All rows of every kind with their full names."""
    shelf = Shelf(keyed=True)
    for kind in Kind:
        children = Shelf()
        read = (Row(kind, str(row["id"]), str(row["name"]), str(row["name"]), row) for row in miracle.rows(kind))
        while some := list(islice(read, AT_ONCE)):
            shelf.put(kind, [_rows.encode(row) for row in some if row.fields.get("parent_id") is None])
            children.put(kind, [_rows.encode(row) for row in some if row.fields.get("parent_id") is not None])
        waiting = Listing(children, kind, _rows)
        tops = Listing(shelf, kind, _rows)
        for chunk in waiting.chunks():
            shelf.put(kind, [_rows.encode(row) for row in _with_paths(kind, chunk, (tops, waiting))])
    return {kind: Listing(shelf, kind, _rows) for kind in Kind}


def _with_paths(kind: Kind, rows: list[Row], among: Sequence[Listing[Row]]) -> Iterator[Row]:
    """These rows with their full names; ``among`` are all rows."""
    others: dict[str, Mapping[str, Any]] = {row.miracle_id: {**row.fields, "id": row.miracle_id} for row in rows}
    while above := parents(others):
        found = {miracle_id: row.fields for listing in among for miracle_id, row in listing.find(above).items()}
        others.update({miracle_id: found.get(miracle_id, _NOWHERE) for miracle_id in above})
    there = {miracle_id: row for miracle_id, row in others.items() if row is not _NOWHERE}
    return (row_from(kind, row.fields, there) for row in rows)


def parents(rows: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The ids of the parents that are not among these rows themselves."""
    return {str(row["parent_id"]) for row in rows.values() if row.get("parent_id") is not None} - rows.keys()


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
