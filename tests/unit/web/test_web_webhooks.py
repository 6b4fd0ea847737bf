"""Webhooks: only what Intuit signed is kept, once, and it is on the disk before the answer."""

from __future__ import annotations

import base64
import hmac
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from web_site import TOML, VERIFIER, Site, free_port, serving

from qbo_sync.intuit import EventQueue
from qbo_sync.web.webhooks import MAX_BYTES, NotAnEvent, parse

EVENT = {
    "specversion": "1.0",
    "id": "5c0c3e9e-5a39-4f0e-9c4c-1b1f6a3f2a01",
    "source": "intuit.x",
    "type": "qbo.customer.merged.v1",
    "time": "2026-11-24T09:00:00.123456789Z",
    "intuitentityid": "7",
    "intuitaccountid": "4620816365000000001",
    "data": {"deletedid": "8"},
}
LEGACY = {
    "eventNotifications": [
        {
            "realmId": "4620816365000000001",
            "dataChangeEvent": {
                "entities": [
                    {"name": "Vendor", "id": "3", "operation": "Delete", "lastUpdated": "2026-11-24T09:00:00-0800"},
                    {"name": "Item", "id": "4", "operation": "Emailed", "lastUpdated": "2026-11-24T09:00:00.000Z"},
                ]
            },
        }
    ]
}


def sign(body: bytes, token: str = VERIFIER) -> str:
    return base64.b64encode(hmac.digest(token.encode(), body, "sha256")).decode()


def post(site: Site, body: bytes, signature: str | None = None, kind: str = "application/cloudevents+json") -> int:
    headers = {"intuit-signature": sign(body) if signature is None else signature, "Content-Type": kind}
    return requests.post(f"{site.base}/qbo/webhooks", data=body, headers=headers, timeout=10).status_code


@pytest.fixture(autouse=True)
def empty_queue(site: Site) -> None:
    (site.settings.store.directory / "webhooks.db").unlink(missing_ok=True)


def held(site: Site) -> list[tuple[Any, ...]]:
    """The queue as it lies on the disk."""
    database = sqlite3.connect(site.settings.store.directory / "webhooks.db")
    rows = database.execute(
        "SELECT realm, entity, entity_id, operation, occurred_at FROM webhook_event ORDER BY entity"
    ).fetchall()
    database.close()
    return rows


def test_a_signed_event_is_kept_once_and_only_for_this_user(site: Site) -> None:
    body = json.dumps([EVENT]).encode()
    assert [post(site, body), post(site, body)] == [200, 200]
    assert held(site) == [("4620816365000000001", "customer", "7", "merged", "2026-11-24T09:00:00.123456789Z")]
    assert EventQueue(site.settings).state().count == 1
    assert (site.settings.store.directory / "webhooks.db").stat().st_mode & 0o077 == 0


def test_the_format_before_is_taken_too_and_known_again_by_its_parts(site: Site) -> None:
    body = json.dumps(LEGACY).encode()
    assert [post(site, body, kind="application/json") for _ in range(2)] == [200, 200]
    assert [row[1:4] for row in held(site)] == [("item", "4", "emailed"), ("vendor", "3", "deleted")]


@pytest.mark.parametrize("signature", ["", "x", "ö", sign(b"[]"), sign(json.dumps([EVENT]).encode(), "another token")])
def test_what_intuit_did_not_sign_is_refused_and_not_kept(signature: str, site: Site) -> None:
    assert post(site, json.dumps([EVENT]).encode(), signature.encode().decode("latin-1")) == 401
    assert EventQueue(site.settings).state().count == 0


def test_the_signature_is_over_the_very_bytes(site: Site) -> None:
    body = json.dumps([EVENT]).encode()
    assert post(site, json.dumps([EVENT], indent=1).encode(), sign(body)) == 401
    assert post(site, body + b"\n", sign(body)) == 401


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"null", b"[{}]", b'"x"', b'[{"id":7}]', b"\xff\xfe", b'{"eventNotifications":[{}]}']
)
def test_a_signed_body_in_no_known_form_is_refused(body: bytes, site: Site) -> None:
    assert post(site, body) == 400
    assert EventQueue(site.settings).state().count == 0


def test_a_huge_body_is_not_read_to_its_end(site: Site) -> None:
    assert post(site, b" " * (MAX_BYTES + 1)) == 413


def test_nothing_is_acknowledged_that_could_not_be_kept(site: Site) -> None:
    (site.settings.store.directory / "webhooks.db").write_bytes(b"this is no database" * 100)
    assert post(site, json.dumps([EVENT]).encode()) >= 500
    (site.settings.store.directory / "webhooks.db").unlink()
    assert post(site, json.dumps([EVENT]).encode()) == 200


def test_the_look_alike_is_heard(site: Site) -> None:
    address = {"url": f"{site.base}/qbo/webhooks", "verifier_token": VERIFIER}
    for form in ("cloudevents", "legacy"):
        requests.post(f"{site.lab}/lab/webhook/address", json=address, timeout=10).raise_for_status()
        sent = {"events": [{"name": "Customer", "id": "5", "operation": "Update"}], "format": form}
        requests.post(f"{site.lab}/lab/webhook", json=sent, timeout=10).raise_for_status()
    until = time.monotonic() + 20
    while EventQueue(site.settings).state().count < 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert [row[:4] for row in held(site)] == [(site.realm, "customer", "5", "updated")] * 2


def test_without_a_verifier_token_there_is_no_such_page(site: Site, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "secret").write_text("x")
    base = f"http://127.0.0.1:{port}"
    toml = tmp_path / "plain.toml"
    toml.write_text(TOML.format(lab=site.lab, client_id="x", port=port, public_url=base))
    with serving(toml, base):
        assert requests.post(f"{base}/qbo/webhooks", data=b"[]", timeout=10).status_code == 404
        assert requests.get(f"{base}/qbo/webhooks", timeout=10).status_code == 404
    assert not (tmp_path / "store" / "webhooks.db").exists()


@given(
    st.one_of(
        st.binary(max_size=200), st.recursive(st.none() | st.text(), st.lists, max_leaves=5).map(json.dumps).map(str.encode)
    )
)
def test_any_body_is_events_or_refused(body: bytes) -> None:
    try:
        events = parse(body)
    except NotAnEvent:
        return
    assert events == []
