"""What every step starts from: the site, its two sides, and the answer it builds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from msgspec.structs import replace

from qbo_sync import config
from qbo_sync.intuit import Counters, Intuit, Snapshot, TokenStore, Usage
from qbo_sync.miracle import Miracle
from qbo_sync.switch import audit, match, read
from qbo_sync.switch.codec import sorts
from qbo_sync.switch.inactivations import Inactivations
from qbo_sync.switch.model import Answer, Finding, Kind, PlannedRow, Result
from qbo_sync.switch.plan import is_undecided
from qbo_sync.switch.shelf import Shelf
from qbo_sync.switch.store import SiteStore


@dataclass
class Outcome:
    """A command's answer and what its reports show in full. ``title`` is the QBO company's name."""

    answer: Answer
    findings: Sequence[Finding] = ()
    rows: Sequence[PlannedRow] = ()
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    title: str = ""
    has_report: bool = False


# A report lists every row of a plan up to this size; of a larger one what a person has to see, and the first of each list.
LISTED = 50_000
LISTED_OF_EACH = 1_000


def listed(rows: match.Matched, settled: Callable[[Kind, Sequence[str]], Collection[str]] = lambda *_: ()) -> list[PlannedRow]:
    """The rows that a report lists, without their fields. ``settled``: which of these records an earlier import settled."""
    found: list[PlannedRow] = []
    whole = len(rows) <= LISTED
    for kind in Kind:
        some: list[PlannedRow] = []
        for mark in rows.shelf.tally(kind):
            result, _, decision = sorts(mark)
            to_see = whole or decision or is_undecided(result, decision)
            some += islice(rows.marked(kind, mark), LISTED if to_see else LISTED_OF_EACH)
        done = settled(kind, [row.qbo_id for row in some if row.action])
        found += (_as_listed(row, settled=row.qbo_id in done) for row in some)
    return found


def _as_listed(row: PlannedRow, *, settled: bool) -> PlannedRow:
    """A row that an earlier import settled is linked, whatever it was when the plan was made."""
    if settled:
        row = replace(row, result=Result.LINKED, reason="linked by an earlier import", action="")
    return replace(row, fields={}, references={})


class Site:
    """One site: its settings and its store; opens either side when a step needs it."""

    def __init__(self, settings: config.Settings) -> None:
        self.settings = settings
        self._asked: list[Counters] = []

    @cached_property
    def store(self) -> SiteStore:
        """Plans, findings, decisions, reports."""
        return SiteStore(self.settings)

    @cached_property
    def realm(self) -> str:
        """The company this site is bound to; empty before the first connection."""
        return TokenStore(self.settings).bound_realm() or ""

    @contextmanager
    def intuit(self) -> Iterator[Intuit]:
        """The connected QBO company. Raises :class:`~qbo_sync.errors.ReconnectNeeded` when there is none."""
        with Intuit.open(self.settings) as intuit:
            self._asked.append(intuit.counters)
            yield intuit

    def requests(self) -> dict[str, Any]:
        """What this run has asked of Intuit, and this month's share of the budget: ``requests`` of the JSON document."""
        sums = Counters()
        for counters in self._asked:
            sums.add(**counters.as_dict())
        month = Usage(self.settings, Counters()).month().as_dict()
        asked = {name: int(number) for name, number in sums.as_dict().items() if name != "waited_s"}
        month = {name: month[name] for name in ("metered", "metered_by_query", "budget", "share")}
        return {**asked, "waited_s": round(sums.waited_s, 1), "month": month}

    @contextmanager
    def miracle(self) -> Iterator[Miracle]:
        """The Miracle Service database."""
        with Miracle.open(self.settings, self.realm) as miracle:
            yield miracle

    def look(
        self, intuit: Intuit, miracle: Miracle, *, only_changes: bool = False, shelf: Shelf | None = None
    ) -> tuple[audit.Sides, list[Finding]]:
        """Read both sides once, match them with the decisions so far, and audit them.

        With ``only_changes`` what an earlier reading kept of QuickBooks is used, and Intuit asked for what changed since.
        ``shelf``: where the planned rows are to lie.
        """
        snapshot = Snapshot(self.settings, intuit, only_changes=only_changes)
        company = read.company(snapshot, self.settings.imports.item_types)
        books = read.books(miracle)
        decisions = self._standing_decisions(company)
        sides = audit.Sides(company, books, match.match(company, books, decisions, shelf))
        return sides, audit.audit(sides, self.store.accepted())

    def _standing_decisions(self, company: read.Company) -> dict[tuple[Any, str], match.Decided]:
        """The decisions whose record is still active; the others have settled themselves."""
        decisions = self.store.decisions()
        there = {(kind, qbo_id) for kind, qbo_id in decisions if company.records[kind].find([qbo_id])}
        self.store.forget_decisions([key for key in decisions if key not in there])
        return {key: decided for key, decided in decisions.items() if key in there}

    def answer(self, command: str, **values: Any) -> Answer:
        """A fresh answer of this site."""
        return Answer(command, self.settings.site, **values)


def needed_reports(site: Site) -> Callable[[str, str], bool]:
    """Which old reports are needed still, by command and time: those of a plan whose import has not ended, and the lists of what
    was made inactive as long as any of it can be taken back.
    """
    begun = min((plan_id[:15].replace("T", "-") for plan_id in site.store.open_plans()), default="")
    way_back = bool(Inactivations(site.store.directory).all())
    return lambda command, made: (
        bool(begun and command == "plan" and made >= begun) or (way_back and command == "prepare---apply")
    )


def finding_items(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as the JSON document's items."""
    return [
        {
            "id": f.id,
            "kind": f.kind,
            "severity": f.severity.value,
            "title": f.title,
            "name": f.name,
            "qbo": f.qbo,
            "miracle": f.miracle,
            "remedy": f.remedy,
            "where": f.where,
            **({"accepted": f.accepted} if f.accepted else {}),
        }
        for f in findings
    ]


def row_item(row: PlannedRow) -> dict[str, Any]:
    """A planned row as an item of the JSON document."""
    return {
        "id": row.qbo_id,
        "kind": row.kind.value,
        "qbo": row.path,
        "miracle": row.miracle_id,
        "result": row.result.value,
        "reason": row.reason,
        **({"decision": row.decision, "decided_by": row.decided_by} if row.decision else {}),
    }
