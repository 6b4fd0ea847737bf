"""The admin interface, the throttles and the faults on demand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.intuit.clock import pacific, parse_time
from lab.intuit.process import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.conftest import Caller


# Counters, clock, data ----------------------------------------------------------------------------------------------------


def test_counters_tell_requests_metered_reads_and_rows(intuit: Caller) -> None:
    intuit.query("select * from Term maxresults 3")
    intuit.query("select * from NULL")
    intuit.post("vendor", {"DisplayName": "Counted Supply"})
    intuit.post("batch", {"BatchItemRequest": [{"bId": str(n), "Query": "select * from Term maxresults 2"} for n in range(2)]})
    seen = intuit.lab("stats")
    assert (seen["requests"], seen["metered"], seen["metered_by_query"], seen["rows"]) == (4, 2, 3, 7)
    intuit.lab("reset", {})
    assert set(intuit.lab("stats").values()) == {0}


def test_the_highest_number_of_calls_at_once_is_told(start: Callable[..., Caller]) -> None:
    slow = start("--latency-ms", "300")
    address, headers = f"{slow.company}/preferences", {"Authorization": f"Bearer {slow.grant['access_token']}"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: requests.get(address, headers=headers, timeout=30).status_code, range(4)))
    assert answers == [200] * 4
    assert 1 < slow.lab("stats")["peak_in_flight"] <= 4


def test_a_reset_brings_data_and_clock_back_and_keeps_grants(intuit: Caller) -> None:
    before = intuit.lab("entities/Vendor")
    intuit.post("vendor", {"DisplayName": "Passing Supply"}, requestid="passing").raise_for_status()
    intuit.lab("entities/Vendor", {"Id": "900001", "DisplayName": "Raw", "Active": True, "SyncToken": "0"})
    assert len(intuit.rows("Vendor", "where DisplayName in ('Raw', 'Passing Supply')")) == 2
    intuit.lab("clock", {"advance_s": 7200})
    assert intuit.get("preferences").status_code == 401
    intuit.lab("reset", {})
    assert intuit.lab("entities/Vendor") == before
    assert intuit.post("vendor", {"DisplayName": "Another Supply"}, requestid="passing").status_code == 200
    assert intuit.get("preferences").status_code == 200


@pytest.mark.parametrize(
    ("verb", "document"),
    [
        ("faults", {"fault": "500"}),
        ("faults", [{"when": {"nth": 1}, "fault": "flood"}]),
        ("faults", [{"when": {"moon": "full"}, "fault": "500"}]),
        ("token", {"realm": "1"}),
        ("entities/Custmoer", [{"Id": "1"}]),
        ("entities/Customer", {"Id": 1}),
    ],
)
def test_wrong_admin_calls_are_refused_with_a_reason(verb: str, document: Any, intuit: Caller) -> None:
    answer = intuit.http.post(f"{intuit.url}/lab/{verb}", json=document, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]


# Faults on demand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "kind", "text"),
    [
        ("401", 401, "application/json", '"code":"3200"'),
        ("403", 403, "application/json", '"code":"3100"'),
        ("429", 429, "application/json", '"code":"3001"'),
        ("429_xml", 429, "application/xml", '<Error code="3001">'),
        ("500", 500, "application/json", '"code":"10000"'),
        ("403_throttled", 403, "application/json", '"code":"3001"'),
        ("502_html", 502, "text/html", "<h1>502 Bad Gateway</h1>"),
        ("503_html", 503, "text/html", "<h1>503 Service Unavailable</h1>"),
        ("504_empty", 504, "", ""),
        ("200_fault", 200, "application/json", '"Fault"'),
        ("200_html", 200, "text/html", "<h1>Please sign in</h1>"),
        ("wrong_content_type", 200, "text/html", '"Preferences"'),
    ],
)
def test_the_nth_request_gets_the_fault_and_no_other(fault: str, status: int, kind: str, text: str, intuit: Caller) -> None:
    intuit.lab("faults", [{"when": {"nth": 2}, "fault": fault}])
    answers = [intuit.get("preferences") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, status, 200]
    assert answers[1].headers.get("Content-Type", "").startswith(kind)
    assert text in answers[1].text
    assert answers[0].headers["Content-Type"].startswith("application/json")


def test_a_truncated_answer_ends_half_way(intuit: Caller) -> None:
    intuit.lab("faults", [{"when": {"entity": "customer"}, "fault": "truncated"}])
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        intuit.query("select * from Customer")
    assert intuit.query("select * from Vendor").status_code == 200


def test_a_closed_connection_gives_no_answer_at_all(intuit: Caller) -> None:
    intuit.lab("faults", [{"when": {"nth": 1}, "fault": "closed"}])
    with pytest.raises(requests.exceptions.ConnectionError):
        intuit.get("preferences")
    assert intuit.get("preferences").status_code == 200


def test_a_share_of_the_requests(intuit: Caller) -> None:
    intuit.lab("faults", [{"when": {"share": 0.5}, "fault": "500"}])
    seen = [intuit.get("preferences").status_code for _ in range(60)]
    assert 10 < seen.count(500) < 50
    intuit.lab("faults", [])
    assert {intuit.get("preferences").status_code for _ in range(5)} == {200}


def test_a_fault_by_path_and_number_of_times_also_reaches_the_token_endpoint(intuit: Caller) -> None:
    intuit.lab("faults", [{"when": {"path": "/oauth2/", "times": 1}, "fault": "503_html"}])
    form = {"grant_type": "refresh_token", "refresh_token": intuit.grant["refresh_token"]}
    assert [intuit.token(**form).status_code for _ in range(2)] == [503, 200]


def test_a_posted_query_is_counted_by_its_entity(intuit: Caller) -> None:
    intuit.lab("faults", [{"when": {"entity": "Term"}, "fault": "500"}])
    headers = {"Authorization": f"Bearer {intuit.grant['access_token']}"}
    seen = [
        intuit.http.post(f"{intuit.company}/query", data=f"select * from {entity}", headers=headers, timeout=30).status_code
        for entity in ("Term", "Class")
    ]
    assert seen == [500, 200]


# The program --------------------------------------------------------------------------------------------------------------


def test_it_says_where_it_listens_and_ends_without_a_complaint_whatever_was_injected() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lab.intuit", "--port", "0", "--realm", "77"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("intuit look-alike on http://127.0.0.1:")
        assert line.endswith(" realm 77\n")
        address = line.split()[3]
        with requests.Session() as http:
            for fault in ("truncated", "closed"):
                http.post(f"{address}/lab/faults", json=[{"when": {"path": "/.well-known/"}, "fault": fault}], timeout=30)
                with pytest.raises(requests.exceptions.RequestException):
                    http.get(f"{address}/.well-known/openid_configuration", timeout=30)
            os.kill(process.pid, signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "intuit")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return str(files[0]), str(files[1])


def test_it_serves_tls_and_then_names_https_addresses(certificate: tuple[str, str]) -> None:
    cert, key = certificate
    with running("--tls-cert", cert, "--tls-key", key) as address:
        document = requests.get(f"{address}/.well-known/openid_configuration", verify=cert, timeout=30).json()
    assert address.startswith("https://127.0.0.1:")
    assert document["token_endpoint"] == f"{address}/oauth2/v1/tokens/bearer"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--tls-cert", "x.pem"), "--tls-cert and --tls-key belong together"),
        (("--tls-cert", "x.pem", "--tls-key", "y.pem"), "No such file"),
        (("--client-secret-file", "nowhere"), "No such file"),
        (("--data", "nowhere"), "--data nowhere: no such folder"),
    ],
)
def test_a_wrong_call_is_refused_with_its_reason(arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(RuntimeError, match=rf"exit code 2[\s\S]*{reason}"), running(*arguments):
        pass


def test_the_company_writes_times_with_its_own_offset() -> None:
    def offset(text: str) -> str:
        return pacific(parse_time(text)).isoformat()[-6:]

    assert [offset(f"2026-{day}T12:00:00+00:00") for day in ("01-15", "07-15")] == ["-08:00", "-07:00"]
    assert offset("2026-03-08T09:59:59+00:00") == "-08:00"
    assert offset("2026-03-08T10:00:00+00:00") == "-07:00"
    assert offset("2026-11-01T08:59:59+00:00") == "-07:00"
    assert offset("2026-11-01T09:00:00+00:00") == "-08:00"
    assert parse_time("2026-07-15T12:00:00") == parse_time("2026-07-15T12:00:00-07:00")


def test_a_slow_body_comes_whole_and_late(intuit: Caller) -> None:
    quick = intuit.query("select * from Vendor")
    intuit.lab("faults", [{"when": {"nth": 1}, "fault": "slow_body", "seconds": 0.5}])
    began = time.monotonic()
    slow = intuit.query("select * from Vendor")
    assert time.monotonic() - began >= 0.5
    assert slow.json()["QueryResponse"] == quick.json()["QueryResponse"]


@pytest.mark.parametrize(
    ("fault", "order", "missed", "twice"),
    [("moved", "", 1, 1), ("moved", "orderby Id", 0, 0), ("doubled", "", 1, 1), ("doubled", "orderby Id", 0, 0)],
)
def test_a_row_renamed_between_pages_moves_the_others_in_the_order_of_names(
    fault: str, order: str, missed: int, twice: int, intuit: Caller
) -> None:
    everything = {row["Id"] for row in intuit.rows("Customer", "maxresults 1000")}
    intuit.lab("faults", [{"when": {"nth": 2}, "fault": fault}])
    pages = [intuit.rows("Customer", f"{order} startposition {start} maxresults 60") for start in (1, 61)]
    seen = [row["Id"] for page in pages for row in page]
    assert (len(everything) - len(set(seen)), len(seen) - len(set(seen))) == (missed, twice)


def test_what_is_called_compressed_and_is_not_cannot_be_read(intuit: Caller) -> None:
    intuit.lab("faults", [{"when": {"nth": 1}, "fault": "bad_gzip"}])
    with pytest.raises(requests.exceptions.ContentDecodingError):
        intuit.get("preferences")
    assert intuit.get("preferences").status_code == 200
