"""The connection's life: consent, exchange, refresh, revoke (facts/qbo_api.md section 1, facts/fleet.md section 5).

A refresh token that was renewed and then lost is lost for good, so a refresh is: lock, read again, commit the intent, ask Intuit,
make the answer durable, and only then use it. A crash at any point leaves a usable token or a clear *reconnect needed*.
"""

from __future__ import annotations

import base64
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec
import requests

from qbo_sync.config import Settings, check_service_address, read_secret
from qbo_sync.errors import Blocked, IntuitFault, KitError, ReconnectNeeded, UsageError, Waiting
from qbo_sync.intuit import faults
from qbo_sync.intuit.files import forget_snapshot
from qbo_sync.intuit.http import Answer, Http, undisturbed
from qbo_sync.intuit.pace import Pacer
from qbo_sync.intuit.pages import connect_url
from qbo_sync.intuit.tokens import Authorization, Clock, Grant, GrantState, TokenStore, utc_now

if TYPE_CHECKING:
    from qbo_sync.intuit.session import OAuth2Error, Session

SCOPE = ["com.intuit.quickbooks.accounting"]
MINOR_VERSION = "75"
# Refresh ahead of the end, so that a long read is not cut in the middle (facts section 4, airbyte PR#74774).
_AHEAD = timedelta(minutes=5)
_DOCUMENT_LIFE_S = 86_400.0
_CALLBACK_BYTES = 4096
_LONGEST = {"code": 512, "state": 128, "realmId": 20, "error": 64, "error_description": 1024}


class CallbackRefused(UsageError):
    """What came back from the browser is not the answer to a question that we asked it."""


class ConsentDeclined(Waiting):
    """The administrator looked at Intuit's consent page and said no."""


class WrongCompany(Blocked):
    """The company chosen on the consent page is not this site's."""


