"""The connection's life against a look-alike that rotates strictly: each refresh ends the former refresh token."""

from __future__ import annotations

import logging
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from intuit_lab import REDIRECT, Lab, Rests

from lab.intuit.__main__ import CLIENT_ID, CLIENT_SECRET
from lab.intuit.process import running
from qbo_sync.config import Settings
from qbo_sync.errors import IntuitFault, KitError, ReconnectNeeded, Unreachable, UsageError
from qbo_sync.intuit import (
    CallbackRefused,
    Connection,
    ConsentDeclined,
    GrantState,
    Http,
    Intuit,
    TokenStore,
    WrongCompany,
    authorize,
)
from qbo_sync.intuit.oauth import parse_callback
from tests.bench import refresh_kills, site

BROWSER = "a browser"


def age(settings: Settings) -> None:
    """Let the stored access token be at its end."""
    store = TokenStore(settings, clock=lambda: datetime.now(UTC) - timedelta(hours=1))
    grant = store.load()
    assert grant is not None
    store.save(replace(grant, access_expires_at=datetime.now(UTC)))


def answer_to(lab: Lab, connection: Connection, **consent: str) -> str:
    return lab.consent(connection.begin(BROWSER), **consent)


def unused(lab: Lab, callback: str) -> bool:
    """Whether the code in ``callback`` was never shown to the token service: it can still be exchanged."""
    code = dict(pair.split("=") for pair in callback.partition("?")[2].split("&"))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    return requests.post(f"{lab.base}/oauth2/v1/tokens/bearer", form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=10).ok


def test_consent_makes_a_grant(lab: Lab, settings: Settings) -> None:
    connection = Connection(settings)
    grant = authorize(connection, answer_to(lab, connection), browser=BROWSER)
    assert grant.realm == lab.realm
    assert grant.company
    assert grant.hard_expires_at is not None
    assert grant.hard_expires_at - grant.connected_at > timedelta(days=5 * 365 - 1)
    assert connection.state() is GrantState.connected
    with Intuit.open(settings) as intuit:
        assert intuit.company_info()["CompanyName"] == grant.company


def test_consent_declined(lab: Lab, settings: Settings) -> None:
    connection = Connection(settings)
    with pytest.raises(ConsentDeclined):
        authorize(connection, answer_to(lab, connection, decision="deny"), browser=BROWSER)
    assert connection.state() is GrantState.disconnected


def test_an_answer_counts_once(lab: Lab, settings: Settings) -> None:
    connection = Connection(settings)
    callback = answer_to(lab, connection)
    authorize(connection, callback, browser=BROWSER)
    with pytest.raises(CallbackRefused):
        authorize(connection, callback, browser=BROWSER)
    assert connection.state() is GrantState.connected


def test_an_answer_counts_in_its_own_browser_only(lab: Lab, settings: Settings) -> None:
    connection = Connection(settings)
    callback = answer_to(lab, connection)
    with pytest.raises(CallbackRefused):
        authorize(connection, callback, browser="another browser")
    assert unused(lab, callback)


def test_an_answer_counts_for_ten_minutes(lab: Lab, settings: Settings) -> None:
    late = Connection(settings, clock=lambda: datetime.now(UTC) + timedelta(minutes=10))
    callback = answer_to(lab, Connection(settings))
    with pytest.raises(CallbackRefused):
        authorize(late, callback, browser=BROWSER)
    assert unused(lab, callback)


def test_a_swapped_company_is_noticed_by_asking_intuit(lab: Lab, settings: Settings) -> None:
    connection = Connection(settings)
    callback = answer_to(lab, connection).replace(lab.realm, "4620816365000000002")
    with pytest.raises(WrongCompany, match="does not cover"):
        authorize(connection, callback, browser=BROWSER)
    assert connection.state() is GrantState.disconnected
    assert connection.store.bound_realm() is None


def test_another_company_is_refused_without_asking_intuit(lab: Lab, connected: Settings) -> None:
    connection = Connection(connected)
    connection.revoke()
    callback = answer_to(lab, connection).replace(lab.realm, "4620816365000000002")
    with pytest.raises(WrongCompany, match="bound to another"):
        authorize(connection, callback, browser=BROWSER)
    assert unused(lab, callback.replace("4620816365000000002", lab.realm))


def test_a_site_can_be_moved_on_purpose(lab: Lab, connected: Settings) -> None:
    connection = Connection(connected)
    store = connection.store
    grant = store.load()
    assert grant is not None
    store.save(replace(grant, realm="999"))
    callback = answer_to(lab, connection)
    assert authorize(connection, callback, browser=BROWSER, allow_other=True).realm == lab.realm
    assert store.bound_realm() == lab.realm


