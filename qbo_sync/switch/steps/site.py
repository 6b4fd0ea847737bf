"""What every step starts from: the site, its two sides, and the answer it builds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qbo_sync import config
from qbo_sync.intuit import Counters, TokenStore, Usage
from qbo_sync.switch.inactivations import Inactivations
from qbo_sync.switch.model import Answer, Decided, Finding, Kind, PlannedRow
from qbo_sync.switch.shelf import Shelf
from qbo_sync.switch.store import SiteStore

# Each side is imported when it is opened: many commands need one of them only, or neither.
if TYPE_CHECKING:
    from qbo_sync.intuit import Intuit
    from qbo_sync.miracle import Miracle
    from qbo_sync.switch import audit, read


@dataclass
class Outcome:
    """A command's answer and what its reports show in full. ``title`` is the QBO company's name."""

    answer: Answer
    findings: Sequence[Finding] = ()
    rows: Sequence[PlannedRow] = ()
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    title: str = ""
    has_report: bool = False


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
        from qbo_sync.intuit import Intuit

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
        from qbo_sync.miracle import Miracle

        with Miracle.open(self.settings, self.realm) as miracle:
            yield miracle

    def look(
        self, intuit: Intuit, miracle: Miracle, *, only_changes: bool = False, shelf: Shelf | None = None
    ) -> tuple[audit.Sides, list[Finding]]:
        """Read both sides once, match them with the decisions so far, and audit them.

        With ``only_changes`` what an earlier reading kept of QuickBooks is used, and Intuit asked for what changed since.
        ``shelf``: where the planned rows are to lie.
        """
        from qbo_sync.intuit import Snapshot
        from qbo_sync.switch import audit, match, read

        snapshot = Snapshot(self.settings, intuit, only_changes=only_changes)
        company = read.company(snapshot, self.settings.imports.item_types)
        books = read.books(miracle)
        decisions = self._standing_decisions(company)
        sides = audit.Sides(company, books, match.match(company, books, decisions, shelf))
        return sides, audit.audit(sides, self.store.accepted())

    def _standing_decisions(self, company: read.Company) -> dict[tuple[Kind, str], Decided]:
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
