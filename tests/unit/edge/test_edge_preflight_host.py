"""What is seen on a host and of it from outside, each fault built on loopback or in network namespaces, and how it is judged."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qbo_sync.edge import budget
from qbo_sync.edge.looks import host as look
from qbo_sync.edge.preflight import CATALOGUE, Check, Inputs, address, ca, machine, router, run, web
from qbo_sync.edge.router import Foreign, Forward, Reading
from qbo_sync.edge.router.job import Shown
from tests.serving import served

NAME, ADDRESS, LAN = "qbo.mycompany.com", "11.22.33.10", "10.10.0.10"
CA = "https://acme-v02.api.letsencrypt.org/directory"
TOP = Path(__file__).resolve().parents[3]
Page = tuple[int, dict[str, str], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """``serve(handler, tls=…)`` gives the port of a server on loopback."""

    def start(handler: Callable[..., BaseHTTPRequestHandler], tls: Path | None = None) -> int:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        return int(stack.enter_context(served(server)).server_address[1])

    with ExitStack() as stack:
        yield start


def says(status: int, body: str = "", **headers: str) -> type[BaseHTTPRequestHandler]:
    """A server that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            return None

    return Handler


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return None


def pem(folder: Path, names: tuple[str, ...] = (NAME,), days: int = 60, issuer: str = "a CA") -> Path:
    """A key and a certificate for these names that ends in so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days, hours=1)
    subject, signer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (names[0], issuer))
    made = (
        x509.CertificateBuilder(signer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=90))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fullchain.pem"
    encoding = serialization.Encoding.PEM
    path.write_bytes(
        made.public_bytes(encoding) + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


# --- P14: the ports, and the answer to a challenge ------------------------------------------------------------------


def test_p14_a_port_held_by_another_program_is_fatal_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        check = machine.port_is_free(str(port), look.owners(port))
    assert (check.id, check.severity) == ("P14", "fatal")
    assert check.seen.endswith(f"listens on port {port}")
    assert "python" in check.seen or "pytest" in check.seen
    assert machine.port_is_free(str(port), look.owners(port)).severity == "ok"


def test_p14_a_challenge_is_answered_and_leaves_nothing(serve: Callable[..., int], tmp_path: Path) -> None:
    folder = tmp_path / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    port = serve(partial(Quiet, directory=str(tmp_path)))
    answers = look.challenge(NAME, ["127.0.0.1"], str(tmp_path), port)
    assert machine.answers_challenges(answers).severity == "ok"
    assert list(folder.iterdir()) == []


UFW_STATUS = """Status: active
Logging: on (low)
Default: {default} (incoming), allow (outgoing), deny (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW IN    Anywhere
{rule}
22/tcp (v6)                ALLOW IN    Anywhere (v6)
"""


@pytest.fixture
def ufw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A program of that name that says what the real one was seen to say."""
    (tmp_path / "ufw").write_text(f"#!/bin/sh\nexec cat {tmp_path}/status\n")
    (tmp_path / "ufw").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def says(text: str) -> None:
        (tmp_path / "status").write_text(text)

    return says


@pytest.mark.parametrize(
    ("rule", "shut"),
    [
        ("80,443/tcp                 ALLOW IN    Anywhere", []),
        ("80,443/tcp (WWW Full)      ALLOW IN    Anywhere                   # the web", []),
        ("80:443/tcp                 LIMIT IN    Anywhere                   (log)", []),
        ("Anywhere/tcp               ALLOW IN    Anywhere/tcp", []),
        ("8080,1443/tcp              ALLOW IN    Anywhere", ["80", "443"]),
        ("80,443/udp                 ALLOW IN    Anywhere", ["80", "443"]),
        ("80,443/tcp                 ALLOW IN    10.0.0.0/8", ["80", "443"]),
        ("80,443/tcp                 ALLOW IN    Anywhere 1024:65535/tcp", ["80", "443"]),
        ("80,443/tcp                 ALLOW OUT   Anywhere", ["80", "443"]),
        ("80,443/tcp                 ALLOW FWD   Anywhere", ["80", "443"]),
        # IPv6 alone.
        ("80,443/tcp (v6)            ALLOW IN    Anywhere (v6)", ["80", "443"]),
        ("80,443/tcp (WWW Full (v6)) ALLOW IN    Anywhere (v6)", ["80", "443"]),
        ("Anywhere (v6) on eth0      ALLOW IN    Anywhere (v6)", ["80", "443"]),
        # A network interface, which is the one of the address or another.
        ("443 on eth0                ALLOW IN    Anywhere", ["80"]),
        ("443/tcp (WWW Secure) on eth0 ALLOW IN    Anywhere", ["80"]),
        ("Anywhere on eth+           ALLOW IN    Anywhere", []),
        ("Anywhere on tailscale0     ALLOW IN    Anywhere", ["80", "443"]),
        # The edge host's address, another one of it, and its network.
        ("10.10.0.10 80,443/tcp      ALLOW IN    Anywhere", []),
        ("10.10.0.10                 ALLOW IN    Anywhere", []),
        ("10.10.0.0/24/tcp           ALLOW IN    Anywhere", []),
        ("10.10.0.0/24 443/tcp (WWW Secure) on eth0 ALLOW IN    Anywhere", ["80"]),
        ("10.10.0.11 80,443/tcp      ALLOW IN    Anywhere", ["80", "443"]),
        ("2001:db8::a 80,443/tcp     ALLOW IN    Anywhere (v6)", ["80", "443"]),
        # The first rule counts; one for somebody else is none.
        ("80/tcp                     DENY IN     Anywhere", ["80", "443"]),
        ("80                         DENY IN     Anywhere\n80,443/tcp                 ALLOW IN    Anywhere", ["80"]),
        ("Anywhere                   REJECT IN   Anywhere\n80,443/tcp                 ALLOW IN    Anywhere", ["80", "443"]),
        ("80,443/tcp                 ALLOW IN    Anywhere\n80                         DENY IN     Anywhere", []),
        ("80                         DENY IN     192.0.2.7\n80,443/tcp                 ALLOW IN    Anywhere", []),
        ("80/tcp on tailscale0       DENY IN     Anywhere\n80,443/tcp                 ALLOW IN    Anywhere", []),
    ],
)
def test_p14_a_firewall_on_the_edge_host_is_seen(ufw: Callable[[str], None], rule: str, shut: list[str]) -> None:
    ufw(UFW_STATUS.format(default="deny", rule=rule))
    opened = look.ufw([80, 443], LAN, "eth0")
    assert opened is not None
    check = machine.firewall_lets_in(opened)
    assert (check.severity, check.mended_by) == ("error" if shut else "ok", "")
    assert check.remedy == (f"on the edge host: ufw allow {','.join(shut)}/tcp" if shut else "")


def test_p14_a_firewall_that_is_off_or_lets_everything_in_is_no_matter(ufw: Callable[[str], None]) -> None:
    ufw("Status: inactive\n")
    assert look.ufw([80, 443], LAN, "eth0") is None
    ufw(UFW_STATUS.format(default="allow", rule=""))
    assert look.ufw([80, 443], LAN, "eth0") == [80, 443]
    ufw(UFW_STATUS.format(default="allow", rule="80/tcp                     DENY IN     Anywhere"))
    assert look.ufw([80, 443], LAN, "eth0") == [443]


def test_the_network_interface_of_an_address_is_told(namespaces: Callable[[], str]) -> None:
    name = namespaces()
    for command in ("link add lan type veth peer name far", "link set lan up", "address add 10.10.0.10/24 dev lan"):
        subprocess.run(["ip", "-n", name, *command.split()], check=True)
    code = "import json; from qbo_sync.edge.looks import host as look; print(json.dumps(look.own_addresses()))"
    assert in_namespace(name, code) == [{"address": LAN, "card": "lan", "dynamic": False}]


@pytest.mark.parametrize(
    ("handler", "seen"),
    [
        (says(404), "HTTP 404"),
        (says(200, "<h1>IIS</h1>"), "not the file's content"),
        (says(301, Location="https://www.mycompany.com/"), "HTTP 301 to https://www.mycompany.com/"),
    ],
)
def test_p14_somebody_elses_answer_is_seen(serve: Callable[..., int], tmp_path: Path, handler: Any, seen: str) -> None:
    (tmp_path / ".well-known" / "acme-challenge").mkdir(parents=True)
    check = machine.answers_challenges(look.challenge(NAME, ["127.0.0.1"], str(tmp_path), serve(handler)))
    assert (check.severity, check.mended_by) == ("fatal", "reverse_proxy")
    assert seen in check.seen


def test_h01_too_little_room_is_fatal() -> None:
    assert machine.has_room("/", look.room("/"), 1).severity == "ok"
    assert machine.has_room("/", look.room("/"), 1 << 40).severity == "fatal"


# --- P15: redirects, as Boulder follows them ------------------------------------------------------------------------

IN_NAMESPACE = """
import json, sys, threading
from itertools import pairwise
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from qbo_sync.edge.looks import host as look
place = json.loads(sys.argv[1])
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response_only(404 if self.path.startswith("/end") else 302)
        self.send_header("Location", place if "%" not in place else place % (len(self.path)))
        self.end_headers()
    def log_message(self, *_): pass
server = ThreadingHTTPServer(("127.0.0.1", 80), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps(look.follow("http://qbo.mycompany.com/.well-known/acme-challenge/x", "127.0.0.1")))
"""


def in_namespace(name: str, code: str, *arguments: str) -> Any:
    command = ["ip", "netns", "exec", name, sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env={"PYTHONPATH": str(TOP)}, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("place", "severity", "seen"),
    [
        ("/end", "info", "/end (404)"),
        ("http://qbo.mycompany.com:8080/x", "error", "the ports 80 and 443 only"),
        ("http://10.10.0.20/login", "error", "follows to names only"),
        ("http://intranet/x", "error", "no public name"),
        ("http://qbo.mycompany.com.well-known/x", "error", "a slash is missing"),
        ("ftp://qbo.mycompany.com/x", "error", "http and https only"),
        ("/a%s", "error", "more than 10 redirects"),
    ],
)
def test_p15_redirects(namespaces: Callable[[], str], place: str, severity: str, seen: str) -> None:
    check = web.no_detour(NAME, in_namespace(namespaces(), IN_NAMESPACE, json.dumps(place)), reached=True)
    assert (check.id, check.severity) == ("P15", severity)
    assert seen in check.seen


def trail(*steps: tuple[str, int], problem: str = "") -> dict[str, Any]:
    return {"trail": [{"url": url, "status": status, "server": ""} for url, status in steps], "problem": problem}


@pytest.mark.parametrize(
    ("seen", "severity"),
    [
        (trail((f"http://{NAME}/x", 404)), "ok"),
        (trail((f"http://{NAME}/x", 301), ("https://www.mycompany.com/x", 404)), "error"),
        (trail((f"http://{NAME}/x", 302), (f"https://{NAME}/login", 401)), "error"),
        (trail(problem="no answer in time"), "ok"),
    ],
)
def test_p15_another_host_or_a_login_is_no_answer(seen: dict[str, Any], severity: str) -> None:
    assert web.no_detour(NAME, seen, reached=False).severity == severity


# --- P16: the router ------------------------------------------------------------------------------------------------

OURS = tuple(Forward("tcp", port, LAN, port, "qbokit:lab", ADDRESS) for port in (80, 443))
WINDOWS = Foreign("tcp 443 to the Windows server", frozenset({"tcp"}), (range(443, 444),), "10.10.0.20:443")
STANDS = "somebody else's rule at 443 will be taken over"


@pytest.mark.parametrize(
    ("shown", "ports", "severity", "stops", "remedy"),
    [
        (Shown(Reading(OURS)), (80, 443), "ok", False, ""),
        (Shown(Reading()), (80, 443), "error", False, "forward 80 and 443 to the edge host"),
        (Shown(Reading(OURS[:1])), (80, 443), "error", False, "forward 443 to the edge host"),
        (Shown(Reading(OURS[:1], (WINDOWS,))), (80, 443), "error", False, STANDS),
        (Shown(Reading(OURS[:1], (WINDOWS,)), "443 is taken", "move it"), (80, 443), "error", True, "move it"),
        (Shown(Reading(OURS[1:])), (443,), "ok", False, ""),
        (Shown(Reading(OURS[:1], (WINDOWS,))), (80,), "ok", False, ""),
    ],
)
def test_p16_the_routers_rules(shown: Shown, ports: tuple[int, ...], severity: str, stops: bool, remedy: str) -> None:
    check = router.forwarded(shown, LAN, ports)
    assert (check.id, check.severity, check.stops) == ("P16", severity, stops)
    assert check.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("own", "severity"),
    [
        ([{"address": LAN, "dynamic": False}], "ok"),
        ([{"address": LAN, "dynamic": True}], "warn"),
        ([{"address": "10.10.0.11", "dynamic": False}], "error"),
    ],
)
def test_p16_the_edge_hosts_own_address(own: list[dict[str, Any]], severity: str) -> None:
    assert router.lan_address(LAN, ADDRESS, {"addresses": own}).severity == severity


