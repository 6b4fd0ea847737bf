"""What a command says on a terminal: the verdict, the figures, what needs a person, and the next step.

On a terminal it is coloured and wrapped; anywhere else (a file, a pipe, a log) every statement is one plain line. Values never
reach the screen as control sequences or markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from qbo_sync.report import words
from qbo_sync.report.safe import one_line
from qbo_sync.report.verdict import verdict
from qbo_sync.switch.model import Answer, Finding, Kind, PlannedRow, Severity

# How many lines of one list the screen shows; the report has them all.
LIMIT = 12
_CASES = {Severity.BLOCKER: 30, Severity.WARNING: 5, Severity.INFO: 3}

# Our own signs, for a console that knows only ASCII.
_ASCII = str.maketrans({"✓": "+", "✗": "x", "→": "->", "·": "-", "–": "-", "…": "..."})

_TONE = {"good": ("✓", "green"), "care": ("!", "yellow"), "stop": ("✗", "red")}
_SEVERITY = {Severity.BLOCKER: ("✗", "red"), Severity.WARNING: ("!", "yellow"), Severity.INFO: ("·", "blue")}
_ACCEPTED = ("✓", "dim")
_FIGURE_STYLE = {
    "new": "green",
    "free": "green",
    "held": "yellow",
    "written": "green",
    "decide": "yellow",
    "invalid": "red",
}
# The table of kinds needs this many columns; a narrower window gets one line per kind.
_TABLE_WIDTH = 84


def show(answer: Answer, *, findings: Sequence[Finding] = (), rows: Sequence[PlannedRow] = (), console: Console) -> None:
    """Print ``answer`` for a person, with its findings or planned rows."""
    screen = _Screen(console)
    mark, style = _TONE[words.tone(answer)]
    screen.line(f"{words.report_title(answer)} · {answer.site}", style="bold")
    screen.item(mark, style, verdict(answer, findings, rows), style="bold")
    for line in (part for said in answer.lines for part in said.split("\n")):
        screen.line(line, indent=2 + len(line) - len(line.lstrip(" ")))
    if findings:
        _show_findings(screen, findings)
    names = words.FIGURES.get(answer.command, {})
    counts = words.figures(answer, rows) if names else {}
    if counts:
        _show_kinds(screen, counts, names)
    elif answer.summary and not answer.lines and not findings and not answer.command.startswith("export "):
        _show_summary(screen, answer.summary)
    if answer.command in ("plan", "import"):
        _show_undecided(screen, words.undecided(rows))
        _show_decided(screen, words.decided(rows))
    if answer.report:
        screen.blank()
        for name, path in answer.report.items():
            screen.labelled("Report", f"{path}" if name != "json" else f"{path} (for programs)")
    if answer.requests.get("made"):
        screen.blank()
        screen.line(words.requests(answer), style="dim")
    if answer.next:
        screen.blank()
        screen.item("→", "cyan", answer.next, style="bold")


class _Screen:
    """Lines on a console: wrapped with a hanging indent on a terminal, otherwise whole and plain."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.plain = not console.is_terminal

    def text(self, value: object, style: str = "") -> Text:
        """``value`` as styled text that this console's encoding can carry."""
        text, encoding = one_line(value), self.console.encoding
        if not encoding.lower().startswith("utf"):
            text = text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
        return Text(text, style=style)

    def blank(self) -> None:
        self.console.print()

    def line(self, value: object, *, indent: int = 0, style: str = "") -> None:
        if self.plain:
            self.console.print(Text(" " * indent) + self.text(value, style), soft_wrap=True, highlight=False)
        else:
            self.console.print(Padding(self.text(value, style), (0, 0, 0, indent)), highlight=False)

    def item(self, mark: str, mark_style: str, value: object, *, indent: int = 0, style: str = "") -> None:
        """A line that begins with a mark; further lines stand under the text, not under the mark."""
        sign = self.text(mark, mark_style)
        self._hanging(sign, self.text(value, style), indent, len(sign.plain) + 1)

    def labelled(self, label: str, value: object, *, indent: int = 0, width: int = 10) -> None:
        """``label`` in a column of its own, then ``value``."""
        self._hanging(self.text(label, "dim"), self.text(value), indent, width)

    def _hanging(self, head: Text, body: Text, indent: int, width: int) -> None:
        if self.plain:
            gap = " " * max(1, width - len(head.plain))
            self.console.print(Text(" " * indent) + head + Text(gap) + body, soft_wrap=True, highlight=False)
            return
        grid = Table.grid(padding=0)
        grid.add_column(width=width, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(head, body)
        self.console.print(Padding(grid, (0, 0, 0, indent)), highlight=False)


def _show_findings(screen: _Screen, findings: Sequence[Finding]) -> None:
    """Blockers first; a rule's title, remedy and place are said once, its cases below."""
    for severity, word in words.SEVERITY.items():
        mine = [finding for finding in findings if finding.severity is severity and not finding.accepted]
        _show_severity(screen, word, _SEVERITY[severity], mine, _CASES[severity])
    _show_severity(screen, words.ACCEPTED, _ACCEPTED, [finding for finding in findings if finding.accepted], LIMIT)


def _show_severity(screen: _Screen, word: words.Word, marked: tuple[str, str], findings: Sequence[Finding], limit: int) -> None:
    if not findings:
        return
    mark, style = marked
    screen.blank()
    screen.line(f"{word.title} ({len(findings):,})", style=f"bold {style}")
    for group in words.by_rule(findings):
        screen.item(mark, style, group.title or group.findings[0].title, indent=2)
        if group.remedy:
            screen.labelled("mend", group.remedy, indent=4)
        if group.where:
            screen.labelled("where", group.where, indent=4)
        for finding in group.findings[:limit]:
            _show_finding(screen, finding, group)
        _show_more(screen, len(group.findings), limit, indent=4)


def _show_finding(screen: _Screen, finding: Finding, group: words.Group) -> None:
    screen.item("-", "dim", f"{finding.name or words.kind_title(finding.kind)}  [{finding.id}]", indent=4)
    details = {
        "QuickBooks": finding.qbo,
        "Miracle": finding.miracle,
        "mend": "" if group.remedy else finding.remedy,
        "where": "" if group.where else finding.where,
        "accepted": finding.accepted,
    }
    for label, said in details.items():
        if said:
            screen.labelled(label, said, indent=6, width=12)


def _show_more(screen: _Screen, number: int, limit: int, *, indent: int) -> None:
    if number > limit:
        screen.line(f"… and {number - limit:,} more in the report", indent=indent, style="dim")


def _show_kinds(screen: _Screen, counts: Mapping[Kind, Mapping[str, int]], names: Mapping[str, str]) -> None:
    """A table of figures by kind; where the window is too narrow for it, one line per kind without the zeros."""
    screen.blank()
    first = next(iter(names))
    if screen.plain or screen.console.width < _TABLE_WIDTH:
        for kind, figures in counts.items():
            said = [f"{title} {figures.get(name, 0):,}" for name, title in names.items() if name == first or figures.get(name)]
            screen.line(f"{words.kind_title(kind)}: {', '.join(said)}", indent=2)
        return
    table = Table(box=None, padding=(0, 1), show_edge=False, header_style="dim")
    table.add_column("")
    for title in names.values():
        table.add_column(title, justify="right")
    for kind, figures in counts.items():
        table.add_row(screen.text(words.kind_title(kind)), *(_figure(name, figures.get(name, 0)) for name in names))
    table.add_row(Text("total", "bold"), *(Text(f"{words.total(counts, name):,}", "bold") for name in names))
    screen.console.print(Padding(table, (0, 0, 0, 1)), highlight=False)


def _figure(name: str, number: int) -> Text:
    return Text(f"{number:,}", _FIGURE_STYLE.get(name, "")) if number else Text("0", "dim")


def _show_undecided(screen: _Screen, rows: Sequence[PlannedRow]) -> None:
    if not rows:
        return
    screen.blank()
    screen.line(f"Needs a person ({len(rows):,})", style="bold yellow")
    for row in rows[:LIMIT]:
        screen.item("?", "yellow", f"{words.full_name(row)}  [{row.kind} {row.qbo_id}]", indent=2)
        screen.labelled(row.result.value, row.reason, indent=4)
    _show_more(screen, len(rows), LIMIT, indent=2)


def _show_decided(screen: _Screen, rows: Sequence[PlannedRow]) -> None:
    if not rows:
        return
    screen.blank()
    screen.line(f"Decided ({len(rows):,})", style="bold")
    for row in rows[:LIMIT]:
        by = f" ({row.decided_by})" if row.decided_by else ""
        screen.item("✓", "green", f"{words.full_name(row)}: {words.decision_said(row)}{by}", indent=2)
    _show_more(screen, len(rows), LIMIT, indent=2)


def _show_summary(screen: _Screen, summary: Mapping[str, object]) -> None:
    screen.blank()
    width = 2 + max(len(words.column_title(name)) for name in summary)
    for name, value in summary.items():
        screen.labelled(words.column_title(name), words.said(value), indent=2, width=width)
