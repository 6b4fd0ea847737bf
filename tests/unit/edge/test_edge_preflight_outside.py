"""P18 against a real CA (Pebble) on loopback, and a shim before it for what Pebble does not judge."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import edge_box
import pytest
from edge_dns_server import DnsServer, serving
from edge_lab import SOA, ZONE

from lab.world import image
from lab.world.authority import Authority, Issued
from qbo_sync.edge.preflight import Inputs, outside, run
from tests.needs import need
from tests.serving import served

NAME = f"qbo.{ZONE}"
BLOCKED = "qbo.blocked.example"


class Ca:
    """Pebble, the port it looks for challenges at, and the shim's wish. ``lie`` is the problem the shim puts into its mouth."""

    def __init__(self, folder: Path) -> None:
        authority = Authority()
        self.root = folder / "root.pem"
        authority.write(self.root)
        self.issued: Issued = authority.issue(folder, "acme.lab.internal", "127.0.0.1")
        self.port, self.management, self.http, self.shim = (edge_box.free_port() for _ in range(4))
        self.lie = ""

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def shimmed(self) -> str:
        return f"https://127.0.0.1:{self.shim}/dir"

    def configuration(self) -> dict[str, object]:
        return {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": "/mnt/acme.lab.internal.pem",
            "privateKey": "/mnt/acme.lab.internal.key",
            "httpPort": self.http,
            "tlsPort": 1,
            "domainBlocklist": ["blocked.example"],
        }


@pytest.fixture(scope="module")
def names() -> Iterator[DnsServer]:
    with serving(DnsServer({ZONE: SOA + "qbo 300 IN A 127.0.0.1\n"})) as server:
        yield server


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory, names: DnsServer) -> Iterator[Ca]:
    need(image.available() or "")
    folder = tmp_path_factory.mktemp("pebble")
    made = Ca(folder)
    (folder / "pebble.json").write_text(json.dumps({"pebble": made.configuration()}))
    command = ("/usr/bin/pebble", "-config", "/mnt/pebble.json", "-dnsserver", names.at)
    with ExitStack() as stack:
        asked = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        stack.enter_context(edge_box.daemon(folder, *command, answers=partial(answers, made), **asked))
        stack.callback(shim(made))
        yield made


def answers(ca: Ca) -> bool:
    try:
        urllib.request.urlopen(ca.directory, timeout=2, context=ssl.create_default_context(cafile=str(ca.root))).close()
    except OSError:
        return False
    return True


def shim(ca: Ca) -> Callable[[], None]:
    """A shim, not a CA: it passes everything on to Pebble and changes only the type of the problem in a failed challenge."""
    trust = ssl.create_default_context(cafile=str(ca.root))

    class Pass(BaseHTTPRequestHandler):
        def passed(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            pebble = http.client.HTTPSConnection("127.0.0.1", ca.port, context=trust, timeout=10)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
            pebble.request(self.command, self.path, body or None, headers)
            answer = pebble.getresponse()
            content = answer.read()
            pebble.close()
            if ca.lie:
                content = content.replace(b"acme:error:unauthorized", f"acme:error:{ca.lie}".encode())
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_GET(self) -> None:
            self.passed()

        def do_POST(self) -> None:
            self.passed()

        def do_HEAD(self) -> None:
            self.passed()

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", ca.shim), Pass)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.issued.certificate, ca.issued.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


@pytest.fixture
def web(ca: Ca) -> Iterator[None]:
    """Somebody answers where challenges are looked for, with a plain 404."""

    class NotFound(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    with served(ThreadingHTTPServer(("127.0.0.1", ca.http), NotFound)):
        yield


def look(ca: Ca, fqdn: str = NAME, directory: str = "", key: Path | None = None) -> outside.Check:
    return outside.reachable(fqdn, directory or ca.directory, str(ca.root), key)


def test_p18_nobody_answers(ca: Ca) -> None:
    check = look(ca)
    assert (check.id, check.severity, check.mended_by, check.stops) == ("P18", "fatal", "port_forward", False)
    assert check.seen.startswith("connection")


@pytest.mark.usefixtures("web")
def test_p18_an_answer_without_the_challenge_is_a_way_in_and_the_account_is_kept(ca: Ca, tmp_path: Path) -> None:
    key = tmp_path / "preflight" / "127.0.0.1.pem"
    for _ in range(2):
        check = look(ca, key=key)
        assert (check.severity, "the CA came through" in check.seen) == ("ok", True), check.seen
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_p18_a_name_that_the_ca_refuses(ca: Ca) -> None:
    check = look(ca, BLOCKED)
    assert (check.severity, check.stops) == ("fatal", True)
    assert check.seen.startswith("rejectedIdentifier")


def test_p18_a_name_that_cannot_be_looked_up(ca: Ca, names: DnsServer) -> None:
    """Pebble calls it ``connection`` where Boulder says ``dns``; the shim gives it Boulder's word below."""
    names.refuse = True
    try:
        assert look(ca).seen.startswith(("connection", "dns"))
    finally:
        names.refuse = False


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    ("problem", "severity", "stops"),
    [("caa", "fatal", True), ("dns", "fatal", True), ("rateLimited", "warn", False), ("serverInternal", "error", True)],
)
def test_p18_what_pebble_does_not_judge_by_a_shim(ca: Ca, problem: str, severity: str, stops: bool) -> None:
    ca.lie = problem
    check = look(ca, directory=ca.shimmed)
    assert (check.severity, check.stops, check.seen.partition(":")[0]) == (severity, stops, problem)
    assert check.remedy


def test_p18_a_ca_that_cannot_be_asked_says_nothing_of_the_site(ca: Ca) -> None:
    check = look(ca, directory="https://127.0.0.1:1/dir")
    assert (check.severity, check.stops) == ("warn", False)


@pytest.mark.usefixtures("web")
def test_p18_is_asked_only_where_it_can_tell_something(ca: Ca, names: DnsServer) -> None:
    at = {"resolver": names.at, "nameservers": (names.at,), "staging": ca.directory, "acme_ca_file": str(ca.root)}

    def said(address: str) -> str:
        return {check.id: check for check in run(Inputs(NAME, ZONE, address, **at))}["P18"].seen

    assert "does not lead to" in said("11.22.33.10")
    assert "not asked while" in said("127.0.0.1")  # loopback is no public address