# --- P10, P11: the address, by an echo and by the way out -----------------------------------------------------------


def test_p10_an_echo_tells_the_address_that_the_world_sees(serve: Callable[..., int]) -> None:
    for told, severity in (("11.22.33.10\n", "ok"), ("11.22.33.99", "error")):
        seen = look.seen_address(f"http://127.0.0.1:{serve(says(200, told))}/")
        assert address.seen_address(ADDRESS, seen).severity == severity
    assert look.seen_address(f"http://127.0.0.1:{serve(says(200, '<html>'))}/") == ""
    assert look.seen_address("http://127.0.0.1:1/") == ""


HOPS = "import json; from qbo_sync.edge.looks import host as look; print(json.dumps(look.hops('11.22.33.90')))"


@pytest.mark.parametrize(
    ("second", "severity", "word"),
    [("100.64.0", "fatal", "carrier-grade NAT"), ("192.168.178", "warn", "private"), (None, "info", "nothing seen")],
)
def test_p11_a_second_router_on_the_way_out(namespaces: Callable[[], str], second: str | None, severity: str, word: str) -> None:
    """Real routers, each a namespace: edge host, the site's router, one more or none, the internet."""
    nets = ["10.10.0", *([second] if second else []), "11.22.33"]
    chain = [namespaces() for _ in range(len(nets) + 1)]
    for number, (net, (inner, outer)) in enumerate(zip(nets, pairwise(chain), strict=True)):
        in_link, out_link = f"out{number}", f"in{number}"
        ip = partial(subprocess.run, check=True)
        ip(["ip", "-n", inner, "link", "add", in_link, "type", "veth", "peer", "name", out_link, "netns", outer])
        last = 90 if outer == chain[-1] else 1
        for name, link, host in ((inner, in_link, 10), (outer, out_link, last)):
            ip(["ip", "-n", name, "address", "add", f"{net}.{host}/24", "dev", link])
            ip(["ip", "-n", name, "link", "set", link, "up"])
        if outer != chain[-1]:
            ip(["ip", "-n", inner, "route", "add", "default", "via", f"{net}.{last}"])
    for number, name in enumerate(chain[1:-1]):
        chain_of = "add table ip t; add chain ip t c { type nat hook postrouting priority 100; }; "
        masquerade = f'{chain_of}add rule ip t c oifname "out{number + 1}" masquerade'
        subprocess.run(["ip", "netns", "exec", name, "nft", masquerade], check=True)
        subprocess.run(["ip", "netns", "exec", name, "sysctl", "-q", "net.ipv4.ip_forward=1"], check=True)
    found = in_namespace(chain[0], HOPS)
    assert found == ["10.10.0.1", *([f"{second}.1"] if second else [])]
    check = address.way_out({"hops": found}, ADDRESS)
    assert (check.id, check.severity) == ("P11", severity)
    assert word in check.seen
    assert "preflight_wan_address" in check.remedy
    if severity == "fatal":
        assert all(way in check.remedy for way in ("tunnel", "another line", "DNS-01"))


