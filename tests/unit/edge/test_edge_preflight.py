"""The checks before the switch, against real name servers and a real HTTP server."""

from __future__ import annotations

import email.utils
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from edge_dns_server import DnsServer
from edge_lab import SOA, ZONE, Lab, write_secret
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.edge import authoritative, preflight, state
from qbo_sync.edge import dns as edge_dns
from qbo_sync.edge.preflight import Check, Inputs, address, ca, names, provider
from qbo_sync.edge.preflight import router as preflight_router
from qbo_sync.edge.preflight.caa import caa, caa_verdict
from tests.serving import served

NAME = f"qbo.{ZONE}"
TOP = Path(__file__).resolve().parents[3]


def inputs(*servers: DnsServer, **values: Any) -> Inputs:
    given_values = {"fqdn": NAME, "zone": ZONE, "address": "11.22.33.10", "resolver": servers[0].at} | values
    return Inputs(nameservers=tuple(server.at for server in servers), **given_values)


def run(*servers: DnsServer, **values: Any) -> dict[str, Check]:
    return {check.id: check for check in preflight.run(inputs(*servers, **values))}


def severities(*servers: DnsServer, **values: Any) -> dict[str, str]:
    return {check.id: check.severity for check in run(*servers, **values).values()}


def test_a_name_before_its_record_is_made(name_server: DnsServer) -> None:
    assert severities(name_server) == {
        "P01": "ok",
        "P02": "info",
        "P03": "ok",
        "P05": "ok",
        "P06": "ok",
        "P08": "ok",
        "P09": "ok",
        "P12": "ok",
        "P13": "ok",
    }


def test_a_name_once_its_record_stands(name_server: DnsServer, second_name_server: DnsServer) -> None:
    for server in (name_server, second_name_server):
        server.set(ZONE, SOA + "qbo 3600 IN A 11.22.33.10\n")
    checks = run(name_server, second_name_server)
    assert {check.severity for check in checks.values()} == {"ok", "info"}
    assert "already" in checks["P05"].seen
    assert checks["P13"].seen == "TTL 3600"


@pytest.mark.parametrize(
    ("line", "id", "severity", "seen"),
    [
        ("qbo 3600 IN CNAME elsewhere.example.", "P05", "error", "CNAME to elsewhere.example"),
        ("qbo 3600 IN A 11.22.33.99", "P05", "warn", "11.22.33.99"),
        ("* 3600 IN A 11.22.33.99", "P05", "info", "wildcard"),
        ("* 3600 IN CNAME elsewhere.example.", "P05", "info", "wildcard"),
        ("qbo 3600 IN AAAA 2600::1", "P08", "error", "2600::1"),
        ("qbo 300 IN A 11.22.33.10", "P13", "warn", "TTL 300"),
        ("qbo 86400 IN A 11.22.33.99", "P13", "warn", "TTL 86400"),
    ],
)
def test_what_stands_at_the_name(name_server: DnsServer, line: str, id: str, severity: str, seen: str) -> None:
    name_server.set(ZONE, SOA + line + "\n")
    check = run(name_server)[id]
    assert (check.severity, seen in check.seen) == (severity, True)
    assert check.remedy


def test_what_may_be_adopted_does_not_stop(name_server: DnsServer) -> None:
    name_server.set(ZONE, SOA + "qbo 3600 IN CNAME elsewhere.example.\n")
    assert run(name_server)["P05"].stops
    assert not run(name_server, adopt=True)["P05"].stops


def test_servers_that_differ(name_server: DnsServer, second_name_server: DnsServer) -> None:
    name_server.set(ZONE, SOA + "qbo 3600 IN A 11.22.33.10\n")
    check = run(name_server, second_name_server)["P03"]
    assert (check.severity, "A 11.22.33.10" in check.seen, "A none" in check.seen) == ("error", True, True)


def test_servers_with_another_serial_only(name_server: DnsServer, second_name_server: DnsServer) -> None:
    second_name_server.set(ZONE, SOA.replace("hostmaster 1", "hostmaster 2"))
    check = run(name_server, second_name_server)["P03"]
    assert (check.severity, "serial 2" in check.seen) == ("warn", True)


