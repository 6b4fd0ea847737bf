"""Every fault that the look-alike can play, at every request of a full read: `./kit bench faults`; writes docs/faults.md.

A fault comes once, as a passing one does, or stays. A reading must then equal the undisturbed one row by row, or end with an
error of ours that says why; and once the fault is over, the next run must complete, with the connection unharmed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.intuit.injected import NAMES
from qbo_sync.errors import KitError
from qbo_sync.intuit import Intuit
from qbo_sync.switch.read import WANTED
from tests.bench.site import Bench, connected

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- measured: faults -->\n", "<!-- measured until here -->"
# Two lists of several pages, so that pages, counts and the closing look are all among the requests that are met.
SIZE = ["--customers", "2500", "--vendors", "1100", "--items", "60"]
MEANING = {
    "401": "the access token is refused",
    "403": "the gateway refuses the company (3100)",
    "403_throttled": "too many requests, as until 2017",
    "429": "too many requests, as JSON (3001)",
    "429_xml": "too many requests, as XML",
    "500": "an application error (10000)",
    "502_html": "a gateway's HTML page",
    "503_html": "another gateway's HTML page",
    "504_empty": "a gateway's time-out, without a body",
    "200_fault": "an application error, called 200",
    "200_html": "a page to sign in to, called 200",
    "bad_gzip": "the right answer, called compressed",
    "truncated": "half a body, then the end of the connection",
    "closed": "the connection is closed without an answer",
    "wrong_content_type": "the right answer, called text/html",
}
# More requests than a reading makes before its patience is used up.
_FOR_GOOD = 400
Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Met:
    """What became of the readings that met one fault: how many read everything, and the errors of the others."""

    fault: str
    stays: bool
    readings: int
    whole: int
    errors: tuple[str, ...]


def main(_arguments: list[str]) -> int:
    """Print the table and write it into docs/faults.md; exit code 1 when a reading was wrong."""
    logging.getLogger("qbo_sync.intuit").setLevel(logging.ERROR)
    with connected(*SIZE, "--limits", "off") as bench:
        requests_, met = campaign(bench, NAMES)
    text = table(requests_, met)
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    head, tail = page.partition(BEGIN)[0], page.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}{text}\n{END}{tail}", encoding="utf-8")
    return 0


def campaign(bench: Bench, names: Sequence[str], every: int = 1) -> tuple[int, list[Met]]:
    """Meet these faults at each ``every``-th request; the number of requests of a reading, and what became of them.

    Raises ``AssertionError`` for a reading that is neither whole nor ended by an error of ours, or that harmed the next one.
    """
    expected, number = _read(bench)
    met = []
    for fault in names:
        for stays in (False, True):
            results = [_meet(bench, fault, nth, stays, expected) for nth in range(1, number + 1, every)]
            errors = tuple(sorted({result for result in results if result}))
            met.append(Met(fault, stays, len(results), results.count(""), errors))
    return number, met


def table(number: int, met: Sequence[Met]) -> str:
    """The result as Markdown."""
    lines = [
        f"One reading: {number} requests. Each fault was met at every one of them.",
        "",
        "| fault | what it is | comes | readings | whole, row by row | the others ended with | next run |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in met:
        ended = "; ".join(one.errors) or "–"
        comes = "and stays" if one.stays else "once"
        lines.append(f"| `{one.fault}` | {MEANING[one.fault]} | {comes} | {one.readings} | {one.whole} | {ended} | whole |")
    return "\n".join(lines)


def _meet(bench: Bench, fault: str, nth: int, stays: bool, expected: Rows) -> str:
    """The error that the reading ended with; empty when it was whole."""
    # A request that meets a rule is not counted by the rules behind it: each of them strikes one request later.
    _inject(bench, [{"when": {"nth": nth}, "fault": fault}] * (_FOR_GOOD if stays else 1))
    seen = ""
    try:
        rows, _ = _read(bench)
    except KitError as error:
        seen = f"{type(error).__name__} (exit {error.exit_code})"
    else:
        assert rows == expected, f"{fault} at request {nth}: rows differ from the undisturbed reading"
    _inject(bench, [])
    if seen:
        rows, _ = _read(bench)
        assert rows == expected, f"after {fault} at request {nth}: the next run differs"
    return seen


def _inject(bench: Bench, rules: list[dict[str, Any]]) -> None:
    bench.post("faults", rules)


def _read(bench: Bench) -> tuple[Rows, int]:
    """A full reading that waits for nothing, and how many requests it made."""
    found: Rows = {}
    with Intuit.open(bench.site.settings, sleep=lambda _seconds: None) as intuit:
        for page in intuit.read(WANTED):
            if page.first:
                found[page.entity] = {}
            found[page.entity].update({row["Id"]: row for row in page.rows})
    return found, intuit.counters.made