def test_p11_the_routers_own_word_counts_more_than_the_way_out() -> None:
    """Some providers number their own wiring from the carrier-grade range; a public address on the router settles it."""
    facts = {"hops": ["10.10.0.1", "100.64.0.1"], "seen_address": ""}
    told = {c.id: c.severity for c in address.checks(Inputs(NAME, "mycompany.com", ADDRESS, wan_address=ADDRESS, host=facts))}
    assert told == {"P09": "ok", "P10": "ok", "P11": "ok"}


# --- P17, P19: what answers at the address --------------------------------------------------------------------------


def test_p17_and_p19_compare_what_is_shown_with_what_the_host_shows(serve: Callable[..., int], tmp_path: Path) -> None:
    ours, theirs = (serve(says(200, Server="x"), tls=pem(tmp_path / name)) for name in ("ours", "theirs"))
    shown = look.tls("127.0.0.1", NAME, ours)
    silent = look.tls("127.0.0.1", NAME, 1)
    http = trail((f"http://{NAME}/x", 404))

    def leads(tls: dict[str, Any], shown: dict[str, Any] = shown, server: str = "") -> Check:
        http["trail"][0]["server"] = server
        return web.leads_here({"tls": tls, "http": http}, shown)

    assert leads(look.tls("127.0.0.1", NAME, ours)).severity == "ok"
    for wrong in (look.tls("127.0.0.1", NAME, theirs), silent):
        assert (leads(wrong).severity, leads(wrong).mended_by) == ("error", "port_forward")
        assert web.hairpin(wrong, shown).severity == "warn"
    assert web.hairpin(shown, shown).severity == "ok"
    assert leads(silent, {}).severity == "ok"
    assert "another machine answers" in leads(shown, {}, "Microsoft-IIS/10.0").seen
    assert "the router's own page" in leads(silent, {}, "micro_httpd").seen


