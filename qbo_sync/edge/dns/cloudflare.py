"""Cloudflare as DNS provider, through Cloudflare's own SDK.

What was seen on the wire with SDK 5.9 (facts/edge.md 4.1) and shapes this module: the SDK repeats a request after a lost answer,
also the POST that makes a record, so "already exists" can be the echo of our own success; PUT drops the comment, so changes are
PATCH; pages go on until an empty one; the zone lists the token's permissions.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import cloudflare

# The SDK would load these two when they are first used, in each worker anew.
import cloudflare.resources.dns
import cloudflare.resources.zones
import httpx

from qbo_sync.config import check_service_address, read_secret
from qbo_sync.edge.dns import Change, Record, Settings, Snapshot, Zone, moved, tidy
from qbo_sync.errors import Blocked, KitError, Unreachable, UsageError

API_URL = "https://api.cloudflare.com/client/v4"
TIMEOUT_S = 30.0

# Cloudflare's error codes (facts/edge.md 4.1).
ALREADY_EXISTS = {81057, 81058}
NO_SUCH_RECORD = {81044}
MALFORMED_TOKEN = {6003, 6111}
TOKEN_REFUSED = {1000, 9106, 9109, 10000}

# The types that can stand in the way of an A record or shadow it.
_TYPES = ("A", "AAAA", "CNAME", "NS")
_WRITTEN = ("A", "CNAME")
_NEEDED = "#dns_records:edit"
_RIGHTS = "make a token with Zone.DNS:Edit and Zone.Zone:Read on this zone and put it into the token file"

T = TypeVar("T")


def make(settings: Settings) -> Cloudflare:
    """The provider for these settings; nothing is sent yet. Raises :class:`UsageError` for an unusable one."""
    token_file, api_ca_file = settings.secret_file, str(settings.api_ca_file)
    token = read_secret(token_file, "Cloudflare API token")
    if not token.isascii() or not token.isprintable() or " " in token:
        # Sent as it is, the HTTP library would quote it in its error.
        raise UsageError(
            f"the Cloudflare API token in {token_file} holds a space, a line end or another character no token has",
            next="put the bare token into the file: no 'Bearer', no second line",
        )
    url = settings.api_url or API_URL
    try:
        check_service_address("api_url", url, "custom")
        verify = ssl.create_default_context(cafile=api_ca_file or None)
    except (ValueError, OSError) as error:
        seen = str(error) if isinstance(error, ValueError) else f"{api_ca_file}: {error.strerror or error}"
        raise UsageError("the DNS API's address or CA file is not usable", seen=seen, next="mend that setting") from None
    return Cloudflare(token, url, verify)


class Cloudflare:
    """A :class:`qbo_sync.edge.dns.Provider`."""

    by_hand = False

    def __init__(self, token: str, url: str, verify: ssl.SSLContext) -> None:
        self._url = url
        # No connection is kept open: whoever uses a provider (an action plugin for instance) has no good moment to close it.
        http = cloudflare.DefaultHttpxClient(verify=verify, limits=httpx.Limits(max_keepalive_connections=0))
        self._client = cloudflare.Cloudflare(api_token=token, base_url=url, timeout=TIMEOUT_S, http_client=http)
        # The SDK takes these from the environment, and then would not send our token at all.
        self._client.api_key = self._client.api_email = self._client.user_service_key = None

    def zone_for(self, name: str, zone: str = "") -> Zone:
        """The zone given, else the closest zone above ``name`` that the token may see."""
        candidates = [zone] if zone else _parents(name)
        for candidate in candidates:
            found = self._ask(f"look for the zone {candidate}", partial(self._find_zone, candidate))
            if found is not None:
                _check_permission(found)
                return Zone(found.id, tidy(found.name), tuple(found.name_servers or ()), found.status or "active")
        raise UsageError(
            f"the Cloudflare token does not see the zone of {name}",
            seen=f"asked {self._url} for {', '.join(candidates)}",
            next=f"check the zone's name and whose account it is in; {_RIGHTS}",
        )

    def _find_zone(self, name: str) -> Any:
        for zone in self._client.zones.list(name=name):
            if tidy(zone.name) == name:
                return zone
        # The filter is said to be deprecated (facts/edge.md 4.1); without it every page has to be read.
        return next((z for z in self._client.zones.list(per_page=50) if tidy(z.name) == name), None)

    def snapshot(self, zone: Zone, name: str) -> Snapshot:
        """The A, AAAA, CNAME and NS records at ``name``, in a stable order."""
        records = self._ask(f"read the records at {name}", lambda: list(self._records(zone, name)))
        return Snapshot(name, tuple(sorted(records, key=lambda r: (r.type, r.content, r.id))))

    def _records(self, zone: Zone, name: str) -> Iterator[Record]:
        for found in self._client.dns.records.list(zone_id=zone.id, name={"exact": name}, per_page=100):
            if found.type in _TYPES and tidy(found.name) == name:
                yield Record(
                    name=name,
                    type=found.type,
                    content=str(found.content),
                    ttl=int(found.ttl),
                    proxied=bool(getattr(found, "proxied", False)),
                    comment=found.comment or "",
                    id=str(getattr(found, "id", "")),
                )

    def apply(self, zone: Zone, before: Snapshot, changes: Iterable[Change]) -> None:
        """Make the changes in order, unless a record at the name was changed since ``before`` was read."""
        now = self.snapshot(zone, before.name)
        if now != before:
            raise moved(now)
        for change in changes:
            self._change(zone, change)

    def restore(self, zone: Zone, snapshot: Snapshot) -> bool:
        """Put back the A and CNAME records of a snapshot: new ones go first, then missing and changed ones come back."""
        now = {_key(r): r for r in self.snapshot(zone, snapshot.name).records if r.type in _WRITTEN}
        then = {_key(r): r for r in snapshot.records if r.type in _WRITTEN}
        changes = [Change(r, None) for key, r in now.items() if key not in then]
        for key, record in then.items():
            there = now.get(key)
            if there is None or not there.same_value(record) or there.comment != record.comment:
                changes.append(Change(there, record))
        for change in changes:
            self._change(zone, change)
        return bool(changes)

    def _change(self, zone: Zone, change: Change) -> None:
        if change.after is None:
            if change.before is not None:
                self._delete(zone, change.before)
        elif change.before is None:
            self._create(zone, change.after)
        else:
            self._edit(zone, change.before, change.after)

    def _create(self, zone: Zone, record: Record) -> None:
        def create() -> bool:
            try:
                fields = {name: value for name, value in _fields(record).items() if name != "comment" or value}
                self._client.dns.records.create(zone_id=zone.id, **fields)
            except cloudflare.BadRequestError as error:
                if not _codes(error) & ALREADY_EXISTS:
                    raise
                # Either our own record, made by the request whose answer was lost, or somebody else's.
                return any(r.same_value(record) and r.comment == record.comment for r in self._records(zone, record.name))
            return True

        if not self._ask(f"make the record {record}", create):
            raise Blocked(
                f"somebody made a record at {record.name} meanwhile; it was left as it is",
                next="run this again to see what is there",
            )

    def _edit(self, zone: Zone, before: Record, after: Record) -> None:
        self._ask(
            f"change the record {before}",
            lambda: self._client.dns.records.edit(before.id, zone_id=zone.id, **_fields(after)),
        )

    def _delete(self, zone: Zone, record: Record) -> None:
        def delete() -> None:
            try:
                self._client.dns.records.delete(record.id, zone_id=zone.id)
            except cloudflare.NotFoundError as error:
                # Gone already: the wanted state, most likely by our own request whose answer was lost.
                if not _codes(error) & NO_SUCH_RECORD:
                    raise

        self._ask(f"remove the record {record}", delete)

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except cloudflare.APIError as error:
            raise _as_kit_error(what, self._url, error) from None


def _parents(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[i:]) for i in range(len(labels) - 1)]


def _key(record: Record) -> tuple[str, str]:
    return record.type, record.content


def _fields(record: Record) -> dict[str, Any]:
    return {
        "name": record.name,
        "type": record.type,
        "content": record.content,
        "ttl": record.ttl,
        "proxied": record.proxied,
        "comment": record.comment,
    }


def _check_permission(zone: Any) -> None:
    permissions = zone.permissions
    if permissions and _NEEDED not in permissions:
        raise UsageError(
            f"the Cloudflare token may not change DNS records in {zone.name}", seen=", ".join(permissions), next=_RIGHTS
        )


def _codes(error: cloudflare.APIError) -> set[int]:
    """Every code in Cloudflare's error envelope, nested ones too; none when the body isn't one (a proxy's HTML page)."""
    return {code for code, _ in _entries(error.body)}


def _entries(body: object) -> Iterator[tuple[int, str]]:
    if not isinstance(body, dict):
        return
    for key in ("errors", "error_chain"):
        for entry in body.get(key) or []:
            if isinstance(entry, dict):
                yield int(entry.get("code") or 0), str(entry.get("message") or "")
                yield from _entries(entry)


def _as_kit_error(what: str, url: str, error: cloudflare.APIError) -> KitError:
    """Say what Cloudflare said, without the request (its headers hold the token)."""
    if not isinstance(error, cloudflare.APIStatusError):
        # The HTTP library's words: "Connection refused", "certificate verify failed: …", or a body that is no answer.
        cause = f"{error.__cause__ or error.message}"
        advice = "run this again"
        if isinstance(error.__cause__, httpx.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in cause:
            advice = "name the file with that server's CA certificates (api_ca_file), or mend the server's certificate"
        return Unreachable(f"cannot {what}: no answer from {url}", seen=cause, next=advice)
    said = "; ".join(f"{code} {message}" for code, message in _entries(error.body)) or f"HTTP {error.status_code}"
    codes = _codes(error)
    if error.status_code == 429:
        return Unreachable(
            f"cannot {what}: Cloudflare's limit of requests is reached", seen=said, next="wait five minutes, run again"
        )
    if error.status_code >= 500:
        return Unreachable(f"cannot {what}: Cloudflare has a problem", seen=said, next="run this again later")
    if codes & MALFORMED_TOKEN:
        return UsageError(
            f"cannot {what}: the Cloudflare token is malformed", seen=said, next="put the bare token into the file, no quotes"
        )
    if error.status_code in (401, 403) or codes & TOKEN_REFUSED:
        return UsageError(f"cannot {what}: Cloudflare refuses the token", seen=said, next=_RIGHTS)
    return KitError(f"cannot {what}: Cloudflare refuses it", seen=said, next="mend what Cloudflare names and run this again")
