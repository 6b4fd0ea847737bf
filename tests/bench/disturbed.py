"""Readings that are disturbed in every way: `./kit bench disturbed [CASES]`, between the client and the look-alike of Intuit.

A proxy on the way cuts an answer at every kilobyte, breaks, doubles, garbles and refuses answers in orders that Hypothesis
thinks of; and a reading is killed (SIGKILL) at every line of its own code. Each time the rows that came must
be those of an undisturbed reading, or a typed error must have said why, and the next run must be whole. After a kill the next
run may ask again only for what was under way, one page for each connection at most.
"""

from __future__ import annotations

import gzip
import http.server
import logging
import random
import re
import socket
import sqlite3
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import eq
from typing import Any

import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qbo_sync.config import Settings
from qbo_sync.errors import KitError
from qbo_sync.intuit import Intuit, Snapshot
from qbo_sync.intuit.http import WORKERS
from qbo_sync.intuit.query import Active
from tests.bench.killing import Place, killed_at, traced
from tests.bench.site import Bench, connected
from tests.serving import served

SIZE = ("--customers", "1300", "--vendors", "120", "--items", "40", "--limits", "off")
# Of what is killed; and the requests that the lists of one page take, which are read anew after a kill.
LARGER = ("--customers", "12300", *SIZE[2:])
KILLS, PAGES, ALWAYS = 500, 13, 2
WANTED: dict[str, Active] = {"Customer": "all", "Vendor": "all", "Term": "all", "TaxCode": "active", "CompanyInfo": "active"}
FAULT = b'{"Fault":{"Error":[{"Message":"Business validation","code":"6000"}],"type":"ValidationFault"}}'
HTML = b"<html><head><title>Bad gateway</title></head></html>"
TOKEN = b'{"warnings":null,"fault":{"error":[{"message":"message=AuthenticationFailed","code":"3200"}],"type":"AUTHENTICATION"}}'
# What replaces an answer: status, further headers, body.
INSTEAD: dict[str, tuple[int, dict[str, str], bytes]] = {
    "401": (401, {"Content-Type": "application/json"}, TOKEN),
    "403": (403, {"Content-Type": "application/json"}, TOKEN.replace(b"3200", b"3100")),
    "429": (429, {"Content-Type": "application/json"}, FAULT.replace(b"6000", b"3001")),
    "429 with Retry-After": (429, {"Retry-After": "7"}, b""),
    "500": (500, {"Content-Type": "application/json"}, FAULT.replace(b"6000", b"10000")),
    "502": (502, {"Content-Type": "text/html"}, HTML),
    "503": (503, {"Content-Type": "text/html"}, HTML),
    "504": (504, {}, b""),
    "200 with a fault": (200, {"Content-Type": "application/json"}, FAULT),
    "200 with HTML": (200, {"Content-Type": "text/html"}, HTML),
    "not gzip": (200, {"Content-Encoding": "gzip"}, b"this is no gzip"),
}
# What befalls the answer itself.
BEFALLS = ("cut", "reset", "sliced", "half a gzip", "rows twice", "silence")
QUIET = "nothing"
KINDS = (QUIET, *INSTEAD, *BEFALLS[:-1])

Rows = dict[str, dict[str, Any]]