# --- P20, P22, P23: clock, limits, certificate ----------------------------------------------------------------------


@pytest.mark.parametrize(("skew", "severity"), [(0, "ok"), (-59, "ok"), (61, "warn"), (-299, "warn"), (301, "fatal")])
def test_p20_a_wrong_clock_on_the_edge_host_is_seen(skew: int, severity: str) -> None:
    assert machine.host_clock(skew).severity == severity


def test_p22_the_last_try_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    assert ca.limits(look.text(str(path)), CA, NAME).severity == "ok"
    for _ in range(4):
        budget.failed(CA, NAME, "connection", path=path)
    check = ca.limits(look.text(str(path)), CA, NAME)
    assert (check.id, check.severity, check.stops) == ("P22", "error", True)
    assert "4 failed validations" in check.seen
    assert ca.limits(look.text(str(path)), CA, NAME, now=time.time() + 3601).severity == "ok"
    path.write_text("{")
    assert ca.limits(look.text(str(path)), CA, NAME).severity == "warn"


def test_p22_counts_by_the_sites_own_limits() -> None:
    record = {"failures": [{"at": time.time(), "directory": CA, "name": NAME, "problem": "dns"}] * 4}
    told = ca.limits(json.dumps(record), CA, NAME, given={"failures": 10})
    assert (told.severity, told.seen) == ("ok", "5 more failures this hour, 4 more certificates this week")
    assert ca.limits(json.dumps(record), CA, NAME, given={"certificates": 9}).severity == "error"


