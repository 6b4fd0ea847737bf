"""Every shape of fault, the recorded ones first."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.errors import IntuitFault, ReconnectNeeded, Unreachable
from qbo_sync.intuit import AccessRefused
from qbo_sync.intuit.faults import Fault, error, parse

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "data" / "qbo" / "faults"
CONNECT = "https://qbo.acme.example/qbo/connect"

SERVICE = b'{"Fault":{"Error":[{"Message":"M","Detail":"D","code":"6240","element":"DisplayName"}],"type":"ValidationFault"}}'
GATEWAY = (
    b'{"warnings":null,"fault":{"error":[{"message":"M","detail":"D","code":"3200","element":null}],"type":"AUTHENTICATION"}}'
)
XML = (
    b'<?xml version="1.0"?><IntuitResponse xmlns="urn:x"><Fault type="T"><Error code="100">'
    b"<Message>M</Message><Detail>D</Detail></Error></Fault></IntuitResponse>"
)
OAUTH = b'{"error":"invalid_grant","error_description":"Token invalid"}'


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, SERVICE, Fault(400, "6240", "M", "D", "DisplayName", "ValidationFault")),
        (401, GATEWAY, Fault(401, "3200", "M", "D", "", "AUTHENTICATION")),
        (401, XML, Fault(401, "100", "M", "D", "", "T")),
        (200, SERVICE, Fault(200, "6240", "M", "D", "DisplayName", "ValidationFault")),
        (400, OAUTH, Fault(400, "invalid_grant", "Token invalid", type="OAuth")),
        (503, b"<html><head><title>503 Service Unavailable</title></head>", Fault(503, message="503 Service Unavailable")),
        (404, b"", Fault(404, message="an empty answer")),
        (302, b"moved", Fault(302, message="an answer that is not Intuit's")),
        (429, b"\xef\xbb\xbf" + XML.replace(b"100", b"3001"), Fault(429, "3001", "M", "D", "", "T")),
    ],
)
def test_each_shape_is_read(status: int, body: bytes, expected: Fault) -> None:
    assert parse(status, body) == expected


def test_recorded_faults_are_read() -> None:
    if not RECORDED.is_dir():
        pytest.skip("the recorded answers (../shared/data beside the checkout) are not here")
    for path in sorted(RECORDED.iterdir()):
        named = re.match(r"http(\d+)_", path.name)
        assert named
        body = path.read_bytes()
        if path.name == "http200_attachable_upload_fault.json":
            continue  # the fault is inside a list of attachments, which this client never asks for
        fault = parse(int(named[1]), body)
        assert fault is not None, path.name
        assert fault.code.isdigit() or "malformed_batch" in path.name, path.name
        if path.name.startswith(("http429", "http403_throttle")):
            assert fault.throttled


def test_rows_are_no_fault() -> None:
    rows = {"QueryResponse": {"Customer": [{"Id": "1", "DisplayName": "Fault & Sons", "Notes": '"Fault"'}]}}
    assert parse(200, msgspec.json.encode(rows)) is None


@given(st.integers(100, 599), st.one_of(st.binary(), st.text().map(str.encode), st.binary().map(lambda b: b"<Fault>" + b)))
def test_no_answer_can_break_the_reading(status: int, body: bytes) -> None:
    fault = parse(status, body)
    assert status < 300 or fault is not None


def test_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Fault><Error code="1"><Message>&a;&a;&a;</Message></Error></Fault>'
    assert parse(500, bomb) == Fault(500, message="an answer that is not Intuit's")


def test_deep_nesting_is_no_crash() -> None:
    assert parse(500, b'{"Fault":' + b"[" * 100_000) == Fault(500, message="an answer that is not Intuit's")


def test_a_refused_token_is_not_repeated() -> None:
    echoed = GATEWAY.replace(b'"D"', b'"Token expired: SECRET-TOKEN"')
    fault = parse(401, echoed)
    assert fault is not None
    assert "SECRET-TOKEN" not in str(error(fault, what="read", tid="1", reconnect=CONNECT))


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault(401, "3200"), ReconnectNeeded, CONNECT),
        (Fault(401, "130"), AccessRefused, "environment"),
        (Fault(403, "3100"), AccessRefused, "administrator"),
        (Fault(500, "10000"), Unreachable, "later"),
        (Fault(429), Unreachable, "later"),
        (Fault(400, "6240", "Duplicate Name"), IntuitFault, "Duplicate Name"),
    ],
)
def test_each_fault_says_what_to_do(fault: Fault, kind: type[Exception], words: str) -> None:
    raised = error(fault, what="read", tid="1-abc", reconnect=CONNECT)
    assert type(raised) is kind
    assert words in str(raised)
    assert "1-abc" in str(raised)


def test_lost_access_ends_with_the_exit_code_for_reconnecting() -> None:
    assert AccessRefused.exit_code == ReconnectNeeded.exit_code == 6
