"""OAuth 2.0 grants: codes, access tokens and refresh values, with the lives that Intuit gives them (fact 1.4)."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from lab.intuit import identity
from lab.intuit.clock import Clock

CODE_LIFE_S = 600
ACCESS_LIFE_S = 3600
REFRESH_LIFE_S = 8_726_400
ROTATE_AFTER_S = 86_400
HARD_LIFE_S = 5 * 365 * 86_400
ACCOUNTING = "com.intuit.quickbooks.accounting"
SCOPES = frozenset({ACCOUNTING, "com.intuit.quickbooks.payment"}) | identity.SCOPES
# So long before the hard end a refresh no longer moves the soft one, unless the app asks to be told of the hard end.
LAST_DAYS_S = 30 * 86_400


class GrantError(Exception):
    """An OAuth error: HTTP status, ``error`` and, where one was recorded, ``error_description``."""

    def __init__(self, error: str, description: str = "", *, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status

    def body(self) -> dict[str, str]:
        """The recorded body; the bare form is the commonest."""
        return {"error": self.error} | ({"error_description": self.description} if self.description else {})


@dataclass(frozen=True)
class App:
    """A client of Intuit: its keys and its registered redirect addresses."""

    client_id: str
    secret: str
    redirect_uris: tuple[str, ...] = ()
    name: str = "Miracle Service"


@dataclass(frozen=True)
class Code:
    """An authorization code, good once and for ten minutes."""

    client_id: str
    realm: str
    redirect_uri: str
    expires: float
    scopes: frozenset[str]


@dataclass
class Grant:
    """One consent: an app may act for a company until it is revoked or runs out. Times are lab seconds since the epoch."""

    client_id: str
    realm: str
    scopes: frozenset[str]
    since: float
    hard_expires: float
    refresh_value: str = ""
    value_since: float = 0.0
    expires: float = 0.0
    revoked: bool = False


@dataclass(frozen=True)
class Access:
    """One access token."""

    grant: Grant
    expires: float


@dataclass
class Grants:
    """All apps, codes and tokens of one look-alike."""

    clock: Clock
    apps: dict[str, App]
    strict_rotation: bool = False
    # Intuit may take the use of what was used already for a theft, and end the whole grant (fact 1.4 and 1.5).
    revoke_on_reuse: bool = False
    codes: dict[str, Code] = field(default_factory=dict)
    exchanged: dict[str, Grant] = field(default_factory=dict)
    access: dict[str, Access] = field(default_factory=dict)
    refresh: dict[str, Grant] = field(default_factory=dict)
    refreshes: int = 0

    def authenticate(self, client_id: str, secret: str) -> App:
        """The app with these keys. Raises ``invalid_client``."""
        app = self.apps.get(client_id)
        if app is None or not hmac.compare_digest(app.secret.encode(), secret.encode()):
            raise GrantError("invalid_client", status=401)
        return app

    def authorize(self, app: App, realm: str, redirect_uri: str, scopes: frozenset[str]) -> str:
        """A code for the app, after a person agreed."""
        code = "XAB11" + secrets.token_hex(24)
        self.codes[code] = Code(app.client_id, realm, redirect_uri, self.clock.seconds() + CODE_LIFE_S, scopes)
        return code

    def exchange(self, app: App, code: str, redirect_uri: str) -> tuple[Grant, str]:
        """A grant and its first access token for a code. Raises ``invalid_grant``."""
        held = self.codes.pop(code, None)
        if code in self.exchanged:
            self._reused(self.exchanged[code])
        if (
            held is None
            or held.expires <= self.clock.seconds()
            or (held.client_id, held.redirect_uri) != (app.client_id, redirect_uri)
        ):
            raise GrantError("invalid_grant", "Token invalid")
        grant, access = self.grant(app.client_id, held.realm, held.scopes)
        self.exchanged[code] = grant
        return grant, access

    def grant(self, client_id: str, realm: str, scopes: frozenset[str] = frozenset({ACCOUNTING})) -> tuple[Grant, str]:
        """A fresh grant without any code: what a code is exchanged for, and the admin interface's short cut."""
        now = self.clock.seconds()
        grant = Grant(client_id, realm, scopes, now, now + HARD_LIFE_S)
        grant.expires = self._soft_end(grant)
        self._new_value(grant)
        return grant, self._new_access(grant)

    def renew(self, app: App, value: str, *, hard_expiry: bool = False) -> tuple[Grant, str]:
        """A new access token for a refresh value, which changes when it is a day old. Raises ``invalid_grant``."""
        grant = self.refresh.get(value)
        if grant is None:
            raise GrantError("invalid_grant", "Incorrect or invalid refresh token")
        if grant.refresh_value != value:
            self._reused(grant)
        if (
            grant.client_id != app.client_id
            or grant.revoked
            or grant.refresh_value != value
            or grant.expires <= self.clock.seconds()
        ):
            raise GrantError("invalid_grant")
        self.refreshes += 1
        if self.strict_rotation or self.clock.seconds() - grant.value_since >= ROTATE_AFTER_S:
            self._new_value(grant)
        if hard_expiry or grant.hard_expires - self.clock.seconds() > LAST_DAYS_S:
            grant.expires = self._soft_end(grant)
        return grant, self._new_access(grant)

    def revoke(self, app: App, token: str) -> None:
        """End the whole grant to which a refresh value or an access token belongs. Raises ``invalid_grant`` for any other."""
        access = self.access.get(token)
        grant = access.grant if access else self.refresh.get(token)
        if grant is None or grant.client_id != app.client_id or grant.revoked:
            raise GrantError("invalid_grant")
        grant.revoked = True

    def holder(self, token: str) -> Grant | None:
        """The grant behind a valid access token."""
        access = self.access.get(token)
        if access is None or access.grant.revoked or access.expires <= self.clock.seconds():
            return None
        return access.grant

    def answer(self, grant: Grant, access_token: str, *, hard_expiry: bool) -> dict[str, str | int]:
        """The token answer: neither realm nor scope is in it (recorded)."""
        now = self.clock.seconds()
        answer: dict[str, str | int] = {
            "access_token": access_token,
            "refresh_token": grant.refresh_value,
            "token_type": "bearer",
            "expires_in": ACCESS_LIFE_S,
            "x_refresh_token_expires_in": round(grant.expires - now),
        }
        if hard_expiry:
            answer["x_refresh_token_hard_expires_in"] = round(grant.hard_expires - now)
        return answer

    def _reused(self, grant: Grant) -> None:
        grant.revoked = grant.revoked or self.revoke_on_reuse

    def _soft_end(self, grant: Grant) -> float:
        return min(self.clock.seconds() + REFRESH_LIFE_S, grant.hard_expires)

    def _new_value(self, grant: Grant) -> None:
        # The former value stays known, so that its use is told apart from a value that never was.
        grant.refresh_value = "AB11" + secrets.token_hex(23)
        grant.value_since = self.clock.seconds()
        self.refresh[grant.refresh_value] = grant

    def _new_access(self, grant: Grant) -> str:
        token = "eyJlbmMi" + secrets.token_urlsafe(96)
        self.access[token] = Access(grant, self.clock.seconds() + ACCESS_LIFE_S)
        return token
