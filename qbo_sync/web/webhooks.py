"""Intuit's webhooks: what changed in QuickBooks, proved by its signature.

Both formats are taken, told apart by their shape: CloudEvents (a list) and the one before it (an object). Events carry no data,
come in any order, more than once or not at all, so they only say where to look (facts/qbo_api.md 2.10).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator

import msgspec

from qbo_sync.config import Settings, read_secret
from qbo_sync.errors import KitError
from qbo_sync.intuit import Event

# Intuit sends up to 100 events and about 1 MB at a time.
MAX_BYTES = 2 * 1024 * 1024

_PAST = {"create": "created", "update": "updated", "delete": "deleted", "merge": "merged", "void": "voided"}


class NotAnEvent(KitError):
    """A signed body that holds no events in a form we know."""


class _CloudEvent(msgspec.Struct):
    id: str
    type: str
    intuitentityid: str
    intuitaccountid: str
    time: str = ""


class _Entity(msgspec.Struct):
    name: str
    id: str
    operation: str
    lastUpdated: str = ""  # noqa: N815 - Intuit's name


class _Change(msgspec.Struct):
    entities: list[_Entity]


class _Notification(msgspec.Struct):
    realmId: str  # noqa: N815 - Intuit's name
    dataChangeEvent: _Change  # noqa: N815 - Intuit's name


class _Legacy(msgspec.Struct):
    eventNotifications: list[_Notification]  # noqa: N815 - Intuit's name


def signed(settings: Settings, body: bytes, signature: str) -> bool:
    """Whether Intuit signed exactly these bytes. Raises an error when the verifier token can't be read."""
    path = settings.web.verifier_token_file
    if path is None:
        return False
    token = read_secret(path, "webhook verifier token")
    expected = base64.b64encode(hmac.digest(token.encode(), body, "sha256"))
    return hmac.compare_digest(expected, signature.encode("utf-8", "replace"))


def parse(body: bytes) -> list[Event]:
    """The events of one POST, in either format. Raises :class:`NotAnEvent`."""
    try:
        document = msgspec.json.decode(body, type=list[_CloudEvent] | _Legacy)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotAnEvent("a webhook's body is not what Intuit sends", seen=str(error)) from error
    return list(_legacy(document) if isinstance(document, _Legacy) else map(_cloud_event, document))


def _cloud_event(event: _CloudEvent) -> Event:
    parts = event.type.split(".")
    entity, operation = (parts[1], parts[2]) if len(parts) == 4 else (event.type, "")
    return Event(event.id, event.intuitaccountid, entity.lower(), event.intuitentityid, operation.lower(), event.time)


def _legacy(document: _Legacy) -> Iterator[Event]:
    for notification in document.eventNotifications:
        for entity in notification.dataChangeEvent.entities:
            operation = entity.operation.lower()
            parts = (notification.realmId, entity.name.lower(), entity.id, _PAST.get(operation, operation), entity.lastUpdated)
            # This format has no id; the same change told again has the same parts.
            yield Event(hashlib.sha256("\0".join(parts).encode()).hexdigest(), *parts)
