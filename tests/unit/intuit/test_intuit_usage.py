"""What a site asks in a month: counted once by all its processes, never above the budget, kept whatever happens to the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from intuit_lab import Lab

from qbo_sync.config import Settings
from qbo_sync.errors import Blocked
from qbo_sync.intuit import Counters, Intuit, Usage
from qbo_sync.intuit import usage as module


def at(text: str) -> Callable[[], datetime]:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return lambda: moment


def with_budget(settings: Settings, reads: int) -> Settings:
    return settings.model_copy(update={"intuit": settings.intuit.model_copy(update={"monthly_reads": reads})})


def month(settings: Settings, clock: Callable[[], datetime] | None = None) -> Counters:
    given = {"clock": clock} if clock else {}
    return Usage(settings, Counters(), **given).month().counters


def test_it_is_what_the_look_alike_counted(lab: Lab, connected: Settings) -> None:
    lab.post("reset", {})
    with Intuit.open(connected) as intuit:
        list(intuit.query("Customer"))
        intuit.preferences()
    with Intuit.open(connected) as intuit:
        intuit.count("Vendor")
    assert month(connected).metered == lab.stats()["metered"] == 3
    assert (connected.store.directory / "usage.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("budget", [1, 2, 3, 50])
def test_the_budget_is_never_exceeded(lab: Lab, connected: Settings, budget: int) -> None:
    lab.post("reset", {})
    site = with_budget(connected, budget)
    with pytest.raises(Blocked, match="budget") as refused:
        for _ in range(3):
            with Intuit.open(site, sleep=lambda _: None) as intuit:
                for _ in range(20):
                    intuit.count("Vendor")
    assert lab.stats()["metered"] == budget
    assert "monthly_reads" in refused.value.next


def test_writes_are_not_billed_and_go_on(lab: Lab, connected: Settings) -> None:
    with Intuit.open(connected) as intuit:
        row = next(intuit.query("Vendor"))
    with Intuit.open(with_budget(connected, 1)) as intuit:
        intuit.update("Vendor", {"Id": row["Id"], "SyncToken": row["SyncToken"], "AcctNum": "7"}, request_id="r-1")


def test_a_new_month_begins_with_nothing(settings: Settings) -> None:
    settings.store.directory.mkdir(mode=0o700)
    counters = Counters()
    clock = {"now": at("2026-11-30T23:59:59")}
    usage = Usage(with_budget(settings, 10), counters, clock=lambda: clock["now"]())
    counters.add(made=10, metered=10, metered_by_query=10)
    usage.write()
    with pytest.raises(Blocked):
        usage.refuse_when_used_up()
    clock["now"] = at("2026-12-01T00:00:00")
    Usage(with_budget(settings, 10), Counters(), clock=clock["now"]).refuse_when_used_up()
    counters.add(made=1, metered=1, metered_by_query=1)
    usage.write()
    usage.refuse_when_used_up()
    assert month(settings, at("2026-11-30T23:59:59")).metered == 10
    assert month(settings, at("2026-12-31T12:00:00")).metered == 1


@settings_of_hypothesis(max_examples=25, deadline=None)
@given(steps=st.lists(st.integers(0, 60), max_size=12))
def test_several_runs_add_up(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    folder = tmp_path_factory.mktemp("usage")
    runs = [Counters(), Counters()]
    path = Settings(
        site="acme",
        intuit={"client_id": "x", "client_secret_file": folder / "s", "redirect_uri": "https://a.example/qbo/callback"},
        miracle={"database_url": "sqlite://"},
        store={"directory": folder},
    )
    usages = [Usage(path, counters) for counters in runs]
    for number, step in enumerate(steps):
        runs[number % 2].add(made=step, metered=step, metered_by_query=step, waited_s=0.5)
        usages[number % 2].count()
    for usage in usages:
        usage.write()
    assert month(path) == replace(
        Counters(), made=sum(steps), metered=sum(steps), metered_by_query=sum(steps), waited_s=month(path).waited_s
    )


def test_a_damaged_file_stops_no_run(lab: Lab, connected: Settings, caplog: pytest.LogCaptureFixture) -> None:
    Path(connected.store.directory / "usage.db").write_bytes(b"this is no database" * 100)
    with Intuit.open(connected) as intuit:
        intuit.count("Vendor")
    assert month(connected).metered == 0
    assert "could not be added" in caplog.text


def test_a_killed_run_leaves_few_calls_uncounted(lab: Lab, connected: Settings) -> None:
    with Intuit.open(connected, sleep=lambda _: None) as intuit:
        for _ in range(50):
            intuit.count("Vendor")
        assert month(connected).metered >= 50 - module._UNWRITTEN
