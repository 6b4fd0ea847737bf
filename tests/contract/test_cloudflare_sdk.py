"""The Cloudflare look-alike through Cloudflare's own SDK, and as a program."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import cloudflare
import pytest
import requests

from lab.child import TOP
from lab.cloudflare.process import running

RECORD = {"name": "qbo.mycompany.com", "type": "A", "content": "11.22.33.10", "ttl": 3600}


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    with running(
        "--zone", "mycompany.com", "--zone", "other.example", "--token", "good", "--token", "narrow edit other.example"
    ) as u:
        yield u


@pytest.fixture
def lab(program: str) -> str:
    admin(program, "reset")
    return program


def admin(lab: str, verb: str, document: Any = None) -> Any:
    method = "GET" if verb == "stats" else "POST"
    answer = requests.request(method, f"{lab}/lab/{verb}", json=document, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


@pytest.fixture
def sdk(lab: str) -> Iterator[cloudflare.Cloudflare]:
    with cloudflare.Cloudflare(api_token="good", base_url=f"{lab}/client/v4") as client:
        yield client


@pytest.fixture
def zone_id(sdk: cloudflare.Cloudflare) -> str:
    (zone,) = sdk.zones.list(name="mycompany.com")
    return str(zone.id)


def test_zone_as_the_sdk_reads_it(sdk: cloudflare.Cloudflare, zone_id: str) -> None:
    zone = sdk.zones.get(zone_id=zone_id)
    assert zone is not None
    assert (zone.name, zone.status) == ("mycompany.com", "active")
    assert zone.permissions == ["#dns_records:edit", "#dns_records:read", "#zone:read"]
    assert len(zone.name_servers) == 2


def test_token_is_verified(sdk: cloudflare.Cloudflare, lab: str) -> None:
    verified = sdk.user.tokens.verify()
    assert verified is not None
    assert verified.status == "active"
    with pytest.raises(cloudflare.AuthenticationError) as caught:
        sdk.with_options(api_token="nobody").user.tokens.verify()
    assert caught.value.errors[0].code == 1000


def test_a_token_sees_its_zones_only(lab: str) -> None:
    narrow = cloudflare.Cloudflare(api_token="narrow", base_url=f"{lab}/client/v4")
    assert [zone.name for zone in narrow.zones.list()] == ["other.example"]


def test_paging_ends_on_an_empty_page(sdk: cloudflare.Cloudflare, zone_id: str) -> None:
    for number in range(7):
        sdk.dns.records.create(zone_id=zone_id, **{**RECORD, "content": f"11.22.33.{number}"})
    found = list(sdk.dns.records.list(zone_id=zone_id, per_page=3))
    assert sorted(str(r.content) for r in found) == [f"11.22.33.{n}" for n in range(7)]
    assert list(sdk.dns.records.list(zone_id=zone_id, per_page=3, page=4)) == []


def test_exact_name_finds_no_neighbour(sdk: cloudflare.Cloudflare, zone_id: str) -> None:
    for name in ("qbo", "xqbo", "a.qbo"):
        sdk.dns.records.create(zone_id=zone_id, **{**RECORD, "name": f"{name}.mycompany.com"})
    found = list(sdk.dns.records.list(zone_id=zone_id, name={"exact": "qbo.mycompany.com"}, type="A"))
    assert [r.name for r in found] == ["qbo.mycompany.com"]
    assert list(sdk.dns.records.list(zone_id=zone_id, name={"exact": "qbo.mycompany.com"}, type="CNAME")) == []


def test_patch_keeps_the_comment_and_put_loses_it(sdk: cloudflare.Cloudflare, zone_id: str) -> None:
    made = sdk.dns.records.create(zone_id=zone_id, comment="qbokit:lab", **RECORD)
    assert made is not None
    body = {**RECORD, "content": "11.22.33.11"}
    patched = sdk.dns.records.edit(made.id, zone_id=zone_id, **body)
    assert patched is not None
    assert (patched.content, patched.comment) == ("11.22.33.11", "qbokit:lab")
    put = sdk.dns.records.update(made.id, zone_id=zone_id, **body)
    assert put is not None
    assert (put.content, put.comment) == ("11.22.33.11", None)


def test_proxied_record_has_an_automatic_ttl(sdk: cloudflare.Cloudflare, zone_id: str) -> None:
    made = sdk.dns.records.create(zone_id=zone_id, proxied=True, **RECORD)
    assert made is not None
    assert (made.proxied, made.ttl) == (True, 1)
    with pytest.raises(cloudflare.BadRequestError):
        sdk.dns.records.create(zone_id=zone_id, proxied=True, **{**RECORD, "content": "127.0.0.1"})


@pytest.mark.parametrize("wrong", [{"ttl": 59}, {"content": "11.22.33"}, {"name": "bad name"}, {"type": "BOGUS"}, {"comment": 7}])
def test_record_that_breaks_a_rule_is_refused(sdk: cloudflare.Cloudflare, zone_id: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(cloudflare.BadRequestError) as caught:
        sdk.dns.records.create(zone_id=zone_id, **{**RECORD, **wrong})
    assert caught.value.errors[0].code == 1004
    assert list(sdk.dns.records.list(zone_id=zone_id)) == []


def test_the_sdk_repeats_a_post_whose_answer_was_lost(sdk: cloudflare.Cloudflare, zone_id: str, lab: str) -> None:
    """The trap that the kit's own provider has to survive: the record is made, and the caller is told it can't be."""
    admin(lab, "faults", [{"when": {"method": "POST", "nth": 1}, "fault": "closed"}])
    with pytest.raises(cloudflare.BadRequestError) as caught:
        sdk.dns.records.create(zone_id=zone_id, **RECORD)
    assert caught.value.errors[0].code == 81058
    assert [r.content for r in sdk.dns.records.list(zone_id=zone_id)] == ["11.22.33.10"]
    assert admin(lab, "stats")["writes"] == 1


def test_the_sdk_waits_as_long_as_it_is_told(sdk: cloudflare.Cloudflare, zone_id: str, lab: str) -> None:
    admin(lab, "faults", [{"when": {"times": 1}, "fault": "429", "retry_after_s": 1}])
    assert sdk.zones.get(zone_id=zone_id) is not None
    assert admin(lab, "stats")["throttled"] == 1


@pytest.mark.parametrize(("fault", "kind"), [("429", cloudflare.RateLimitError), ("500", cloudflare.InternalServerError)])
def test_faults_as_the_sdk_tells_them(sdk: cloudflare.Cloudflare, lab: str, fault: str, kind: type[Exception]) -> None:
    admin(lab, "faults", [{"when": {}, "fault": fault}])
    with pytest.raises(kind):
        sdk.with_options(max_retries=0).zones.list()


def test_a_proxy_page_instead_of_json(sdk: cloudflare.Cloudflare, lab: str) -> None:
    admin(lab, "faults", [{"when": {}, "fault": "503_html"}])
    with pytest.raises(cloudflare.InternalServerError) as caught:
        sdk.with_options(max_retries=0).zones.list()
    assert caught.value.errors == []
    assert caught.value.response.headers["content-type"].startswith("text/html")


def test_limit_of_requests_and_the_clock(lab: str) -> None:
    session = requests.Session()
    session.headers["Authorization"] = "Bearer good"

    def status() -> int:
        return session.get(f"{lab}/client/v4/user/tokens/verify", timeout=10).status_code

    assert {status() for _ in range(1200)} == {200}
    assert status() == 429
    admin(lab, "clock", {"advance_s": 290})
    assert {status() for _ in range(20)} == {429}
    admin(lab, "clock", {"advance_s": 11})
    assert status() == 200


def test_share_of_faults_and_their_end(lab: str) -> None:
    admin(lab, "faults", [{"when": {"share": 0.5}, "fault": "500"}])
    url = f"{lab}/client/v4/zones"
    headers = {"Authorization": "Bearer good"}
    told = [requests.get(url, headers=headers, timeout=10).status_code for _ in range(30)]
    assert 5 <= told.count(500) <= 25
    admin(lab, "faults", [])
    assert requests.get(url, headers=headers, timeout=10).status_code == 200


def test_unknown_fault_is_refused(lab: str) -> None:
    answer = requests.post(f"{lab}/lab/faults", json=[{"when": {"hour": 3}, "fault": "500"}], timeout=10)
    assert (answer.status_code, "unknown condition hour" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--zone", "a.example"], "name a token"),
        (["--token", "t", "--nameserver", "127.0.0.1"], "--nameserver needs --tsig-key"),
        (["--token-file", "/nonexistent"], "No such file"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.cloudflare", "--port", "0", *arguments], cwd=TOP, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert said in done.stderr


def test_sigterm_ends_it_well() -> None:
    command = [sys.executable, "-m", "lab.cloudflare", "--port", "0", "--token", "t"]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("cloudflare look-alike on http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""
