"""Looks every QBO record up in Miracle Service. Pure: two readings in, one result per record out, a thousand records at a time.

A saved link wins. Then exact keys: the full name, normalised; payment terms also by their numbers. Then weak keys (similar name,
e-mail, phone, the QuickBooks Desktop habit "Name 123"), which are shown with the reason and never merged silently. All keys are
equalities, so the work grows with the number of records, not with its square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace

from qbo_sync.errors import UsageError
from qbo_sync.miracle.database import row_hash
from qbo_sync.switch import names
from qbo_sync.switch.codec import Links, Planned, Short, short, sorts
from qbo_sync.switch.model import Decided, Decision, Kind, PlannedRow, Record, Result, Row
from qbo_sync.switch.read import Books, Company
from qbo_sync.switch.shelf import AT_ONCE, Line, Listing, Shelf

TERM_NUMBERS = ("due_days", "discount_percent", "discount_days", "day_of_month_due")
SMALL_KINDS = frozenset({Kind.CUSTOMER_TYPE, Kind.PAYMENT_TERM, Kind.PAYMENT_METHOD, Kind.GROUP_TYPE})
REFERS_TO = {
    "customer_type_id": Kind.CUSTOMER_TYPE,
    "payment_term_id": Kind.PAYMENT_TERM,
    "payment_method_id": Kind.PAYMENT_METHOD,
    "preferred_supplier_id": Kind.SUPPLIER,
}

_planned = Planned()


Decisions = Mapping[tuple[Kind, str], Decided]


class Matched(Collection[PlannedRow]):
    """One planned row for every active QBO record: kinds in import order, parents before children."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._of = {kind: Listing(shelf, kind, _planned) for kind in Kind}

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def __iter__(self) -> Iterator[PlannedRow]:
        return (row for listing in self._of.values() for row in listing)

    def __contains__(self, row: object) -> bool:
        return isinstance(row, PlannedRow) and self.of(row.kind).find([row.qbo_id]).get(row.qbo_id) == row

    def of(self, kind: Kind) -> Listing[PlannedRow]:
        """Those of a kind."""
        return self._of[kind]

    def only(self, kind: Kind, wanted: Callable[[Result, str, str], object]) -> Listing[PlannedRow]:
        """Those of a kind whose result, action and decision are wanted."""
        return Listing(self.shelf, kind, _planned, [mark for mark in self.shelf.tally(kind) if wanted(*sorts(mark))])

    def marked(self, kind: Kind, mark: str) -> Listing[PlannedRow]:
        """Those of a kind with this mark, as the shelf tallies them."""
        return Listing(self.shelf, kind, _planned, [mark])

    def tally(self) -> dict[tuple[Kind, Result, str, str], int]:
        """How many rows there are of each kind, result, action and decision."""
        return {(kind, *sorts(mark)): number for kind in Kind for mark, number in self.shelf.tally(kind).items()}


def match(company: Company, books: Books, decisions: Decisions | None = None, shelf: Shelf | None = None) -> Matched:
    """Look up every active QBO record. What comes of it is put on ``shelf``, or on one of its own.

    Raises :class:`UsageError` when a decision names a record or a row that is not there.
    """
    decided = decisions or {}
    matched = Matched(shelf or Shelf())
    doubtful: set[Kind] = set()
    for kind in Kind:
        _Matcher(kind, company, books, decided, matched, doubtful).run()
    _refuse_unknown_decisions(decided, matched)
    return matched


def _refuse_unknown_decisions(decided: Decisions, matched: Matched) -> None:
    unknown = [f"{kind} {qbo_id}" for kind, qbo_id in decided if qbo_id not in matched.of(kind).find([qbo_id])]
    if unknown:
        raise UsageError(
            "decisions are given for records that are not active in QuickBooks Online",
            seen=", ".join(sorted(unknown)[:5]),
            next="take these lines out of the decisions file, or make a new one with: qbo-sync plan",
        )


class _Look(NamedTuple):
    """What a first look at one record gave."""

    result: Result
    reason: str = ""
    miracle_id: str = ""


