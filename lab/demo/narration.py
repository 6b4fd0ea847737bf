"""How the demo speaks, and what both of its halves share."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WIDTH = 96


def say(text: str = "") -> None:
    """One line of the story."""
    print(text, flush=True)


def step(guide: str, what: str) -> None:
    """The head of a step, in the guide's own words."""
    head = f"── {guide} · {what} "
    say("\n" + head + "─" * max(2, WIDTH - len(head)))


def must(document: Mapping[str, Any], *exits: int) -> Mapping[str, Any]:
    """End the demo when a command ended otherwise than the story tells."""
    if document["exit"] not in exits:
        raise SystemExit(f"demo: qbo-sync {document['command']} ended with {document['exit']}:\n{json.dumps(document, indent=2)}")
    return document


def answered(command: str, code: int, output: str, errors: str) -> dict[str, Any]:
    """A command's JSON document together with its exit code."""
    try:
        document: dict[str, Any] = json.loads(output)
    except json.JSONDecodeError:
        raise SystemExit(f"demo: qbo-sync {command} gave no answer (exit {code}):\n{errors}") from None
    return {**document, "exit": code}


def counts(document: Mapping[str, Any], *names: str) -> str:
    """A plan's or an import's counts, kind by kind."""
    lines = []
    for kind, tally in document["summary"].items():
        shown = ", ".join(f"{tally[name]} {name}" for name in names if tally[name])
        lines.append(f"    {kind.replace('_', ' '):<15} {shown or 'nothing'}")
    return "\n".join(lines)


def blockers(document: Mapping[str, Any]) -> None:
    """An audit's verdict and what blocks."""
    tally = document["summary"]
    say(f"  {tally['blocker']} blockers, {tally['warning']} warnings, {tally['info']} notes")
    for item in document["items"]:
        if item["severity"] == "blocker" and "accepted" not in item:
            say(f"    ✗ {item['title']}: {item['name']}")
            say(f"        QuickBooks Online: {item['qbo']}   Miracle Service: {item['miracle']}")


def decide(decisions: str) -> tuple[str, int]:
    """Answer every open question of a decisions file (its text): a weak match is the same one, anything else is left out."""
    rows = list(csv.DictReader(decisions.lstrip("\ufeff").splitlines()))
    lines = [",".join(rows[0])] if rows else []
    for row in rows:
        row["decision"] = "link" if row["result"] == "weak" else "skip"
        lines.append(",".join('"' + value.replace('"', '""') + '"' for value in row.values()))
    return "\n".join(lines) + "\n", len(rows)


def read(path: str) -> str:
    """A report's text."""
    return Path(path).read_text(encoding="utf-8")
