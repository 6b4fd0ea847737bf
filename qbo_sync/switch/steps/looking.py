"""Commands that only look: status, doctor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from qbo_sync import config
from qbo_sync.errors import KitError, ReconnectNeeded
from qbo_sync.intuit import WARN_SHARE, Counters, End, EventQueue, Grant, GrantState, TokenStore, Usage, connect_url
from qbo_sync.switch.model import Answer, counts
from qbo_sync.switch.steps.site import Outcome, Site


def status(site: Site) -> Outcome:
    """Where the site stands, without asking Intuit anything."""
    tokens = TokenStore(site.settings)
    state = tokens.state()
    grant = _grant(tokens)
    reading = site.store.newest_reading()
    summary: dict[str, Any] = {
        "connection": state.value,
        "company": grant.company if grant else "",
        "realm": site.realm,
        "connected_since": _moment(grant.connected_at if grant else None),
        "token_expires": _moment(grant.refresh_expires_at if grant else None),
        "hard_expires": _moment(grant.hard_expires_at if grant else None),
        "days_left": grant.end(datetime.now(UTC)).days if grant else None,
        "last_audit": _moment(reading.read_at if reading else None),
        "findings": counts(reading.findings) if reading else {},
        "last_import": _moment(site.store.last_import()),
        "export_enabled": _export(site),
        "month": Usage(site.settings, Counters()).month().as_dict(),
        **_webhooks(site.settings),
    }
    answer = site.answer("status", summary=summary)
    answer.lines = [
        f"{name.replace('_', ' ')}: {_words(value)}"
        for name, value in summary.items()
        if value not in ("", {}, None) and name not in ("month", "webhooks")
    ]
    answer.lines += [*_told(summary.get("webhooks")), _asked(summary["month"])]
    _judge(answer, site, state, grant)
    return Outcome(answer)


def _grant(tokens: TokenStore) -> Grant | None:
    """The grant, as far as it can be read: a damaged one is for :meth:`TokenStore.state` to tell."""
    try:
        return tokens.load()
    except ReconnectNeeded:
        return None


def _judge(answer: Answer, site: Site, state: GrantState, grant: Grant | None) -> None:
    """Outcome and next step; the connection comes first, then the budget."""
    page = connect_url(site.settings)
    if state is GrantState.disconnected:
        answer.outcome, answer.next = "waiting", f"a QuickBooks administrator connects: {page}"
        if not site.realm:
            answer.next = "a QuickBooks administrator connects; the link for it is made by: qbo-sync connect"
    elif state is GrantState.reconnect_needed:
        answer.outcome, answer.next = "reconnect", f"a QuickBooks administrator connects again: {page}"
    elif state is GrantState.expiring and grant is not None:
        answer.outcome, answer.next = "attention", _before_it_ends(grant.end(datetime.now(UTC)), page)
    elif answer.summary["month"]["share"] >= WARN_SHARE:
        answer.outcome = "attention"
        answer.next = "read less often (audit --since), or ask whoever owns the Intuit app for more reads a month"


def _before_it_ends(end: End, page: str) -> str:
    left = "today" if end.days == 0 else "in 1 day" if end.days == 1 else f"in {end.days} days"
    if end.for_good:
        return f"the connection ends for good {left} (Intuit's limit of five years); connect again before: {page}"
    return f"the connection ends {left} because nothing uses it; any audit renews it, and so does the service qbo-sync serve"


def _webhooks(settings: config.Settings) -> dict[str, Any]:
    if settings.web.verifier_token_file is None:
        return {}
    state = EventQueue(settings).state()
    return {"webhooks": {"waiting": state.count, "last_worked_off": _moment(state.last_worked_off)}}


def _told(webhooks: Mapping[str, Any] | None) -> list[str]:
    if webhooks is None:
        return []
    last = webhooks["last_worked_off"]
    return [f"webhooks: {webhooks['waiting']} wait; {f'last worked off {last}' if last else 'none was worked off yet'}"]


def _asked(month: Mapping[str, Any]) -> str:
    extra = "".join(f"; {month[name]:,} {name}" for name in ("retried", "throttled") if month[name])
    waited = f"; {month['waited_s']:,} s of waiting for Intuit's limits" if month["waited_s"] else ""
    return (
        f"this month: {month['made']:,} requests, {month['rows']:,} rows, {month['metered_by_query']:,} of {month['budget']:,}"
        f" reads ({month['share']:.1%}){waited}{extra}"
    )


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _moment(value: datetime | None) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds") if value else ""


def _export(site: Site) -> bool | None:
    try:
        with site.miracle() as miracle:
            return miracle.export_enabled()
    except KitError:
        return None


def doctor(site: Site, said: Mapping[str, bool | None] | None = None) -> Outcome:
    """Everything this machine can see: settings, secrets, database, Intuit, connection; on an edge host the way to it too.

    Changes nothing but what a person has ``said`` of the guide's checklist, which is remembered in the site's store.
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("the client secret can be read", lambda: _secret(site.settings)),
        ("the Miracle Service database answers and fits the profile", lambda: _database(site)),
        ("the site's store can be written", lambda: str(site.store.directory)),
        ("a QuickBooks company is connected", lambda: _company(site)),
        ("Intuit answers", lambda: _intuit(site)),
    ]
    answer = site.answer("doctor", summary={"done": 0, "missing": 0})
    for title, check in checks:
        try:
            seen, remedy = check(), ""
        except KitError as error:
            seen, remedy = error.what + (f" ({error.seen})" if error.seen else ""), error.next
        word = "missing" if remedy else "done"
        answer.summary[word] += 1
        answer.items.append({"id": title, "kind": "check", "result": word, "qbo": seen, "remedy": remedy})
        answer.lines.append(f"{'✗' if remedy else '✓'} {title}: {seen}" + (f"\n    mend: {remedy}" if remedy else ""))
    if site.settings.edge:
        _way_to_it(site, site.settings.edge, answer, said or {})
    if answer.summary["missing"]:
        answer.outcome, answer.next = "attention", "mend what is missing, from the top"
    return Outcome(answer)


