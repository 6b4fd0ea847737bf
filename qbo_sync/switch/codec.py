"""Records, rows and planned rows as lines on a shelf, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any

import msgspec

from qbo_sync.miracle.database import DECIMALS
from qbo_sync.switch.model import Decision, Kind, PlannedRow, Record, Result, Row
from qbo_sync.switch.names import normal_path
from qbo_sync.switch.shelf import AT_ONCE, Codec, Shelf, Values

# A database's own types (an identifier, a date) travel as their text.
_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_record = msgspec.msgpack.Decoder(Record).decode
_row = msgspec.msgpack.Decoder(Row).decode
_planned = msgspec.msgpack.Decoder(PlannedRow).decode

_WITH_DECIMALS = (Kind.INVENTORY_ITEM, Kind.PAYMENT_TERM)

ACTIVE, INACTIVE, OTHER, OTHER_INACTIVE = "active", "inactive", "other", "other inactive"


def _with_decimals(kind: Kind, fields: Mapping[str, Any]) -> None:
    """Numbers travel as text, so that no digit is lost; ``fields`` were just decoded and are nobody else's."""
    if kind in _WITH_DECIMALS:
        values: Any = fields
        for name in DECIMALS & values.keys():
            if values[name] is not None:
                values[name] = Decimal(values[name])


class Records(Codec[Record]):
    """QBO records. Their mark says whether they are active, and whether they are items of a type that is not imported."""

    def encode(self, thing: Record, mark: str = ACTIVE) -> Values:
        """As a line's values. Its key is the item's type."""
        return thing.qbo_id, thing.level, thing.fields.get("item_type") or "", mark, _encode(thing)

    def decode(self, body: bytes) -> Record:
        """The record."""
        record = _record(body)
        _with_decimals(record.kind, record.fields)
        return record


class Short(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The beginning of a :class:`Record`: what says which one it is."""

    kind: Kind
    qbo_id: str
    sync_token: str
    name: str
    path: str
    level: int


_short = msgspec.msgpack.Decoder(Short).decode


def short(body: bytes) -> Short:
    """What stands in a record's line, as far as that."""
    return _short(body)


class Rows(Codec[Row]):
    """Rows of Miracle Service, found by their full name, normalised."""

    def encode(self, thing: Row) -> Values:
        """As a line's values."""
        return thing.miracle_id, 0, normal_path(thing.path), "", _encode(thing)

    def decode(self, body: bytes) -> Row:
        """The row."""
        row = _row(body)
        _with_decimals(row.kind, row.fields)
        return row


class Planned(Codec[PlannedRow]):
    """Planned rows. Their mark says result, action and decision, so that they are counted and chosen without being decoded."""

    def encode(self, thing: PlannedRow) -> Values:
        """As a line's values."""
        return thing.qbo_id, thing.level, "", _mark(thing.result, thing.action, thing.decision), _encode(thing)

    def decode(self, body: bytes) -> PlannedRow:
        """The planned row."""
        row = _planned(body)
        _with_decimals(row.kind, row.fields)
        return row


@cache
def _mark(result: Result, action: str, decision: str) -> str:
    return f"{result.value} {action} {decision}"


def sorts(mark: str) -> tuple[Result, str, str]:
    """A planned row's mark: its result, its action and its decision."""
    result, action, decision = mark.split(" ")
    return Result(result), action, Decision(decision).value if decision else ""


class Names(Mapping[str, str]):
    """Full names of the records with a mark, by QBO id."""

    def __init__(self, shelf: Shelf, kind: Kind, mark: str) -> None:
        self._shelf, self._kind, self._mark = shelf, kind, mark

    def __getitem__(self, qbo_id: str) -> str:
        line = self._shelf.find(self._kind, [qbo_id]).get(qbo_id)
        if line is None or line.mark != self._mark:
            raise KeyError(qbo_id)
        return _record(line.body).path

    def __iter__(self) -> Iterator[str]:
        for lines in self._shelf.chunks(self._kind, [self._mark]):
            yield from (line.id for line in lines)

    def __len__(self) -> int:
        return self._shelf.tally(self._kind).get(self._mark, 0)


class Links(Mapping[tuple[str, str], tuple[str, str]]):
    """The saved links as they were read: (kind, QBO id) → (Miracle id, state)."""

    def __init__(self, links: Iterable[tuple[str, str, str, str]] = ()) -> None:
        """``links``: kind, QBO id, Miracle id and state of each."""
        self._shelf = Shelf(keyed=True)
        left = iter(links)
        while some := list(islice(left, AT_ONCE)):
            by_kind: dict[str, list[Values]] = {}
            for kind, qbo_id, miracle_id, state in some:
                by_kind.setdefault(kind, []).append((qbo_id, 0, miracle_id, state, b""))
            for each, lines in by_kind.items():
                self._shelf.put(Kind(each), lines)

    def of(self, kind: Kind, qbo_ids: Collection[str]) -> dict[str, tuple[str, str]]:
        """The links of these records: QBO id → (Miracle id, state)."""
        return self._shelf.sorts(kind, qbo_ids)

    def with_rows(self, kind: Kind, miracle_ids: Collection[str], *, any_state: bool = False) -> dict[str, list[str]]:
        """Those of these rows that records are linked with: Miracle id → QBO ids. With ``any_state`` removed links count too."""
        found: dict[str, list[str]] = {}
        for miracle_id, lines in self._shelf.having(kind, miracle_ids).items():
            if standing := [line.id for line in lines if any_state or line.mark != "removed"]:
                found[miracle_id] = standing
        return found

    def number(self, kind: Kind) -> int:
        """How many records of a kind are linked."""
        return sum(self._shelf.tally(kind).values())

    def __getitem__(self, record: tuple[str, str]) -> tuple[str, str]:
        return self.of(Kind(record[0]), [record[1]])[record[1]]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for kind in Kind:
            for lines in self._shelf.chunks(kind):
                yield from ((kind.value, line.id) for line in lines)

    def __len__(self) -> int:
        return sum(map(self.number, Kind))
