"""The files of a report and the JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from qbo_sync.disk import whole_file
from qbo_sync.report.findings import findings_csv
from qbo_sync.report.words import Story
from qbo_sync.switch.model import Answer, Finding, PlannedRow

# The document's keys in the order of ``interfaces.md``; ``next`` follows when there is one.
_KEYS = ("command", "site", "outcome", "summary", "items", "requests", "seconds", "report")


def document(answer: Answer) -> str:
    """The one JSON document that a command answers with (``docs/schema/answer.schema.json``).

    Pure ASCII, so that it passes any terminal, pipe and locale unchanged.
    """
    values = {key: getattr(answer, key) for key in _KEYS}
    if answer.next:
        values["next"] = answer.next
    return json.dumps(values, indent=2, default=str)


def write(
    directory: Path,
    answer: Answer,
    *,
    company: str,
    made_at: datetime,
    findings: Sequence[Finding] = (),
    rows: Sequence[PlannedRow] = (),
    tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, str]:
    """Write a report as page, workbook and document into ``directory`` (made when missing); files are readable by us only.

    The names are ``<YYYYMMDD-HHMMSS>-<command>.{html,xlsx,json}`` after ``made_at``, and ``.csv`` with an audit's findings; a
    report is never overwritten: a second one of the same second takes the next free second in its name. Returns the paths, and
    sets them in ``answer.report`` first, so that the JSON file names its sisters. Raises ``OSError`` when the directory can't be
    written.
    """
    # Here, since a command without a report needs neither Jinja2 nor openpyxl.
    from qbo_sync.report import page, workbook

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    stem = _free_stem(directory, answer.command, made_at)
    paths = {suffix: directory / f"{stem}.{suffix}" for suffix in ("html", "xlsx", "json")}
    answer.report = {suffix: str(path) for suffix, path in paths.items()}
    story = Story(answer, company, made_at, tuple(findings), tuple(rows), dict(tables or {}), paths["xlsx"].name)
    with whole_file(paths["html"]) as part:
        part.write_text(page.render(story), encoding="utf-8")
    with whole_file(paths["xlsx"]) as part:
        workbook.save(story, part)
    if answer.command == "audit":
        answer.report["csv"] = str(directory / f"{stem}.csv")
        findings_csv(directory / f"{stem}.csv", findings)
    with whole_file(paths["json"]) as part:
        part.write_text(document(answer) + "\n", encoding="ascii")
    return dict(answer.report)


def _free_stem(directory: Path, command: str, made_at: datetime) -> str:
    name = command.replace(" ", "-")
    while True:
        stem = f"{made_at:%Y%m%d-%H%M%S}-{name}"
        if not any((directory / f"{stem}.{suffix}").exists() for suffix in ("html", "xlsx", "json", "csv")):
            return stem
        made_at += timedelta(seconds=1)