@pytest.mark.parametrize("manner", ["mute", "refuse", "lame"])
def test_a_server_that_fails(
    name_server: DnsServer, second_name_server: DnsServer, manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authoritative, "QUERY_TIMEOUT_S", 0.2)
    setattr(second_name_server, manner, True)
    check = run(name_server, second_name_server)["P03"]
    assert (check.severity, str(second_name_server.port) in check.seen) == ("error", True)


def test_a_zone_without_servers_ends_the_questions(name_server: DnsServer) -> None:
    checks = {
        c.id: c for c in preflight.run(Inputs("qbo.elsewhere.com", "elsewhere.com", "11.22.33.10", resolver=name_server.at))
    }
    assert (checks["P02"].severity, "P05" in checks) == ("fatal", False)


@pytest.mark.parametrize(
    ("fqdn", "zone", "severity"),
    [
        ("qbo.mycompany.com", "mycompany.com", "ok"),
        ("qbo.mycompany.co.uk", "mycompany.co.uk", "ok"),
        ("qbo.office.mycompany.com", "office.mycompany.com", "ok"),
        ("xn--bcher-kva.mycompany.com", "mycompany.com", "ok"),
        ("mycompany.com", "mycompany.com", "warn"),
        ("qbo.mycompany.com", "other.com", "fatal"),
        ("qbo.mycompany.co.uk", "co.uk", "fatal"),
        ("co.uk", "co.uk", "fatal"),
        ("com", "com", "fatal"),
        ("qbo", "qbo", "fatal"),
        ("qbo.firm.local", "firm.local", "fatal"),
        ("qbo.firm.home.arpa", "firm.home.arpa", "fatal"),
        ("qbo.mycompany.nosuchtld", "mycompany.nosuchtld", "fatal"),
        ("q_bo.mycompany.com", "mycompany.com", "fatal"),
        ("-qbo.mycompany.com", "mycompany.com", "fatal"),
        ("QBO.mycompany.com", "mycompany.com", "fatal"),
        ("bücher.mycompany.com", "mycompany.com", "fatal"),
        ("qbo..mycompany.com", "mycompany.com", "fatal"),
        ("https://qbo.mycompany.com", "mycompany.com", "fatal"),
        ("", "", "fatal"),
        (".".join(["a" * 60] * 5) + ".com", "com", "fatal"),
    ],
)
def test_names(fqdn: str, zone: str, severity: str) -> None:
    check = names.name_syntax(fqdn, zone)
    assert check.severity == severity
    assert check.remedy or severity == "ok"


@given(st.text(), st.text())
def test_no_name_breaks_the_check(fqdn: str, zone: str) -> None:
    assert names.name_syntax(fqdn, zone).severity in ("fatal", "warn", "ok")


def test_a_bad_name_asks_nobody() -> None:
    assert [c.id for c in preflight.run(Inputs("qbo.firm.local", "firm.local", "10.0.0.1"))] == ["P01", "P09"]


@pytest.mark.parametrize(
    ("value", "severity"),
    [("11.22.33.10", "ok"), ("10.0.0.1", "fatal"), ("100.64.0.1", "fatal"), ("", "fatal"), ("x", "fatal")],
)
def test_external_addresses(value: str, severity: str) -> None:
    assert address.public_address(value).severity == severity


@pytest.mark.parametrize(
    ("value", "severity"),
    [("10.10.0.10", "ok"), ("192.168.1.5", "ok"), ("11.22.33.10", "info"), ("127.0.0.1", "error"), ("100.64.0.1", "error")],
)
def test_lan_addresses(value: str, severity: str) -> None:
    assert preflight_router.lan_address(value, "11.22.33.10", {}).severity == severity


LETSENCRYPT = ("letsencrypt.org",)


