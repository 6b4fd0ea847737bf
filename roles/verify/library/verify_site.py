#!/usr/bin/python
"""Ansible module: look at a site's secure address from where this runs. Standard library only; reads, never writes."""

from __future__ import annotations

import contextlib
import ipaddress
import resource
import selectors
import socket
import ssl
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPResponse

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: verify_site
short_description: Looks at a site's secure address from the outside
description:
  - Resolves the name, tries ports 80 and 443, the certificate chain, a wrong name and the pages, and says for each what was seen.
  - Changes nothing. Runs on any host with Python 3.9 and needs no package.
options:
  fqdn: {type: str, required: true, description: The secure address people type.}
  address: {type: str, required: true, description: The external IPv4 address it must lead to.}
  ca_pem: {type: str, default: "", description: Text of the CA file. Empty means the system's CAs.}
  echo_url: {type: str, default: "", description: An address that answers with the caller's own address.}
  paths:
    type: list
    elements: dict
    default: []
    description: Pages that must answer over https.
    suboptions:
      path: {type: str, required: true, description: The path.}
      status: {type: int, default: 200, description: The wanted status.}
      contains: {type: str, default: "", description: A text the page must contain.}
  redirect: {type: bool, default: true, description: Whether port 80 must lead people on to https.}
  min_days: {type: int, default: 7, description: Fewer days left on the certificate is a failure.}
  other_names_refused: {type: bool, default: true, description: Whether another name must be refused instead of passed on.}
  open_ports: {type: list, elements: int, default: [], description: TCP ports that may answer. Empty means none is tried.}
  timeout_s: {type: int, default: 10, description: Seconds for each connection.}
author: qbo-kit
"""

EXAMPLES = r"""
- name: Look from outside
  verify_site:
    fqdn: qbo.mycompany.com
    address: 11.22.33.10
    paths: [{path: /}]
"""

RETURN = r"""
checks:
  description: One entry for each thing looked at, with id, ok, seen and next.
  type: list
  returned: always
certificate:
  description: Issuer, names, serial, end and days left of the certificate as served.
  type: dict
  returned: when the chain is valid
"""

WRONG_NAME = "not-this-site.invalid"
# TCP ports to try: all that programs of the system use, and those by which offices are broken into.
TRIED = (*range(1, 1025), 1433, 3306, 3389, 5432, 5900, 5985, 8000, 8021, 8080, 8443, 10443)
KNOCK_S = 2  # for all ports that are tried at the same time; a dropped packet takes as long


class Look:
    """The looks at one site; each returns (ok, what was seen, what to do when it isn't ok)."""

    def __init__(self, parameters):
        self.fqdn = parameters["fqdn"]
        self.address = parameters["address"]
        self.echo_url = parameters["echo_url"]
        self.timeout = parameters["timeout_s"]
        self.min_days = parameters["min_days"]
        self.other_names_refused = parameters["other_names_refused"]
        self.open_ports = set(parameters["open_ports"])
        self.context = ssl.create_default_context(cadata=parameters["ca_pem"] or None)
        self.certificate = {}

    def outside(self):
        """Only a look whose way out is not the site's own address proves anything."""
        mine = self._way_out()
        seen = f"the observer goes out as {mine}"
        if mine == self.address:
            return False, f"{seen}, the site's own address", "not proved from outside: choose an observer at another place"
        if not ipaddress.ip_address(mine).is_global:
            return False, f"{seen}, behind NAT", "not proved from outside: set verify_echo_url, or choose another observer"
        return True, seen, ""

    def _way_out(self):
        if self.echo_url:
            with urllib.request.urlopen(self.echo_url, timeout=self.timeout) as answer:  # noqa: S310
                return str(ipaddress.ip_address(answer.read(64).decode("ascii", "replace").strip()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((self.address, 443))
            return probe.getsockname()[0]

    def resolution(self):
        """The name leads to the site's address, and to it alone."""
        found = sorted({entry[4][0] for entry in socket.getaddrinfo(self.fqdn, 443, type=socket.SOCK_STREAM)})
        wanted = found == [self.address]
        return wanted, f"{self.fqdn} is {', '.join(found)}", f"the A record must be {self.address} and nothing else"

    def redirect(self):
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

    def ports(self):
        """No door but the asked ones answers; whether those work is for the other looks to say."""
        found = _answering(self.address, TRIED)
        strange, missing = sorted(found - self.open_ports), sorted(self.open_ports & set(TRIED) - found)
        seen = f"of {len(TRIED)} ports tried {', '.join(map(str, sorted(found))) or 'none'} answer"
        if missing:
            return False, seen, f"not open: {', '.join(map(str, missing))}; is the router forwarding them to the edge host?"
        remedy = f"{', '.join(map(str, strange))} should not: close it in the router, or name it in verify_open_ports"
        return not strange, seen, remedy

    def chain(self):
        """The certificate served for the name is valid and has time left."""
        with self._tls(self.fqdn) as connection:
            served = connection.getpeercert()
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

    def wrong_name(self):
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

    def page(self, path, status, contains):
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

    def _served(self, name):
        """The certificate served for a name, whoever signed it."""
        blind = ssl.create_default_context()
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        with self._tls(name, blind) as connection:
            return connection.getpeercert(binary_form=True)

    def _tls(self, name, context=None):
        raw = socket.create_connection((self.address, 443), timeout=self.timeout)
        try:
            return (context or self.context).wrap_socket(raw, server_hostname=name)
        except OSError:
            raw.close()
            raise


def _room_for_sockets(wanted):
    """How many sockets this process may have besides what the other looks need; the limit is raised as far as one may."""
    kept = 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + kept:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + kept, hard))
            soft = wanted + kept
    return min(wanted, soft - kept)


def _answering(address, ports):
    """Those of the TCP ports that answer; as many are tried at once as this process may have sockets."""
    room = _room_for_sockets(len(ports))
    return set().union(*(_knock(address, ports[first : first + room]) for first in range(0, len(ports), room)))


def _knock(address, ports):
    """Those of the TCP ports that answer within KNOCK_S."""
    end = time.monotonic() + KNOCK_S
    with selectors.DefaultSelector() as waiting, contextlib.ExitStack() as opened:
        for port in ports:
            knock = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            knock.setblocking(False)
            knock.connect_ex((address, port))
            waiting.register(knock, selectors.EVENT_WRITE, port)
        found = set()
        while waiting.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                waiting.unregister(key.fileobj)
                if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.add(key.data)
    return found


def _name(parts):
    values = {key: value for part in parts for key, value in part}
    return values.get("commonName") or values.get("organizationName") or "unnamed"


def _check(identifier, look, *arguments):
    try:
        good, seen, remedy = look(*arguments)
    except (OSError, ValueError, HTTPException) as error:
        good, seen, remedy = False, f"{type(error).__name__}: {error}", "docs/step-1-prerequisites.md says what each answer means"
    return {"id": identifier, "ok": good, "seen": seen, "next": "" if good else remedy}


def main():
    """Look at everything, whatever fails, and report."""
    page = {
        "path": {"type": "str", "required": True},
        "status": {"type": "int", "default": 200},
        "contains": {"type": "str", "default": ""},
    }
    module = AnsibleModule(
        argument_spec={
            "fqdn": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "ca_pem": {"type": "str", "default": ""},
            "echo_url": {"type": "str", "default": ""},
            "paths": {"type": "list", "elements": "dict", "options": page, "default": []},
            "redirect": {"type": "bool", "default": True},
            "min_days": {"type": "int", "default": 7},
            "other_names_refused": {"type": "bool", "default": True},
            "open_ports": {"type": "list", "elements": "int", "default": []},
            "timeout_s": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    try:
        look = Look(module.params)
    except ssl.SSLError as error:
        module.fail_json(msg=f"the CA file is not a PEM certificate: {error}")
    looks = [
        ("outside", look.outside),
        ("resolution", look.resolution),
        *([("redirect", look.redirect)] if module.params["redirect"] else []),
        *([("ports", look.ports)] if module.params["open_ports"] else []),
        ("chain", look.chain),
        ("wrong name", look.wrong_name),
    ]
    looks += [(f"page {p['path']}", look.page, p["path"], p["status"], p["contains"]) for p in module.params["paths"]]
    # At the same time: where nothing answers, each look takes its whole time-out.
    with ThreadPoolExecutor(max_workers=len(looks)) as pool:
        checks = list(pool.map(lambda one: _check(*one), looks))
    module.exit_json(changed=False, checks=checks, certificate=look.certificate)


if __name__ == "__main__":
    main()
