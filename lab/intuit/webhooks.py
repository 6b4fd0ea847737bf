"""Webhooks: what changed is told to a registered address, signed, in either format, with Intuit's retries (fact 2.10).

Waiting follows the lab's clock, so that six hours pass in a moment when somebody moves it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

import requests

from lab.intuit.clock import Clock, answer_time, row_time

MINUTE, HOUR = 60.0, 3600.0
RETRY_AFTER_S = (10.0, 20.0, 30.0, 5 * MINUTE, 20 * MINUTE, 2 * HOUR, 4 * HOUR, 6 * HOUR)
EVERY_S = 6 * HOUR
ANSWER_WITHIN_S = 3.0
FORMATS = ("legacy", "cloudevents")
PAST = {"Create": "created", "Update": "updated", "Delete": "deleted", "Merge": "merged", "Void": "voided", "Emailed": "emailed"}
_NAMES = (
    "Account Bill Class Customer Department Employee Estimate Invoice Item Payment PaymentMethod Preferences Purchase"
    " SalesReceipt TaxAgency Term Vendor"
)
ENTITIES = frozenset(_NAMES.split())


@dataclass(frozen=True)
class Address:
    """Where an app wants to be told, in which format, and the verifier token that signs. ``ca_file`` proves its certificate."""

    url: str
    verifier_token: str
    format: str = "cloudevents"
    ca_file: str = ""


@dataclass(frozen=True)
class Event:
    """One change of one object. ``id`` stays the same when the event is sent again."""

    realm: str
    name: str
    entity_id: str
    operation: str
    id: str
    time: str
    deleted_id: str = ""


@dataclass
class Delivery:
    """One POST and its attempts: the lab time of each in seconds since the epoch, and the status (0 = no answer)."""

    body: bytes
    due: float
    attempts: list[tuple[float, int]] = field(default_factory=list)
    delivered: bool = False


def legacy(events: list[Event]) -> Any:
    """The format until 2026: one notification for each company."""
    realms: dict[str, list[dict[str, str]]] = {}
    for event in events:
        entity = {"name": event.name, "id": event.entity_id, "operation": event.operation, "lastUpdated": event.time}
        realms.setdefault(event.realm, []).append(entity | ({"deletedId": event.deleted_id} if event.deleted_id else {}))
    notifications = [{"realmId": realm, "dataChangeEvent": {"entities": entities}} for realm, entities in realms.items()]
    return {"eventNotifications": notifications}


def cloudevents(events: list[Event]) -> Any:
    """CloudEvents 1.0: a list of events."""
    return [
        {
            "specversion": "1.0",
            "id": event.id,
            "source": "intuit." + base64.b64encode(hashlib.sha256(event.realm.encode()).digest()).decode(),
            "type": f"qbo.{event.name.lower()}.{PAST[event.operation]}.v1",
            "datacontenttype": "application/json",
            "time": event.time,
            "intuitentityid": event.entity_id,
            "intuitaccountid": event.realm,
            "data": {"deletedid": event.deleted_id} if event.deleted_id else {},
        }
        for event in events
    ]


def signature(body: bytes, verifier_token: str) -> str:
    """The value of ``intuit-signature``: base64 of HMAC-SHA256 over the body's bytes."""
    return base64.b64encode(hmac.digest(verifier_token.encode(), body, "sha256")).decode()


class Webhooks:
    """Sends one POST after the other; a later one waits until the first was acknowledged."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.address: Address | None = None
        self.deliveries: list[Delivery] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def event(self, realm: str, name: str, entity_id: str, operation: str, *, event_id: str = "", deleted_id: str = "") -> Event:
        """A change that happens now. Raises ``ValueError`` for an entity or an operation that has no webhook."""
        if name not in ENTITIES or operation not in PAST:
            raise ValueError(f"no webhook tells of {operation} of {name}")
        return Event(realm, name, entity_id, operation, event_id or str(uuid.uuid4()), row_time(self.clock.now()), deleted_id)

    def send(self, events: list[Event], form: str = "") -> None:
        """Queue one POST with these events. Raises ``ValueError`` without an address."""
        if self.address is None:
            raise ValueError("no address is registered")
        make = legacy if (form or self.address.format) == "legacy" else cloudevents
        self.deliveries.append(Delivery(json.dumps(make(events)).encode(), self.clock.seconds()))
        self.wake()

    def changed(self, realm: str, name: str, entity_id: str, operation: str) -> None:
        """Tell of a write through the API, if anybody wants to know and the entity has webhooks."""
        if self.address is not None and name in ENTITIES:
            self.send([self.event(realm, name, entity_id, operation)])

    def wake(self) -> None:
        """Look again at what is due: something was queued, or the clock was moved."""
        self._wake.set()
        if self._waiting() is not None and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._deliver())

    def clear(self) -> None:
        """Forget the address and everything queued."""
        self.address = None
        self.deliveries.clear()
        self._wake.set()

    def report(self) -> list[dict[str, Any]]:
        """Every delivery with its attempts."""
        return [{**asdict(each), "body": json.loads(each.body)} for each in self.deliveries]

    def _waiting(self) -> Delivery | None:
        return next((each for each in self.deliveries if not each.delivered), None)

    async def _deliver(self) -> None:
        while (first := self._waiting()) is not None and (address := self.address) is not None:
            self._wake.clear()
            pause = first.due - self.clock.seconds()
            if pause > 0:
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                except TimeoutError:
                    continue
            else:
                await self._attempt(first, address)

    async def _attempt(self, delivery: Delivery, address: Address) -> None:
        status = await asyncio.to_thread(self._post, delivery.body, address)
        tries = len(delivery.attempts)
        now = self.clock.seconds()
        delivery.attempts.append((now, status))
        delivery.delivered = status == 200
        delivery.due = now + (RETRY_AFTER_S[tries] if tries < len(RETRY_AFTER_S) else EVERY_S)

    def _post(self, body: bytes, address: Address) -> int:
        kind = "application/cloudevents+json" if body.startswith(b"[") else "application/json"
        headers = {
            "Content-Type": f"{kind};charset=utf-8",
            "User-Agent": "intuit_notification_lab",
            "intuit-signature": signature(body, address.verifier_token),
            "intuit-created-time": answer_time(self.clock.now()),
            "intuit-t-id": secrets.token_hex(16),
            "intuit-notification-schema-version": "1.0",
        }
        try:
            answer = requests.post(
                address.url,
                data=body,
                headers=headers,
                timeout=ANSWER_WITHIN_S,
                allow_redirects=False,
                verify=address.ca_file or True,
            )
        except requests.RequestException:
            return 0
        answer.close()
        return answer.status_code
