"""What the timer runs: renew when due, see the certificate served, say so when something is wrong, and again when it is right.

A failure is tried again after 1, 10 and 100 minutes and then once a day (Let's Encrypt's advice), by a transient timer; the
twice-daily timer does not come earlier than that, and catches up after a power cut.
"""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qbo_sync.edge import budget
from qbo_sync.edge.certificate import alerts, order, pfx, problems, record, stable
from qbo_sync.edge.certificate.record import State, moment, stamp
from qbo_sync.edge.certificate.settings import Settings
from qbo_sync.errors import KitError

RETRY = "qbo-kit-certbot-retry"
AGAIN_S = 86400.0  # the same alert is repeated once a day
# Keys of what is wrong: a passing failure that nobody is told yet; the end that comes near; the same with plenty of time left.
QUIET, EXPIRY, NOTICE = "order, so far", "expiry", "notice"
CALM = {"retry_at": None, "failures_in_a_row": 0, "problem": None}
SLACK_S = 30.0  # systemd fires a little early or late
# Days left at which somebody is told that a brought certificate runs out.
BROUGHT_DAYS = (30, 7, 1)


def run(settings: Settings, *, at_once: bool = False, force: bool = False) -> tuple[State, list[str]]:
    """One look, with everything it leads to; the state as kept, and what is wrong (empty: all is well)."""
    with _alone(settings.store):
        now, state = time.time(), record.read(settings.state_file)
        troubles: dict[str, str] = {}
        if settings.source == "files":
            state |= CALM
        elif at_once or now + SLACK_S >= moment(state.get("retry_at")):
            _renew(settings, state, troubles, force=force)
        elif state.get("problem"):
            troubles[_weight(state)] = state["problem"]
        _settle(settings, state, troubles)
    return state, [text for key, text in troubles.items() if not key.startswith(NOTICE)]


def deploy(settings: Settings, lineage: Path) -> bool:
    """What certbot's hook does: have a new certificate served; whether another one is served now than before.

    Within a look the look itself keeps the state. Whoever calls certbot by hand has it kept here, and what was wrong with orders
    before is over.
    """
    changed = stable.serve(settings.name, lineage, settings.directory)
    with _alone(settings.store, wait=False) as alone:
        state = record.read(settings.state_file)
        if alone and state:
            if changed:
                _calm(settings, state)
            _settle(settings, state, {_weight(state): state["problem"]} if state.get("problem") else {})
    return changed


def _settle(settings: Settings, state: State, troubles: dict[str, str]) -> None:
    """What every look ends with, however it came to the certificate that is kept."""
    state |= {"name": settings.name, "source": settings.source, "checked_at": stamp(time.time())}
    _serve(settings, state, troubles)
    _expiry(settings, state, troubles)
    _finish(settings, state, troubles)


def _calm(settings: Settings, state: State) -> None:
    """No order fails any more."""
    if state.get("retry_at") and settings.service:
        _stop_retry()
    state |= CALM


@contextmanager
def _alone(store: Path, *, wait: bool = True) -> Iterator[bool]:
    """One run at a time, by hand or by timer; the next one waits, or is told that it is not alone.

    A full disk is no reason not to look.
    """
    try:
        store.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = (store / ".lock").open("a")
    except OSError:
        yield True
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _renew(settings: Settings, state: State, troubles: dict[str, str], *, force: bool) -> None:
    """Ask certbot, and keep how it ended."""
    try:
        outcome = order.obtain(settings, force=force, earlier=state.get("failures_in_a_row", 0))
    except OSError as error:
        outcome = order.Outcome(True, "", problems.of("disk" if error.errno == errno.ENOSPC else "unknown", str(error)))
    at, problem = stamp(time.time()), outcome.problem
    if problem is None:
        _calm(settings, state)
        if outcome.asked:
            state["last_attempt"] = {"at": at, "directory": outcome.directory, "outcome": "issued"}
            state["last_success"] = {"at": at, "directory": outcome.directory}
        return
    row = state.get("failures_in_a_row", 0) + 1
    wait = settings.backoff_s[min(row, len(settings.backoff_s)) - 1]
    # With another CA at hand there is no sense in waiting until the first one wants to be asked again.
    until = problem.until if len(settings.authorities) == 1 else 0.0
    state |= {
        "last_attempt": {
            **{"at": at, "directory": outcome.directory, "outcome": "failed", "problem": problem.type},
            **{"meaning": problem.meaning, "seen": problem.seen, "next": problem.next, "passing": problem.passing},
        },
        "failures_in_a_row": row,
        "retry_at": stamp(max(time.time() + wait, until)),
        "problem": f"{settings.name}: no certificate: {problem}",
    }
    troubles[_weight(state)] = state["problem"]


def _weight(state: State) -> str:
    """What usually passes by itself is tried again a few times before anybody is bothered."""
    early = state["last_attempt"].get("passing") and state["failures_in_a_row"] < order.PATIENCE
    return QUIET if early else "order"


def _serve(settings: Settings, state: State, troubles: dict[str, str]) -> None:
    """Have nginx serve what is kept, the PFX file follow it, and keep what is served."""
    try:
        stable.serve(settings.name, settings.lineage, settings.directory)
        state["pfx"] = pfx.keep(settings.pfx, settings.directory, state.get("pfx"))
    except (KitError, OSError, ValueError) as error:
        if (settings.lineage / stable.FILES[0]).exists():  # without any, the order's own problem says it all
            troubles["serve"] = f"{settings.name}: {error}"
    der = stable.served(settings.name)
    found = stable.describe(der) if der else None
    state["served"] = record.describe(found, time.time())
    state["next_due"] = stamp(found.due_at if settings.source == "acme" else found.not_after) if found else None


