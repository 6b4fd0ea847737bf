"""Looks every QBO record up in Miracle Service. Pure: two readings in, one result per record out.

A saved link wins. Then exact keys: the full name, normalised; payment terms also by their numbers. Then weak keys (similar name,
e-mail, phone, the QuickBooks Desktop habit "Name 123"), which are shown with the reason and never merged silently. All keys are
equalities, so the work grows with the number of records, not with its square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from qbo_sync.errors import UsageError
from qbo_sync.switch import names
from qbo_sync.switch.model import Decision, Kind, PlannedRow, Record, Result, Row
from qbo_sync.switch.read import Books, Company

TERM_NUMBERS = ("due_days", "discount_percent", "discount_days", "day_of_month_due")
SMALL_KINDS = frozenset({Kind.CUSTOMER_TYPE, Kind.PAYMENT_TERM, Kind.PAYMENT_METHOD, Kind.GROUP_TYPE})
REFERS_TO = {
    "customer_type_id": Kind.CUSTOMER_TYPE,
    "payment_term_id": Kind.PAYMENT_TERM,
    "payment_method_id": Kind.PAYMENT_METHOD,
    "preferred_supplier_id": Kind.SUPPLIER,
}


@dataclass(frozen=True, slots=True)
class Decided:
    """A person's word on one record; ``miracle_id`` only for ``link`` and only when they chose one."""

    decision: Decision
    miracle_id: str = ""


Decisions = Mapping[tuple[Kind, str], Decided]


def match(company: Company, books: Books, decisions: Decisions | None = None) -> list[PlannedRow]:
    """One :class:`PlannedRow` for every active QBO record, parents before children, kinds in import order.

    Raises :class:`UsageError` when a decision names a record or a row that is not there.
    """
    decided = decisions or {}
    outcomes: dict[tuple[Kind, str], PlannedRow] = {}
    for kind in Kind:
        matcher = _Matcher(kind, company, books, decided, outcomes)
        for row in matcher.run():
            outcomes[kind, row.qbo_id] = row
    _refuse_unknown_decisions(decided, outcomes)
    return list(outcomes.values())


def _refuse_unknown_decisions(decided: Decisions, outcomes: Mapping[tuple[Kind, str], PlannedRow]) -> None:
    unknown = [f"{kind} {qbo_id}" for kind, qbo_id in decided if (kind, qbo_id) not in outcomes]
    if unknown:
        raise UsageError(
            "decisions are given for records that are not active in QuickBooks Online",
            seen=", ".join(sorted(unknown)[:5]),
            next="take these lines out of the decisions file, or make a new one with: qbo-sync plan",
        )


