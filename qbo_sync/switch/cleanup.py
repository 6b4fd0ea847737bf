"""Step 2, the thinking: which active records nobody used, what is still open on them, and which look entered twice.

Pure: rows and transactions as QuickBooks Online has them in, lists for a person out. Of a transaction only the records that it
names are kept, so that years of them take no memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from qbo_sync.switch import names
from qbo_sync.switch.model import Kind

CLEANED = (Kind.CUSTOMER, Kind.SUPPLIER, Kind.INVENTORY_ITEM)
TRANSACTIONS = ("Invoice", "Estimate", "SalesReceipt", "Payment", "Bill", "Purchase")
# What is asked for beside the transactions since the cut-off, however old it is: (entity, condition).
OPEN = (
    ("Invoice", "Balance > '0'"),
    ("Bill", "Balance > '0'"),
    ("Estimate", "TxnStatus = 'Pending'"),
    ("Estimate", "TxnStatus = 'Accepted'"),
)

_REFERENCES = {
    "CustomerRef": Kind.CUSTOMER,
    "VendorRef": Kind.SUPPLIER,
    "ItemRef": Kind.INVENTORY_ITEM,
    "GroupItemRef": Kind.INVENTORY_ITEM,
}
_ENTITY_TYPES = {"Customer": Kind.CUSTOMER, "Job": Kind.CUSTOMER, "Vendor": Kind.SUPPLIER}

Key = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One active record. ``name`` is its own name, ``path`` the full one; ``balance`` is that of its sub-customers too."""

    kind: Kind
    qbo_id: str
    sync_token: str
    name: str
    path: str
    parent_id: str
    created: str
    balance: Decimal
    stock: Decimal
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    part_number: str = ""

    @property
    def key(self) -> Key:
        """What references name it by."""
        return self.kind, self.qbo_id


def entry(kind: Kind, row: Mapping[str, Any]) -> Entry:
    """A customer, vendor or item as QuickBooks Online sent it."""
    name = str(row.get("DisplayName") or row.get("Name") or "")
    phones = (_part(row, field, "FreeFormNumber") for field in ("PrimaryPhone", "Mobile", "AlternatePhone"))
    return Entry(
        kind,
        str(row["Id"]),
        str(row.get("SyncToken", "0")),
        name,
        str(row.get("FullyQualifiedName") or name),
        _part(row, "ParentRef", "value"),
        _part(row, "MetaData", "CreateTime")[:10],
        Decimal(str(row.get("BalanceWithJobs") or row.get("Balance") or 0)),
        Decimal(str(row.get("QtyOnHand") or 0)),
        tuple(names.emails(_part(row, "PrimaryEmailAddr", "Address"))),
        tuple(dict.fromkeys(filter(None, map(names.digits, phones)))),
        names.normal(str(row.get("Sku") or "")),
    )


def _part(row: Mapping[str, Any], name: str, inner: str) -> str:
    part = row.get(name)
    return str(part.get(inner) or "") if isinstance(part, Mapping) else ""


@dataclass(frozen=True, slots=True)
class Open:
    """The open documents that name one record: how many, and the sum that is open on them."""

    documents: int = 0
    amount: Decimal = Decimal(0)


@dataclass
class Usage:
    """Which records transactions name, and which of those transactions are still open."""

    used: set[Key] = field(default_factory=set)
    open: dict[Key, Open] = field(default_factory=dict)

    def add(self, transactions: Iterable[Mapping[str, Any]]) -> None:
        """Note whom these transactions name."""
        for transaction in transactions:
            self.used.update(_named(transaction))

    def add_open(self, transactions: Iterable[Mapping[str, Any]]) -> None:
        """Note these transactions as open: invoices and bills by their balance, estimates by their total."""
        for transaction in transactions:
            amount = Decimal(str(transaction.get("Balance", transaction.get("TotalAmt", 0)) or 0))
            for key in set(_named(transaction)):
                before = self.open.get(key, Open())
                self.open[key] = Open(before.documents + 1, before.amount + amount)

    def add_parents(self, entries: Sequence[Entry]) -> None:
        """Who has a sub-record in use is in use."""
        parents = {e.key: (e.kind, e.parent_id) for e in entries if e.parent_id}
        for key in list(self.used):
            while (key := parents.get(key, key)) not in self.used:
                self.used.add(key)