def _expiry(settings: Settings, state: State, troubles: dict[str, str]) -> None:
    """Say it when the certificate that is served comes near its end; each threshold once for each certificate."""
    served = state["served"]
    if served is None:
        troubles.setdefault("served", f"{settings.name}: nginx serves no certificate at all.\n  next: systemctl status nginx")
        return
    left = moment(served["not_after"]) - time.time()
    for threshold in thresholds(settings, moment(served["not_after"]) - moment(served["not_before"])):
        if left <= threshold:
            early = settings.source == "files" and threshold > BROUGHT_DAYS[1] * stable.DAY_S
            key = f"{NOTICE if early else EXPIRY} {served['fingerprint'][:16]} {threshold:.0f}"
            troubles[key] = _running_out(settings, served, left)
            break


def thresholds(settings: Settings, lifetime_s: float) -> list[float]:
    """Seconds left at which somebody is told, the nearest to the end first. One that renews itself should never come that far."""
    if settings.source == "files":
        return [days * stable.DAY_S for days in sorted(BROUGHT_DAYS)]
    share = 1 / 2 if lifetime_s < 10 * stable.DAY_S else 1 / 3
    return [lifetime_s * share * part for part in (1 / 4, 3 / 4)]


def _running_out(settings: Settings, served: dict[str, Any], left: float) -> str:
    ends = (
        f"ended on {served['not_after']}" if left <= 0 else f"ends on {served['not_after']} ({left / stable.DAY_S:.1f} days left)"
    )
    remedy = (
        "buy or renew it, put the new files where certificate_files says, and run playbooks/prerequisites.yml"
        if settings.source == "files"
        else "it should have been renewed by now: run qbo-kit-certificate renew --now on the edge host and do what it says"
    )
    return f"{settings.name}: the certificate that is served {ends}.\n  next: {remedy}"


def _finish(settings: Settings, state: State, troubles: dict[str, str]) -> None:
    """Tell people, keep the state, and see that a retry comes."""
    now = time.time()
    told: dict[str, str] = state.get("alerts", {}).get("told", {})
    loud = {key: text for key, text in troubles.items() if key != QUIET}
    new = {key: text for key, text in loud.items() if _to_be_told(key, told, now)}
    over = bool(told) and not troubles
    undelivered = None
    if new or over:
        failed = alerts.send(settings.alerts, *_message(settings, state, new))
        undelivered = "; ".join(failed) or None
        if not failed:
            told = {} if over else {key: at for key, at in told.items() if key in loud} | dict.fromkeys(new, stamp(now))
    state["alerts"] = {"told": told, "undelivered": undelivered}
    state["troubles"] = list(troubles.values())
    wrong = any(not key.startswith(NOTICE) for key in loud)
    state["state"] = "failing" if wrong else "attention" if troubles or undelivered else "ok"
    state["failures_last_hour"] = _failures(settings, now)
    state.setdefault("failures_in_a_row", 0)
    try:
        record.write(settings.state_file, state)
    except OSError as error:
        troubles["state"] = f"{settings.name}: the state file {settings.state_file} could not be written.\n  seen: {error}"
    if undelivered:
        troubles["alert"] = f"{settings.name}: nobody could be told.\n  seen: {undelivered}\n  next: mend certificate_alerts"
    waits = [moment(state["retry_at"]) - now] if state.get("retry_at") else []
    waits += [settings.backoff_s[min(1, len(settings.backoff_s) - 1)]] if undelivered else []
    if waits and settings.service:
        _come_again(settings.service, min(waits))


def _to_be_told(key: str, told: dict[str, str], now: float) -> bool:
    """Each threshold of the expiry once; everything else again after a day."""
    return key not in told or (not key.startswith((EXPIRY, NOTICE)) and moment(told[key]) + AGAIN_S <= now)


def _message(settings: Settings, state: State, new: dict[str, str]) -> tuple[str, str, dict[str, Any]]:
    """Subject, text and facts of an alert, or of the all-clear when nothing is wrong any more."""
    served = state["served"] or {}
    facts = {"site": settings.name, "state": "failing" if new else "ok", "not_after": served.get("not_after")}
    still = f"The certificate served now ends on {served['not_after']}." if served else "No certificate is served now."
    if not new:
        return f"{settings.name}: the certificate is in order again", f"{still}\n", facts
    again = f"\nIt is tried again by itself at {state['retry_at']}." if state.get("retry_at") else ""
    text = "\n\n".join(new.values())
    return f"{settings.name}: the certificate needs you", f"{text}\n\n{still}{again}\n", facts


def _failures(settings: Settings, now: float) -> int:
    """Failed validations of the last hour, at all CAs."""
    try:
        kept = budget.read(settings.budget_file)
    except (OSError, ValueError):
        return 0
    return sum(1 for one in kept["failures"] if one["name"] == settings.name and 0 <= now - one["at"] < budget.HOUR_S)


def _come_again(service: str, wait_s: float) -> None:
    """One more look after that time. Where it can't be arranged, the twice-daily timer does it."""
    again = [
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={RETRY}",
        f"--on-active={max(1, round(wait_s))}s",
        "--timer-property=AccuracySec=1s",
    ]
    _stop_retry()
    done = subprocess.run([*again, "systemctl", "start", "--no-block", service], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"qbo-kit-certificate: no retry could be arranged: {done.stderr.strip()}", file=sys.stderr)


def _stop_retry() -> None:
    """The one that is planned, if any, is not needed any more."""
    subprocess.run(["systemctl", "stop", f"{RETRY}.timer"], capture_output=True, check=False)
