"""A small company's network in namespaces: outside, router, edge host, and an office machine that serves pages too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from qbo_sync.errors import KitError

WAN, LAN = "qkwan0", "qkbr"
OUTSIDE, EXTERNAL, CARRIER = "11.22.33.90", "11.22.33.10", "100.64.7.8"
EDGE, SECOND, OFFICE = "10.10.0.10", "10.10.0.11", "10.10.0.30"
NETWORK = "10.10.0.0/24"

Namespaces = Callable[[], str]

# Tells which address answers, and whom it sees.
LISTEN = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{sys.argv[1]} {self.client_address[0]}".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Page)
print("ready", flush=True)
server.serve_forever()
"""
FETCH = """
import sys, urllib.request
try:
    print(urllib.request.urlopen(f"http://11.22.33.10:{sys.argv[1]}/", timeout=3).read().decode())
except OSError as error:
    print("failed", error)
"""


class Namespace:
    """A host that is nothing but its network."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def inside(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)

    def run(self, command: Sequence[str], given: str = "") -> str:
        done = subprocess.run([*self.inside, *command], input=given, capture_output=True, text=True, check=False, timeout=30)
        if done.returncode:
            raise KitError(f"{command[0]} failed", seen=done.stderr or done.stdout)
        return done.stdout


class Site:
    """The network, wired. ``edge`` has two addresses, for a move from one to the other."""

    def __init__(self, make: Namespaces) -> None:
        self.outside, self.edge, self.office = Namespace(make()), Namespace(make()), Namespace(make())
        self.router = Namespace(make())
        for host, address, port in ((self.outside, OUTSIDE, WAN), (self.edge, EDGE, "qklan1"), (self.office, OFFICE, "qklan2")):
            lines = [f"link add qk0 type veth peer name {port} netns {self.router.name}", f"addr add {address}/24 dev qk0"]
            self._ip(host, *lines, "link set qk0 up")
        self._ip(
            self.router,
            f"addr add {EXTERNAL}/24 dev {WAN}",
            f"link add {LAN} type bridge",
            f"addr add 10.10.0.1/24 dev {LAN}",
            *(f"link set {port} master {LAN}" for port in ("qklan1", "qklan2")),
            *(f"link set {port} up" for port in (WAN, LAN, "qklan1", "qklan2")),
        )
        # As over PPPoE: no gateway has an address.
        self._ip(self.router, f"route add default dev {WAN}")
        self._ip(self.edge, f"addr add {SECOND}/24 dev qk0", "route add default via 10.10.0.1")
        self._ip(self.office, "route add default via 10.10.0.1")
        # Bridged frames must not meet the router's own rules, which br_netfilter (Docker loads it) makes them do.
        switch = "/proc/sys/net/bridge/bridge-nf-call-iptables"
        self.router.run(["sh", "-c", f"sysctl -qw net.ipv4.ip_forward=1; [ ! -e {switch} ] || echo 0 >{switch}"])

    def _ip(self, host: Namespace, *lines: str) -> None:
        done = subprocess.run(["ip", "-n", host.name, "-batch", "-"], input="\n".join(lines), text=True, check=False)
        assert done.returncode == 0

    @contextmanager
    def behind_the_carrier(self) -> Iterator[None]:
        """The provider gives the router an address of its own network in the place of a public one."""
        self._ip(self.router, f"addr add {CARRIER}/24 dev {WAN}", f"addr del {EXTERNAL}/24 dev {WAN}")
        try:
            yield
        finally:
            self._ip(self.router, f"addr add {EXTERNAL}/24 dev {WAN}", f"addr del {CARRIER}/24 dev {WAN}")

    @contextmanager
    def without_default_route(self) -> Iterator[None]:
        """The line is down, or the router knows each network by itself."""
        self._ip(self.router, f"route del default dev {WAN}")
        try:
            yield
        finally:
            self._ip(self.router, f"route add default dev {WAN}")

    @contextmanager
    def serving(self, host: Namespace, *addresses: str, port: int = 80) -> Iterator[None]:
        """Pages at some addresses of a host."""
        pages = [
            subprocess.Popen([*host.inside, sys.executable, "-c", LISTEN, address, str(port)], stdout=subprocess.PIPE, text=True)
            for address in addresses
        ]
        try:
            for page in pages:
                assert page.stdout is not None
                assert page.stdout.readline() == "ready\n"
            yield
        finally:
            for page in pages:
                page.kill()
                page.communicate()


def fetch(host: Namespace, port: int = 80) -> str:
    """The page at the external address, as a host sees it."""
    return host.run([sys.executable, "-c", FETCH, str(port)]).strip()
