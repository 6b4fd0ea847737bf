"""P06 against real BIND: a parent zone, children signed well and badly, and a resolver that checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import edge_box
import pytest

from lab.world import image
from qbo_sync.edge.authoritative import servers
from qbo_sync.edge.preflight import Inputs, run
from qbo_sync.edge.preflight.dnssec import dnssec
from tests.needs import need

# The parent delegates to itself: one server has all zones. ``other-key``: the parent's DS is of a key that the zone has not.
CHILDREN = ("sound", "unsigned", "expired", "other-key", "stripped")
SOA = "@ 300 IN SOA ns.com. hostmaster 1 3600 600 86400 300\n@ 300 IN NS ns.com.\n"
NAMED = """options {{ directory "/mnt"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none;
  session-keyfile none; allow-query {{ any; }}; {more} }};
controls {{ }};
{zones}
"""


@dataclass(frozen=True)
class Zones:
    """``parent`` has all the zones; ``checking`` and ``plain`` are a resolver that checks signatures and one that doesn't."""

    parent: str
    checking: str
    plain: str


def sign(folder: Path, zone: str, *options: str) -> str:
    """Sign a zone file with a key of its own; the DS record for the parent."""
    edge_box.run(folder, "dnssec-keygen", "-q", "-K", "/mnt", "-a", "ECDSAP256SHA256", "-f", "KSK", zone)
    key = max(folder.glob(f"K{zone}.*.key"), key=lambda path: path.stat().st_mtime_ns)
    name = f"/mnt/{zone}"
    edge_box.run(
        folder,
        "dnssec-signzone",
        "-q",
        "-S",
        "-P",
        "-z",
        "-K",
        "/mnt",
        "-d",
        "/mnt",
        "-o",
        zone,
        "-f",
        f"{name}.signed",
        *options,
        name,
    )
    return edge_box.run(folder, "dnssec-dsfromkey", "-2", f"/mnt/{key.name}").strip()


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zones]:
    need(image.available() or "")
    folder = tmp_path_factory.mktemp("dnssec")
    port, checking, plain = (edge_box.free_port() for _ in range(3))
    long_ago = [f"{datetime.now(UTC) - timedelta(days=days):%Y%m%d%H%M%S}" for days in (30, 2)]
    parent = SOA + "ns 300 IN A 127.0.0.1\n"
    for child in CHILDREN:
        (folder / f"{child}.com").write_text(f"$ORIGIN {child}.com.\n{SOA}qbo 300 IN A 11.22.33.10\n")
        parent += f"{child} 300 IN NS ns.com.\n"
        if child != "unsigned":
            parent += sign(folder, f"{child}.com", *(("-s", long_ago[0], "-e", long_ago[1]) if child == "expired" else ())) + "\n"
    wrong = re.search(r"^other-key\.com\. IN DS .*$", parent, re.MULTILINE)
    assert wrong
    parent = parent.replace(wrong[0], wrong[0][:-8] + "00000000")
    (folder / "com").write_text(f"$ORIGIN com.\n{parent}")
    anchor = sign(folder, "com").replace("com. IN DS", "").split()
    files = {child: f"{child}.com" + ("" if child in ("unsigned", "stripped") else ".signed") for child in CHILDREN}
    own = [*((f"{child}.com", file) for child, file in files.items()), ("com", "com.signed")]
    text = "".join(f'zone "{name}" {{ type primary; file "/mnt/{file}"; }};\n' for name, file in own)
    (folder / "parent.conf").write_text(NAMED.format(port=port, more="recursion no;", zones=text))
    stub = f'zone "com" {{ type forward; forward only; forwarders {{ 127.0.0.1 port {port}; }}; }};\n'
    trust = f'trust-anchors {{ com. static-ds {" ".join(anchor[:3])} "{"".join(anchor[3:])}"; }};\n'
    for name, at, more in (("checking", checking, "yes"), ("plain", plain, "no")):
        options = f"recursion yes; allow-recursion {{ any; }}; dnssec-validation {more};"
        (folder / f"{name}.conf").write_text(NAMED.format(port=at, more=options, zones=stub + (trust if more == "yes" else "")))
    with ExitStack() as stack:
        for name, at in (("parent", port), ("checking", checking), ("plain", plain)):
            command = ("/usr/sbin/named", "-g", "-n", "1", "-c", f"/mnt/{name}.conf")
            stack.enter_context(edge_box.daemon(folder, *command, answers=partial(answers, at)))
        yield Zones(*(f"127.0.0.1:{at}" for at in (port, checking, plain)))


def answers(port: int) -> bool:
    try:
        return dns.query.udp(dns.message.make_query("unsigned.com", "SOA"), "127.0.0.1", 1, port).rcode() == dns.rcode.NOERROR
    except (dns.exception.DNSException, OSError):
        return False


@pytest.mark.parametrize("resolver", ["checking", "plain"])
@pytest.mark.parametrize(
    ("zone", "severity", "seen"),
    [
        ("sound", "ok", "the signatures hold"),
        ("unsigned", "ok", "not signed"),
        ("expired", "error", "signature of the keys"),
        ("other-key", "error", "none of the keys"),
        ("stripped", "error", "the zone has no key"),
    ],
)
def test_p06_signatures(zones: Zones, zone: str, severity: str, seen: str, resolver: str) -> None:
    """A resolver that checks shows the fault at once; one that doesn't leaves it to our own look at the chain."""
    at = getattr(zones, resolver)
    check = dnssec(f"{zone}.com", at, servers(f"{zone}.com", nameservers=[zones.parent]))
    assert (check.id, check.severity) == ("P06", severity)
    assert (seen if resolver == "plain" or severity == "ok" else "only when it does not check DNSSEC") in check.seen
    assert bool(check.remedy) == (severity == "error")


def test_p06_is_named_when_the_delegation_cannot_even_be_found(zones: Zones) -> None:
    """Without given name servers nothing at all is found of such a zone; the reason is told beside it."""
    found = {c.id: c for c in run(Inputs("qbo.expired.com", "expired.com", "11.22.33.10", resolver=zones.checking))}
    assert (found["P02"].severity, found["P06"].severity) == ("fatal", "error")