class Connection:
    """The grant of one site and everything that changes it."""

    def __init__(
        self, settings: Settings, store: TokenStore | None = None, http: Http | None = None, *, clock: Clock = utc_now
    ) -> None:
        self.settings = settings
        self.store = store or TokenStore(settings, clock=clock)
        self._http = http or Http(settings)
        self._clock = clock
        self._lock_s = 2 * settings.intuit.timeout_s + 60.0
        self._handed = ""

    def close(self) -> None:
        """Close the connections to Intuit."""
        self._http.close()

    def state(self) -> GrantState:
        """What the store knows, without asking Intuit."""
        return self.store.state()

    def begin(self, browser: str) -> str:
        """The address to send this browser to. ``browser`` is a secret that only this browser holds."""
        state = secrets.token_urlsafe(32)
        url = self.authorize_url(state)
        self.store.begin_authorization(state, browser)
        return url

    def authorize_url(self, state: str) -> str:
        """Intuit's consent page for our app."""
        session = self._session("connect", scope=SCOPE)
        shown, _ = session.authorization_url(session.shown(self._endpoint("authorization_endpoint")), state=state)
        return session.real(shown)

    def exchange(self, code: str, realm: str, *, allow_other: bool = False) -> Grant:
        """Turn an authorisation code into this site's grant.

        Raises :class:`WrongCompany` before anything is asked when the site is bound to another company, and after asking Intuit
        for the company when the grant does not cover ``realm``; :class:`CallbackRefused` when the code was used or is old.
        """
        self._refuse_other(realm, allow_other)
        answer = self._token("connect", "authorization_code", code)
        return self._adopt(realm, answer, allow_other)

    def adopt(self, realm: str, refresh_token: str, *, allow_other: bool = False) -> Grant:
        """Take over a grant that was given elsewhere; it is renewed at once, which proves it."""
        self._refuse_other(realm, allow_other)
        answer = self._token("connect", "refresh_token", refresh_token)
        return self._adopt(realm, answer, allow_other)

    def access_token(self, force: bool = False, *, refused: str = "") -> str:
        """A usable access token. ``force`` says that Intuit has refused the one handed out last, ``refused`` which one it was.

        Raises :class:`ReconnectNeeded` when the grant is gone, :class:`Unreachable` when Intuit does not answer in time.
        """
        grant = self.grant()
        if force or refused or not self._fresh(grant):
            refused = refused or (self._handed or grant.access_token if force else "")
            with self.store.lock(self._lock_s):
                grant = self.grant()
                # Another process may have renewed it while this one waited.
                if not self._fresh(grant) or grant.access_token == refused:
                    grant = self._refresh(grant)
        self._handed = grant.access_token
        return grant.access_token

    def grant(self) -> Grant:
        """The grant. Raises :class:`ReconnectNeeded` when there is none, or none that Intuit would take."""
        grant = self.store.load()
        if grant is None:
            raise ReconnectNeeded("no QuickBooks company is connected", next=f"open {connect_url(self.settings)}")
        if self.store.state() is GrantState.reconnect_needed:
            raise self._gone(
                f"connected {grant.connected_at:%Y-%m-%d}, refresh token valid to {grant.refresh_expires_at:%Y-%m-%d}"
            )
        return grant

    def revoke(self) -> None:
        """Give the grant back to Intuit, forget it, and what was kept of the company's rows for the next reading.

        A grant that Intuit no longer knows is forgotten as well.
        """
        with self.store.lock(self._lock_s):
            try:
                grant = self.store.load()
            except ReconnectNeeded:
                grant = None
            if grant is not None:
                self._revoke(grant)
            self.store.forget()
            forget_snapshot(self.store.directory)

    # Inside

    def _fresh(self, grant: Grant) -> bool:
        return grant.access_expires_at - self._clock() > _AHEAD

    def _gone(self, seen: str) -> ReconnectNeeded:
        return ReconnectNeeded(
            "Intuit no longer accepts this site's connection to QuickBooks",
            seen=seen,
            next=f"a QuickBooks administrator opens {connect_url(self.settings)} and connects again",
        )

    def _refuse_other(self, realm: str, allow_other: bool) -> None:
        if not re.fullmatch(r"[0-9]{1,20}", realm):
            raise CallbackRefused("the company number is not a number", seen=repr(realm[:40]))
        bound = self.store.bound_realm()
        if bound and bound != realm and not allow_other:
            raise WrongCompany(
                "this site is bound to another QuickBooks company",
                seen=f"bound to {bound}, chosen {realm}",
                next="connect again and choose the company this site has used so far",
            )

    def _adopt(self, realm: str, answer: Mapping[str, Any], allow_other: bool) -> Grant:
        now = self._clock()
        grant = self._renewed(Grant(realm, self.store.environment, "", "", now, now, None, now), answer)
        grant = replace(grant, company=self._company(grant))
        with self.store.lock(self._lock_s):
            self._refuse_other(realm, allow_other)
            return self.store.save(grant)

    def _company(self, grant: Grant) -> str:
        """The company's name, asked for with the new token: the number in the callback is only the browser's word."""
        url = f"{self.settings.intuit.api_url}/v3/company/{grant.realm}/companyinfo/{grant.realm}?minorversion={MINOR_VERSION}"
        headers = {"Accept": "application/json", "Authorization": f"Bearer {grant.access_token}"}
        pace = Pacer.of(self.settings, self._http.sleep)
        answer = self._http.send(
            "GET", url, what="connect: read the company", headers=headers, permit=pace.permit, throttled=pace.pause
        )
        fault = faults.parse(answer.status, answer.body)
        if fault is not None:
            raise WrongCompany(
                "the permission just given does not cover the company it was said to be for",
                seen=str(fault),
                next="connect again; check [intuit] environment when this stays",
            )
        document = _decoded(answer, "connect: read the company")
        company = document.get("CompanyInfo")
        name = company.get("CompanyName") if isinstance(company, dict) else None
        return str(name or "")

    def _refresh(self, grant: Grant) -> Grant:
        """Called with the lock held."""
        self.store.mark_refreshing()
        with undisturbed():
            try:
                answer = self._token("refresh the connection", "refresh_token", grant.refresh_token)
                return self.store.save(self._renewed(grant, answer))
            except _InvalidGrant as error:
                newest = self.store.load()
                if newest is not None and newest.generation != grant.generation:
                    return newest
                self.store.mark_dead()
                raise self._gone(error.seen) from None

    def _renewed(self, grant: Grant, answer: Mapping[str, Any]) -> Grant:
        now = self._clock()
        hard = answer.get("x_refresh_token_hard_expires_in")
        return replace(
            grant,
            access_token=str(answer["access_token"]),
            refresh_token=str(answer["refresh_token"]),
            access_expires_at=now + _seconds(answer.get("expires_in", 3600)),
            refresh_expires_at=now + _seconds(answer.get("x_refresh_token_expires_in", 8_726_400)),
            hard_expires_at=now + _seconds(hard) if hard is not None else grant.hard_expires_at,
        )

    def _token(self, what: str, kind: Literal["authorization_code", "refresh_token"], value: str) -> Mapping[str, Any]:
        from qbo_sync.intuit.session import OAuth2Error

        session = self._session(what)
        url = session.shown(self._endpoint("token_endpoint"))
        auth = requests.auth.HTTPBasicAuth(self.settings.intuit.client_id, self._client_secret())
        headers = {"Accept": "application/json", "x-include-refresh-token-hard-expires-in": "true"}
        try:
            if kind == "refresh_token":
                answer = session.refresh_token(url, refresh_token=value, auth=auth, headers=headers)
            else:
                answer = session.fetch_token(url, code=value, auth=auth, headers=headers)
        except OAuth2Error as error:
            raise self._refused(what, error) from None
        if not answer.get("access_token") or not answer.get("refresh_token"):
            raise IntuitFault(f"{what}: Intuit's answer holds no tokens", status=200, next="run the same command again")
        return dict(answer)

    def _refused(self, what: str, error: OAuth2Error) -> KitError:
        code = str(error.error)
        if code == "invalid_grant" and what == "connect":
            return CallbackRefused(
                "Intuit does not accept this permission any more: it was used before, or it is too old",
                seen=code,
                next=f"connect again at {connect_url(self.settings)}",
            )
        if code == "invalid_grant":
            return _InvalidGrant(f"{what}: {code}", seen=f"Intuit answered {code}")
        if code == "invalid_client":
            return UsageError(
                f"{what}: Intuit does not know our app by this client id and secret",
                seen=code,
                next="check client_id, client_secret_file and [intuit] environment: each environment has keys of its own",
            )
        return IntuitFault(f"{what}: Intuit refused the request", status=error.status_code, code=code, seen=code)

    def _revoke(self, grant: Grant) -> None:
        pair = f"{self.settings.intuit.client_id}:{self._client_secret()}"
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
        }
        body = msgspec.json.encode({"token": grant.refresh_token})
        answer = self._http.send("POST", self._endpoint("revocation_endpoint"), what="disconnect", headers=headers, data=body)
        fault = faults.parse(answer.status, answer.body)
        if fault is not None and fault.status != 400:
            raise IntuitFault(
                "disconnect: Intuit did not take the connection back",
                status=fault.status,
                code=fault.code,
                tid=answer.tid,
                seen=str(fault),
                next="check client_id and client_secret_file, then disconnect again",
            )

    def _client_secret(self) -> str:
        return read_secret(self.settings.intuit.client_secret_file, "client secret of the Intuit app")

    def _session(self, what: str, scope: list[str] | None = None) -> Session:
        from qbo_sync.intuit.session import Session

        return Session(
            self._http,
            what,
            plain=not self.settings.intuit.discovery_url.startswith("https:"),
            client_id=self.settings.intuit.client_id,
            redirect_uri=self.settings.intuit.redirect_uri,
            scope=scope,
        )

    def _endpoint(self, name: str) -> str:
        """An address from Intuit's discovery document, which is read once a day; a stale copy beats none."""
        url = self.settings.intuit.discovery_url
        kept = self.store.document(url)
        if kept is None or self._clock().timestamp() - kept[1] > _DOCUMENT_LIFE_S:
            try:
                document = self._discover(url)
            except KitError:
                if kept is None:
                    raise
                document = msgspec.json.decode(kept[0], type=dict[str, Any])
        else:
            document = msgspec.json.decode(kept[0], type=dict[str, Any])
        address = document.get(name)
        if not isinstance(address, str):
            raise IntuitFault(f"Intuit's discovery document names no {name}", status=200, seen=url)
        return address

    def _discover(self, url: str) -> dict[str, Any]:
        answer = self._http.send("GET", url, what="read Intuit's addresses", headers={"Accept": "application/json"})
        document = _decoded(answer, "read Intuit's addresses")
        for name in ("authorization_endpoint", "token_endpoint", "revocation_endpoint"):
            try:
                check_service_address(name, str(document.get(name, "")), self.settings.intuit.environment)
            except ValueError as error:
                raise IntuitFault(
                    "Intuit's discovery document is not to be trusted", status=answer.status, seen=str(error)
                ) from None
        self.store.keep_document(url, answer.body)
        return document


