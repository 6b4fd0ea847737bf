"""What the service does by itself: use the connection each day, and read what webhooks told of."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from test_web_webhooks import EVENT, post
from web_site import Site

from qbo_sync.intuit import Connection, Event, EventQueue, GrantState, Intuit, Snapshot, TokenStore, Usage
from qbo_sync.intuit.counters import Counters
from qbo_sync.web.keeper import Keeper


def later(days: float) -> Callable[[], datetime]:
    return lambda: datetime.now(UTC) + timedelta(days=days)


def stats(site: Site) -> dict[str, Any]:
    counters: dict[str, Any] = requests.get(f"{site.lab}/lab/stats", timeout=10).json()
    return counters


def event(site: Site, entity: str, number: int, realm: str = "") -> Event:
    return Event(f"id-{entity}-{number}", realm or site.realm, entity, str(number), "updated", "2026-11-24T09:00:00Z")


def keep(site: Site) -> None:
    """An audit has read the company before."""
    with Intuit.open(site.settings) as intuit:
        for _ in Snapshot(site.settings, intuit).read({"Customer": "all"}):
            pass


def test_the_connection_is_used_once_a_day(connected: Site) -> None:
    before = stats(connected)["refreshes"]
    for days, refreshes in ((0, 0), (0.9, 0), (1.01, 1), (1.5, 1), (2.2, 2)):
        Keeper(connected.settings, clock=later(days)).renew()
        assert stats(connected)["refreshes"] - before == refreshes, days
    grant = TokenStore(connected.settings).load()
    assert grant is not None
    assert grant.refresh_expires_at > datetime.now(UTC) + timedelta(days=100)


def test_who_lands_after_a_disconnect_makes_us_ask_once_a_minute(connected: Site) -> None:
    before = stats(connected)["refreshes"]
    with Keeper(connected.settings) as keeper:
        for _ in range(30):
            keeper.doubt()
        until = time.monotonic() + 20
        while stats(connected)["refreshes"] == before and time.monotonic() < until:
            time.sleep(0.02)
        keeper.doubt()
    assert stats(connected)["refreshes"] == before + 1
    assert TokenStore(connected.settings).state() is GrantState.connected


def test_nothing_is_asked_for_a_site_that_is_not_connected(site: Site) -> None:
    Keeper(site.settings, clock=later(3)).renew()
    assert TokenStore(site.settings).load() is None


def test_many_events_are_one_reading_and_strange_ones_none(connected: Site) -> None:
    keep(connected)
    queue, keeper = EventQueue(connected.settings), Keeper(connected.settings)
    queue.add([event(connected, "customer", n) for n in range(30)] + [event(connected, "invoice", 1)])
    before = stats(connected)
    keeper.work_off()
    assert stats(connected)["metered"] - before["metered"] == 1
    state = queue.state()
    assert state.count == 0
    assert state.last_worked_off is not None
    assert queue.add([event(connected, "customer", 3)]) == 0, "told again: known"
    queue.add([event(connected, "invoice", 2), event(connected, "customer", 99, realm="1")])
    keeper.work_off()
    assert stats(connected)["metered"] - before["metered"] == 1
    assert queue.state().count == 0


def test_what_could_not_be_read_waits(connected: Site) -> None:
    keep(connected)
    queue = EventQueue(connected.settings)
    queue.add([event(connected, "vendor", 1)])
    with closing(Connection(connected.settings)) as connection:
        connection.store.mark_dead()
    with Keeper(connected.settings, gather_s=0):
        time.sleep(0.2)
    assert queue.state().count == 1


def test_the_running_service_reads_what_it_was_told(connected: Site) -> None:
    keep(connected)
    before = Usage(connected.settings, Counters()).month().counters.metered
    assert post(connected, json.dumps([{**EVENT, "intuitaccountid": connected.realm}]).encode()) == 200
    until = time.monotonic() + 20
    while EventQueue(connected.settings).state().count and time.monotonic() < until:
        time.sleep(0.05)
    assert EventQueue(connected.settings).state().count == 0
    assert Usage(connected.settings, Counters()).month().counters.metered == before + 1