DOWN = "http://127.0.0.1:1/dir"
ISSUED = {"at": time.time(), "directory": DOWN, "names": [NAME]}


def ca_checks(**given: Any) -> dict[str, Check]:
    """P21 and P22 of a site whose CA is down, and has made as many certificates this week as it may."""
    host = {
        **{"ports": {"80": [], "443": []}, "ufw": None, "room": {}, "challenges": {}, "hops": [], "seen_address": ""},
        **{"authenticator": "webroot", "server": DOWN},
        **{"certificate": {"names": [NAME], "days_left": 60}, "budget": json.dumps({"certificates": [ISSUED] * 4})},
    }
    changed = {key: given.pop(key) for key in [*host] if key in given}
    inputs = Inputs(
        NAME, "mycompany.invalid", ADDRESS, nameservers=("127.0.0.1:1",), acme_directory=DOWN, host={**host, **changed}
    )
    return {check.id: check for check in run(replace(inputs, **given)) if check.id in ("P21", "P22")}


def test_p21_and_p22_stop_nobody_whose_certificate_is_valid() -> None:
    """Nothing is ordered, so neither a CA that is down nor a limit of the week is a reason to keep the site from its audit."""
    checks = ca_checks()
    assert {id: (check.severity, check.stops) for id, check in checks.items()} == {"P21": ("warn", False), "P22": ("warn", False)}
    assert all("the certificate that is there" in check.remedy for check in checks.values())