def _way_to_it(site: Site, edge: config.Edge, answer: Answer, said: Mapping[str, bool | None]) -> None:
    """Add the guide's Summary Checklist and the network's checks to the answer, and keep them as a page."""
    # Here, since every other command does without the DNS library.
    from qbo_sync.edge.preflight import page
    from qbo_sync.switch.steps import network

    ticks, checks = network.examine(site, edge, said)
    for tick in ticks:
        word = "done" if tick.done else "missing"
        remedy = "" if tick.done else f"{tick.who}: {tick.remedy}"
        answer.items.append({"id": tick.title, "kind": "tick", "result": word, "qbo": tick.seen, "remedy": remedy})
        answer.summary[word] += 1
    for check in checks:
        word = page.mark(check)
        remedy = "" if check.severity == "ok" else check.remedy
        answer.items.append(
            {"id": f"{check.id} {check.title}", "kind": "check", "result": word, "qbo": check.seen, "remedy": remedy}
        )
        answer.summary["missing" if word in ("missing", "later") else "done"] += 1
    answer.lines += page.lines(ticks, checks)
    answer.report = {"html": str(network.keep(site, edge, ticks, checks))}


def _secret(settings: config.Settings) -> str:
    config.read_secret(settings.intuit.client_secret_file, "client secret")
    return str(settings.intuit.client_secret_file)


def _database(site: Site) -> str:
    with site.miracle() as miracle:
        return f"{miracle.engine.dialect.name}, profile '{miracle.profile.profile}'"


def _company(site: Site) -> str:
    with site.intuit() as intuit:
        return f"realm {intuit.realm}"


def _intuit(site: Site) -> str:
    with site.intuit() as intuit:
        return str(intuit.company_info().get("CompanyName", "answers"))
