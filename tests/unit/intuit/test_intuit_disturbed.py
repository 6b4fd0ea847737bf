"""Answers that are cut, broken, doubled, garbled or missing, and killed readings: the small share of `./kit bench disturbed`."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from intuit_lab import Lab
from test_intuit_client import elsewhere, serving

from qbo_sync.config import Intuit as IntuitSettings
from qbo_sync.config import Settings
from qbo_sync.errors import IntuitFault, KitError, Unreachable
from qbo_sync.intuit import Connection, Intuit
from tests.bench import disturbed
from tests.bench.site import Bench, connected


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with connected(*disturbed.SIZE) as bench:
        yield bench


@pytest.fixture
def way(bench: Bench) -> Iterator[disturbed.Disturber]:
    with disturbed.disturber(bench.address) as way:
        yield way


def test_a_page_cut_at_every_kilobyte_is_asked_for_again(bench: Bench, way: disturbed.Disturber) -> None:
    cuts = disturbed.cut_everywhere(disturbed.through(bench.site.settings, way.base), way, 1024)
    assert way.met["cut"] == cuts > 50


def test_whatever_befalls_the_answers_the_company_is_the_same(bench: Bench, way: disturbed.Disturber) -> None:
    ended = disturbed.campaign(disturbed.through(bench.site.settings, way.base), way, 12)
    assert sum(ended.values()) >= 12


@pytest.mark.parametrize("kind", disturbed.KINDS)
def test_each_disturbance_alone(kind: str, bench: Bench, way: disturbed.Disturber) -> None:
    site = disturbed.through(bench.site.settings, way.base)
    way.due, way.cut = ["nothing", kind], 500
    if kind in ("403", "200 with a fault", "200 with HTML", "half a gzip"):
        with pytest.raises(KitError) as told:
            disturbed.company(site)
        assert told.value.next
    else:
        disturbed.company(site)
    assert way.met[kind] >= 1


def test_a_server_that_says_nothing_is_left_in_time(bench: Bench, way: disturbed.Disturber) -> None:
    way.due = ["silence"] * 50
    with pytest.raises(Unreachable, match="did not answer in time"):
        disturbed.company(disturbed.through(bench.site.settings, way.base, timeout_s=0.05))
    assert IntuitSettings.model_fields["timeout_s"].default <= 120


def test_a_reading_that_is_killed_leaves_nothing_wrong(bench: Bench) -> None:
    killed = disturbed.kills(bench, 5)
    assert killed.readings > 0
    assert killed.lines > 30


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_by_a_day_costs_one_renewal(days: int, lab: Lab, connected: Settings) -> None:
    """A day ahead, the token is thought to be old; a day behind, Intuit says that it is."""

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(days=days)

    lab.post("clock", {"advance_s": 4000})
    before = lab.stats()["refreshes"]
    with Intuit.open(connected, clock=clock) as intuit:
        assert intuit.count("Vendor") == intuit.count("Vendor")
    assert lab.stats()["refreshes"] - before == 1
    connection = Connection(connected, clock=clock)
    connection.access_token()
    connection.close()
    assert lab.stats()["refreshes"] - before == 1


BOMB = gzip.compress(bytes(65 * 1024 * 1024))


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Encoding": "gzip"}, BOMB),
        ({}, b'{"Preferences":' + b'{"x":' * 10_000 + b"1" + b"}" * 10_001),
        ({}, b'{"Preferences":{"x":NaN}}'),
        ({}, b'{"Preferences":{"x":"\\ud800"}}'),
        ({}, b'{"Preferences":{"x":1e999999999999}}'),
    ],
    ids=["gzip bomb", "10,000 deep", "NaN", "lone surrogate", "a number out of reach"],
)
def test_a_hostile_answer_is_a_clean_error(connected: Settings, headers: dict[str, str], body: bytes) -> None:
    with (
        serving(200, {"Content-Type": "application/json", **headers}, body) as base,
        Intuit.open(elsewhere(connected, base)) as intuit,
        pytest.raises(IntuitFault, match="answer"),
    ):
        intuit.preferences()


def test_huge_numbers_and_keys_that_come_twice_are_read_as_they_are(connected: Settings) -> None:
    body = b'{"Preferences":{"Id":"1","huge":' + b"9" * 400 + b',"twice":1,"twice":2}}'
    with serving(200, {}, body) as base, Intuit.open(elsewhere(connected, base)) as intuit:
        found = intuit.preferences()
    assert found["twice"] == 2
    assert str(found["huge"]) == "9" * 400