@pytest.mark.parametrize(
    ("records", "forbidden", "bound"),
    [
        ([], False, False),
        ([(0, "issue", "letsencrypt.org")], False, False),
        ([(0, "issue", " LetsEncrypt.org ; ")], False, False),
        ([(0, "issue", "other.example"), (0, "issue", "letsencrypt.org")], False, False),
        ([(0, "issue", "other.example")], True, False),
        ([(0, "issue", ";")], True, False),
        ([(0, "issuewild", ";"), (0, "iodef", "mailto:a@b.example")], False, False),
        ([(0, "issue", "letsencrypt.org; validationmethods=dns-01")], True, False),
        ([(0, "issue", "letsencrypt.org; validationmethods=dns-01,http-01")], False, False),
        ([(0, "issue", "letsencrypt.org; accounturi=https://a.example/1")], False, True),
        ([(0, "issue", "letsencrypt.org; accounturi=https://a.example/1"), (0, "issue", "letsencrypt.org")], False, False),
        ([(128, "future", "x"), (0, "issue", "letsencrypt.org")], True, False),
        ([(0, "future", "x")], False, False),
        ([(128, "issue", "letsencrypt.org")], False, False),
    ],
)
def test_caa_sets(records: list[tuple[int, str, str]], forbidden: bool, bound: bool) -> None:
    reason, names_account = caa_verdict(records, LETSENCRYPT)
    assert (bool(reason), bool(names_account)) == (forbidden, bound)


@pytest.mark.parametrize(
    ("lines", "severity"),
    [
        ("", "ok"),
        ('@ 300 IN CAA 0 issue "other.example"', "fatal"),
        ('@ 300 IN CAA 0 issue "letsencrypt.org"', "ok"),
        ('@ 300 IN CAA 0 issue "other.example"\nqbo 300 IN CAA 0 issue "letsencrypt.org"', "ok"),
        ('@ 300 IN CAA 0 issue "letsencrypt.org"\nqbo 300 IN CAA 0 issue ";"', "fatal"),
    ],
)
def test_the_closest_caa_set_counts(name_server: DnsServer, lines: str, severity: str) -> None:
    name_server.set(ZONE, SOA + lines + "\n")
    assert caa(NAME, name_server.at, LETSENCRYPT).severity == severity


def test_caa_that_cannot_be_looked_up_is_fatal(name_server: DnsServer) -> None:
    name_server.refuse = True
    assert caa(NAME, name_server.at, LETSENCRYPT).severity == "fatal"


DIRECTORY = {"newNonce": "n", "newAccount": "a", "newOrder": "o"}


@pytest.fixture
def acme() -> Iterator[Callable[..., str]]:
    """``acme(body, skew_s)`` gives the address of an HTTP server with that directory, whose clock is off by so much."""

    def serve(body: Any, skew_s: float = 0.0, status: int = 200) -> str:
        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(status)
                self.send_header("Date", email.utils.formatdate(time.time() + skew_s, usegmt=True))
                self.end_headers()
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                return None

        server = stack.enter_context(served(ThreadingHTTPServer(("127.0.0.1", 0), Page)))
        return f"http://127.0.0.1:{server.server_address[1]}/dir"

    with ExitStack() as stack:
        yield serve


def test_a_ca_that_answers(acme: Callable[..., str]) -> None:
    directory = {**DIRECTORY, "renewalInfo": "r", "meta": {"profiles": {}, "caaIdentities": ["ca.example"]}}
    reachable, clock, identities = ca.directory(acme(directory))
    assert (reachable.severity, clock.severity, identities) == ("ok", "ok", ("ca.example",))
    assert "renewalInfo, profiles" in reachable.seen


def test_the_cas_own_name_is_looked_for_in_caa(acme: Callable[..., str], name_server: DnsServer) -> None:
    name_server.set(ZONE, SOA + '@ 300 IN CAA 0 issue "ca.example"\n')
    theirs = acme({**DIRECTORY, "meta": {"caaIdentities": ["ca.example"]}})
    assert run(name_server, acme_directory=theirs)["P07"].severity == "ok"
    other = acme({**DIRECTORY, "meta": {"caaIdentities": ["other.example"]}})
    assert run(name_server, acme_directory=other)["P07"].severity == "fatal"
    # One that does not tell its name may well be the one that is meant; Let's Encrypt's name is known without asking.
    silent = run(name_server, acme_directory=acme(DIRECTORY))["P07"]
    assert (silent.severity, "does not tell" in silent.remedy) == ("warn", True)
    assert ca.identities_of("https://acme-v02.api.letsencrypt.org/directory") == ("letsencrypt.org",)


