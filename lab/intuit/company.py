"""One company's books: rows held as encoded JSON, with the orders that queries ask for kept until a row changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from lab.intuit.clock import parse_time
from lab.intuit.schema import ENTITIES, Entity

Row = dict[str, Any]
Order = tuple[tuple[str, bool], ...]


class _Version(msgspec.Struct):
    """The part of a row that says how new it is; decoding only this is several times faster than decoding all."""

    class Meta(msgspec.Struct):
        LastUpdatedTime: str = ""

    SyncToken: str = "0"
    Active: bool = True
    MetaData: Meta = msgspec.field(default_factory=Meta)


_version = msgspec.json.Decoder(_Version)


def newness(raw: bytes) -> tuple[int, float]:
    """What decides between two copies of one row: the higher SyncToken, then the later update."""
    version = _version.decode(raw)
    updated = version.MetaData.LastUpdatedTime
    return int(version.SyncToken or 0), parse_time(updated).timestamp() if updated else 0.0


def get_path(row: Row, name: str) -> Any:
    """The value of a dotted property; a reference stands for its ``value``, an e-mail address for its ``Address``."""
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict):
        return value.get("value", value.get("Address"))
    return value


def id_key(row_id: str) -> tuple[int, int, str]:
    """Ids sort as numbers; the few that are words (``TAX``) come first."""
    return (1, int(row_id), "") if row_id.isdigit() else (0, 0, row_id)


def _sort_key(name: str) -> Callable[[Row], Any]:
    if name == "Id":
        return lambda row: (1, id_key(row["Id"]))
    if name.startswith("MetaData."):
        return lambda row: (1, parse_time(get_path(row, name)).timestamp()) if get_path(row, name) else (0, 0.0)
    return lambda row: (0, "") if get_path(row, name) is None else (1, get_path(row, name))


class Table:
    """All rows of one entity, active and inactive, by Id."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.rows: dict[str, bytes] = {}
        self.inactive: set[str] = set()
        self._orders: dict[tuple[Order, bool], list[str]] = {}

    def put(self, row: Row) -> None:
        """Insert or replace a row."""
        self.put_raw(row["Id"], msgspec.json.encode(row), active=row.get("Active", True) is not False)

    def put_raw(self, row_id: str, raw: bytes, *, active: bool) -> None:
        """Insert or replace a row that is already encoded."""
        self.rows[row_id] = raw
        (self.inactive.discard if active else self.inactive.add)(row_id)
        self._orders.clear()

    def merge(self, row: Row) -> None:
        """Take the row unless a newer copy is held already; of two equally new copies the first one stays."""
        held = self.rows.get(row["Id"])
        if held is None or newness(msgspec.json.encode(row)) > newness(held):
            self.put(row)

    def remove(self, row_id: str) -> None:
        """Forget a row."""
        del self.rows[row_id]
        self.inactive.discard(row_id)
        self._orders.clear()

    def get(self, row_id: str) -> Row | None:
        """The decoded row, or ``None``."""
        raw = self.rows.get(row_id)
        return None if raw is None else msgspec.json.decode(raw)

    def decoded(self) -> Iterator[Row]:
        """Every row, active and inactive."""
        return map(msgspec.json.decode, self.rows.values())

    def ordered(self, order: Order, *, inactive_too: bool) -> list[str]:
        """Ids in this order (ties by Id), kept until a row of the table changes."""
        key = (order, inactive_too)
        if key not in self._orders:
            self._orders[key] = self._sort(order) if inactive_too else self._active(order)
        return self._orders[key]

    def _active(self, order: Order) -> list[str]:
        ids = self.ordered(order, inactive_too=True)
        return [row_id for row_id in ids if row_id not in self.inactive] if self.inactive else ids

    def _sort(self, order: Order) -> list[str]:
        ids = sorted(self.rows, key=id_key)
        if order == (("Id", False),):
            return ids
        # A stable sort per key, the last key first, gives mixed directions and ties by Id.
        for name, descending in reversed(order):
            key_of = _sort_key(name)
            keys = {row_id: key_of(msgspec.json.decode(raw)) for row_id, raw in self.rows.items()}
            ids.sort(key=keys.__getitem__, reverse=descending)
        return ids

    def copy(self) -> Table:
        """A copy that shares the encoded rows."""
        other = Table(self.entity)
        other.rows, other.inactive = dict(self.rows), set(self.inactive)
        return other


class Company:
    """One realm: a table per entity, the stubs of deleted rows, and the counter that gives new rows their Id."""

    def __init__(self, realm: str) -> None:
        self.realm = realm
        self.tables = {name: Table(entity) for name, entity in ENTITIES.items()}
        self.deleted: list[tuple[str, Row]] = []

    def __getitem__(self, entity: str) -> Table:
        return self.tables[entity]

    @property
    def name(self) -> str:
        """The company's name as the consent page shows it."""
        info = next(self["CompanyInfo"].decoded(), {})
        return str(info.get("CompanyName", f"company {self.realm}"))

    def merge(self, entity: str, rows: Iterable[Row]) -> None:
        """Take recorded rows; stubs of deleted objects hold nothing to take."""
        for row in rows:
            if row.get("status") != "Deleted":
                self[entity].merge(row)

    def next_id(self, *entities: str) -> str:
        """The Id a new row gets: one above the highest small Id in use by any of the entities that share a counter.

        Ids of 19 digits are Intuit's own numbering and don't count.
        """
        ids = (int(row_id) for entity in entities for row_id in self[entity].rows if row_id.isdigit() and len(row_id) < 12)
        return str(max(ids, default=0) + 1)

    def copy(self) -> Company:
        """A copy that shares the encoded rows; loading a company once and putting it back is what ``/lab/reset`` does."""
        other = Company(self.realm)
        other.tables = {name: table.copy() for name, table in self.tables.items()}
        other.deleted = list(self.deleted)
        return other
