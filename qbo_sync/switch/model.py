"""The data types that flow through a switch: records, match results, findings, plans and what a command answers.

They are plain and frozen; every stage takes some and gives some, so each can be run and tested alone. Records, rows and planned
rows are many: they are structs, which are small, quick to make and written to disk as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec


class Kind(StrEnum):
    """The seven record kinds, in the order in which they are imported: what is referred to comes first."""

    CUSTOMER_TYPE = "customer_type"
    PAYMENT_TERM = "payment_term"
    PAYMENT_METHOD = "payment_method"
    GROUP_TYPE = "group_type"
    SUPPLIER = "supplier"
    INVENTORY_ITEM = "inventory_item"
    CUSTOMER = "customer"


# What QuickBooks Online and a person call each kind.
QBO_ENTITY = {
    Kind.CUSTOMER_TYPE: "CustomerType",
    Kind.PAYMENT_TERM: "Term",
    Kind.PAYMENT_METHOD: "PaymentMethod",
    Kind.GROUP_TYPE: "Class",
    Kind.SUPPLIER: "Vendor",
    Kind.INVENTORY_ITEM: "Item",
    Kind.CUSTOMER: "Customer",
}
KIND_OF = {entity: kind for kind, entity in QBO_ENTITY.items()}
TITLE = {
    Kind.CUSTOMER_TYPE: "Customer types",
    Kind.PAYMENT_TERM: "Payment terms",
    Kind.PAYMENT_METHOD: "Payment methods",
    Kind.GROUP_TYPE: "Classes → group types",
    Kind.SUPPLIER: "Suppliers",
    Kind.INVENTORY_ITEM: "Inventory items",
    Kind.CUSTOMER: "Customers",
}


class Result(StrEnum):
    """What became of one QBO record when it was looked up in Miracle Service; exactly one applies."""

    LINKED = "linked"
    MATCHED = "matched"
    NEW = "new"
    WEAK = "weak"
    CONFLICT = "conflict"
    INVALID = "invalid"
    REMOVED = "removed"


class Decision(StrEnum):
    """What a person decided about a weak, conflicting or invalid record."""

    LINK = "link"
    CREATE = "create"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Decided:
    """A person's word on one record; ``miracle_id`` only for ``link`` and only when they chose one.

    ``by`` says where and when they gave it: the file, the day, the person if known.
    """

    decision: Decision
    miracle_id: str = ""
    by: str = ""


class Severity(StrEnum):
    """How much a finding matters: a blocker stops import and export until mended or accepted by name."""

    BLOCKER = "blocker"
    WARNING = "warning"
    INFO = "info"


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One QBO record in Miracle Service's terms.

    ``path`` is the full name (``Parent:Child``); ``fields`` are the reference schema's columns without references;
    ``references`` map a column (``parent_id``) to the QBO id it points at; ``level`` is 0 for top records. ``seen`` is what
    only the audit looks at, since Miracle Service has no column for it.
    """

    kind: Kind
    qbo_id: str
    sync_token: str
    name: str
    path: str
    level: int
    fields: Mapping[str, Any]
    references: Mapping[str, str]
    invalid: str = ""
    seen: Mapping[str, str] = {}


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row that Miracle Service holds. ``path`` is the full name over ``parent_id``."""

    kind: Kind
    miracle_id: str
    name: str
    path: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RatePeriod:
    """A rate and the days it holds, ``2026-01-31``; empty where it has no beginning or no end."""

    rate: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class TaxComponent:
    """One rate inside a tax code: percent as text with its exact digits, ``compound`` when it is charged on tax.

    ``periods``: the rates of other times, where QuickBooks Online keeps them.
    """

    name: str
    rate: str
    agency: str
    compound: bool
    periods: tuple[RatePeriod, ...] = ()


@dataclass(frozen=True, slots=True)
class TaxCode:
    """A tax code of either side: what it charges on sales, and on ``purchase``, each with its components in order."""

    id: str
    name: str
    description: str
    active: bool
    components: tuple[TaxComponent, ...]
    purchase: tuple[TaxComponent, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the QBO company's chart of accounts, which items are booked to."""

    name: str
    type: str
    active: bool


class PlannedRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record of the plan: how it matched, why, and what the import will do (``insert``, ``link`` or nothing).

    ``partner``: a digest of the row it will be linked with, as that was read. ``decided_by``: where and when a person decided.
    """

    kind: Kind
    qbo_id: str
    sync_token: str
    name: str
    path: str
    level: int
    result: Result
    reason: str
    action: str
    miracle_id: str = ""
    decision: str = ""
    fields: Mapping[str, Any] = {}
    references: Mapping[str, str] = {}
    partner: str = ""
    decided_by: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the Audit Report.

    ``id`` is stable over runs (rule and subject: ``TAX-001/California``), ``rule`` is the rule's own id; ``accepted`` holds
    the reason a person gave for living with it.
    """

    id: str
    rule: str
    severity: Severity
    title: str
    kind: str
    name: str
    qbo: str
    miracle: str
    remedy: str
    where: str
    accepted: str = ""


def counts(findings: list[Finding]) -> dict[str, int]:
    """How many findings stand by severity, and how many were accepted; an accepted one counts only as accepted."""
    tally = {severity.value: 0 for severity in Severity} | {"accepted": 0}
    for finding in findings:
        tally["accepted" if finding.accepted else finding.severity.value] += 1
    return tally


@dataclass(slots=True)
class Answer:
    """What a command gives back: the JSON document of ``interfaces.md``, with the words for a person beside it.

    ``lines`` are what the terminal shows under the summary; ``next`` is the one next step.
    """

    command: str
    site: str
    outcome: str = "ok"
    summary: dict[str, Any] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    requests: dict[str, Any] = field(default_factory=lambda: {"made": 0, "metered": 0, "throttled": 0, "retried": 0})
    seconds: float = 0.0
    report: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    next: str = ""

    def document(self) -> dict[str, Any]:
        """The JSON document, in the order people read it."""
        return dataclasses.asdict(self)
