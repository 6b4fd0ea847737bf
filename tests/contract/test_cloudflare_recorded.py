"""The Cloudflare look-alike against what the real API was recorded to answer, request by request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from lab.cloudflare.process import running

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "cloudflare"
pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="no recorded Cloudflare answers: ../shared is not next to the checkout"
)

ID = re.compile(r"[0-9a-f]{32}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


def cassettes() -> list[str]:
    return sorted(path.stem for path in RECORDED.glob("lexicon__*.json"))


def masked(value: Any, key: str = "") -> Any:
    """The answer with everything that differs from account to account and from day to day taken out, types kept."""
    if isinstance(value, dict):
        if key == "account":
            return sorted(value)
        return {k: masked(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(v) for v in value]
    if isinstance(value, str) and (ID.fullmatch(value) or TIME.fullmatch(value)):
        return "<id>" if ID.fullmatch(value) else "<time>"
    return value


def ok(exchange: dict[str, Any]) -> bool:
    return bool(exchange["response"]["body"]["success"])


class Replay:
    """Sends recorded requests to the look-alike; recorded ids are translated to its own."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.ids: dict[str, str] = {}

    def send(self, request: dict[str, Any]) -> requests.Response:
        parts = urlsplit(request["uri"])
        path = parts.path + ("?" + parts.query if parts.query else "")
        for recorded, own in self.ids.items():
            path = path.replace(recorded, own)
        body = request["body"] if request["method"] in ("POST", "PUT", "PATCH") else None
        return requests.request(
            request["method"], self.base + path, json=body, headers={"Authorization": "Bearer good"}, timeout=10
        )

    def prepare(self, exchanges: list[dict[str, Any]]) -> None:
        """Make the records that the recorded account held before: those it listed, unless the recording itself made them."""
        made = {e["response"]["body"]["result"]["id"] for e in exchanges if e["request"]["method"] == "POST" and ok(e)}
        lists = [e["response"]["body"]["result"] for e in exchanges if "/dns_records?" in e["request"]["uri"]]
        there = {r["id"]: r for found in lists for r in found if r["id"] not in made}
        self.learn(exchanges[0]["response"]["body"]["result"], self.send(exchanges[0]["request"]).json()["result"])
        uri = exchanges[0]["request"]["uri"].partition("/zones")[0] + f"/zones/{next(iter(self.ids))}/dns_records"
        for record in sorted(there.values(), key=lambda r: r["created_on"]):
            body = {name: record[name] for name in ("name", "type", "content", "ttl")}
            assert self.send({"method": "POST", "uri": uri, "body": body}).status_code == 200

    def learn(self, recorded: Any, own: Any) -> None:
        pairs = zip(recorded, own, strict=False) if isinstance(recorded, list) else [(recorded, own)]
        for theirs, ours in pairs:
            if theirs and ours:
                self.ids[theirs["id"]] = ours["id"]


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    """The look-alike with the zones of the recorded account."""
    first = json.loads((RECORDED / "lexicon__authenticate.json").read_text())[0]["response"]["body"]["result"]
    zones = [part for zone in first for part in ("--zone", f"{zone['name']}={','.join(zone['name_servers'])}")]
    with running("--token", "good", *zones) as address:
        yield address


@pytest.fixture
def base(account: str) -> str:
    requests.post(f"{account}/lab/reset", timeout=10).raise_for_status()
    return account


@pytest.mark.parametrize("name", cassettes())
def test_answers_as_recorded(name: str, base: str) -> None:
    exchanges = json.loads((RECORDED / f"{name}.json").read_text())
    replay = Replay(base)
    replay.prepare(exchanges)
    for exchange in exchanges:
        recorded, own = exchange["response"], replay.send(exchange["request"])
        what = f"{exchange['request']['method']} {exchange['request']['uri']}"
        assert own.status_code == recorded["status"]["code"], what
        body = own.json()
        replay.learn(recorded["body"].get("result"), body.get("result"))
        assert own.headers["server"] == recorded["headers"]["server"]
        assert masked(body) == masked(recorded["body"]), what


