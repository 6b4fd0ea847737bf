"""Webhooks: what is sent, how it is signed, and when it is sent again, by the lab's clock."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import served

if TYPE_CHECKING:
    from tests.contract.conftest import Caller

TOKEN = "verifier-token-of-the-app"


class Listener(ThreadingHTTPServer):
    """An app's webhook address: keeps what comes and answers with the next of ``answers``, else 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    with served(Listener()) as server:
        yield server


@pytest.fixture
def told(intuit: Caller, listener: Listener) -> Callable[[int], list[Any]]:
    """Wait until so many POSTs have come, in all, and give their bodies."""
    intuit.lab("webhook/address", {"url": listener.url, "verifier_token": TOKEN})

    def wait(count: int) -> list[Any]:
        until = time.monotonic() + 20
        while len(listener.seen) < count and time.monotonic() < until:
            time.sleep(0.01)
        return [json.loads(body) for _, body in listener.seen]

    return wait


def attempted(intuit: Caller, count: int) -> list[Any]:
    """Wait until the first delivery has been tried so often, and give its attempts."""
    until = time.monotonic() + 20
    while len(attempts := intuit.lab("webhook")[0]["attempts"]) < count and time.monotonic() < until:
        time.sleep(0.01)
    found: list[Any] = attempts
    return found


def test_every_write_is_told_signed_and_in_the_format_of_the_app(
    intuit: Caller, listener: Listener, told: Callable[[int], list[Any]]
) -> None:
    vendor = intuit.post("vendor", {"DisplayName": "Told Supply"}).json()["Vendor"]
    ((event,),) = told(1)
    assert (event["specversion"], event["type"]) == ("1.0", "qbo.vendor.created.v1")
    assert (event["intuitentityid"], event["intuitaccountid"], event["data"]) == (vendor["Id"], intuit.grant["realmId"], {})
    headers, body = listener.seen[0]
    expected = base64.b64encode(hmac.new(TOKEN.encode(), body, hashlib.sha256).digest()).decode()
    assert headers["intuit-signature"] == expected
    assert headers["content-type"].startswith("application/cloudevents+json")
    intuit.lab("webhook/address", {"url": listener.url, "verifier_token": TOKEN, "format": "legacy"})
    batch = [
        {"bId": "1", "operation": "update", "Vendor": {"Id": vendor["Id"], "SyncToken": "0", "sparse": True, "AcctNum": "1"}}
    ]
    intuit.post("batch", {"BatchItemRequest": batch}).raise_for_status()
    (notification,) = told(2)[1]["eventNotifications"]
    (entity,) = notification["dataChangeEvent"]["entities"]
    assert notification["realmId"] == intuit.grant["realmId"]
    assert {**entity, "lastUpdated": ""} == {"name": "Vendor", "id": vendor["Id"], "operation": "Update", "lastUpdated": ""}


def test_what_nobody_acknowledges_comes_again_by_the_lab_clock_and_holds_up_what_follows(
    intuit: Caller, listener: Listener, told: Callable[[int], list[Any]]
) -> None:
    waits = [10, 20, 30, 300, 1200, 7200, 14400, 21600, 21600]
    listener.answers = [500, 302, 404, 500, 500, 500, 500, 500, 500]
    merged = {"name": "Customer", "id": "7", "operation": "Merge", "deleted_id": "8", "event_id": "same"}
    assert intuit.lab("webhook", {"events": [merged]}) == {"events": ["same"]}
    intuit.lab("webhook", {"events": [{"name": "Item", "id": "3", "operation": "Update"}], "format": "legacy"})
    for count, wait in enumerate(waits, 1):
        assert len(attempted(intuit, count)) == count
        intuit.lab("clock", {"advance_s": wait})
    seen = told(len(waits) + 2)
    assert [body[0]["id"] for body in seen[:-1]] == ["same"] * 10
    assert seen[0][0]["data"] == {"deletedid": "8"}
    assert seen[-1]["eventNotifications"][0]["dataChangeEvent"]["entities"][0]["name"] == "Item"
    attempts = attempted(intuit, 10)
    assert [status for _, status in attempts] == [500, 302, 404, 500, 500, 500, 500, 500, 500, 200]
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(attempts)]
    assert all(gap >= wait for gap, wait in zip(gaps, waits, strict=True))


@pytest.mark.parametrize(
    ("verb", "document"),
    [
        ("webhook", {"events": [{"name": "TaxCode", "id": "3", "operation": "Update"}]}),
        ("webhook", {"events": [{"name": "Item", "id": "3", "operation": "Paint"}]}),
        ("webhook", {"events": [{"name": "Item"}]}),
        ("webhook", {"events": [{"name": "Item", "id": "3", "operation": "Update"}]}),
        ("webhook/address", {"url": "http://127.0.0.1:9"}),
        ("webhook/address", {"url": "http://127.0.0.1:9", "verifier_token": "x", "format": "fax"}),
    ],
)
def test_events_that_cannot_be_sent_are_refused(verb: str, document: Any, intuit: Caller) -> None:
    answer = intuit.http.post(f"{intuit.url}/lab/{verb}", json=document, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]


RECORDINGS = (
    "cloudevents_account_created_blog",
    "cloudevents_customer_created",
    "cloudevents_customer_merged",
    "legacy_account_create_blog",
    "legacy_docs_two_entities",
    "legacy_webhook_payload_multi_entity",
    "legacy_webhook_payload_single_entity",
)
PRESENT = {"created": "Create", "merged": "Merge"}


def asked(recording: Any) -> list[dict[str, str]]:
    """What to ask the look-alike for, so that it sends this recording again."""
    if isinstance(recording, dict):
        return [
            {"realm": each["realmId"], "name": entity["name"], "id": entity["id"], "operation": entity["operation"]}
            for each in recording["eventNotifications"]
            for entity in each["dataChangeEvent"]["entities"]
        ]
    return [
        {
            "realm": event["intuitaccountid"],
            "name": event["type"].split(".")[1].capitalize(),
            "id": event["intuitentityid"],
            "operation": PRESENT[event["type"].split(".")[2]],
            "deleted_id": event["data"].get("deletedid", ""),
        }
        for event in recording
    ]


def without_identity(document: Any) -> Any:
    """The allowed differences: an event's own id, source and time."""
    if isinstance(document, list):
        return [without_identity(each) for each in document]
    if not isinstance(document, dict):
        return document
    event = "specversion" in document
    own = {"id", "source", "time"} if event else {"lastUpdated"}
    return {name: "" if name in own else without_identity(value) for name, value in document.items()}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_webhook_is_sent_in_its_recorded_form(
    name: str, intuit: Caller, told: Callable[[int], list[Any]], recorded: Callable[[str], Any]
) -> None:
    expected = recorded(f"webhooks/{name}.json")
    intuit.lab("webhook", {"events": asked(expected), "format": name.split("_")[0]})
    assert without_identity(told(1)[0]) == without_identity(expected)
