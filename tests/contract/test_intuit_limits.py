"""The throttles, each of its own size, the monthly budget, and how long an answer takes on the way."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from lab.intuit.clock import Clock
from lab.intuit.limits import ALL, NONE, WINDOWS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.conftest import Caller

BATCH = {"BatchItemRequest": [{"bId": "1", "Query": "select * from Term"}]}


class StillClock(Clock):
    """A clock that only moves when told."""

    def monotonic(self) -> float:
        return self.offset_s


def test_ten_a_second_per_app_and_five_hundred_a_minute_per_realm() -> None:
    clock = StillClock()
    limits = Limits(clock)
    assert [limits.admit("1", "app", batch=False) for _ in range(11)] == [True] * 10 + [False]
    assert limits.admit("1", "other app", batch=False)
    assert limits.admit("2", "app", batch=False)
    clock.advance(1)
    assert limits.admit("1", "app", batch=False)
    admitted = 12
    for number in range(1, 60):
        clock.advance(0.9)
        admitted += sum(limits.admit("1", f"app {number}", batch=False) for _ in range(10))
    assert admitted == 500
    clock.advance(60)
    assert limits.admit("1", "app", batch=False)


def test_forty_batches_a_minute_per_app_and_a_hundred_and_twenty_per_realm() -> None:
    clock = StillClock()
    limits = Limits(clock)
    admitted = dict.fromkeys(("first", "second", "third", "fourth"), 0)
    for app in admitted:
        for _ in range(41):
            clock.advance(0.11)
            admitted[app] += limits.admit("1", app, batch=True)
    assert list(admitted.values()) == [40, 40, 40, 0]
    assert limits.admit("1", "fourth", batch=False)


@pytest.mark.parametrize("name", WINDOWS)
def test_each_window_can_be_the_only_one(name: str) -> None:
    limits = Limits(StillClock(), {**NONE, name: 3})
    assert sum(limits.admit("1", "app", batch=True) for _ in range(10)) == 3


def test_without_limits_everything_passes() -> None:
    limits = Limits(StillClock(), NONE)
    assert all(limits.admit("1", "app", batch=True, under_way=1000) for _ in range(1000))


def test_too_many_batches_get_429_until_the_minute_is_over(start: Callable[..., Caller]) -> None:
    intuit = start("--limits", "off", "--limit", "batches_per_minute=3")
    assert [intuit.post("batch", BATCH).status_code for _ in range(3)] == [200] * 3
    refused = intuit.post("batch", BATCH)
    assert refused.status_code == 429
    assert refused.json()["Fault"]["Error"][0]["code"] == "3001"
    assert intuit.lab("stats")["throttled"] == 1
    assert intuit.query("select * from Term").status_code == 200
    intuit.lab("clock", {"advance_s": 60})
    assert [intuit.post("batch", BATCH).status_code for _ in range(4)] == [200] * 3 + [429]
    intuit.lab("reset", {})
    assert intuit.post("batch", BATCH).status_code == 200


def test_limits_are_sized_and_switched_while_it_runs(intuit: Caller) -> None:
    assert {name: intuit.lab("limits")[name] for name in ALL} == dict(NONE)
    assert intuit.lab("limits", {"per_second": 2})["per_second"] == 2
    assert [intuit.get("preferences").status_code for _ in range(3)] == [200, 200, 429]
    intuit.lab("limits", {"per_second": 0, "per_minute": 3})
    intuit.lab("clock", {"advance_s": 61})
    assert [intuit.get("preferences").status_code for _ in range(4)] == [200] * 3 + [429]
    intuit.lab("reset", {})
    assert [intuit.get("preferences").status_code for _ in range(4)] == [200] * 4


def test_calls_at_the_same_time_can_be_limited(start: Callable[..., Caller]) -> None:
    slow = start("--latency-ms", "300", "--limit", "at_once=2")
    address, headers = f"{slow.company}/preferences", {"Authorization": f"Bearer {slow.grant['access_token']}"}

    def at_once(number: int) -> list[int]:
        with ThreadPoolExecutor(number) as pool:
            return sorted(pool.map(lambda _: requests.get(address, headers=headers, timeout=30).status_code, range(number)))

    assert at_once(2) == [200, 200]
    assert at_once(4)[-1] == 429
    assert slow.get("preferences").status_code == 200


@pytest.mark.parametrize("sizes", [{"per_hour": 3}, {"per_second": -1}, {"per_second": "many"}, {"per_second": 1.5}])
def test_a_limit_that_cannot_be_is_refused(sizes: dict[str, Any], intuit: Caller) -> None:
    with pytest.raises(requests.HTTPError, match="400"):
        intuit.lab("limits", sizes)


def test_the_monthly_budget_of_reads_ends_reading_until_the_month_is_over(start: Callable[..., Caller]) -> None:
    intuit = start("--limits", "off", "--limit", "monthly_reads=3")
    assert [intuit.query("select * from Term").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert list(intuit.lab("limits")["read_this_month"].values()) == [3]
    assert intuit.post("vendor", {"DisplayName": "Still Written Supply"}).status_code == 200
    intuit.lab("clock", {"advance_s": 32 * 86_400})
    intuit.grant = intuit.lab("token", {})
    assert intuit.query("select * from Term").status_code == 200


def test_latency_and_jitter_can_be_set_while_it_runs(intuit: Caller) -> None:
    def seconds() -> float:
        began = time.monotonic()
        assert intuit.get("preferences").status_code == 200
        return time.monotonic() - began

    assert intuit.lab("latency", {"latency_ms": 120}) == {"latency_ms": 120, "jitter_ms": 0}
    assert seconds() >= 0.12
    intuit.lab("latency", {"jitter_ms": 50})
    assert intuit.lab("latency") == {"latency_ms": 120, "jitter_ms": 50}
    assert seconds() >= 0.12
    intuit.lab("reset", {})
    assert intuit.lab("latency") == {"latency_ms": 0, "jitter_ms": 0}
    with pytest.raises(requests.HTTPError, match="400"):
        intuit.lab("latency", {"latency_ms": -1})


def test_jitter_adds_to_each_answer_by_chance(start: Callable[..., Caller]) -> None:
    shaky = start("--jitter-ms", "300")
    chance = random.Random(11)
    for _ in range(3):
        began = time.monotonic()
        assert shaky.get("preferences").status_code == 200
        assert time.monotonic() - began >= chance.uniform(0, 0.3)