@pytest.mark.parametrize(
    "given",
    [
        {"certificate": {}},
        {"certificate": {"names": [NAME], "days_left": -1}},
        {"certificate": {"names": ["www.mycompany.com"], "days_left": 60}},
        {"challenge": "dns-01"},  # another way of proving the name is tried at once
        {"server": "https://another.test/dir"},  # and so is another CA
        {"server": ""},  # what nginx shows was bought, and an ACME certificate is wanted now
    ],
)
def test_p21_and_p22_stop_where_an_order_is_to_be_made(given: dict[str, Any]) -> None:
    assert {id: check.stops for id, check in ca_checks(**given).items()} == {"P21": True, "P22": True}


def test_p21_and_p22_stop_nobody_who_has_another_ca_at_hand(serve: Callable[..., int]) -> None:
    other = f"http://127.0.0.1:{serve(says(200, json.dumps({'newOrder': 'o'})))}/dir"
    checks = ca_checks(certificate={}, fallbacks=((other, ""),))
    assert {id: (check.severity, check.stops) for id, check in checks.items()} == {"P21": ("warn", False), "P22": ("warn", False)}
    assert other in checks["P21"].remedy
    assert ca_checks(certificate={}, fallbacks=(("http://127.0.0.1:1/other", ""),))["P21"].stops
    # A failed validation is the site's own; another CA would meet the same.
    failed = {"at": time.time(), "directory": DOWN, "name": NAME, "problem": "dns"}
    assert ca_checks(certificate={}, fallbacks=((other, ""),), budget=json.dumps({"failures": [failed] * 4}))["P22"].stops


@pytest.mark.parametrize(
    ("names", "days", "valid", "seen"),
    [
        ((NAME,), 60, True, "60 days left"),
        ((NAME,), -1, False, "it has ended"),
        (("www.mycompany.com",), 60, False, "it is for other names"),
    ],
)
def test_p23_a_certificate_that_is_there(tmp_path: Path, names: tuple[str, ...], days: int, valid: bool, seen: str) -> None:
    facts = {"certificate": look.certificate(look.text(str(pem(tmp_path, names, days))))}
    check = machine.certificate_there(facts["certificate"], NAME)
    assert (check.id, check.severity, machine.valid_certificate(facts, NAME)) == ("P23", "info", valid)
    assert seen in check.seen
    again = machine.certificate_there(facts["certificate"], NAME, another_way=True)
    assert again.remedy == "the step certificate asks for a new one"
    assert look.certificate(look.text(str(tmp_path / "none.pem"))) == {}
    assert look.certificate(look.text(str(pem(tmp_path, names, days, issuer=names[0])))) == {}  # a placeholder


def test_p23_a_bought_certificate_is_not_ordered(tmp_path: Path) -> None:
    for lineage in ({}, look.certificate(look.text(str(pem(tmp_path, (NAME,), -1))))):
        check = machine.certificate_there(lineage, NAME, brought=True)
        assert (check.severity, check.remedy) == ("info", "the step certificate brings the one in certificate_files")
    inputs = Inputs(NAME, "mycompany.com", ADDRESS, brought=True)
    assert not inputs.over_http


def test_p07_the_account_that_certbot_keeps_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "accounts" / "ca.example" / "directory" / "abc"
    folder.mkdir(parents=True)
    (folder / "regr.json").write_text(json.dumps({"body": {}, "uri": "https://ca.example/acct/1"}))
    (folder.parent / "regr.json").write_text("{")
    assert look.accounts(str(tmp_path)) == ["https://ca.example/acct/1"]


@pytest.mark.parametrize(
    ("kept", "challenge", "another"),
    [
        ("authenticator = webroot", "http-01", False),
        ("authenticator = webroot", "dns-01", True),
        ("authenticator = dns-cloudflare", "http-01", True),
        ("authenticator = dns-cloudflare", "dns-01", False),
        ("", "dns-01", False),
    ],
)
def test_p23_a_name_that_was_proved_in_another_way_is_seen(kept: str, challenge: str, another: bool) -> None:
    inputs = Inputs(NAME, "mycompany.com", ADDRESS, challenge=challenge)
    assert machine.another_way(look.authenticator(f"version = 5\n[renewalparams]\n{kept}\n"), inputs) is another