GOOD = {"code": "XAB", "state": "s", "realmId": "123"}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=a&realmId=1",
        "state=s&realmId=1",
        "state=s&code=a",
        "state=&code=a&realmId=1",
        "state=s&code=a&realmId=1&state=s",
        "state=s&code=a&code=b&realmId=1",
        "state[]=s&code=a&realmId=1",
        urlencode({**GOOD, "realmId": "1;DROP TABLE"}),
        urlencode({**GOOD, "realmId": "../1"}),
        urlencode({**GOOD, "realmId": "1" * 21}),
        urlencode({**GOOD, "realmId": "١٢٣"}),
        urlencode({**GOOD, "code": "x" * 513}),
        urlencode({**GOOD, "code": "a\0b"}),
        urlencode({**GOOD, "state": "a\r\nLocation: https://evil.example"}),
        urlencode({**GOOD, "state": "x" * 1_000_000}),
        "state=%FF%FE&code=a&realmId=1",
        "&".join(f"a{n}=1" for n in range(30)),
    ],
)
def test_a_malformed_answer_is_refused(query: str) -> None:
    with pytest.raises(CallbackRefused):
        parse_callback(query)


@given(st.text())
@example("?")
@example("https://[")
@example("state=s&code=%ud800&realmId=1")
def test_an_answer_is_read_or_refused(text: str) -> None:
    try:
        values = parse_callback(text)
    except CallbackRefused:
        return
    assert values["state"]


def test_the_whole_address_or_its_query_will_do() -> None:
    query = urlencode({"code": "a+b/c", "state": "s", "realmId": "123"})
    assert parse_callback(query) == parse_callback(f" {REDIRECT}?{query}\n") == {"code": "a+b/c", "state": "s", "realmId": "123"}


def test_refresh_ahead_of_the_end(lab: Lab, connected: Settings) -> None:
    connection = Connection(connected)
    before = lab.stats()["refreshes"]
    first = connection.access_token()
    assert connection.access_token() == first
    assert lab.stats()["refreshes"] == before
    age(connected)
    assert connection.access_token() != first
    assert lab.stats()["refreshes"] == before + 1


def test_a_token_that_another_process_renewed_is_used(lab: Lab, connected: Settings) -> None:
    ours, theirs = Connection(connected), Connection(connected)
    refused = ours.access_token()
    renewed = theirs.access_token(force=True)
    before = lab.stats()["refreshes"]
    assert ours.access_token(force=True) == renewed != refused
    assert lab.stats()["refreshes"] == before


READER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from intuit_lab import Lab
from qbo_sync.intuit import Connection, Intuit
settings = Lab(sys.argv[3]).settings(Path(sys.argv[4]))
print("ready", flush=True)
sys.stdin.read(1)
with Intuit.open(settings) as intuit:
    print(intuit.count("Customer"))
