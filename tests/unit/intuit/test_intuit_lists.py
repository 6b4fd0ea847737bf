"""Lists that move while they are read: whatever is changed between two pages, no row is lost, doubled or out of date."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from intuit_lab import REDIRECT, Lab

from lab.intuit.process import running
from qbo_sync.config import Settings
from qbo_sync.errors import Unreachable
from qbo_sync.intuit import Intuit
from qbo_sync.intuit.query import Active
from tests.serving import served

Row = dict[str, Any]
ALL: dict[str, Active] = {"Customer": "all", "Term": "all", "Preferences": "active"}


@pytest.fixture(scope="module")
def large() -> Iterator[Lab]:
    with running("--redirect-uri", REDIRECT, "--limits", "off", "--customers", "3000", "--vendors", "5", "--items", "5") as base:
        yield Lab(base)


@pytest.fixture
def site(large: Lab, tmp_path: Path) -> Settings:
    large.post("reset", {})
    settings = large.settings(tmp_path)
    large.connect(settings)
    return settings


def held(lab: Lab, entity: str = "Customer") -> list[Row]:
    rows: list[Row] = requests.get(f"{lab.base}/lab/entities/{entity}", timeout=30).json()
    return rows


def change(lab: Lab, row: Row, **values: Any) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    times = {**row["MetaData"], "LastUpdatedTime": now, **({"CreateTime": now} if "Id" in values else {})}
    lab.post("entities/Customer", {**row, **values, "MetaData": times})


@contextmanager
def between(base: str, act: Callable[[str], None]) -> Iterator[str]:
    """A server that passes every request on, one at a time, after telling ``act`` what is asked for."""
    turn = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with turn:
                act(parse_qs(urlsplit(self.path).query).get("query", [body.decode()])[0])
                headers = {
                    name: self.headers[name] for name in ("Accept", "Authorization", "Content-Type") if name in self.headers
                }
                answer = requests.request(self.command, base + self.path, headers=headers, data=body, timeout=30)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Tests say what they see."""

    with served(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def disturbed(lab: Lab, site: Settings, act: Callable[[], None], nth: int, times: int = 1) -> Iterator[Intuit]:
    """A reader whose company is changed just before its ``nth`` request is answered, and before the following ones."""
    seen = 0

    def count(_text: str) -> None:
        nonlocal seen
        seen += 1
        if nth <= seen < nth + times:
            act()

    with between(lab.base, count) as base:
        settings = site.model_copy(update={"intuit": site.intuit.model_copy(update={"api_url": base})})
        with Intuit.open(settings, sleep=lambda _seconds: None) as intuit:
            yield intuit


def collected(intuit: Intuit) -> dict[str, dict[str, Row]]:
    """What a reader has who does as the pages say."""
    found: dict[str, dict[str, Row]] = {}
    for page in intuit.read(ALL):
        if page.first:
            found[page.entity] = {}
        found[page.entity].update({row["Id"]: row for row in page.rows})
    return found


def by_id(rows: list[Row]) -> dict[str, Row]:
    return {row["Id"]: row for row in rows}


def loose(found: dict[str, Row]) -> dict[str, Row]:
    """Numbers as JSON has them, whether exact or not."""
    return {row_id: {k: v for k, v in row.items() if not k.startswith("Balance")} for row_id, row in found.items()}


# One batch for the short lists and the count, three pages, one batch at the end.
UNDISTURBED = 5


def test_a_quiet_list_is_read_once(large: Lab, site: Settings) -> None:
    with Intuit.open(site) as intuit:
        found = collected(intuit)
    assert loose(found["Customer"]) == loose(by_id(held(large)))
    assert by_id(held(large, "Term")).keys() == found["Term"].keys()
    assert len(found["Preferences"]) == 1
    assert (intuit.counters.made, intuit.counters.metered) == (UNDISTURBED, UNDISTURBED)


@pytest.mark.parametrize("nth", range(1, UNDISTURBED + 1))
def test_a_renamed_row_arrives_as_it_is_now(large: Lab, site: Settings, nth: int) -> None:
    row = held(large)[10]
    with disturbed(large, site, lambda: change(large, row, DisplayName="Renamed"), nth) as intuit:
        found = collected(intuit)
    assert found["Customer"][row["Id"]]["DisplayName"] == "Renamed"
    assert found["Customer"].keys() == by_id(held(large)).keys()
    assert intuit.counters.made == UNDISTURBED, "nothing moved"


@pytest.mark.parametrize("nth", range(1, UNDISTURBED + 1))
def test_a_row_made_at_the_end_moves_nothing(large: Lab, site: Settings, nth: int) -> None:
    rows = held(large)
    last = str(max(int(row["Id"]) for row in rows) + 1)
    with disturbed(large, site, lambda: change(large, rows[0], Id=last, DisplayName="Newest"), nth) as intuit:
        found = collected(intuit)
    assert found["Customer"].keys() == by_id(held(large)).keys()
    assert intuit.counters.made == UNDISTURBED or nth == 1, "in the second of the count nobody can tell which was first"


@pytest.mark.parametrize("nth", range(1, UNDISTURBED + 1))
def test_a_row_made_in_front_moves_all_others(large: Lab, site: Settings, nth: int) -> None:
    row = held(large)[0]
    with disturbed(large, site, lambda: change(large, row, Id="0", DisplayName="First"), nth) as intuit:
        found = collected(intuit)
    assert found["Customer"].keys() == by_id(held(large)).keys()
    assert intuit.counters.made > UNDISTURBED


@pytest.mark.parametrize("nth", range(2, UNDISTURBED + 1))
def test_a_row_inactivated_moves_the_list_of_active_ones(large: Lab, site: Settings, nth: int) -> None:
    rows = held(large)
    first = next(row for row in rows if row["Active"])
    with disturbed(large, site, lambda: change(large, first, Active=False), nth) as intuit:
        ids = [row["Id"] for row in intuit.query("Customer")]
    assert len(ids) == len(set(ids))
    still_active = {row["Id"] for row in held(large) if row["Active"]}
    assert set(ids) - {first["Id"]} == still_active


def test_a_list_that_never_rests_is_not_guessed(large: Lab, site: Settings) -> None:
    row = held(large)[0]
    ids = iter(range(1, 1_000_000))

    def add() -> None:
        change(large, row, Id="0" * next(ids), DisplayName="Another")

    with (
        disturbed(large, site, add, nth=2, times=10_000) as intuit,
        pytest.raises(Unreachable, match="Customer keeps changing"),
    ):
        collected(intuit)


def test_a_reader_who_stops_leaves_nothing_behind(site: Settings) -> None:
    before = threading.active_count()
    with Intuit.open(site) as intuit:
        assert next(intuit.query("Customer"))
        assert next(iter(intuit.read(ALL))).first
    assert threading.active_count() == before
