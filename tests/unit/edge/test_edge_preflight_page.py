"""The Summary Checklist as people read it: in the terminal, and as a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from qbo_sync.edge.preflight import Check, Tick, checklist, page
from qbo_sync.edge.preflight.model import check

SAID = {"desktop": {"answer": True, "at": "2026-11-20T10:00:00"}, "vendor": {"answer": True, "at": "2026-11-20T10:00:00"}}
DONE = {"state": "done", "at": "2026-11-24T10:00:00"}
STEPS = {"verify": DONE, "port_forward": DONE}
STOPS = check("P11", "fatal", "100.64.7.8", "order a public address")
LATER = check("P16", "error", "no rule", "forward both ports", mended_by="port_forward")
SOUND = check("P01", "ok", "qbo.mycompany.com")


@pytest.mark.parametrize(
    ("ticks", "checks", "verdict"),
    [
        (checklist(SAID, STEPS), [SOUND], "All 4 items are done."),
        (checklist({}, STEPS), [SOUND, LATER], "2 of 4 items are still open. Nothing stands in the way of going on."),
        (checklist(SAID, STEPS), [SOUND, STOPS], "1 thing has to be mended before anything is changed."),
        (checklist(SAID, STEPS), [STOPS, STOPS], "2 things have to be mended before anything is changed."),
    ],
)
def test_the_page_begins_with_what_matters(ticks: list[Tick], checks: list[Check], verdict: str) -> None:
    text = page.html("lab", "qbo.mycompany.com", ticks, checks)
    assert verdict in text
    assert ("To be mended before anything else" in text) == (STOPS in checks)
    assert ("What the kit's next steps set right" in text.replace("&#39;", "'")) == (LATER in checks)


def test_what_was_seen_cannot_become_part_of_the_page() -> None:
    """Names, records and server headers come from strangers."""
    hostile = "<script>alert(1)</script>"
    text = page.html(
        hostile, hostile, [Tick("x", hostile, False, hostile, hostile, hostile)], [check("P19", "error", hostile, hostile)]
    )
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 9


def test_the_terminal_shows_the_same(tmp_path: Path) -> None:
    lines = page.lines(checklist({}, STEPS), [SOUND, STOPS, LATER])
    assert lines[0] == "Summary Checklist"
    assert [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "] == [
        *("missing", "missing", "done", "done"),
        *("done", "missing", "later"),
    ]
    assert "           the step port_forward sets it right: forward both ports" in lines
    page.write(tmp_path / "new" / "page.html", "text")
    assert (tmp_path / "new" / "page.html").stat().st_mode & 0o077 == 0