"""
REFRESHER = (
    READER[: READER.index("with Intuit")]
    + "connection = Connection(settings)\nwhile True:\n    connection.access_token(force=True)\n"
)


def start(program: str, lab: Lab, folder: Path, count: int = 1) -> list[subprocess.Popen[str]]:
    """Processes that have all loaded what they need and then begin together."""
    here = Path(__file__).resolve()
    command = [sys.executable, "-c", program, str(here.parents[3]), str(here.parent), lab.base, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(count)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("g")
        process.stdin.flush()
    return processes


def test_programs_with_one_old_token_refresh_once(tmp_path: Path) -> None:
    """As Intuit does it: the refresh token stays for a day. Sixteen and a stricter Intuit are further below."""
    count = 4
    with running("--latency-ms", "300", "--customers", "5") as base:
        lab = Lab(base)
        settings = lab.settings(tmp_path)
        lab.connect(settings)
        age(settings)
        before = lab.stats()["refreshes"]
        readers = start(READER, lab, tmp_path, count=count)
        outputs = [reader.communicate(timeout=60) for reader in readers]
        assert [reader.returncode for reader in readers] == [0] * count, outputs
        assert len({out for out, _ in outputs}) == 1
        assert lab.stats()["refreshes"] == before + 1


def test_a_killed_refresher_leaves_a_usable_or_a_clearly_lost_grant(lab: Lab, connected: Settings, tmp_path: Path) -> None:
    chance = random.Random(5)
    survived = 0
    for _ in range(8):
        (victim,) = start(REFRESHER, lab, tmp_path)
        before = lab.stats()["refreshes"]
        while lab.stats()["refreshes"] < before + 2 and victim.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.random() / 20)
        victim.send_signal(signal.SIGKILL)
        victim.communicate(timeout=30)
        connection = Connection(connected)
        try:
            connection.access_token(force=True)
        except ReconnectNeeded:
            assert connection.state() is GrantState.reconnect_needed
            lab.connect(connected)
        else:
            assert connection.state() is GrantState.connected
            survived += 1
        with Intuit.open(connected) as intuit:
            assert intuit.company_info()
    assert survived, "a kill between two refreshes must not cost the grant"


@pytest.fixture(scope="module")
def strict() -> Iterator[site.Bench]:
    with site.connected("--strict-rotation", "--customers", "5", "--vendors", "1", "--items", "1", "--limits", "off") as bench:
        yield bench


def test_sixteen_processes_with_one_old_token_refresh_once(strict: site.Bench) -> None:
    assert refresh_kills.together(strict) == (16, 1)


def test_processes_that_renew_all_the_time_never_lose_the_grant(strict: site.Bench) -> None:
    """Every renewal ends the former refresh token at once; an old one that is shown to Intuit would cost the connection."""
    succeeded, renewals = refresh_kills.renewing(strict)
    assert succeeded == 8
    assert 25 <= renewals <= 8 * 25


def test_a_refresh_killed_at_any_step_costs_no_grant_that_could_be_kept(strict: site.Bench) -> None:
    """The small share of `./kit bench refresh_kills`."""
    steps, seen = refresh_kills.campaign(strict, 12)
    assert steps > 100
    assert seen["kept: the old token was still good"] > 0
    assert seen["kept: the new token was on the disk"] > 0
    assert not [outcome for outcome in seen if outcome.startswith("WRONG")], seen


def test_a_polite_signal_waits_for_the_new_token(tmp_path: Path) -> None:
    with running("--redirect-uri", REDIRECT, "--strict-rotation", "--latency-ms", "400") as base:
        lab = Lab(base)
        (tmp_path / "slow").mkdir()
        slow = lab.settings(tmp_path / "slow")
        lab.connect(slow)
        for _ in range(3):
            (victim,) = start(REFRESHER, lab, tmp_path / "slow")
            before = lab.stats()["refreshes"]
            while lab.stats()["refreshes"] < before + 1 and victim.poll() is None:
                time.sleep(0.01)
            victim.terminate()
            victim.communicate(timeout=30)
            assert victim.returncode == -signal.SIGTERM
            assert Connection(slow).access_token(force=True)


def test_a_grant_intuit_has_ended_is_asked_for_once(lab: Lab, connected: Settings) -> None:
    connection = Connection(connected)
    grant = connection.grant()
    other = Connection(connected)
    other._revoke(grant)
    with pytest.raises(ReconnectNeeded, match="/qbo/connect"):
        connection.access_token(force=True)
    assert connection.state() is GrantState.reconnect_needed
    with pytest.raises(ReconnectNeeded):
        connection.access_token()
    lab.connect(connected)
    assert connection.state() is GrantState.connected


@pytest.mark.parametrize("fault", ["500", "503_html", "429", "closed", "429_xml"])
def test_an_outage_never_ends_the_grant(lab: Lab, connected: Settings, rests: Rests, fault: str) -> None:
    lab.fault(fault, path="/oauth2/v1/tokens", nth=1)
    connection = Connection(connected, http=Http(connected, sleep=rests))
    assert connection.access_token(force=True)
    assert len(rests.seconds) == 1
    assert connection.state() is GrantState.connected


def test_an_answer_lost_on_its_way_is_a_clear_reconnect(lab: Lab, connected: Settings, rests: Rests) -> None:
    """Intuit had renewed the token already, and a strict Intuit cannot be asked again."""
    lab.fault("truncated", path="/oauth2/v1/tokens", nth=1)
    connection = Connection(connected, http=Http(connected, sleep=rests))
    with pytest.raises(ReconnectNeeded, match="/qbo/connect"):
        connection.access_token(force=True)
    assert connection.state() is GrantState.reconnect_needed


def test_a_long_outage_leaves_the_grant_for_later(lab: Lab, connected: Settings, rests: Rests) -> None:
    lab.fault("503_html", path="/oauth2/v1/tokens")
    connection = Connection(connected, http=Http(connected, sleep=rests))
    with pytest.raises(Unreachable):
        connection.access_token(force=True)
    assert connection.state() is GrantState.connected
    lab.post("faults", [])
    assert connection.access_token(force=True)


def test_a_store_that_cannot_be_written_stops_before_intuit_is_asked(lab: Lab, connected: Settings) -> None:
    connection = Connection(connected)
    token = connection.access_token()
    before = lab.stats()["refreshes"]
    with closing(sqlite3.connect(connected.store.directory / "state.db")) as db:
        db.execute("CREATE TRIGGER refuse BEFORE UPDATE ON token_grant BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(KitError, match="cannot be used"):
        connection.access_token(force=True)
    assert lab.stats()["refreshes"] == before
    assert connection.access_token() == token


def test_disconnecting_gives_the_grant_back(lab: Lab, connected: Settings) -> None:
    connection = Connection(connected)
    grant = connection.grant()
    connection.revoke()
    assert connection.state() is GrantState.disconnected
    with pytest.raises(CallbackRefused):
        connection.adopt(lab.realm, grant.refresh_token)
    connection.revoke()
    with pytest.raises(ReconnectNeeded, match="no QuickBooks company is connected"):
        connection.access_token()


def test_disconnecting_what_intuit_no_longer_knows(lab: Lab, connected: Settings) -> None:
    connection = Connection(connected)
    connection._revoke(connection.grant())
    connection.revoke()
    assert connection.state() is GrantState.disconnected


def test_disconnecting_while_intuit_is_away_keeps_the_grant(lab: Lab, connected: Settings, rests: Rests) -> None:
    lab.fault("503_html", path="/v2/oauth2/tokens/revoke")
    connection = Connection(connected, http=Http(connected, sleep=rests))
    with pytest.raises(Unreachable):
        connection.revoke()
    assert connection.state() is GrantState.connected


def test_wrong_keys_are_told_from_a_lost_grant(lab: Lab, connected: Settings) -> None:
    connected.intuit.client_secret_file.write_text("not the secret")
    connection = Connection(connected)
    with pytest.raises(UsageError, match="client_secret_file"):
        connection.access_token(force=True)
    assert connection.state() is GrantState.connected


def test_addresses_outlive_the_discovery_service(lab: Lab, connected: Settings, rests: Rests) -> None:
    lab.fault("503_html", path="openid_configuration")
    tomorrow = Connection(connected, http=Http(connected, sleep=rests), clock=lambda: datetime.now(UTC) + timedelta(days=2))
    assert tomorrow.authorize_url("s").startswith(lab.base)
    fresh = lab.settings(connected.store.directory.parent)
    never = Connection(
        fresh.model_copy(update={"store": fresh.store.model_copy(update={"directory": connected.store.directory / "other"})}),
        http=Http(fresh, sleep=rests),
    )
    with pytest.raises(Unreachable):
        never.authorize_url("s")


def test_a_discovery_document_cannot_send_the_secret_elsewhere(tmp_path: Path) -> None:
    with running("--redirect-uri", REDIRECT, "--public-url", "http://intuit.evil.example") as base:
        connection = Connection(Lab(base).settings(tmp_path))
        with pytest.raises(IntuitFault, match="not to be trusted"):
            connection.exchange("code", "123")


def test_the_redirect_address_is_exactly_the_registered_one(lab: Lab, settings: Settings) -> None:
    assert f"redirect_uri={quote(REDIRECT, safe='')}&" in Connection(settings).authorize_url("s")


def test_no_secret_in_logs_errors_or_process_lists(
    lab: Lab, settings: Settings, rests: Rests, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    connection = Connection(settings, http=Http(settings, sleep=rests))
    callback = answer_to(lab, connection)
    grant = authorize(connection, callback, browser=BROWSER)
    connection.access_token(force=True)
    newest = connection.grant()
    for fault in ("401", "403", "503_html", "truncated"):
        lab.fault(fault)
        with Intuit.open(settings, sleep=rests) as intuit, pytest.raises(KitError) as error:
            intuit.company_info()
        shown.append(f"{error.getrepr(showlocals=False, style='long')}{error.value}")
    lab.post("faults", [])
    connection.access_token()
    connection._revoke(connection.grant())
    with pytest.raises(ReconnectNeeded) as lost:
        connection.access_token(force=True)
    shown += [str(lost.getrepr(showlocals=False, style="long")), str(lost.value), repr(connection), repr(newest), caplog.text]
    shown += [path.read_text(errors="replace") for path in (Path("/proc/self/cmdline"), Path("/proc/self/environ"))]
    code = dict(pair.split("=") for pair in callback.partition("?")[2].split("&"))["code"]
    held = [grant, newest, TokenStore(settings).load()]
    secrets = {code, settings.intuit.client_secret_file.read_text()}
    secrets |= {value for one in held if one for value in (one.access_token, one.refresh_token)}
    for secret in secrets:
        assert len(secret) > 10
        assert not [text for text in shown if secret in text]
