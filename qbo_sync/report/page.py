"""The HTML page: one file that needs nothing else, reads without scripts and prints well."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from qbo_sync import templating
from qbo_sync.report import words
from qbo_sync.report.safe import visible
from qbo_sync.report.verdict import verdict
from qbo_sync.report.words import Story
from qbo_sync.switch.model import Finding, PlannedRow, Result

_NOTHING = {"", "0", "0.00"}

# The longest list that the page shows; the workbook always has all of it.
LIMIT = 500

_TEMPLATE = {"audit": "audit.html.j2", "plan": "plan.html.j2", "import": "plan.html.j2", "prepare": "prepare.html.j2"}
# Of these, the lines for a terminal say what a table on the page says.
_TOLD_IN_TABLES = ("doctor", "prepare --apply", "prepare --revert", "discard", "undo")
_ALREADY_THERE = (Result.MATCHED, Result.LINKED)


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a chart; ``tone`` names its colour."""

    title: str
    number: int
    tone: str


@dataclass(frozen=True, slots=True)
class FindingSection:
    """All findings of one severity, or all accepted ones."""

    anchor: str
    word: words.Word
    number: int
    groups: tuple[words.Group, ...]


@dataclass(frozen=True, slots=True)
class RowList:
    """Rows of a plan with the same result; ``rows`` are at most :data:`LIMIT` of ``number``."""

    word: words.Word
    number: int
    rows: tuple[PlannedRow, ...]


@dataclass(frozen=True, slots=True)
class KindSection:
    """One record kind: its figures, and its lists in the order a person wants them."""

    title: str
    figures: Mapping[str, int]
    new: RowList
    there: RowList
    removed: RowList


@dataclass(frozen=True, slots=True)
class Table:
    """A list of any columns; ``rows`` are at most :data:`LIMIT` of ``number`` lines.

    ``records`` is how many records they are about, ``figures`` says which columns hold numbers, ``again`` which lines are about
    the record of the line before.
    """

    title: str
    meaning: str
    columns: tuple[str, ...]
    figures: tuple[bool, ...]
    records: int
    number: int
    rows: tuple[tuple[str, ...], ...]
    again: tuple[bool, ...]