@dataclass
class Disturber:
    """A proxy. ``due`` is taken from by one request after the other; ``cut`` is where a cut answer ends."""

    target: str
    base: str = ""
    due: list[str] = field(default_factory=list)
    cut: int = 0
    longest: int = 0
    met: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def disturber(target: str) -> Iterator[Disturber]:
    """Between the client and ``target`` on loopback."""
    state = Disturber(target)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind = state.due.pop(0) if state.due else QUIET
            state.met[kind] += 1
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if kind in INSTEAD:
                self._say(*INSTEAD[kind])
                return
            names = ("Accept", "Authorization", "Content-Type")
            headers = {name: self.headers[name] for name in names if name in self.headers}
            answer = requests.request(self.command, target + self.path, headers=headers, data=sent, timeout=30)
            state.longest = max(state.longest, len(answer.content))
            self._befall(kind, answer.status_code, answer.content)

        def do_POST(self) -> None:
            self.do_GET()

        def _befall(self, kind: str, status: int, body: bytes) -> None:
            match kind:
                case "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                case "silence":
                    state.over.wait(30)
                    self.close_connection = True
                case "cut":
                    self._say(status, {}, body, until=state.cut)
                case "sliced":
                    self._say(status, {}, body, slices=max(1, len(body) // 40))
                case "half a gzip":
                    half = gzip.compress(body)
                    self._say(status, {"Content-Encoding": "gzip"}, half[: len(half) // 2])
                case "rows twice":
                    twice = re.sub(rb'("(?:Customer|Vendor|Term)":\[)(.*)(\])(?=[^\]]*$)', rb"\1\2,\2\3", body, flags=re.DOTALL)
                    self._say(status, {}, twice if b'"QueryResponse"' in body[:30] else body)
                case _:
                    self._say(status, {}, body)

        def _say(self, status: int, headers: dict[str, str], body: bytes, *, until: int | None = None, slices: int = 0) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if until is not None and until < len(body):
                self.wfile.write(body[:until])
                self.close_connection = True
                return
            for at in range(0, len(body), slices or max(1, len(body))):
                self.wfile.write(body[at : at + slices] if slices else body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """The campaign says what it met."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                """The client has given up, or was cut off on purpose."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with served(server):
        state.base = f"http://127.0.0.1:{server.server_port}"
        try:
            yield state
        finally:
            state.over.set()


def through(site: Settings, base: str, **intuit: Any) -> Settings:
    """The same site, whose data server is reached by another address."""
    return site.model_copy(update={"intuit": site.intuit.model_copy(update={"api_url": base, **intuit})})


def company(site: Settings, *, only_changes: bool | None = None) -> Rows:
    """All rows by entity and id; through what is kept unless ``only_changes`` is ``None``."""
    found: Rows = {}
    with Intuit.open(site, sleep=lambda _: None) as intuit:
        reader = intuit if only_changes is None else Snapshot(site, intuit, only_changes=only_changes)
        for page in reader.read(WANTED):
            if page.first:
                found[page.entity] = {}
            found[page.entity].update((row["Id"], row) for row in page.rows)
    return found


def cut_everywhere(site: Settings, way: Disturber, every: int) -> int:
    """Cut one page at every so many bytes; how many cuts. Raises ``AssertionError`` when a row is lost or doubled by one."""
    with Intuit.open(site, sleep=lambda _: None) as intuit:
        whole = list(intuit.query("Vendor", active="all"))
        way.longest, way.cut = 0, 0
        assert list(intuit.query("Vendor", active="all")) == whole
        cuts = range(0, way.longest, every)
        for way.cut in cuts:
            way.due = ["cut"]
            assert list(intuit.query("Vendor", active="all")) == whole, f"cut at {way.cut}"
    return len(cuts)


def campaign(site: Settings, way: Disturber, cases: int) -> Counter[str]:
    """So many readings in disturbed order; how they ended."""
    source = company(site)
    ended: Counter[str] = Counter()

    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        due=st.lists(st.sampled_from(KINDS), max_size=9),
        cut=st.integers(0, 200_000),
        changes=st.sampled_from([None, False, True]),
    )
    def disturbed(due: list[str], cut: int, changes: bool | None) -> None:
        way.due, way.cut = list(due), cut
        try:
            found = company(site, only_changes=changes)
            ended["whole"] += 1
        except KitError as error:
            way.due = []
            found = company(site, only_changes=changes)
            ended[f"{type(error).__name__}, then whole"] += 1
        assert found == source

    disturbed()
    return ended


@dataclass(frozen=True)
class Killed:
    """Readings that were killed, at so many lines of the code, and how many requests were made twice at most."""

    readings: int
    lines: int
    asked_twice: int


def kills(bench: Bench, most: int) -> Killed:
    """Kill readings at the lines of our own code that they pass, ``most`` times, each time at another moment.

    Raises when the next reading is not whole, or asks again for more than was under way.
    """
    site, chance = bench.site.settings, random.Random(3)
    source = company(site)
    passed: Counter[Place] = Counter()

    def asked(read: Callable[[], object]) -> int:
        before = bench.stats()["requests"]
        read()
        return bench.stats()["requests"] - before

    reading = partial(company, site, only_changes=False)
    undisturbed = asked(partial(traced, reading, partial(_count, passed)))
    lines = sorted(passed)
    killed = asked_twice = 0
    for which in range(most):
        place = lines[(which * max(1, len(lines) // most)) % len(lines)]
        at = f"killed at {place[0]}:{place[1]}"
        before = asked(partial(killed_at, reading, partial(eq, place), chance.randint(1, passed[place])))
        under_way = _under_way(site)
        after = asked(partial(_expect, site, source, at, only_changes=False))
        if before < undisturbed or under_way:
            killed += 1
            asked_twice = max(asked_twice, before + after - undisturbed)
        assert asked_twice <= WORKERS + ALWAYS, f"{at}: {before} and {after} instead of {undisturbed} requests"
        _expect(site, source, at, only_changes=True)
    return Killed(killed, len(lines), asked_twice)


def _count(passed: Counter[Place], place: Place) -> None:
    passed[place] += 1


def _expect(site: Settings, source: Rows, after: str, *, only_changes: bool) -> None:
    assert company(site, only_changes=only_changes) == source, after


def _under_way(site: Settings) -> bool:
    """Whether a reading was kept that did not end; all that is kept must be sound."""
    with closing(sqlite3.connect(site.store.directory / "snapshot.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return bool(db.execute("SELECT count(*) FROM reading WHERE progress IS NOT NULL").fetchone()[0])


def main(arguments: list[str]) -> int:
    """Print what was met and how it ended; ends by an ``AssertionError`` when a row was lost, doubled or old."""
    cases = int(arguments[0]) if arguments else 500
    logging.disable(logging.WARNING)
    with connected(*LARGER) as bench:
        killed = kills(bench, KILLS)
    print(f"{killed.readings} readings of {PAGES} pages killed at {killed.lines} lines of the code: each next one whole,")
    print(f"  and at most {killed.asked_twice} requests made twice, {ALWAYS} of them for the lists of one page")
    with connected(*SIZE) as bench, disturber(bench.address) as way:
        site = through(bench.site.settings, way.base)
        print(f"a page cut at {cut_everywhere(site, way, 1024)} places, at every kilobyte: whole each time")
        ended = campaign(site, way, cases)
        print(f"{sum(ended.values())} readings with {sum(way.met.values()) - way.met[QUIET]} disturbances:")
        for how, number in sorted(ended.items()):
            print(f"  {number:4} {how}")
    return 0
