"""A real BIND on a free port of loopback, run from the lab's image in a mount and process tree of its own."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.update
from edge_box import daemon, free_port
from edge_lab import SOA, ZONE


@dataclass(frozen=True)
class Bind:
    """A running server for ``ZONE``: ``strong`` may change everything in it, ``site`` only what a site's key should."""

    port: int
    strong: dns.tsig.Key
    site: dns.tsig.Key

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.port}"

    def edit(self, *lines: str) -> None:
        """As a person does: ``add NAME TTL TYPE DATA``, ``del NAME [TYPE [DATA]]``, names as in the zone."""
        update = dns.update.UpdateMessage(ZONE, keyring=self.strong)
        for line in lines:
            verb, name, *rest = line.split(maxsplit=4)
            if verb == "add":
                update.add(name, int(rest[0]), rest[1], " ".join(rest[2:]))
            else:
                update.delete(name, *rest)
        assert dns.query.tcp(update, "127.0.0.1", port=self.port, timeout=5).rcode() == dns.rcode.NOERROR

    def records(self, host: str = "qbo") -> list[str]:
        """What stands at a host and at its mark, as ``TYPE TTL DATA``."""
        found = set()
        for name, types in ((host, ("A", "AAAA", "CNAME")), (f"_qbokit.{host}", ("TXT",))):
            for rdtype in types:
                query = dns.message.make_query(f"{name}.{ZONE}", rdtype, flags=0)
                for rrset in dns.query.tcp(query, "127.0.0.1", port=self.port, timeout=5).answer:
                    found |= {f"{rrset.rdtype.name} {rrset.ttl} {rdata.to_text()}" for rdata in rrset}
        return sorted(found)

    def serial(self) -> int:
        query = dns.message.make_query(ZONE, "SOA", flags=0)
        return int(dns.query.tcp(query, "127.0.0.1", port=self.port, timeout=5).answer[0][0].serial)


def line(key: dns.tsig.Key) -> str:
    """The key as one line of a key file."""
    return f"hmac-sha256:{key.name.to_text(omit_final_dot=True)}:{b64encode(key.secret).decode()}"


def statement(key: dns.tsig.Key) -> str:
    """The key as a statement of named.conf."""
    algorithm, name, secret = line(key).split(":")
    return f'key "{name}" {{\n\talgorithm {algorithm};\n\tsecret "{secret}";\n}};\n'


def configuration(port: int, strong: dns.tsig.Key, site: dns.tsig.Key) -> str:
    return f"""{statement(strong)}{statement(site)}
options {{
  directory "/mnt";
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  pid-file none;
  session-keyfile none;
  recursion no;
  dnssec-validation no;
}};
controls {{ }};
zone "{ZONE}" {{
  type primary;
  file "/mnt/zone";
  update-policy {{ grant strong zonesub ANY; grant site subdomain qbo.{ZONE}. A CNAME TXT; }};
}};
"""


@contextmanager
def running(folder: Path) -> Iterator[Bind]:
    """Start BIND with an empty folder of its own; it is stopped at the end."""
    keys = [dns.tsig.Key(name, secrets.token_bytes(32), "hmac-sha256") for name in ("strong", "site")]
    bind = Bind(free_port(), *keys)
    (folder / "named.conf").write_text(configuration(bind.port, *keys))
    (folder / "zone").write_text(f"$ORIGIN {ZONE}.\n{SOA}")

    def answers() -> bool:
        try:
            return bool(bind.serial())
        except (dns.exception.DNSException, OSError, EOFError):
            return False

    with daemon(folder, "/usr/sbin/named", "-g", "-n", "1", "-c", "/mnt/named.conf", answers=answers):
        yield bind
