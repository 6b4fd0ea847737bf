"""The Summary Checklist and what was seen, for people: lines for a terminal, and one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from qbo_sync import templating
from qbo_sync.disk import whole_file
from qbo_sync.edge.preflight.checklist import Tick
from qbo_sync.edge.preflight.model import Check

MARKS = {"ok": "done", "info": "done", "warn": "look", "error": "missing", "fatal": "missing"}


def mark(check: Check) -> str:
    """``done``, ``look``, ``later`` (a step of the kit sets it right) or ``missing``."""
    return "later" if MARKS[check.severity] == "missing" and check.mended_by else MARKS[check.severity]


def lines(ticks: Sequence[Tick], checks: Sequence[Check]) -> list[str]:
    """The guide's Summary Checklist, one tick a line, with who does what when it isn't done; then every check."""
    said = ["Summary Checklist"]
    for tick in ticks:
        said.append(f"  {'done   ' if tick.done else 'missing'}  {tick.title} ({tick.seen})")
        if not tick.done:
            said.append(f"           to mend it: {tick.who}: {tick.remedy}")
    return [*said, "What was seen", *(line for check in checks for line in words(check))]


def words(check: Check) -> list[str]:
    """One check in one or two lines."""
    said = [f"  {mark(check):7}  {check.id} {check.title}: {check.seen}"]
    if check.mended_by:
        return [*said, f"           the step {check.mended_by} sets it right: {check.remedy}"]
    if check.remedy and check.severity != "ok":
        said.append(f"           {'note' if check.severity == 'info' else 'to mend it'}: {check.remedy}")
    return said


def html(site: str, fqdn: str, ticks: Sequence[Tick], checks: Sequence[Check], now: datetime | None = None) -> str:
    """The page."""
    environment = templating.environment("preflight")
    style = templating.environment("reports").get_template("page.css").render()
    worst = [check for check in checks if mark(check) in ("missing", "look")]
    return environment.get_template("checklist.html.j2").render(
        site=site,
        fqdn=fqdn,
        ticks=ticks,
        open=[tick for tick in ticks if not tick.done],
        groups=_groups(checks),
        stops=[check for check in worst if check.stops],
        mark=mark,
        made_at=(now or datetime.now(UTC)).strftime("%d %B %Y, %H:%M UTC"),
        # Ours, not data; the page's policy names its hash, so that nothing else can style or run.
        style=Markup(style),  # noqa: S704
        style_hash="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _groups(checks: Sequence[Check]) -> list[tuple[str, str, list[Check]]]:
    titles = {
        "missing": "To be mended before anything else",
        "look": "To be looked at",
        "later": "What the kit's next steps set right",
        "done": "In order",
    }
    groups = [(name, title, [check for check in checks if mark(check) == name]) for name, title in titles.items()]
    return [group for group in groups if group[2]]


def write(path: Path, text: str) -> None:
    """Replace the page whole. Raises :class:`OSError`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with whole_file(path) as new:
        new.write_text(text, encoding="utf-8")
