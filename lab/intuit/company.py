"""One company's books: rows held as encoded JSON, with the orders that queries ask for kept until a row changes."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress
from typing import Any

import msgspec

from lab.intuit.clock import parse_time
from lab.intuit.rows import Packed, Rows, number_of
from lab.intuit.schema import ENTITIES, Entity

Row = dict[str, Any]
Order = tuple[tuple[str, bool], ...]
Encoded = tuple[int, bytes, float, bool]


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


def _sort_key(name: str) -> Callable[[Row], Any]:
    if name == "Id":
        return lambda row: (1, number_of(row["Id"]))
    if name.startswith("MetaData."):
        return lambda row: (1, parse_time(get_path(row, name)).timestamp()) if get_path(row, name) else (0, 0.0)
    return lambda row: (0, "") if get_path(row, name) is None else (1, get_path(row, name))


def encoded(row: Row) -> Encoded:
    """What a table keeps of a row: its number, the row as JSON, when it was last updated, whether it is active."""
    raw = msgspec.json.encode(row)
    return number_of(row["Id"]), raw, newness(raw)[1], row.get("Active", True) is not False


class Table:
    """All rows of one entity, active and inactive, by the number of their Id (see :mod:`lab.intuit.rows`)."""

    def __init__(self, entity: Entity, rows: Rows | None = None) -> None:
        self.entity = entity
        self.rows = Rows() if rows is None else rows
        # What is known of the rows that were put one by one; of packed rows their pack knows it.
        self._inactive: set[int] = set()
        self._updated: dict[int, float] = {}
        self._orders: dict[tuple[Order, bool], Sequence[int]] = {}

    def put(self, row: Row) -> None:
        """Insert or replace a row."""
        number, raw, updated, active = encoded(row)
        self.rows[number] = raw
        (self._inactive.discard if active else self._inactive.add)(number)
        self._updated[number] = updated
        self._orders.clear()

    def pack(self, rows: Iterable[Encoded]) -> None:
        """Take over these rows, which come in the order of their Ids; replaces all others."""
        packed = Packed()
        for number, raw, updated, active in rows:
            packed.append(number, raw, updated, active=active)
        packed.flush()
        self.rows = Rows(packed)

    def merge(self, row: Row) -> None:
        """Take the row unless a newer copy is held already; of two equally new copies the first one stays."""
        held = self.rows.get(number_of(row["Id"]))
        if held is None or newness(msgspec.json.encode(row)) > newness(held):
            self.put(row)

    def remove(self, row_id: str) -> None:
        """Forget a row."""
        number = number_of(row_id)
        del self.rows[number]
        self._inactive.discard(number)
        self._updated.pop(number, None)
        self._orders.clear()

    def raw(self, row_id: str) -> bytes | None:
        """The encoded row, or ``None``."""
        return self.rows.get(number_of(row_id))

    def get(self, row_id: str) -> Row | None:
        """The decoded row, or ``None``."""
        raw = self.raw(row_id)
        return None if raw is None else msgspec.json.decode(raw)

    def decoded(self) -> Iterator[Row]:
        """Every row, active and inactive."""
        return map(msgspec.json.decode, self.rows.values())

    def active(self, number: int) -> bool:
        """Whether a row that is held is active."""
        if number in self._updated:
            return number not in self._inactive
        return bool(self.rows.packed.active[self.rows.packed.place(number)])

    def updated(self, number: int) -> float:
        """When a row that is held was last updated, in seconds since the epoch."""
        held = self._updated.get(number)
        return self.rows.packed.updated[self.rows.packed.place(number)] if held is None else held

    def all_active(self) -> bool:
        """Whether no row is inactive."""
        return all(self.active(number) for number in self.rows)

    def ordered(self, order: Order, *, inactive_too: bool) -> Sequence[int]:
        """Numbers of rows in this order (ties by Id), kept until a row of the table changes."""
        key = (order, inactive_too)
        if key not in self._orders:
            if inactive_too:
                self._orders[key] = self.sort(self.rows.numbers(), order)
            else:
                self._orders[key] = array("q", self._only_active(self.ordered(order, inactive_too=True)))
        return self._orders[key]

    def _only_active(self, numbers: Sequence[int]) -> Iterable[int]:
        packed = self.rows.packed
        return compress(numbers, packed.active) if numbers is packed.numbers else filter(self.active, numbers)

    def updated_where(self, numbers: Iterable[int], test: Callable[[float], bool]) -> Iterable[int]:
        """Those of the numbers whose last update passes the test."""
        packed = self.rows.packed
        if numbers is packed.numbers:
            return compress(numbers, map(test, packed.updated))
        return (number for number in numbers if test(self.updated(number)))

    def sort(self, numbers: Sequence[int], order: Order) -> Sequence[int]:
        """These numbers, which come in the order of Id, in another order."""
        if order == (("Id", False),):
            return numbers
        found = list(numbers)
        # A stable sort per key, the last key first, gives mixed directions and ties by Id.
        for name, descending in reversed(order):
            key_of = _sort_key(name)
            keys = {number: key_of(msgspec.json.decode(self.rows[number])) for number in found}
            found.sort(key=keys.__getitem__, reverse=descending)
        return array("q", found)

    def copy(self) -> Table:
        """A copy that shares the encoded rows."""
        other = Table(self.entity, self.rows.copy())
        other._inactive, other._updated = set(self._inactive), dict(self._updated)
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
        highest = max((number for entity in entities for number in self[entity].rows if number < 10**11), default=0)
        return str(max(highest, 0) + 1)

    def copy(self) -> Company:
        """A copy that shares the encoded rows; loading a company once and putting it back is what ``/lab/reset`` does."""
        other = Company(self.realm)
        other.tables = {name: table.copy() for name, table in self.tables.items()}
        other.deleted = list(self.deleted)
        return other