@pytest.mark.parametrize(
    ("lines", "severity"),
    [
        ("", "ok"),
        ('@ 300 IN CAA 0 issue ";"', "fatal"),
        ('@ 300 IN CAA 128 future "x"', "fatal"),
        ('@ 300 IN CAA 0 issue "ca.example"', "warn"),
        ('@ 300 IN CAA 0 issuewild ";"', "ok"),
    ],
)
def test_caa_for_a_ca_that_does_not_tell_its_name(name_server: DnsServer, lines: str, severity: str) -> None:
    name_server.set(ZONE, SOA + lines + "\n")
    assert caa(NAME, name_server.at, ()).severity == severity


def test_a_bought_certificate_asks_nothing_of_an_acme_ca(name_server: DnsServer) -> None:
    """Its own CA stands in the CAA records, and nobody orders anything."""
    name_server.set(ZONE, SOA + 'qbo 3600 IN A 11.22.33.10\n@ 300 IN CAA 0 issue "digicert.com"\n')
    given = {"acme_directory": "http://127.0.0.1:1/dir", "staging": "http://127.0.0.1:1/dir", "address": "11.22.33.10"}
    assert {"P07", "P21", "P18"} <= set(run(name_server, **given))
    checks = run(name_server, **given, brought=True)
    assert set(checks) & {"P07", "P18", "P21", "P22"} == set()
    assert not any(check.stops for check in checks.values())


@pytest.mark.parametrize(("skew_s", "severity"), [(0, "ok"), (-100, "warn"), (100, "warn"), (-1000, "fatal"), (1000, "fatal")])
def test_clocks(acme: Callable[..., str], skew_s: float, severity: str) -> None:
    clock = ca.directory(acme(DIRECTORY, skew_s))[1]
    assert clock.severity == severity
    assert ("behind" in clock.seen) == (skew_s > 50)


@pytest.mark.parametrize("header", ["", "yesterday"])
def test_a_ca_that_tells_no_time(header: str) -> None:
    assert ca.clock_skew(header, 0.0).severity == "info"


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 200), ({"hello": 1}, 200), ([], 200), (DIRECTORY, 503)])
def test_what_is_no_directory(acme: Callable[..., str], body: Any, status: int) -> None:
    assert ca.directory(acme(body, status=status))[0].severity == "fatal"


def test_a_ca_that_cannot_be_reached(tmp_path: Path) -> None:
    reachable, clock, _ = ca.directory("http://127.0.0.1:1/dir")
    assert (reachable.severity, clock.severity) == ("fatal", "info")
    assert "port 1" in reachable.remedy
    missing = ca.directory("https://127.0.0.1:1/dir", str(tmp_path / "none.pem"))[0]
    assert "acme_ca_file" in missing.remedy


IN_NAMESPACE = """
import dataclasses, json, sys
from contextlib import ExitStack
from edge_dns_server import DnsServer, serving
from qbo_sync.edge import authoritative, preflight
soa = "@ 300 IN SOA ns h 1 1 1 1 1\\n"
mine = soa + "@ 300 IN NS ns1\\n@ 300 IN NS ns2\\nns1 300 IN A 127.0.0.4\\nns2 300 IN A 127.0.0.5\\n"
com = soa + "@ 300 IN NS ns.com.\\nns 300 IN A 127.0.0.3\\n"
cut = "".join(f"mycompany 300 IN NS {name}.mycompany.com.\\n" for name in sys.argv[1].split(","))
with ExitStack() as stack:
    def start(address, **zones):
        stack.enter_context(serving(DnsServer({k.replace("_", "."): v for k, v in zones.items()}, port=53), address))
    start("127.0.0.2", com=com, mycompany_com=mine)
    start("127.0.0.3", com=com + cut)
    start("127.0.0.4", mycompany_com=mine)
    start("127.0.0.5", mycompany_com=mine)
    servers = authoritative.servers("mycompany.com", resolver="127.0.0.2")
    checks = preflight.run(preflight.Inputs("qbo.mycompany.com", "mycompany.com", "11.22.33.10", resolver="127.0.0.2"))
    print(json.dumps({"servers": [str(s) for s in servers], "checks": {c.id: dataclasses.asdict(c) for c in checks}}))
"""