# Held here, for a look into an enumeration takes long where it is done for every record.
_IS_NEW = Result.NEW
_DOUBTFUL = (Result.WEAK, Result.CONFLICT)
_TO_DECIDE = (Result.NEW, Result.WEAK, Result.CONFLICT, Result.INVALID)
_NEW = _Look(Result.NEW)
_SETTLED = _Look(Result.LINKED)


class _Looks:
    """The first looks at all records of a kind, by record and by the row they gave."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._shelf = Shelf(keyed=True)

    def put(self, looks: Mapping[str, _Look]) -> None:
        """Note looks, by QBO id."""
        lines = [Line(i, 0, look.miracle_id, look.result.value, look.reason.encode()) for i, look in looks.items()]
        self._shelf.put(self._kind, lines)

    def find(self, qbo_ids: Collection[str]) -> dict[str, _Look]:
        """The looks at these records."""
        return {
            i: _Look(Result(line.mark), line.body.decode(), line.key) for i, line in self._shelf.find(self._kind, qbo_ids).items()
        }

    def empty(self) -> bool:
        """Whether there are none: every record is linked."""
        return not self._shelf.tally(self._kind)

    def claimed(self, miracle_ids: Collection[str]) -> set[str]:
        """Those of these rows that some record came upon."""
        return set(self._shelf.having(self._kind, miracle_ids))

    def shared(self, links: Links) -> Iterator[dict[str, Result]]:
        """For each row that several records take, linked ones included: QBO id → result."""
        statement = f"SELECT DISTINCT key FROM {self._kind.value} WHERE key <> '' AND mark = 'matched' ORDER BY seq"  # noqa: S608
        keys = (miracle_id for (miracle_id,) in self._shelf.ask(statement).fetchall())
        while some := list(islice(keys, AT_ONCE)):
            linked = links.with_rows(self._kind, some)
            for miracle_id, lines in self._shelf.having(self._kind, some).items():
                matched = {line.id: Result.MATCHED for line in lines if line.mark == "matched"}
                taking = matched | dict.fromkeys(linked.get(miracle_id, ()), Result.LINKED)
                if len(taking) > 1:
                    yield taking


class _Matcher:
    """One kind. ``matched`` holds the kinds before it, and this one's parents as they are settled.

    ``doubtful``: the kinds that have records on which a person has to decide.
    """

    def __init__(
        self, kind: Kind, company: Company, books: Books, decided: Decisions, matched: Matched, doubtful: set[Kind]
    ) -> None:
        self.kind = kind
        self.inactive = company.inactive[kind]
        self.records = company.records[kind]
        self.rows = books.rows[kind]
        self.links = books.links
        self.lengths = tuple(books.lengths[kind].items())
        self.decided = {qbo_id: one for (of, qbo_id), one in decided.items() if of is kind}
        self.matched = matched
        self.doubtful = doubtful
        self.given: set[str] = set()
        self.looks: _Looks | None = None
        self.weak = _WeakKeys(kind)

    def run(self) -> None:
        """Settle all records of the kind: first those that are linked, then the others, once it is known which rows are taken."""
        if len(self.rows) or self.links.number(self.kind):
            self.looks = self._first_looks()
            if self.looks.empty():
                return
            self.weak.fill(self.rows, self.looks, self.taken)
        for chunk in self.records.chunks():
            self._put(self._settled(chunk))

    def taken(self, miracle_ids: list[str], looks: _Looks) -> set[str]:
        """Those of these rows that some active record is linked with, or came upon."""
        linked = self.links.with_rows(self.kind, miracle_ids, any_state=True)
        active = self.records.there({qbo_id for qbo_ids in linked.values() for qbo_id in qbo_ids})
        return looks.claimed(miracle_ids) | {i for i, qbo_ids in linked.items() if not active.isdisjoint(qbo_ids)}

    def _put(self, settled: Sequence[PlannedRow]) -> None:
        self.matched.shelf.put(self.kind, map(_planned.encode, settled))
        if any(row.result in _DOUBTFUL and not row.decision for row in settled):
            self.doubtful.add(self.kind)

    # --- exact -------------------------------------------------------------------------------------------------

    def _first_looks(self) -> _Looks:
        looks = _Looks(self.kind)
        for bodies in self.records.shelf.bodies(self.kind, self.records.marks):
            heads = list(map(short, bodies))
            links = self.links.of(self.kind, [head.qbo_id for head in heads])
            if links:
                self._put_linked([pair for pair in zip(heads, bodies, strict=True) if pair[0].qbo_id in links], links)
            left = [body for head, body in zip(heads, bodies, strict=True) if head.qbo_id not in links]
            if left:
                looks.put(self._first_look(list(map(self.records.codec.decode, left))))
        self._one_row_each(looks)
        if self.kind is Kind.PAYMENT_TERM:
            self._by_numbers(looks)
        return looks

    def _put_linked(self, records: Sequence[tuple[Short, bytes]], links: Mapping[str, tuple[str, str]]) -> None:
        """A record that is settled needs no fields any more; terms are compared by theirs."""
        there = self.rows.there({miracle_id for miracle_id, _ in links.values()})
        rows = [_linked_row(head, *links[head.qbo_id], there) for head, _ in records]
        if self.kind is Kind.PAYMENT_TERM:
            fields = [self.records.codec.decode(body).fields for _, body in records]
            rows = [replace(row, fields=own) for row, own in zip(rows, fields, strict=True)]
        self.matched.shelf.put(self.kind, map(_planned.encode, rows))

    def _first_look(self, chunk: Sequence[Record]) -> dict[str, _Look]:
        paths = {record.qbo_id: names.normal_path(record.path) for record in chunk}
        same = self.rows.shelf.having(self.kind, set(paths.values()))
        return {record.qbo_id: self._named(record, same.get(paths[record.qbo_id], [])) for record in chunk}

    def _named(self, record: Record, same: Sequence[Line]) -> _Look:
        if not same:
            return _NEW
        ids = [line.id for line in same]
        if len(ids) > 1:
            return _Look(Result.CONFLICT, f"Miracle Service has this name {len(ids)} times (rows {', '.join(ids)})")
        if self.kind is Kind.PAYMENT_TERM:
            other = different_numbers(record.fields, self.rows.codec.decode(same[0].body).fields)
            if other:
                return _Look(Result.CONFLICT, f"same name, other numbers: {other}", ids[0])
        return _Look(Result.MATCHED, "same name", ids[0])

    def _one_row_each(self, looks: _Looks) -> None:
        """Two QBO records that hit the same row are a conflict for both, unless one of them is linked to it."""
        for taking in looks.shared(self.links):
            called = {qbo_id: record.name for qbo_id, record in self.records.find(taking).items()}
            if len(called) < 2:  # the other one, which is linked, is inactive now
                continue
            clashing = [qbo_id for qbo_id, result in taking.items() if result is Result.MATCHED]
            changed = looks.find(clashing)
            for qbo_id in clashing:
                others = ", ".join(sorted(name for other, name in called.items() if other != qbo_id))
                reason = f"the same row in Miracle Service also fits: {others}"
                changed[qbo_id] = changed[qbo_id]._replace(result=Result.CONFLICT, reason=reason)
            looks.put(changed)

    def _by_numbers(self, looks: _Looks) -> None:
        """Payment terms whose name is new but whose numbers stand in exactly one free row, and in no other new term."""
        there = list(self.rows)
        taken = self.taken([row.miracle_id for row in there], looks)
        free: dict[Any, list[Row]] = defaultdict(list)
        for row in there:
            if row.miracle_id not in taken:
                free[numbers(row.fields)].append(row)
        wanting: dict[Any, list[str]] = defaultdict(list)
        for chunk in self.records.chunks():
            found = looks.find([record.qbo_id for record in chunk])
            for record in chunk:
                if found.get(record.qbo_id, _SETTLED).result is Result.NEW:
                    wanting[numbers(record.fields)].append(record.qbo_id)
        for key, qbo_ids in wanting.items():
            if len(qbo_ids) == len(free.get(key, [])) == 1:
                target = free[key][0]
                looks.put({qbo_ids[0]: _Look(Result.MATCHED, f"same numbers as '{target.name}'", target.miracle_id)})

    # --- weak, references, decisions ---------------------------------------------------------------------------

    def _settled(self, chunk: Sequence[Record]) -> list[PlannedRow]:
        looks: Mapping[str, _Look] = {}
        if self.looks is not None:
            looks = self.looks.find([record.qbo_id for record in chunk])
            chunk = [record for record in chunk if record.qbo_id in looks]
        new = [record for record in chunk if looks.get(record.qbo_id, _NEW).result is _IS_NEW]
        around = _Around(self, new)
        rows = [self._settle(record, looks.get(record.qbo_id, _NEW), around) for record in chunk]
        partners = self.rows.find({row.miracle_id for row in rows if row.action == "link"})
        digests = {miracle_id: row_hash(row.fields) for miracle_id, row in partners.items()}
        return [replace(row, partner=digests[row.miracle_id]) if row.action == "link" else row for row in rows]

    def _settle(self, record: Record, look: _Look, around: _Around) -> PlannedRow:
        if look.result is _IS_NEW:
            look = self._new_or_weak(record, around)
        row = _row(record, look)
        if self.decided and look.result in _TO_DECIDE:
            row = self._decide(record, row)
        return row

    def _new_or_weak(self, record: Record, around: _Around) -> _Look:
        if reason := record.invalid or self._too_long(record) or self._parent_missing(record, around):
            return _Look(Result.INVALID, reason)
        if reason := self._undecided_reference(record, around):
            return _Look(Result.CONFLICT, reason)
        if hit := around.weak.get(record.qbo_id):
            return _Look(Result.WEAK, f"{hit.why} as '{hit.path}' (row {hit.miracle_id})", hit.miracle_id)
        return _NEW

    def _too_long(self, record: Record) -> str:
        fields = record.fields
        for field_name, length in self.lengths:
            value = fields.get(field_name)
            if value and type(value) is str and len(value) > length:
                return f"its {field_name.replace('_', ' ')} has {len(value)} characters, the column takes {length}"
        return ""

    def _parent_missing(self, record: Record, around: _Around) -> str:
        parent = record.references.get("parent_id")
        if not parent:
            return ""
        settled = around.settled.get((self.kind, parent))
        if settled is None:
            inactive = self.inactive.get(parent)
            if inactive is not None:
                return f"its parent '{inactive}' is inactive in QuickBooks Online"
            return "its parent is not among the records of QuickBooks Online"
        if settled.result is Result.REMOVED:
            return f"its parent '{settled.path}' was removed from Miracle Service"
        if settled.result is Result.INVALID or settled.decision == Decision.SKIP:
            return f"its parent '{settled.path}' is not imported"
        return ""

    def _undecided_reference(self, record: Record, around: _Around) -> str:
        """A record waits for what it refers to: made without it, it would never get it (nothing is overwritten later)."""
        for field_name, qbo_id in record.references.items():
            kind = self.kind if field_name == "parent_id" else REFERS_TO.get(field_name)
            settled = around.settled.get((kind, qbo_id)) if kind else None
            if settled and settled.result in _DOUBTFUL and not settled.decision:
                return f"waits for a decision on {settled.kind.value.replace('_', ' ')} '{settled.path}'"
        return ""

    def _decide(self, record: Record, row: PlannedRow) -> PlannedRow:
        decided = self.decided.get(record.qbo_id)
        if decided is None:
            return row
        if decided.decision is Decision.SKIP:
            return replace(row, decision=Decision.SKIP.value, action="", decided_by=decided.by)
        if row.result is Result.INVALID:
            raise UsageError(
                f"{self.kind} '{record.path}' cannot be imported: {row.reason}",
                seen=f"decision: {decided.decision.value}",
                next="decide 'skip', or mend the record in QuickBooks Online and make a new plan",
            )
        if decided.decision is Decision.CREATE:
            return replace(row, decision=Decision.CREATE.value, action="insert", miracle_id="", decided_by=decided.by)
        target = decided.miracle_id or row.miracle_id
        if not self.rows.find([target]):
            raise UsageError(
                f"{self.kind} '{record.path}' cannot be linked: there is no row '{target}' in Miracle Service",
                next="write the row's number into the column miracle_id of the decisions file",
            )
        if target in self.given or (target != row.miracle_id and self.looks and self.taken([target], self.looks)):
            raise UsageError(
                f"{self.kind} '{record.path}' cannot be linked with row {target}: another record has it",
                next="choose another row, or decide 'create' or 'skip'",
            )
        self.given.add(target)
        return replace(row, decision=Decision.LINK.value, action="link", miracle_id=target, decided_by=decided.by)


class _Around:
    """What is needed beside the new records of a chunk: what became of those they refer to, and rows that look like them."""

    def __init__(self, matcher: _Matcher, new: Sequence[Record]) -> None:
        self.settled: dict[tuple[Kind, str], PlannedRow] = {}
        self.weak = matcher.weak.find(new)
        wanted: dict[Kind, set[str]] = defaultdict(set)
        for record in new:
            for field_name, qbo_id in record.references.items():
                kind = matcher.kind if field_name == "parent_id" else REFERS_TO.get(field_name)
                if kind is not None and (kind is matcher.kind or kind in matcher.doubtful):
                    wanted[kind].add(qbo_id)
        for kind, qbo_ids in wanted.items():
            found = matcher.matched.of(kind).find(qbo_ids)
            self.settled.update({(kind, qbo_id): row for qbo_id, row in found.items()})


def _linked_row(record: Short, miracle_id: str, state: str, there: Collection[str]) -> PlannedRow:
    """A record that has a link. Arguments by position: these are the many rows of every import after the first."""
    result, reason = Result.LINKED, "linked by an earlier import"
    if state == "removed":
        result, reason = Result.REMOVED, "discarded after an earlier import"
    elif miracle_id not in there:
        result, reason = Result.REMOVED, "deleted in Miracle Service after an earlier import"
    return PlannedRow(
        *(record.kind, record.qbo_id, record.sync_token, record.name, record.path, record.level),
        *(result, reason, "", miracle_id),
    )


_ACTIONS = {Result.NEW: "insert", Result.MATCHED: "link"}


def _row(record: Record, look: _Look) -> PlannedRow:
    result, reason, miracle_id = look
    return PlannedRow(
        record.kind,
        record.qbo_id,
        record.sync_token,
        record.name,
        record.path,
        record.level,
        result,
        reason,
        _ACTIONS.get(result, ""),
        miracle_id,
        fields=record.fields,
        references=record.references,
    )


class _Candidate(NamedTuple):
    """A free row that looks like a record, and what they have in common."""

    miracle_id: str
    path: str
    why: str


class _WeakKeys:
    """Free Miracle rows by every weak key; rows with another parent are never candidates."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._shelf: Shelf | None = None

    def fill(self, rows: Listing[Row], looks: _Looks, taken: Callable[[list[str], _Looks], set[str]]) -> None:
        """Take the rows that no record came upon."""
        self._shelf = Shelf()
        for lines in rows.shelf.chunks(self._kind):
            claimed = taken([line.id for line in lines], looks)
            chunk = [rows.codec.decode(line.body) for line in lines if line.id not in claimed]
            keys: dict[str, Line] = {}
            for row in chunk:
                for key in _keyed(row.name, row.path, row.fields):
                    keys.setdefault(key, Line(key, 0, row.miracle_id, "", row.path.encode()))
            known = self._shelf.there(self._kind, keys)
            self._shelf.put(self._kind, (line for key, line in keys.items() if key not in known))

    def find(self, records: Sequence[Record]) -> dict[str, _Candidate]:
        """For each of these records that has one, by QBO id: the first candidate."""
        if self._shelf is None:
            return {}
        keys = {record.qbo_id: list(_keyed(record.name, record.path, record.fields)) for record in records}
        there = self._shelf.find(self._kind, {key for of_one in keys.values() for key in of_one})
        hits = {qbo_id: next((there[key] for key in of_one if key in there), None) for qbo_id, of_one in keys.items()}
        return {
            qbo_id: _Candidate(line.key, line.body.decode(), _SAID[line.id.partition(" ")[0]])
            for qbo_id, line in hits.items()
            if line is not None
        }


def _keyed(name: str, path: str, fields: Mapping[str, Any]) -> Iterator[str]:
    """The weak keys as one text each: what it is, its value, and the full name of the parent, which has to be the same."""
    parent = names.parent_of(path)
    return (f"{key} {value}\n{parent}" for key, value in _weak_keys(name, fields))


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
