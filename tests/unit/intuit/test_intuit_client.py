"""Reading and writing a company: paging, filters, faults on the way."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from intuit_lab import Lab, Rests

from lab.intuit.process import running
from qbo_sync.config import Settings
from qbo_sync.errors import IntuitFault, ReconnectNeeded, Unreachable
from qbo_sync.intuit import AccessRefused, Intuit, TokenStore, query
from tests.serving import served


def held(lab: Lab, entity: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = requests.get(f"{lab.base}/lab/entities/{entity}", timeout=10).json()
    return rows


def ids(rows: Any) -> list[str]:
    return [row["Id"] for row in rows]


def test_active_inactive_and_all(lab: Lab, connected: Settings) -> None:
    rows = held(lab, "Customer")
    active, inactive = {r["Id"] for r in rows if r["Active"]}, {r["Id"] for r in rows if not r["Active"]}
    assert active
    assert inactive
    with Intuit.open(connected) as intuit:
        assert set(ids(intuit.query("Customer"))) == active
        assert set(ids(intuit.query("Customer", active="inactive"))) == inactive
        assert set(ids(intuit.query("Customer", active="all"))) == active | inactive
        assert intuit.count("Customer") == len(active)
        assert intuit.count("Customer", active="all") == len(rows)


def test_pseudo_tax_codes_are_not_lost(lab: Lab, connected: Settings) -> None:
    rows = held(lab, "TaxCode")
    lab.post("entities/TaxCode", {"Id": "77", "Name": "Old", "Active": False, "MetaData": rows[-1]["MetaData"]})
    with Intuit.open(connected) as intuit:
        read = ids(intuit.query("TaxCode", active="all"))
        assert intuit.count("TaxCode", active="all") == len(read)
    assert sorted(read) == sorted([*ids(rows), "77"])
    assert {"TAX", "NON"} <= set(read)


def test_numbers_are_exact_and_identities_text(lab: Lab, connected: Settings) -> None:
    row = {**held(lab, "Item")[0], "Id": "5000000000000085682", "Name": "Exact", "UnitPrice": 0.1, "QtyOnHand": 7}
    lab.post("entities/Item", row)
    with Intuit.open(connected) as intuit:
        (read,) = intuit.query("Item", where="Name = 'Exact'")
    assert read["Id"] == "5000000000000085682"
    assert read["UnitPrice"] == Decimal("0.1")
    assert isinstance(read["UnitPrice"], Decimal)


def test_many_pages(tmp_path: Path) -> None:
    with running("--customers", "2500", "--vendors", "3", "--items", "3", "--limits", "off") as base:
        lab = Lab(base)
        settings = lab.settings(tmp_path)
        lab.connect(settings)
        with Intuit.open(settings) as intuit:
            everyone = intuit.count("Customer", active="all")
            read = ids(intuit.query("Customer", active="all"))
    assert len(read) == len(set(read)) == everyone > 2000
    assert read == sorted(read, key=int)
    assert intuit.counters.rows == everyone


def test_a_full_page_is_followed_by_the_one_that_ends_the_list(lab: Lab, connected: Settings) -> None:
    row, wanted = held(lab, "PaymentMethod")[0], query.PAGE_ROWS - len(held(lab, "PaymentMethod"))
    lab.post("entities/PaymentMethod", [{**row, "Id": str(10_000 + n), "Name": f"Method {n}"} for n in range(wanted)])
    with Intuit.open(connected) as intuit:
        assert len(set(ids(intuit.query("PaymentMethod", active="all")))) == query.PAGE_ROWS
    assert intuit.counters.metered == 2


def test_changed_since_of_several_lists_is_one_request(lab: Lab, connected: Settings) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    edited = {}
    for entity in ("Vendor", "CustomerType", "Term"):
        row = held(lab, entity)[0]
        lab.post(f"entities/{entity}", {**row, "MetaData": {**row["MetaData"], "LastUpdatedTime": now.isoformat()}})
        edited[entity] = [row["Id"]]
    with Intuit.open(connected) as intuit:
        pages = list(intuit.changed_since(["Vendor", "Customer", "CustomerType", "Term"], now))
        assert {page.entity: ids(page.rows) for page in pages if page.rows} == edited
        assert intuit.counters.made == 1
        later = intuit.changed_since(["Vendor", "Term"], now + timedelta(seconds=1))
        assert [row for page in later for row in page.rows] == []


def test_very_many_changes_are_read_page_by_page(lab: Lab, connected: Settings) -> None:
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    row, vendor = held(lab, "PaymentMethod")[0], held(lab, "Vendor")[0]
    times = {**row["MetaData"], "LastUpdatedTime": now.isoformat()}
    many = [{**row, "Id": str(10_000 + n), "Name": f"Method {n}", "MetaData": times} for n in range(1200)]
    lab.post("entities/PaymentMethod", many)
    lab.post("entities/Vendor", {**vendor, "MetaData": times})
    with Intuit.open(connected) as intuit:
        read = [row["Id"] for page in intuit.changed_since(["PaymentMethod", "Vendor"], now) for row in page.rows]
    assert sorted(read) == sorted([*ids(many), vendor["Id"]])


def test_company_and_preferences(connected: Settings) -> None:
    with Intuit.open(connected) as intuit:
        assert intuit.company_info()["CompanyName"]
        assert "TaxPrefs" in intuit.preferences()
        assert intuit.counters.as_dict()["metered"] == 2


def test_update_changes_what_it_says_and_nothing_else(lab: Lab, connected: Settings) -> None:
    before = next(row for row in held(lab, "Customer") if row["Active"])
    body = {"Id": before["Id"], "SyncToken": before["SyncToken"], "Active": False}
    with Intuit.open(connected) as intuit:
        after = intuit.update("Customer", body, request_id="run-1-row-1")
        again = intuit.update("Customer", body, request_id="run-1-row-1")
        assert intuit.counters.metered == 0
        with pytest.raises(IntuitFault) as stale:
            intuit.update("Customer", body, request_id="run-1-row-2")
    assert stale.value.code == "5010"
    assert stale.value.tid
    assert again == after
    assert after["Active"] is False
    assert after["GivenName" if "GivenName" in before else "PrintOnCheckName"] == before.get(
        "GivenName", before["PrintOnCheckName"]
    )


@pytest.mark.parametrize("request_id", ["", "x" * 51])
def test_a_request_id_intuit_would_refuse_is_not_sent(lab: Lab, connected: Settings, request_id: str) -> None:
    sent = lab.stats()["requests"]
    with Intuit.open(connected) as intuit, pytest.raises(ValueError, match="request_id"):
        intuit.update("Customer", {"Id": "1", "SyncToken": "0"}, request_id=request_id)
    assert lab.stats()["requests"] == sent


@pytest.mark.parametrize("fault", ["429", "429_xml", "500", "503_html", "truncated", "closed"])
def test_what_passes_is_waited_for(lab: Lab, connected: Settings, rests: Rests, fault: str) -> None:
    lab.fault(fault, times=3)
    with Intuit.open(connected, sleep=rests) as intuit:
        assert len(list(intuit.query("Customer"))) == sum(row["Active"] for row in held(lab, "Customer"))
        counters = intuit.counters
    assert (counters.made, counters.metered, counters.retried) == (4, 1, 3)
    assert counters.throttled == (3 if fault.startswith("429") else 0)
    assert max(rests.seconds) <= 60


def test_patience_ends(lab: Lab, connected: Settings, rests: Rests) -> None:
    lab.fault("429")
    with Intuit.open(connected, sleep=rests) as intuit, pytest.raises(Unreachable, match="did not answer in time"):
        intuit.company_info()
    assert sum(rests.seconds) > 60
    assert intuit.counters.throttled == intuit.counters.made


def test_a_bad_question_is_asked_once(connected: Settings, rests: Rests) -> None:
    with Intuit.open(connected, sleep=rests) as intuit, pytest.raises(IntuitFault) as refused:
        list(intuit.query("Customer", where="Nonsense = '1'"))
    assert refused.value.code == "4001"
    assert intuit.counters.made == 1


def test_an_expired_token_is_renewed_in_the_middle(lab: Lab, connected: Settings) -> None:
    with Intuit.open(connected) as intuit:
        intuit.company_info()
        lab.post("clock", {"advance_s": 3700})
        refreshes = lab.stats()["refreshes"]
        assert intuit.count("Customer") > 0
    assert lab.stats()["refreshes"] == refreshes + 1


def test_a_token_refused_twice_needs_a_person(lab: Lab, connected: Settings) -> None:
    lab.fault("401")
    with Intuit.open(connected) as intuit, pytest.raises(ReconnectNeeded, match="/qbo/connect"):
        intuit.company_info()
    assert intuit.counters.made == 2


def test_lost_administrator_right(lab: Lab, connected: Settings) -> None:
    lab.fault("403")
    with Intuit.open(connected) as intuit, pytest.raises(AccessRefused, match="administrator") as refused:
        intuit.company_info()
    assert refused.value.code == "3100"


def test_a_run_that_waits_goes_on_where_it_was(lab: Lab, connected: Settings, rests: Rests) -> None:
    lab.fault("500", share=0.5)
    expected = len(held(lab, "Customer"))
    with Intuit.open(connected, sleep=rests) as intuit:
        for _ in range(5):
            assert len(list(intuit.query("Customer", active="all"))) == expected


def test_without_a_grant_nothing_is_asked(lab: Lab, settings: Settings) -> None:
    with pytest.raises(ReconnectNeeded, match="no QuickBooks company is connected"):
        Intuit.open(settings)
    assert lab.stats()["requests"] == 0


class Server(http.server.BaseHTTPRequestHandler):
    """Answers everything the same way, and remembers what it was sent."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
    seen: list[dict[str, str]] = []  # noqa: RUF012 - emptied by serving()

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers))
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Tests say what they see."""


@contextmanager
def serving(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    Server.answer, Server.seen = (status, headers, body), []
    with served(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def elsewhere(settings: Settings, base: str) -> Settings:
    """The same site with another data server."""
    return settings.model_copy(update={"intuit": settings.intuit.model_copy(update={"api_url": base})})


def test_a_redirect_is_not_followed_with_the_token(lab: Lab, connected: Settings) -> None:
    with serving(302, {"Location": f"{lab.base}/v3/company/{lab.realm}/preferences"}, b"") as base:
        before = lab.stats()["requests"]
        with Intuit.open(elsewhere(connected, base)) as intuit, pytest.raises(IntuitFault, match="302"):
            intuit.preferences()
    assert lab.stats()["requests"] == before


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>hello</html>", b'{"Preferences":NaN}', b'{"Preferences":[]}', b'{"Preferences":{"x":"\xff"}}', b"[" * 100_000],
)
def test_an_answer_that_is_not_intuits_is_a_clean_error(connected: Settings, body: bytes) -> None:
    with (
        serving(200, {"Content-Type": "application/json"}, body) as base,
        Intuit.open(elsewhere(connected, base)) as intuit,
        pytest.raises(IntuitFault, match="Intuit's answer"),
    ):
        intuit.preferences()


def test_an_endless_answer_is_not_read_to_its_end(connected: Settings) -> None:
    with (
        serving(200, {}, bytes(65 * 1024 * 1024)) as base,
        Intuit.open(elsewhere(connected, base)) as intuit,
        pytest.raises(IntuitFault, match="larger than 64 MiB"),
    ):
        intuit.preferences()


def test_a_netrc_entry_does_not_replace_the_token(connected: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(200, {}, b'{"Preferences":{"Id":"1"}}') as base, Intuit.open(elsewhere(connected, base)) as intuit:
        intuit.preferences()
    grant = TokenStore(connected).load()
    assert grant is not None
    assert Server.seen[0]["Authorization"] == f"Bearer {grant.access_token}"


def test_a_server_that_is_not_there(connected: Settings, rests: Rests) -> None:
    with serving(200, {}, b"") as base:
        pass
    with Intuit.open(elsewhere(connected, base), sleep=rests) as intuit, pytest.raises(Unreachable, match="refused"):
        intuit.preferences()


@pytest.mark.parametrize("value", ["nan", "inf", "-5", "0", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_strange_retry_after_neither_stops_nor_hurries(connected: Settings, rests: Rests, value: str) -> None:
    with (
        serving(503, {"Retry-After": value}, b"") as base,
        Intuit.open(elsewhere(connected, base), sleep=rests) as intuit,
        pytest.raises(Unreachable),
    ):
        intuit.preferences()
    assert 5 <= intuit.counters.made <= 15


def test_retry_after_is_obeyed(connected: Settings, rests: Rests) -> None:
    with (
        serving(503, {"Retry-After": "7"}, b"") as base,
        Intuit.open(elsewhere(connected, base), sleep=rests) as intuit,
        pytest.raises(Unreachable),
    ):
        intuit.preferences()
    assert 7.0 in rests.seconds