@dataclass
class _Matcher:
    """One kind. ``outcomes`` holds the kinds before it, and this one's parents as they are settled."""

    kind: Kind
    company: Company
    books: Books
    decided: Decisions
    outcomes: dict[tuple[Kind, str], PlannedRow]
    rows: dict[str, Row] = field(default_factory=dict)
    by_path: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    claimed: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)

    def run(self) -> Iterator[PlannedRow]:
        """All records of the kind, settled."""
        for row in self.books.rows[self.kind]:
            self.rows[row.miracle_id] = row
            self.by_path[names.normal_path(row.path)].append(row)
        found = {record.qbo_id: self._first_look(record) for record in self.company.records[self.kind]}
        self._one_row_each(found)
        self._by_numbers(found)
        self.claimed = {planned.miracle_id for planned in found.values() if planned.miracle_id}
        weak = _WeakKeys(row for row in self.rows.values() if row.miracle_id not in self.claimed)
        for record in self.company.records[self.kind]:
            settled = self._settle(record, found[record.qbo_id], weak)
            self.outcomes[self.kind, record.qbo_id] = settled
            yield settled

    # --- exact -------------------------------------------------------------------------------------------------

    def _first_look(self, record: Record) -> PlannedRow:
        link = self.books.links.get((self.kind, record.qbo_id))
        if link is not None:
            return self._linked(record, *link)
        same = self.by_path.get(names.normal_path(record.path), [])
        if len(same) > 1:
            ids = ", ".join(row.miracle_id for row in same)
            return self._row(record, Result.CONFLICT, f"Miracle Service has this name {len(same)} times (rows {ids})")
        if not same:
            return self._row(record, Result.NEW, "")
        if self.kind is Kind.PAYMENT_TERM and (other := different_numbers(record.fields, same[0].fields)):
            return self._row(record, Result.CONFLICT, f"same name, other numbers: {other}", same[0].miracle_id)
        return self._row(record, Result.MATCHED, "same name", same[0].miracle_id)

    def _linked(self, record: Record, miracle_id: str, state: str) -> PlannedRow:
        if state == "removed":
            return self._row(record, Result.REMOVED, "discarded after an earlier import", miracle_id)
        if miracle_id not in self.rows:
            return self._row(record, Result.REMOVED, "deleted in Miracle Service after an earlier import", miracle_id)
        return self._row(record, Result.LINKED, "linked by an earlier import", miracle_id)

    def _one_row_each(self, found: dict[str, PlannedRow]) -> None:
        """Two QBO records that hit the same row are a conflict for both, unless one of them is linked to it."""
        takers: dict[str, list[PlannedRow]] = defaultdict(list)
        for row in found.values():
            if row.miracle_id and row.result in (Result.LINKED, Result.MATCHED):
                takers[row.miracle_id].append(row)
        for rows in takers.values():
            if len(rows) < 2:
                continue
            for row in rows:
                if row.result is Result.MATCHED:
                    others = ", ".join(sorted(r.name for r in rows if r.qbo_id != row.qbo_id))
                    found[row.qbo_id] = replace(
                        row, result=Result.CONFLICT, reason=f"the same row in Miracle Service also fits: {others}"
                    )

    def _by_numbers(self, found: dict[str, PlannedRow]) -> None:
        """Payment terms whose name is new but whose numbers stand in exactly one free row, and in no other new term."""
        if self.kind is not Kind.PAYMENT_TERM:
            return
        taken = {row.miracle_id for row in found.values() if row.miracle_id}
        free: dict[Any, list[Row]] = defaultdict(list)
        for row in self.rows.values():
            if row.miracle_id not in taken:
                free[numbers(row.fields)].append(row)
        wanting: dict[Any, list[PlannedRow]] = defaultdict(list)
        for planned in found.values():
            if planned.result is Result.NEW:
                wanting[numbers(planned.fields)].append(planned)
        for key, planned_rows in wanting.items():
            if len(planned_rows) == len(free.get(key, [])) == 1:
                term, target = planned_rows[0], free[key][0]
                found[term.qbo_id] = replace(
                    term,
                    result=Result.MATCHED,
                    reason=f"same numbers as '{target.name}'",
                    miracle_id=target.miracle_id,
                    action="link",
                )

    # --- weak, references, decisions ---------------------------------------------------------------------------

    def _settle(self, record: Record, row: PlannedRow, weak: _WeakKeys) -> PlannedRow:
        if row.result is Result.NEW:
            row = self._new_or_weak(record, row, weak)
        if row.result in (Result.NEW, Result.WEAK, Result.CONFLICT, Result.INVALID):
            row = self._decide(record, row)
        return row

    def _new_or_weak(self, record: Record, row: PlannedRow, weak: _WeakKeys) -> PlannedRow:
        if reason := record.invalid or self._too_long(record) or self._parent_missing(record):
            return replace(row, result=Result.INVALID, reason=reason, action="")
        if reason := self._undecided_reference(record):
            return replace(row, result=Result.CONFLICT, reason=reason, action="")
        hit = weak.find(record)
        if hit is not None:
            candidate, why = hit
            return replace(
                row,
                result=Result.WEAK,
                reason=f"{why} as '{candidate.path}' (row {candidate.miracle_id})",
                miracle_id=candidate.miracle_id,
                action="",
            )
        return row

    def _too_long(self, record: Record) -> str:
        for field_name, length in self.books.lengths[self.kind].items():
            value = record.fields.get(field_name)
            if isinstance(value, str) and len(value) > length:
                return f"its {field_name.replace('_', ' ')} has {len(value)} characters, the column takes {length}"
        return ""

    def _parent_missing(self, record: Record) -> str:
        parent = record.references.get("parent_id")
        if not parent:
            return ""
        if parent in self.company.inactive[self.kind]:
            return f"its parent '{self.company.inactive[self.kind][parent]}' is inactive in QuickBooks Online"
        settled = self.outcomes.get((self.kind, parent))
        if settled is None:
            return "its parent is not among the records of QuickBooks Online"
        if settled.result is Result.REMOVED:
            return f"its parent '{settled.path}' was removed from Miracle Service"
        if settled.result is Result.INVALID or settled.decision == Decision.SKIP:
            return f"its parent '{settled.path}' is not imported"
        return ""

    def _undecided_reference(self, record: Record) -> str:
        """A record waits for what it refers to: made without it, it would never get it (nothing is overwritten later)."""
        for field_name, qbo_id in record.references.items():
            kind = self.kind if field_name == "parent_id" else REFERS_TO.get(field_name)
            settled = self.outcomes.get((kind, qbo_id)) if kind else None
            if settled and settled.result in (Result.WEAK, Result.CONFLICT) and not settled.decision:
                return f"waits for a decision on {settled.kind.value.replace('_', ' ')} '{settled.path}'"
        return ""

    def _decide(self, record: Record, row: PlannedRow) -> PlannedRow:
        decided = self.decided.get((self.kind, record.qbo_id))
        if decided is None:
            return row
        if decided.decision is Decision.SKIP:
            return replace(row, decision=Decision.SKIP.value, action="")
        if row.result is Result.INVALID:
            raise UsageError(
                f"{self.kind} '{record.path}' cannot be imported: {row.reason}",
                seen=f"decision: {decided.decision.value}",
                next="decide 'skip', or mend the record in QuickBooks Online and make a new plan",
            )
        if decided.decision is Decision.CREATE:
            return replace(row, decision=Decision.CREATE.value, action="insert", miracle_id="")
        target = decided.miracle_id or row.miracle_id
        if target not in self.rows:
            raise UsageError(
                f"{self.kind} '{record.path}' cannot be linked: there is no row '{target}' in Miracle Service",
                next="write the row's number into the column miracle_id of the decisions file",
            )
        if target in self.given or (target in self.claimed and target != row.miracle_id):
            raise UsageError(
                f"{self.kind} '{record.path}' cannot be linked with row {target}: another record has it",
                next="choose another row, or decide 'create' or 'skip'",
            )
        self.given.add(target)
        return replace(row, decision=Decision.LINK.value, action="link", miracle_id=target)

    def _row(self, record: Record, result: Result, reason: str, miracle_id: str = "") -> PlannedRow:
        action = {Result.NEW: "insert", Result.MATCHED: "link"}.get(result, "")
        return PlannedRow(
            kind=self.kind,
            qbo_id=record.qbo_id,
            sync_token=record.sync_token,
            name=record.name,
            path=record.path,
            level=record.level,
            result=result,
            reason=reason,
            action=action,
            miracle_id=miracle_id,
            fields=record.fields,
            references=record.references,
        )


