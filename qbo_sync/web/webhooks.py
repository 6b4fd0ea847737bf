"""Intuit's webhooks: what changed in QuickBooks, proved by its signature and kept in the site's store until a run reads it.

Both formats are taken, told apart by their shape: CloudEvents (a list) and the one before it (an object). Events carry no data,
come in any order, more than once or not at all, so they only say where to look (facts/qbo_api.md 2.10).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple, dataclass
from datetime import UTC, datetime

import msgspec

from qbo_sync.config import Settings, read_secret
from qbo_sync.errors import KitError, UsageError

# Intuit sends up to 100 events and about 1 MB at a time.
MAX_BYTES = 2 * 1024 * 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS webhook_event (id TEXT PRIMARY KEY, realm TEXT NOT NULL, entity TEXT NOT NULL, entity_id TEXT NOT NULL,
    operation TEXT NOT NULL, occurred_at TEXT NOT NULL, received_at TEXT NOT NULL);
"""
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


@dataclass(frozen=True)
class Event:
    """One change: ``entity`` in lower case (``customer``), ``operation`` as ``created``, ``updated`` …"""

    id: str
    realm: str
    entity: str
    entity_id: str
    operation: str
    occurred_at: str


def signed(settings: Settings, body: bytes, signature: str) -> bool:
    """Whether Intuit signed exactly these bytes. Raises :class:`UsageError` when the verifier token can't be read."""
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


class WebhookQueue:
    """Events that wait for a run, in ``webhooks.db`` of the site's store. Opened per use; cheap."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.store.directory / "webhooks.db"

    def add(self, events: list[Event]) -> int:
        """Keep events, each id once; how many were new. They are on the disk when this returns. Raises :class:`UsageError`."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(*astuple(event), now) for event in events]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
            with closing(sqlite3.connect(self._path, timeout=2)) as database, database:
                database.executescript(f"PRAGMA synchronous = FULL;{_SCHEMA}")
                before = database.total_changes
                database.executemany("INSERT OR IGNORE INTO webhook_event VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                return database.total_changes - before
        except (OSError, sqlite3.Error) as error:
            raise UsageError(
                "webhook events cannot be kept in the site's store", seen=f"{self._path}: {error}", next="free disk space there"
            ) from error

    def waiting(self) -> int:
        """How many events wait. Makes nothing on the disk."""
        if not self._path.exists():
            return 0
        with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as database:
            (count,) = database.execute("SELECT count(*) FROM webhook_event").fetchone()
            return int(count)
