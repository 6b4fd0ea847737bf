"""Both sides compared record by record and field by field. Pure: two readings in, one line per record out.

What the accounting export goes by has to agree: the full name, and the numbers of payment terms. Everything else (addresses,
prices, references) is named where it differs, and stands in nobody's way: an import never changes what Miracle Service has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from qbo_sync.switch import names
from qbo_sync.switch.audit import Sides
from qbo_sync.switch.match import REFERS_TO, TERM_NUMBERS, different_numbers
from qbo_sync.switch.model import Decision, Kind, PlannedRow, Record, Result, Row
from qbo_sync.switch.shelf import Line, Shelf

RESULTS = ("equal", "different", "only_qbo", "only_miracle")

# Not compared: what identifies the row, and what changes every day on either side.
_LEFT_OUT = frozenset({"id", "name", "parent_id", "tax_code_id", "quantity_on_hand", *TERM_NUMBERS})
_NOTHING = (None, "", 0)
_PHONES = frozenset({"phone", "mobile"})
_IN_BOTH = (Result.LINKED, Result.MATCHED)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that the two sides do not agree on, as each has it; empty where it has nothing."""

    field: str
    qbo: str
    miracle: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One record. ``result`` is ``equal``, ``different``, ``only_qbo`` or ``only_miracle``; an equal one can have ``details``."""

    kind: Kind
    qbo_id: str
    miracle_id: str
    name: str
    result: str
    reason: str = ""
    details: tuple[Difference, ...] = ()


def compare(sides: Sides) -> Iterator[Compared]:
    """Every record of both sides. What a person decided to leave out, and what they removed again, is no difference."""
    for kind in Kind:
        partners = Shelf()
        for rows in sides.rows.of(kind).chunks():
            here = [row for row in rows if row.result is not Result.REMOVED and row.decision != Decision.SKIP]
            pairs = [row for row in here if row.result in _IN_BOTH]
            partners.put(kind, [Line(row.miracle_id, 0, "", "") for row in pairs])
            yield from _pairs(sides, kind, pairs)
            for row in here:
                if row.result not in _IN_BOTH:
                    yield Compared(kind, row.qbo_id, row.miracle_id, row.path, "only_qbo", row.reason or "not imported yet")
        for others in sides.books.rows[kind].chunks():
            known = partners.find(kind, [row.miracle_id for row in others])
            for other in others:
                if other.miracle_id not in known:
                    yield Compared(kind, "", other.miracle_id, other.path, "only_miracle")


def _pairs(sides: Sides, kind: Kind, rows: Sequence[PlannedRow]) -> Iterator[Compared]:
    """Records that both sides have."""
    others = sides.books.rows[kind].find({row.miracle_id for row in rows})
    links = sides.books.links.of(kind, [row.qbo_id for row in rows])
    records = sides.company.records[kind].find([row.qbo_id for row in rows])
    referred = _Referred(sides, records, others)
    for row in rows:
        record, other = records[row.qbo_id], others[row.miracle_id]
        reason = ""
        if kind is Kind.PAYMENT_TERM:
            # Terms are one when their numbers are one, whatever they are called.
            reason = different_numbers(record.fields, other.fields)
        elif links.get(row.qbo_id, ("", ""))[1] != "decided" and names.normal_path(row.path) != names.normal_path(other.path):
            reason = f"named '{other.path}' there"
        details = (*_fields(record, other), *referred.differences(record, other))
        yield Compared(kind, row.qbo_id, row.miracle_id, row.path, "different" if reason else "equal", reason, details)


def _fields(record: Record, other: Row) -> Iterator[Difference]:
    """The fields that both sides know, and that do not say the same."""
    for field, qbo in record.fields.items():
        if field in other.fields and field not in _LEFT_OUT and not same(field, qbo, other.fields[field]):
            yield Difference(field, _say(qbo), _say(other.fields[field]))


class _Referred:
    """What the references of some records lead to, on both sides."""

    def __init__(self, sides: Sides, records: Mapping[str, Record], others: Mapping[str, Row]) -> None:
        self._qbo: dict[str, dict[str, PlannedRow]] = {}
        self._miracle: dict[str, dict[str, Row]] = {}
        for field, kind in REFERS_TO.items():
            if wanted := {each.references[field] for each in records.values() if each.references.get(field)}:
                there = {_say(other.fields.get(field)) for other in others.values()} - {""}
                self._qbo[field] = sides.rows.of(kind).find(wanted)
                self._miracle[field] = sides.books.rows[kind].find(there)

    def differences(self, record: Record, other: Row) -> Iterator[Difference]:
        """References to a record that Miracle Service has, but that lead elsewhere there."""
        for field, found in self._qbo.items():
            target = found.get(record.references.get(field, ""))
            there = _say(other.fields.get(field))
            if target and target.result in _IN_BOTH and field in other.fields and there != target.miracle_id:
                leads_to = self._miracle[field].get(there)
                yield Difference(field, target.path, leads_to.path if leads_to else "")


def same(field: str, qbo: Any, miracle: Any) -> bool:
    """Whether two values say the same: texts but for case and white space, phones by their digits, numbers by their value.

    Nothing, an empty text and a number of nought are the same.
    """
    if qbo in _NOTHING and miracle in _NOTHING:
        return True
    if isinstance(qbo, (int, float, Decimal)) or isinstance(miracle, (int, float, Decimal)):
        return _number(qbo) == _number(miracle)
    if field in _PHONES and names.digits(str(qbo)) == names.digits(str(miracle)) != "":
        return True
    return names.normal(str(qbo)) == names.normal(str(miracle))


def _number(value: Any) -> Decimal | str:
    try:
        return Decimal(str(int(value) if isinstance(value, bool) else value))
    except InvalidOperation:
        return str(value)


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value.normalize():f}"
    return "" if value is None else str(value)