class _WeakKeys:
    """Free Miracle rows by every weak key; rows with another parent are never candidates."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_key: dict[tuple[str, str, str], Row] = {}
        for row in rows:
            for key, value in _weak_keys(row.name, row.fields):
                self._by_key.setdefault((key, names.parent_of(row.path), value), row)

    def find(self, record: Record) -> tuple[Row, str] | None:
        """The first candidate and what they have in common."""
        if not self._by_key:
            return None
        parent = names.parent_of(record.path)
        for key, value in _weak_keys(record.name, record.fields):
            row = self._by_key.get((key, parent, value))
            if row is not None:
                return row, _SAID[key]
        return None


_SAID = {
    "part": "same part number",
    "loose": "similar name",
    "number": "same name apart from a trailing number",
    "email": "same e-mail address",
    "phone": "same phone number",
}


def _weak_keys(name: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The weak keys of a record or a row, most telling first."""
    if part := names.normal(str(fields.get("part_number") or "")):
        yield "part", part
    if loose := names.loose(name):
        yield "loose", loose
    yield "number", names.loose(names.without_number(name) or name)
    for address in names.emails(str(fields.get("email") or "")):
        yield "email", address
    for column in ("phone", "mobile"):
        if number := names.digits(str(fields.get(column) or "")):
            yield "phone", number


def numbers(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """A payment term's numbers, comparable over databases: nothing and zero are the same, except for the days themselves."""
    due, percent, days, month_day = (_number(fields.get(name)) for name in TERM_NUMBERS)
    return due, percent or 0, days or 0 if percent else 0, month_day or 0


def _number(value: Any) -> Decimal | None:
    """The same number, whether a database gave it, JSON did, or a stored plan gives it back as text."""
    return None if value is None else Decimal(str(value)).normalize()


def different_numbers(qbo: Mapping[str, Any], miracle: Mapping[str, Any]) -> str:
    """What differs between two terms, in words; empty when nothing does."""
    if numbers(qbo) == numbers(miracle):
        return ""
    return f"QuickBooks Online: {say_term(qbo)}; Miracle Service: {say_term(miracle)}"


def say_term(fields: Mapping[str, Any]) -> str:
    """A payment term in words: ``due in 30 days, 2 % off within 10 days``."""
    due, percent, days, month_day = (_number(fields.get(name)) for name in TERM_NUMBERS)
    text = f"due on day {month_day:f} of the month" if month_day else f"due in {due:f} days" if due is not None else "no due date"
    return f"{text}, {percent:f} % off within {days or 0:f} days" if percent else text