def authorize(connection: Connection, callback: str, *, browser: str, allow_other: bool = False) -> Grant:
    """Finish a consent: ``callback`` is the address the browser came back to, or its query alone.

    Raises :class:`CallbackRefused` (Intuit was not asked) unless the state is one that this browser was given within ten
    minutes, :class:`ConsentDeclined` when the answer was no, and what :meth:`Connection.exchange` raises.
    """
    values = parse_callback(callback)
    taken = connection.store.take_authorization(values["state"], browser)
    if taken is not Authorization.good:
        raise CallbackRefused(
            f"this answer from QuickBooks does not count: {taken.value}",
            next=f"start again at {connect_url(connection.settings)}, in one browser",
        )
    if "error" in values:
        if values["error"] == "access_denied":
            raise ConsentDeclined(
                "the permission was not given on Intuit's page",
                who="a QuickBooks administrator",
                next=f"open {connect_url(connection.settings)} and choose Connect",
            )
        raise CallbackRefused("Intuit's consent page ended with an error", seen=values["error"], next="start again")
    return connection.exchange(values["code"], values["realmId"], allow_other=allow_other)


def parse_callback(callback: str) -> dict[str, str]:
    """The values Intuit sent with the browser: ``state``, and either ``error`` or ``code`` and ``realmId``, all checked."""
    if len(callback) > _CALLBACK_BYTES:
        raise CallbackRefused("the answer that came back is too long to be Intuit's", seen=f"{len(callback)} characters")
    query = urlsplit(callback.strip()).query if "?" in callback else callback.strip()
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise CallbackRefused("the answer that came back from QuickBooks cannot be read") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in _LONGEST:
            continue
        if name in values:
            raise CallbackRefused(f"the answer that came back from QuickBooks holds {name} twice")
        if not value or len(value) > _LONGEST[name] or any(unicodedata.category(c).startswith("C") for c in value):
            raise CallbackRefused(f"{name} in the answer that came back is empty, too long or holds control characters")
        values[name] = value
    needed = ("state",) if "error" in values else ("state", "code", "realmId")
    missing = [name for name in needed if name not in values]
    if missing:
        raise CallbackRefused(
            "the answer that came back from QuickBooks is not complete", seen=f"without {', '.join(missing)}", next="start again"
        )
    if "realmId" in values and not re.fullmatch(r"[0-9]+", values["realmId"]):
        raise CallbackRefused("the company number is not a number")
    return values


class _InvalidGrant(KitError):
    """Intuit refused the refresh token."""


def _decoded(answer: Answer, what: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise IntuitFault(
            f"{what}: the answer is not JSON", status=answer.status, tid=answer.tid, seen=str(error)[:200]
        ) from None


def _seconds(value: object) -> timedelta:
    return timedelta(seconds=int(str(value)))