@pytest.fixture(scope="module")
def two_zones() -> Iterator[str]:
    tokens = ("--token", "good", "--token", "reader read mine.example", "--token", "other edit theirs.example")
    with running("--zone", "mine.example", "--zone", "theirs.example", *tokens) as address:
        yield address


@pytest.fixture
def lab(two_zones: str) -> str:
    requests.post(f"{two_zones}/lab/reset", timeout=10).raise_for_status()
    return two_zones


def call(lab: str, method: str, path: str, who: str = "good", body: Any = None, **headers: str) -> requests.Response:
    given = headers or {"Authorization": f"Bearer {who}"}
    return requests.request(method, f"{lab}/client/v4{path}", json=body, headers=given, timeout=10)


def records(lab: str) -> str:
    return f"/zones/{call(lab, 'GET', '/zones?name=mine.example').json()['result'][0]['id']}/dns_records"


def record(**values: Any) -> dict[str, Any]:
    return {"name": "qbo.mine.example", "type": "A", "content": "11.22.33.10", "ttl": 3600, **values}


def identical(lab: str) -> requests.Response:
    call(lab, "POST", records(lab), body=record())
    return call(lab, "POST", records(lab), body=record())


def same_value(lab: str) -> requests.Response:
    call(lab, "POST", records(lab), body=record())
    return call(lab, "POST", records(lab), body=record(ttl=60))


def beside_cname(lab: str) -> requests.Response:
    call(lab, "POST", records(lab), body=record(type="CNAME", content="elsewhere.example"))
    return call(lab, "POST", records(lab), body=record())


def too_many(lab: str) -> requests.Response:
    requests.post(f"{lab}/lab/faults", json=[{"when": {}, "fault": "429"}], timeout=10)
    return call(lab, "GET", "/zones")


PROVOKE: dict[int, Callable[[str], requests.Response]] = {
    81058: identical,
    81057: same_value,
    81053: beside_cname,
    1004: lambda lab: call(lab, "POST", records(lab), body=record(content="qbo")),
    81044: lambda lab: call(lab, "DELETE", f"{records(lab)}/{'0' * 32}"),
    6003: lambda lab: call(lab, "GET", "/zones", Authorization="Bearer Bearer good"),
    10000: lambda lab: call(lab, "POST", records(lab), "reader", record()),
    9109: lambda lab: call(lab, "GET", records(lab).removesuffix("/dns_records"), "other"),
    9103: lambda lab: call(lab, "GET", "/zones", **{"X-Auth-Key": "k", "X-Auth-Email": "e@mine.example"}),
    10100: too_many,
}


def recorded_errors() -> list[dict[str, Any]]:
    path = RECORDED / "errors.json"
    return [e for e in json.loads(path.read_text()) if e["body"]["errors"]] if path.exists() else []


@pytest.mark.parametrize("entry", recorded_errors(), ids=lambda e: str(e["body"]["errors"][0]["code"]))
def test_errors_as_recorded(entry: dict[str, Any], lab: str) -> None:
    wanted = entry["body"]["errors"][0]
    answer = PROVOKE[wanted["code"]](lab)
    assert (answer.status_code, answer.json()["errors"][0]) == (entry["status"], wanted)
    assert answer.json()["success"] is False
    assert answer.json()["result"] is None
    for name, value in entry.get("headers", {}).items():
        assert answer.headers[name] == value


def test_a_zone_of_another_account_is_an_empty_list_as_recorded(lab: str) -> None:
    entry = next(e for e in json.loads((RECORDED / "errors.json").read_text()) if not e["body"]["errors"])
    answer = call(lab, "GET", "/zones?name=mine.example", "other")
    assert (answer.status_code, answer.json()) == (entry["status"], entry["body"])
