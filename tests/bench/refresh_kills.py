"""Refreshes that meet each other and refreshes that are killed: `./kit bench refresh_kills [KILLS]`, under strict rotation.

Sixteen processes are refused the same old access token at the same moment: one of them refreshes, all of them go on. Then what a
refresh costs that ends by SIGKILL.

Three of four kills are spread evenly over the lines of our own code that a refresh runs through, the fourth comes at a random
moment, which may lie inside the database or the network. A grant may be lost only when Intuit had changed the refresh token and
the new one was not on the disk yet: no client could have kept it then. Such a loss must be plain to see.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from functools import partial

from qbo_sync.config import Settings
from qbo_sync.errors import ReconnectNeeded
from qbo_sync.intuit import Connection, GrantState, Intuit
from tests.bench.killing import Place, ended, forked, killed_at, traced
from tests.bench.site import Bench, connected

PROCESSES = 16
RENEWERS, RENEWALS = 8, 25


def main(arguments: list[str]) -> int:
    """Print how many kills fell where, and what they cost; exit code 1 when anything was lost without need."""
    kills = int(arguments[0]) if arguments else 200
    with connected("--strict-rotation", "--customers", "5", "--vendors", "1", "--items", "1", "--limits", "off") as bench:
        succeeded, refreshes = together(bench)
        print(f"{PROCESSES} processes with one access token that has run out: {succeeded} succeeded, {refreshes} refresh")
        renewers, renewals = renewing(bench)
        print(f"{RENEWERS} processes, {RENEWALS} renewals each: {renewers} succeeded, {renewals} refreshes, the grant is good")
        steps, seen = campaign(bench, kills)
    print(f"{kills} kills over {steps} steps of a refresh, strict rotation:")
    for outcome in sorted(seen):
        print(f"  {seen[outcome]:4} {outcome}")
    needless = sum(number for outcome, number in seen.items() if outcome.startswith("WRONG"))
    print(f"grants lost that a correct client could have kept: {needless}")
    return int(needless > 0 or (succeeded, refreshes, renewers) != (PROCESSES, 1, RENEWERS))


def together(bench: Bench) -> tuple[int, int]:
    """Let processes find their token refused at once; how many went on, and how many refreshes that took."""
    settings, before = bench.site.settings, bench.stats()["refreshes"]
    bench.post("clock", {"advance_s": 3601})
    bench.post("latency", {"latency_ms": 300})
    children = [forked(lambda: _ask(settings)) for _ in range(PROCESSES)]
    succeeded = sum(ended(child) == 0 for child in children)
    bench.post("latency", {"latency_ms": 0})
    return succeeded, bench.stats()["refreshes"] - before


def renewing(bench: Bench) -> tuple[int, int]:
    """Let processes renew the token over and over; how many never failed, and how many refreshes that took.

    Raises :class:`ReconnectNeeded` when the grant is lost: a refresh token that was used before has been shown to Intuit then.
    """
    settings, before = bench.site.settings, bench.stats()["refreshes"]

    def renew() -> None:
        for _ in range(RENEWALS):
            _refresh(settings)

    children = [forked(renew) for _ in range(RENEWERS)]
    succeeded = sum(ended(child) == 0 for child in children)
    refreshes = bench.stats()["refreshes"] - before
    _ask(settings)
    if bench.stats()["refreshes"] - before != refreshes:
        raise AssertionError("the token that was stored last is not good")
    return succeeded, refreshes


def _ask(settings: Settings) -> None:
    with Intuit.open(settings) as intuit:
        intuit.company_info()


def campaign(bench: Bench, kills: int, seed: int = 3) -> tuple[int, Counter[str]]:
    """Kill a refresh so many times; the number of its steps, and how often each outcome was seen."""
    chance = random.Random(seed)
    settings = bench.site.settings
    steps, seconds = _measured(settings)
    seen: Counter[str] = Counter()
    at_steps = max(2, kills * 3 // 4)
    for number in range(kills):
        before, generation = bench.stats()["refreshes"], _generation(settings)
        if number < at_steps:
            killed_at(partial(_refresh, settings), lambda _: True, 1 + number * (steps - 1) // (at_steps - 1))
        else:
            _kill_after(settings, chance.uniform(0, 1.2 * seconds))
        seen[_outcome(bench, settings, before, generation)] += 1
    return steps, seen


def _outcome(bench: Bench, settings: Settings, refreshes: int, generation: int) -> str:
    saved = _generation(settings) > generation
    if _integrity(settings) != "ok":
        return "WRONG: the database is damaged"
    connection = Connection(settings)
    try:
        connection.access_token(force=True)
    except ReconnectNeeded:
        renewed = bench.stats()["refreshes"] > refreshes
        plain = connection.state() is GrantState.reconnect_needed
        bench.connect()
        if saved or not renewed or not plain:
            return "WRONG: a grant was lost that could have been kept, or silently"
        return "lost, and said so: Intuit had changed the token, the new one was not on the disk yet"
    finally:
        connection.close()
    return "kept: the new token was on the disk" if saved else "kept: the old token was still good"


def _measured(settings: Settings) -> tuple[int, float]:
    """Steps and seconds of a refresh, once everything is loaded and cached."""
    _refresh(settings)
    steps = 0

    def count(_place: Place) -> None:
        nonlocal steps
        steps += 1

    traced(partial(_refresh, settings), count)
    began = time.monotonic()
    _refresh(settings)
    return steps, time.monotonic() - began


def _refresh(settings: Settings) -> None:
    connection = Connection(settings)
    connection.access_token(force=True)
    connection.close()


def _kill_after(settings: Settings, seconds: float) -> None:
    child = forked(lambda: _refresh(settings))
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    ended(child)


def _generation(settings: Settings) -> int:
    with closing(sqlite3.connect(settings.store.directory / "state.db", timeout=30)) as db:
        return int(db.execute("SELECT max(generation) FROM token_mark").fetchone()[0])


def _integrity(settings: Settings) -> str:
    with closing(sqlite3.connect(settings.store.directory / "state.db", timeout=30)) as db:
        return str(db.execute("PRAGMA integrity_check").fetchone()[0])
