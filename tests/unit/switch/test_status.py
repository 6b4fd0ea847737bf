"""What `qbo-sync status` says of the connection's life, the month's reads and the webhooks that wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qbo_sync.intuit import Event, EventQueue, TokenStore
from qbo_sync.switch import steps
from tests.unit.switch.conftest import Acme


def age(acme: Acme, *, idle: float, hard: float | None) -> None:
    """Leave so many days to the two limits."""
    store = TokenStore(acme.site.settings)
    grant = store.load()
    assert grant is not None
    now = datetime.now(UTC) + timedelta(minutes=1)
    ends = None if hard is None else now + timedelta(days=hard)
    store.save(replace(grant, refresh_expires_at=now + timedelta(days=idle), hard_expires_at=ends))


@pytest.mark.parametrize(
    ("idle", "hard", "outcome", "days", "said"),
    [
        (100, 1800, "ok", 100, ""),
        (100, 31, "ok", 31, ""),
        (100, 29, "attention", 29, "for good in 29 days (Intuit's limit of five years); connect again before: http"),
        (100, 6, "attention", 6, "for good in 6 days"),
        (100, 1, "attention", 1, "for good in 1 day"),
        (100, 0.5, "attention", 0, "for good today"),
        (100, -1, "reconnect", 0, "connects again: http"),
        (29, None, "attention", 29, "in 29 days because nothing uses it; any audit renews it"),
        (29, 1800, "attention", 29, "because nothing uses it"),
        (-1, 1800, "reconnect", 0, "connects again: http"),
    ],
)
def test_the_nearer_end_is_told_in_time(acme: Acme, idle: float, hard: float | None, outcome: str, days: int, said: str) -> None:
    age(acme, idle=idle, hard=hard)
    answer = steps.status(acme.site).answer
    assert (answer.outcome, answer.summary["days_left"]) == (outcome, days)
    assert said in answer.next


def test_a_used_connection_is_told_no_end_of_idleness(acme: Acme) -> None:
    age(acme, idle=29, hard=1800)
    store = TokenStore(acme.site.settings)
    grant = store.load()
    assert grant is not None
    store.save(replace(grant, access_expires_at=datetime.now(UTC)))
    steps.audit(acme.site)
    assert steps.status(acme.site).answer.outcome == "ok"


def test_the_month_is_counted_over_all_runs(acme: Acme) -> None:
    before = acme.stats()
    steps.audit(acme.site)
    steps.audit(acme.site, since_last=True)
    used = {name: acme.stats()[name] - before[name] for name in ("metered", "metered_by_query")}
    month: dict[str, Any] = steps.status(acme.site).answer.summary["month"]
    assert {name: month[name] for name in used} == used
    assert month["rows"] > 0
    assert month["share"] == round(used["metered_by_query"] / 500_000, 4)


def test_most_of_the_budget_gone_is_a_warning(acme: Acme) -> None:
    steps.audit(acme.site)
    used = steps.status(acme.site).answer.summary["month"]["metered_by_query"]
    with (acme.folder / "acme.toml").open("r+") as toml:
        text = toml.read().replace("requests_per_second", f"monthly_reads = {int(used * 1.3)}\nrequests_per_second")
        toml.seek(0)
        toml.write(text)
    answer = steps.status(acme.site).answer
    assert answer.outcome == "attention"
    assert "audit --since" in answer.next


def test_webhooks_are_told_where_they_are_switched_on(acme: Acme) -> None:
    assert "webhooks" not in steps.status(acme.site).answer.summary
    (acme.folder / "verifier").write_text("v")
    with (acme.folder / "acme.toml").open("a") as toml:
        toml.write('[web]\nverifier_token_file = "verifier"\n')
    queue = EventQueue(acme.site.settings)
    events = [Event(f"{n}", "1", "customer", f"{n}", "updated", "") for n in range(3)]
    queue.add(events)
    queue.worked_off(events[:1])
    answer = steps.status(acme.site).answer
    assert answer.summary["webhooks"]["waiting"] == 2
    assert answer.summary["webhooks"]["last_worked_off"].startswith("20")
    assert any(line.startswith("webhooks: 2 wait; last worked off 20") for line in answer.lines)


def test_a_queue_that_is_only_just_being_made_is_empty(acme: Acme) -> None:
    """The file is there a moment before its table; a process may look, or the maker be killed, in between."""
    queue = EventQueue(acme.site.settings)
    path = acme.site.settings.store.directory / "webhooks.db"
    path.touch(mode=0o600)
    assert (queue.state().count, queue.waiting()) == (0, [])
    assert queue.add([Event("1", "1", "customer", "1", "updated", "")]) == 1
    assert queue.state().count == 1