def render(story: Story) -> str:
    """The page of a report as one HTML document."""
    environment = templating.environment("reports")
    environment.filters["shown"] = visible
    environment.filters["kind_title"] = words.kind_title
    environment.filters["number"] = lambda number: f"{number:,}"
    environment.globals.update(full_name=words.full_name, decision_said=words.decision_said, count=words.count, limit=LIMIT)
    style = environment.get_template("page.css").render()
    script = environment.get_template("filter.js").render()
    template = environment.get_template(_TEMPLATE.get(story.answer.command, "lists.html.j2"))
    tables = [_table(title, rows) for title, rows in words.tables_of(story).items()]
    return template.render(
        story=story,
        answer=story.answer,
        title=words.report_title(story.answer),
        lines=() if tables and story.answer.command in _TOLD_IN_TABLES else story.answer.lines,
        made_at=words.moment(story.made_at),
        verdict=verdict(story.answer, story.findings, story.rows),
        tone=words.tone(story.answer),
        bars=_bars(story),
        sections=_finding_sections(story),
        to_decide=[part for result in words.TO_DECIDE if (part := _row_list(words.undecided(story.rows), result)).number],
        decided=_row_list(words.decided(story.rows), *words.TO_DECIDE),
        kinds=_kinds(story),
        counts=words.figures(story.answer, story.rows),
        tables=tables,
        facts=_facts(story.answer.summary),
        # These two are ours, not data; the page's policy names their hashes, so that nothing else can run or style.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _bars(story: Story) -> list[Bar]:
    """The chart of an audit or a reconciliation; other reports have none."""
    if story.answer.command == "audit":
        counts = words.finding_counts(story.answer, story.findings)
        titles = {**{str(key): word.title for key, word in words.SEVERITY.items()}, "accepted": words.ACCEPTED.title}
        return [Bar(title, counts[key], key) for key, title in titles.items()]
    if story.answer.command == "reconcile":
        figures = story.answer.summary
        return [
            Bar("The same on both sides", int(figures.get("equal", 0)) - int(figures.get("details", 0)), "new"),
            Bar("Same record, other details", int(figures.get("details", 0)), "info"),
            Bar("Do not agree", int(figures.get("different", 0)), "blocker"),
            Bar("Only in QuickBooks Online", int(figures.get("only_qbo", 0)), "warning"),
            Bar("Only in Miracle Service", int(figures.get("only_miracle", 0)), "accepted"),
        ]
    return []


def _finding_sections(story: Story) -> list[FindingSection]:
    standing = [finding for finding in story.findings if not finding.accepted]
    accepted = tuple(finding for finding in story.findings if finding.accepted)
    sections = [
        _section(severity.value, word, tuple(finding for finding in standing if finding.severity is severity))
        for severity, word in words.SEVERITY.items()
    ]
    return [section for section in (*sections, _section("accepted", words.ACCEPTED, accepted)) if section.number]


def _section(anchor: str, word: words.Word, findings: tuple[Finding, ...]) -> FindingSection:
    return FindingSection(anchor, word, len(findings), words.by_rule(findings))


def _row_list(rows: Sequence[PlannedRow], *results: Result) -> RowList:
    mine = [row for row in words.in_order(rows) if row.result in results]
    return RowList(words.RESULT[results[0]], len(mine), tuple(mine[:LIMIT]))


def _kinds(story: Story) -> list[KindSection]:
    counts = words.kind_counts(story.answer, story.rows)
    by_kind = {kind: [row for row in story.rows if row.kind is kind] for kind in counts}
    return [
        KindSection(
            words.kind_title(kind),
            counts[kind],
            _row_list(rows, Result.NEW),
            _row_list(rows, *_ALREADY_THERE),
            _row_list(rows, Result.REMOVED),
        )
        for kind, rows in by_kind.items()
    ]


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    keys = _shown_columns(rows)
    return Table(
        words.kind_title(title),
        words.TABLE.get(title, ""),
        tuple(words.column_title(key) for key in keys),
        tuple(all(_is_figure(row.get(key)) for row in rows) for key in keys),
        len({_record(row) or place for place, row in enumerate(rows)}),
        len(rows),
        tuple(tuple(_cell(key, row.get(key)) for key in keys) for row in rows[:LIMIT]),
        tuple(bool(_record(row)) and _record(row) == _record(before) for before, row in pairwise([{}, *rows[:LIMIT]])),
    )


def _record(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What record a line is about, where several lines can be about one."""
    return (row.get("kind"), row.get("qbo_id"), row.get("miracle_id")) if "field" in row else ()


def _is_figure(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _shown_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The name first, the decision last, without columns that tell nothing (all empty or nought, or one kind or result)."""

    def tells(key: str) -> bool:
        values = {words.said(row.get(key)) for row in rows}
        constant = len(values) == 1 and len(rows) > 1
        if key in ("qbo_id", "miracle_id") and "field" in words.columns(rows):
            return False  # the workbook has them
        return key == "decision" or not (values <= _NOTHING or (constant and key in dull))

    # In a list to tick the reason is the run that made the row; elsewhere it is what a person reads first.
    dull = ("kind", "result", "reason") if "decision" in words.columns(rows) else ("kind", "result")
    told = [key for key in words.columns(rows) if tells(key)]
    return sorted(told, key=lambda key: {"name": 0, "decision": 2}.get(key, 1))


def _cell(key: str, value: Any) -> str:
    """A value for reading; an open decision as a box to tick on paper."""
    return words.value_of(key, value) or ("☐" if key == "decision" else "")


def _facts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The plain figures and words of a summary, for reports without a chart of their own."""
    return ((words.column_title(key), words.said(value)) for key, value in summary.items() if not isinstance(value, Mapping))
