"""What a rule is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from qbo_sync.switch.model import PlannedRow, Severity
from qbo_sync.switch.read import Books, Company


@dataclass(frozen=True)
class Sides:
    """Both readings and how every record matched.

    Each list is sized and can be gone through any number of times, but has no index: a large company's lies on disk. A rule keeps
    keys of what it saw, not the records.
    """

    company: Company
    books: Books
    rows: Collection[PlannedRow]


@dataclass(frozen=True)
class Hit:
    """One place where a rule fires. ``subject`` names it inside the rule; ``remedy`` only where the rule's own does not do."""

    subject: str
    kind: str
    name: str
    qbo: str = ""
    miracle: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule of the audit: its stable id, how much it matters, what it says and what a bookkeeper does about it."""

    id: str
    severity: Severity
    title: str
    remedy: str
    where: str
    check: Callable[[Sides], Iterable[Hit]]
