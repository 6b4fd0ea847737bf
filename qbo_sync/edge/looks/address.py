"""A site's secure address, looked at from where this runs.

Resolves the name, tries the ports, the certificate chain, a wrong name and the pages, and says for each what was seen.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import resource
import selectors
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

WRONG_NAME = "not-this-site.invalid"
# TCP ports to try: all that programs of the system use, and those by which offices are broken into.
TRIED = (*range(1, 1025), 1433, 3306, 3389, 5432, 5900, 5985, 8000, 8021, 8080, 8443, 10443)
KNOCK_S = 2  # for all ports that are tried at the same time; a dropped packet takes as long


# Whether it is right, what was seen, and what to do when it is not.
Seen = tuple[bool, str, str]


class Look:
    """The looks at one site."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.fqdn = parameters["fqdn"]
        self.address = parameters["address"]
        self.echo_url = parameters["echo_url"]
        self.timeout = parameters["timeout_s"]
        self.min_days = parameters["min_days"]
        self.other_names_refused = parameters["other_names_refused"]
        self.open_ports = set(parameters["open_ports"])
        self.context = ssl.create_default_context(cadata=parameters["ca_pem"] or None)
        self.certificate: dict[str, Any] = {}

    def outside(self) -> Seen:
        """Only a look whose way out is not the site's own address proves anything."""
        mine = self._way_out()
        seen = f"the observer goes out as {mine}"
        if mine == self.address:
            return False, f"{seen}, the site's own address", "not proved from outside: choose an observer at another place"
        if not ipaddress.ip_address(mine).is_global:
            return False, f"{seen}, behind NAT", "not proved from outside: set verify_echo_url, or choose another observer"
        return True, seen, ""

    def _way_out(self) -> str:
        if self.echo_url:
            with urllib.request.urlopen(self.echo_url, timeout=self.timeout) as answer:  # noqa: S310
                return str(ipaddress.ip_address(answer.read(64).decode("ascii", "replace").strip()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((self.address, 443))
            return str(probe.getsockname()[0])

    def resolution(self) -> Seen:
        """The name leads to the site's address, and to it alone."""
        found = sorted({str(entry[4][0]) for entry in socket.getaddrinfo(self.fqdn, 443, type=socket.SOCK_STREAM)})
        wanted = found == [self.address]
        return wanted, f"{self.fqdn} is {', '.join(found)}", f"the A record must be {self.address} and nothing else"

    def redirect(self) -> Seen:
        """Port 80 sends people on to https, for good."""
        connection = HTTPConnection(self.address, 80, timeout=self.timeout)
        try:
            connection.request("GET", "/", headers={"Host": self.fqdn})
            answer = connection.getresponse()
            target = answer.getheader("Location") or ""
        finally:
            connection.close()
        good = answer.status in (301, 308) and target.startswith(f"https://{self.fqdn}/")
        return good, f"port 80 answers {answer.status} {target}".rstrip(), "is port 80 forwarded to the edge host's nginx?"

    def ports(self) -> Seen:
        """No door but the asked ones answers; whether those work is for the other looks to say."""
        found = answering(self.address, TRIED)
        strange, missing = sorted(found - self.open_ports), sorted(self.open_ports & set(TRIED) - found)
        seen = f"of {len(TRIED)} ports tried {', '.join(map(str, sorted(found))) or 'none'} answer"
        if missing:
            return False, seen, f"not open: {', '.join(map(str, missing))}; is the router forwarding them to the edge host?"
        remedy = f"{', '.join(map(str, strange))} should not: close it in the router, or name it in verify_open_ports"
        return not strange, seen, remedy

    def chain(self) -> Seen:
        """The certificate served for the name is valid and has time left."""
        with self._tls(self.fqdn) as connection:
            served: dict[str, Any] = dict(connection.getpeercert() or {})
        left = int((ssl.cert_time_to_seconds(served["notAfter"]) - time.time()) // 86400)
        self.certificate = {
            "issuer": _name(served["issuer"]),
            "names": [value for kind, value in served.get("subjectAltName", ()) if kind == "DNS"],
            "serial": served["serialNumber"],
            "not_after": served["notAfter"],
            "days_left": left,
        }
        seen = f"issued by {self.certificate['issuer']} for {', '.join(self.certificate['names'])}, {left} days left"
        return (
            left >= self.min_days,
            seen,
            "on the edge host: systemctl status qbo-kit-certbot.service",
        )

    def wrong_name(self) -> Seen:
        """A name that isn't ours gets no certificate at all or, where such names pass through, that of the server behind."""
        try:
            served = self._served(WRONG_NAME)
            if self.other_names_refused:
                return False, "a wrong name is served a certificate", "is another web server answering on port 443?"
            if served == self._served(self.fqdn):
                return (
                    False,
                    "a wrong name is served our certificate",
                    "run the role reverse_proxy, so that other names pass",
                )
            return True, "a wrong name is passed on to another web server", ""
        except ssl.SSLError as refusal:
            told = "ALERT" in (refusal.reason or "") or "UNRECOGNIZED_NAME" in (refusal.reason or "")
            return told, f"a wrong name is answered with {refusal.reason}", "port 443 must lead to the edge host's nginx"
        except ConnectionResetError:
            return True, "a wrong name is refused (connection closed)", ""

    def page(self, path: str, status: int, contains: str) -> Seen:
        """One page over https."""
        with self._tls(self.fqdn) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.fqdn}\r\nConnection: close\r\n\r\n".encode("ascii"))
            answer = HTTPResponse(connection)
            answer.begin()
            body = answer.read(1 << 20).decode("utf-8", "replace")
        good = answer.status == status and contains in body
        seen = f"{path} answers {answer.status}, {len(body)} characters"
        if answer.status == status and not good:
            seen += f", without {contains!r}"
        return good, seen, f"wanted {status}" + (f" and {contains!r}" if contains else "") + "; is the server behind it running?"

    def _served(self, name: str) -> bytes | None:
        """The certificate served for a name, whoever signed it."""
        blind = ssl.create_default_context()
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        with self._tls(name, blind) as connection:
            return connection.getpeercert(binary_form=True)

    def _tls(self, name: str, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        raw = socket.create_connection((self.address, 443), timeout=self.timeout)
        try:
            return (context or self.context).wrap_socket(raw, server_hostname=name)
        except OSError:
            raw.close()
            raise


def _room_for_sockets(wanted: int) -> int:
    """How many sockets this process may have besides what the other looks need; the limit is raised as far as one may."""
    kept = 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + kept:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + kept, hard))
            soft = wanted + kept
    return min(wanted, soft - kept)


def answering(address: str, ports: Sequence[int]) -> set[int]:
    """Those of the TCP ports that answer; as many are tried at once as this process may have sockets."""
    room = _room_for_sockets(len(ports))
    return set().union(*(_knock(address, ports[first : first + room]) for first in range(0, len(ports), room)))


def _knock(address: str, ports: Sequence[int]) -> set[int]:
    """Those of the TCP ports that answer within KNOCK_S."""
    end = time.monotonic() + KNOCK_S
    with selectors.DefaultSelector() as waiting, contextlib.ExitStack() as opened:
        for port in ports:
            knock = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            knock.setblocking(False)
            knock.connect_ex((address, port))
            waiting.register(knock, selectors.EVENT_WRITE, (port, knock))
        found = set()
        while waiting.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                port, knock = key.data
                waiting.unregister(knock)
                if knock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.add(port)
    return found


def _name(parts: Iterable[Iterable[Iterable[str]]]) -> str:
    values = {key: value for part in parts for key, value in part}
    return values.get("commonName") or values.get("organizationName") or "unnamed"


def _check(identifier: str, look: Callable[..., Seen], arguments: tuple[Any, ...]) -> dict[str, Any]:
    try:
        good, seen, remedy = look(*arguments)
    except (OSError, ValueError, HTTPException) as error:
        good, seen, remedy = False, f"{type(error).__name__}: {error}", "docs/step-1-prerequisites.md says what each answer means"
    return {"id": identifier, "ok": good, "seen": seen, "next": "" if good else remedy}


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """Look at everything, whatever fails: ``checks``, each with ``id``, ``ok``, ``seen`` and ``next``, and ``certificate``.

    That is the served one's issuer, names, serial, end and days left, where the chain is valid. ``asked``: the options of the
    role's action ``verify_site``.
    """
    seen = Look(asked)
    looks: list[tuple[str, Callable[..., Seen], tuple[Any, ...]]] = [
        ("outside", seen.outside, ()),
        ("resolution", seen.resolution, ()),
        *([("redirect", seen.redirect, ())] if asked["redirect"] else []),
        *([("ports", seen.ports, ())] if asked["open_ports"] else []),
        ("chain", seen.chain, ()),
        ("wrong name", seen.wrong_name, ()),
    ]
    looks += [(f"page {page['path']}", seen.page, (page["path"], page["status"], page["contains"])) for page in asked["paths"]]
    # At the same time: where nothing answers, each look takes its whole time-out.
    with ThreadPoolExecutor(max_workers=len(looks)) as pool:
        checks = list(pool.map(lambda one: _check(*one), looks))
    return {"checks": checks, "certificate": seen.certificate}


if __name__ == "__main__":
    json.dump(look(json.load(sys.stdin)), sys.stdout)