@pytest.mark.parametrize(("at_parent", "severity"), [("ns1,ns2", "ok"), ("ns1,ns9", "warn"), ("ns8,ns9", "fatal")])
def test_the_parent_zone_and_the_zone_itself(namespaces: Callable[[], str], at_parent: str, severity: str) -> None:
    """On port 53 of several addresses, so in a network namespace of its own."""
    path = os.pathsep.join([str(TOP), str(Path(__file__).parent)])
    done = subprocess.run(
        ["ip", "netns", "exec", namespaces(), sys.executable, "-c", IN_NAMESPACE, at_parent],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told = json.loads(done.stdout)
    assert told["servers"] == ["ns1.mycompany.com (127.0.0.4)", "ns2.mycompany.com (127.0.0.5)"]
    assert told["checks"]["P02"]["severity"] == severity
    assert told["checks"]["P03"]["severity"] == "ok"


def test_the_summary_checklist(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state.record(path, "lab", "verify", state.result(changed=False))
    wait = {"who": "the internet provider", "what": "a public address", "since": "today"}
    state.record(path, "lab", "port_forward", state.result(changed=False, state="waiting", waiting_for=wait, next="order it"))
    answers = preflight.remember(path, "lab", {"desktop": True, "vendor": None})
    ticks = preflight.checklist(answers, state.read(path)["lab"])
    assert [(tick.id, tick.done) for tick in ticks] == [("desktop", True), ("vendor", False), ("https", True), ("ports", False)]
    assert (ticks[3].who, ticks[3].remedy) == ("the internet provider", "order it")
    assert all(tick.done or (tick.who and tick.remedy and tick.seen) for tick in ticks)


def test_what_a_person_has_said_is_remembered_until_it_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    preflight.remember(path, "lab", {"desktop": True})
    preflight.remember(path, "lab", {"vendor": False}, write=False)
    assert [tick.seen[:16] for tick in preflight.checklist(preflight.remember(path, "lab", {}), {})[:2]] == [
        "said by a person",
        "nobody has said ",
    ]
    preflight.remember(path, "lab", {"desktop": False, "vendor": True})
    assert [tick.done for tick in preflight.checklist(preflight.remember(path, "lab", {}), {})[:2]] == [False, True]
    assert preflight.remember(path, "other", {}) == {}


def test_an_unanswered_checklist() -> None:
    ticks = preflight.checklist({}, {})
    assert not any(tick.done for tick in ticks)
    assert "nobody has said so" in ticks[0].seen


def at_cloudflare(lab: Lab, folder: Path, *, right: str = "good") -> edge_dns.Provider:
    return edge_dns.provider("cloudflare", token_file=write_secret(folder / "t", right), api_url=lab.api)


@pytest.mark.parametrize(
    ("token", "severity", "seen"),
    [
        ("good", "ok", "may be changed"),
        ("reader", "fatal", "may not change DNS records"),
        ("narrow", "fatal", "does not see the zone"),
        ("nobody", "fatal", "refuses the token"),
    ],
)
def test_the_tokens_rights(lab: Lab, name_server: DnsServer, tmp_path: Path, token: str, severity: str, seen: str) -> None:
    check = run(name_server, provider=at_cloudflare(lab, tmp_path, right=token))["P24"]
    assert (check.severity, seen in check.seen) == (severity, True)
    assert check.remedy or severity == "ok"


def test_a_provider_in_trouble_is_no_fault_of_the_token(lab: Lab, name_server: DnsServer, tmp_path: Path) -> None:
    lab.admin("faults", [{"when": {}, "fault": "500"}])
    assert run(name_server, provider=at_cloudflare(lab, tmp_path))["P24"].severity == "error"
    lab.admin("faults", [])


def test_a_zone_that_is_not_at_this_provider_yet(lab: Lab, name_server: DnsServer, tmp_path: Path) -> None:
    assert run(name_server, provider=at_cloudflare(lab, tmp_path))["P04"].severity == "ok"
    lab.admin("zones", {"name": ZONE, "status": "pending"})
    check = run(name_server, provider=at_cloudflare(lab, tmp_path))["P04"]
    assert (check.severity, "pending" in check.seen, "ada.ns.cloudflare.com" in check.remedy) == ("fatal", True, True)


@pytest.mark.parametrize(
    ("delegated", "severity"),
    [
        (("ADA.ns.cloudflare.com.", "bob.ns.cloudflare.com"), "ok"),
        (("ada.ns.cloudflare.com", "ns1.registrar.example"), "warn"),
        (("ns1.registrar.example", "ns2.registrar.example"), "fatal"),
        ((), "ok"),
    ],
)
def test_who_the_domain_is_delegated_to(delegated: tuple[str, ...], severity: str) -> None:
    zone = edge_dns.Zone("1", ZONE, ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com"))
    check = provider.right_provider(zone, delegated)
    assert check.severity == severity
    assert check.remedy or severity == "ok"


@pytest.mark.parametrize(
    ("record", "adopt", "severity", "seen"),
    [
        ({"content": "11.22.33.99"}, False, "error", "an A record that this kit did not make"),
        ({"content": "11.22.33.99"}, True, "ok", "may be changed"),
        ({"content": "11.22.33.99", "comment": "qbokit:lab"}, False, "ok", "may be changed"),
        ({"content": "11.22.33.99", "comment": "qbokit:other"}, True, "error", "belongs to another site of this kit"),
        ({"content": "11.22.33.10", "ttl": 3600}, False, "ok", "may be changed"),
        ({"content": "elsewhere.example", "type": "CNAME"}, False, "error", "a CNAME stands at"),
    ],
)
def test_what_dns_record_would_refuse_stops_here(
    lab: Lab, name_server: DnsServer, tmp_path: Path, record: dict[str, Any], adopt: bool, severity: str, seen: str
) -> None:
    """The provider knows whose record it is, which an answer does not tell."""
    lab.put(**record)
    told = preflight.run(inputs(name_server, provider=at_cloudflare(lab, tmp_path), adopt=adopt, site="lab"))
    check = next(one for one in told if one.title == "the record at the name may be changed")
    assert (check.id, check.severity, seen in check.seen) == ("P05", severity, True)
    assert check.remedy or severity == "ok"


@pytest.mark.parametrize(
    ("record", "adopt", "severity"),
    [
        ({"proxied": True}, False, "error"),
        ({"proxied": True}, True, "warn"),
        ({"proxied": True, "comment": "qbokit:lab"}, False, "warn"),
        ({"proxied": False}, False, "ok"),
    ],
)
def test_a_proxied_record(
    lab: Lab, name_server: DnsServer, tmp_path: Path, record: dict[str, Any], adopt: bool, severity: str
) -> None:
    lab.put(**record)
    assert run(name_server, provider=at_cloudflare(lab, tmp_path), adopt=adopt)["P12"].severity == severity


def test_a_proxy_that_only_the_answer_shows(name_server: DnsServer) -> None:
    name_server.set(ZONE, SOA + "qbo 300 IN A 104.16.132.229\n")
    check = run(name_server)["P12"]
    assert (check.severity, "104.16.132.229" in check.seen) == ("error", True)


@pytest.mark.parametrize(
    ("wan", "own", "one"),
    [
        ("11.22.33.10", "ok", "ok"),
        ("11.22.33.77", "error", "ok"),
        ("100.64.7.8", "info", "fatal"),
        ("192.168.178.2", "info", "warn"),
    ],
)
def test_the_routers_own_address(name_server: DnsServer, wan: str, own: str, one: str) -> None:
    checks = run(name_server, wan_address=wan)
    assert (checks["P10"].severity, checks["P11"].severity) == (own, one)
    assert all(checks[id].remedy or checks[id].severity == "ok" for id in ("P10", "P11"))