# --- P25: HSTS above the name ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "severity"), [("max-age=31536000; includeSubDomains; preload", "warn"), ("max-age=31536000", "ok"), ("", "ok")]
)
def test_p25_the_domains_own_hsts(serve: Callable[..., int], tmp_path: Path, header: str, severity: str) -> None:
    port = serve(says(200, Strict_Transport_Security=header), tls=pem(tmp_path))
    sent = look.get("https://mycompany.com/", "127.0.0.1", port=port)["hsts"]
    assert web.hsts(NAME, {"mycompany.com": sent}, covered=False).severity == severity
    assert web.hsts(NAME, {"mycompany.com": sent}, covered=True).severity in ("ok", "info")


def test_p25_a_top_level_domain_of_https_alone() -> None:
    assert web.hsts("qbo.mycompany.dev", {}, covered=False).severity == "warn"


# --- all together ---------------------------------------------------------------------------------------------------


def test_facts_of_a_real_host_are_judged_whole(name_server: Any) -> None:
    """This machine's own facts, through JSON as Ansible carries them, and every check that needs them is there."""
    asked = {
        "fqdn": NAME,
        "address": "127.0.0.1",
        "lan_address": "127.0.0.1",
        "ports": [80, 443],
        "webroot": "/nowhere",
        "letsencrypt": "/nowhere",
        "budget": "/nowhere",
        "folders": ["/"],
        "way_to": "",
        "echo_url": "",
    }
    facts = json.loads(json.dumps({**look.on_host(asked), "skew_s": 0.0}))
    inputs = Inputs(NAME, "mycompany.com", ADDRESS, LAN, name_server.at, (name_server.at,), "http://127.0.0.1:1/dir", host=facts)
    found = {check.id for check in run(inputs)}
    assert found >= {"P11", "P14", "P16", "P20", "P21", "P22", "P23", "H01"}
    assert found <= set(CATALOGUE)


def test_a_site_whose_port_80_has_to_stay_closed_lacks_nothing_for_it() -> None:
    """As docs/step-1-prerequisites.md has it: only 443 is forwarded, and the name is proved over DNS."""
    shown = {"sha256": "a"}
    host = {
        "ports": {"80": ["nginx"], "443": ["nginx"]},
        "ufw": [443],
        "room": {},
        "addresses": [{"address": LAN, "card": "eth0", "dynamic": False}],
        "hops": [],
        "seen_address": ADDRESS,
        "challenges": {LAN: {"right": False, "problem": "no answer in time"}},
        "certificate": {},
        "shown": shown,
        "hairpin": shown,
    }
    outside = {"http": {**trail(("http://x/", 404)), "problem": "no answer in time"}, "tls": shown, "hsts": {}}
    outside["http"]["trail"][0]["server"] = "micro_httpd"
    closed = Inputs(
        "qbo.mycompany.invalid",
        "mycompany.invalid",
        ADDRESS,
        LAN,
        nameservers=("127.0.0.1:1",),
        challenge="dns-01",
        ports=(443,),
        forwards=Shown(Reading(OURS[1:])),
        host=host,
        outside=outside,
        staging="http://127.0.0.1:1/dir",
    )

    def missing(inputs: Inputs) -> set[str]:
        return {one.id for one in run(inputs) if one.stops or one.mended_by} & {"P14", "P15", "P16", "P17", "P18", "P19"}

    assert missing(closed) == set()
    assert missing(replace(closed, challenge="http-01", brought=True)) == set()
    assert missing(replace(closed, challenge="http-01", ports=(80, 443))) >= {"P14", "P15", "P16", "P19"}
    # Nobody forwards port 80 later, so a challenge over it has no way in.
    silent = {**outside, "http": trail(problem="no answer in time")}
    assert [one.stops for one in run(replace(closed, challenge="http-01", outside=silent)) if one.id == "P15"] == [True]