def _named(part: Mapping[str, Any]) -> Iterator[Key]:
    """Every customer, supplier and item that a transaction names, in its lines and their lines too."""
    for name, value in part.items():
        if isinstance(value, Mapping):
            kind = _ENTITY_TYPES.get(str(value.get("type", "Vendor"))) if name == "EntityRef" else _REFERENCES.get(name)
            if kind is not None:
                yield kind, str(value.get("value"))
            yield from _named(value)
        elif isinstance(value, list):
            for inner in value:
                if isinstance(inner, Mapping):
                    yield from _named(inner)


def holds(of: Entry, opened: Open) -> str:
    """Why a record must stay active: its balance, its stock, its open documents; empty when nothing holds it."""
    said = []
    if of.balance:
        said.append(f"balance {of.balance:,.2f}")
    if of.stock:
        said.append(f"{quantity(of.stock)} in stock")
    if opened.documents:
        said.append(f"{opened.documents} open document{'s' if opened.documents > 1 else ''}")
    return ", ".join(said)


def quantity(stock: Decimal) -> int | float:
    """A stock as people write it: 3, 2.5."""
    return int(stock) if stock == stock.to_integral_value() else float(stock)


@dataclass(frozen=True, slots=True)
class Sorted:
    """The active records of one kind, by what a person can do about them."""

    used: list[Entry]
    free: list[Entry]
    held: list[Entry]

    @property
    def all(self) -> list[Entry]:
        """Every one of them: what an import would take."""
        return [*self.used, *self.free, *self.held]


def sort(entries: Sequence[Entry], usage: Usage, since: str) -> Sorted:
    """Sort the records of one kind by name into used (or entered since the cut-off), free to go, and held by something open."""
    used, free, held = [], [], []
    for each in sorted(entries, key=_by_name):
        if each.key in usage.used or each.created >= since:
            used.append(each)
        elif holds(each, usage.open.get(each.key, Open())):
            held.append(each)
        else:
            free.append(each)
    # A record above one that stays has to stay as well.
    above = {e.qbo_id: e.parent_id for e in entries}
    needed: set[str] = set()
    for each in (*used, *held):
        qbo_id = each.parent_id
        while qbo_id and qbo_id not in needed:
            needed.add(qbo_id)
            qbo_id = above.get(qbo_id, "")
    held += [each for each in free if each.qbo_id in needed]
    return Sorted(used, [each for each in free if each.qbo_id not in needed], held)


# --- entered twice -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Double:
    """Records of one kind that may be one and the same, and what they share."""

    entries: tuple[Entry, ...]
    shared: tuple[str, ...]


def doubles(entries: Sequence[Entry]) -> list[Double]:
    """Records that share a name (but for punctuation, legal form and word order), an e-mail address, a phone or a part number.

    A job has its parent's address and phone as a rule, so records of one family are never each other's double by these.
    """
    groups = [(what, group) for what, group in _sharing(entries) if len(group) > 1]
    leader = {each.key: each.key for _, group in groups for each in group}

    def find(key: Key) -> Key:
        while leader[key] != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for _, group in groups:
        for other in group[1:]:
            leader[find(other.key)] = find(group[0].key)
    together: dict[Key, dict[Key, Entry]] = defaultdict(dict)
    shared: dict[Key, dict[str, None]] = defaultdict(dict)
    for what, group in groups:
        together[find(group[0].key)].update({each.key: each for each in group})
        shared[find(group[0].key)][what] = None
    found = [Double(tuple(sorted(together[key].values(), key=_by_name)), tuple(shared[key])) for key in together]
    return sorted(found, key=lambda double: _by_name(double.entries[0]))


def _by_name(of: Entry) -> tuple[str, str]:
    return names.normal_path(of.path), of.qbo_id


def _sharing(entries: Sequence[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """What is shared and by whom; of each family only its highest record."""
    by_id = {each.qbo_id: each for each in entries}
    same: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    contacts: dict[str, dict[str, Entry]] = defaultdict(dict)
    for each in sorted(entries, key=lambda e: e.path.count(":")):
        if loose := names.loose(each.name):
            same[each.parent_id, loose].append(each)
        family = _family(each, by_id)
        marks = [f"e-mail {email}" for email in each.emails] + [f"phone …{phone[-7:]}" for phone in each.phones]
        marks += [f"part number {each.part_number}"] if each.part_number else []
        for mark in marks:
            contacts[mark].setdefault(family, each)
    yield from (("the name", group) for group in same.values())
    yield from ((mark, list(group.values())) for mark, group in contacts.items())


def _family(of: Entry, by_id: Mapping[str, Entry]) -> str:
    seen = {of.qbo_id}
    while (parent := by_id.get(of.parent_id)) is not None and parent.qbo_id not in seen:
        of = parent
        seen.add(of.qbo_id)
    return of.qbo_id
