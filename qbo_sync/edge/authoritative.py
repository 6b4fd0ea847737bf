"""Ask every authoritative name server of a zone, and wait until all of them tell the same.

A certificate authority and Intuit ask any one of them, at any time, so a record counts only when each one answers it. Resolvers'
caches are no measure: they keep the old answer as long as its TTL says.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

from qbo_sync.errors import Unreachable, UsageError, Waiting

QUERY_TIMEOUT_S = 3.0
RESOLVE_TIMEOUT_S = 10.0
INTERVAL_S = 3.0
# The largest UDP answer that no network on the way cuts (DNS flag day 2020).
UDP_PAYLOAD = 1232


@dataclass(frozen=True)
class Server:
    """One authoritative server at one address."""

    name: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        where = self.address if self.port == 53 else f"{self.address}:{self.port}"
        return where if self.name == self.address else f"{self.name} ({where})"


@dataclass(frozen=True)
class Answer:
    """What one server says about a name's A records. ``problem`` says why it says nothing; ``reached`` whether it answered."""

    server: Server
    addresses: tuple[str, ...] = ()
    ttl: int | None = None
    problem: str = ""
    reached: bool = True

    def agrees(self, address: str | None, ttl: int | None) -> bool:
        """Whether the name has just this address, with this TTL unless that is ``None``; ``None`` for a name without any."""
        if self.problem:
            return False
        if address is None:
            return not self.addresses
        return self.addresses == (address,) and ttl in (None, self.ttl)

    def is_without(self, foreign: Collection[str]) -> bool:
        """Whether the server was reached and tells no address besides ``foreign``."""
        return self.reached and set(self.addresses) <= set(foreign)

    def __str__(self) -> str:
        if self.problem:
            return f"{self.server}: {self.problem}"
        if not self.addresses:
            return f"{self.server}: no A record"
        return f"{self.server}: {', '.join(self.addresses)} TTL {self.ttl}"


def resolver_at(address: str = "") -> dns.resolver.Resolver:
    """A resolver at ``address`` or ``address:port``, or the system's. Raises :class:`UsageError` when there is none."""
    try:
        resolver = dns.resolver.Resolver(configure=not address)
    except dns.resolver.NoResolverConfiguration as error:
        raise UsageError("this machine has no DNS resolver", seen=str(error), next="name one (dns_record_resolver)") from None
    if address:
        host, port = _host_and_port(address)
        if not _is_address(host):
            raise UsageError("a resolver is given by its address", seen=address, next="write 192.0.2.53 or 192.0.2.53:5353")
        resolver.nameservers = [host]
        resolver.port = port
    resolver.lifetime = RESOLVE_TIMEOUT_S
    return resolver


def look_up(name: str, rdtype: str, resolver: str = "") -> dns.rrset.RRset | None:
    """What the resolver says; nothing when the name or the type doesn't exist. Raises :class:`Unreachable`."""
    try:
        return resolver_at(resolver).resolve(name, rdtype, search=False).rrset
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None
    except dns.exception.DNSException as error:
        raise Unreachable(
            f"the resolver cannot find {rdtype} of {name}",
            seen=str(error),
            next="check the resolver and the zone's name servers; run this again",
        ) from None


def servers(zone: str, *, resolver: str = "", nameservers: Iterable[str] = ()) -> tuple[Server, ...]:
    """The zone's authoritative servers: those given (``address``, ``address:port`` or a name), else those of the delegation.

    Of a server with addresses of both kinds the IPv4 ones are used, since not every control node has IPv6. Raises
    :class:`Unreachable` when none can be found.
    """
    named = list(nameservers) or _delegated(zone, resolver)
    found = tuple(server for name in named for server in _at(name, resolver))
    if not found:
        raise Unreachable(
            f"no authoritative name server of {zone} can be found",
            seen=f"asked for the addresses of {', '.join(named)}" if named else "the zone has no NS records",
            next="check the zone's name and its delegation at the registrar, or list the servers (dns_record_nameservers)",
        )
    return found


def _delegated(zone: str, resolver: str) -> list[str]:
    found = look_up(zone, "NS", resolver)
    return sorted(record.target.to_text(omit_final_dot=True) for record in found) if found else []


def _at(name: str, resolver: str) -> list[Server]:
    host, port = _host_and_port(name)
    if _is_address(host):
        return [Server(host, host, port)]
    for rdtype in ("A", "AAAA"):
        found = look_up(host, rdtype, resolver)
        if found:
            return [Server(host, record.address, port) for record in found]
    return []


def _host_and_port(text: str) -> tuple[str, int]:
    text = text.strip()
    if _is_address(text):
        return text, 53
    host, _, port = text.rpartition(":")
    if not host:
        return text.rstrip("."), 53
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError("that is no name server", seen=text, next="write an address, address:port, or a host name")
    return host.strip("[]").rstrip("."), int(port)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class NoReply(Exception):
    """A server gave no usable answer; the text says why."""


def ask(server: Server, name: str, rdtype: str, *, tcp: bool = False, dnssec: bool = False) -> dns.message.Message:
    """One question to one server, without recursion; UDP is tried twice and goes over to TCP when the answer doesn't fit.
    ``dnssec`` asks for the signatures too.

    Raises :class:`NoReply`.
    """
    query = dns.message.make_query(name, rdtype, use_edns=0, want_dnssec=dnssec, payload=UDP_PAYLOAD, flags=0)
    try:
        try:
            return _send(query, server, tcp)
        except dns.exception.Timeout:
            if tcp:
                raise
            return _send(query, server, tcp)
    except dns.exception.Timeout:
        raise NoReply(f"no answer within {QUERY_TIMEOUT_S:g} s over {'TCP' if tcp else 'UDP'}") from None
    except EOFError:
        raise NoReply("closes the connection without an answer") from None
    except (dns.exception.DNSException, OSError) as error:
        raise NoReply(str(error) or type(error).__name__) from error


def _send(query: dns.message.Message, server: Server, tcp: bool) -> dns.message.Message:
    if tcp:
        return dns.query.tcp(query, server.address, timeout=QUERY_TIMEOUT_S, port=server.port)
    return dns.query.udp_with_fallback(query, server.address, timeout=QUERY_TIMEOUT_S, port=server.port)[0]


def answer(server: Server, name: str) -> Answer:
    """What the server says about the name's A records; never raises for what a server does."""
    try:
        message = ask(server, name, "A")
    except NoReply as reason:
        return Answer(server, problem=str(reason), reached=False)
    if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Answer(server, problem=f"answers {dns.rcode.to_text(message.rcode())}")
    if not message.flags & dns.flags.AA:
        return Answer(server, problem="is not authoritative for this name")
    at_name = [rrset for rrset in message.answer if rrset.name.to_text(omit_final_dot=True).lower() == name.lower()]
    for rrset in at_name:
        if rrset.rdtype == dns.rdatatype.CNAME:
            return Answer(server, problem=f"is a CNAME to {rrset[0].target.to_text(omit_final_dot=True)}")
    found = next((rrset for rrset in at_name if rrset.rdtype == dns.rdatatype.A), None)
    if found is None:
        return Answer(server)
    return Answer(server, tuple(sorted(record.address for record in found)), found.ttl)


def answers(servers: Sequence[Server], name: str) -> tuple[Answer, ...]:
    """What every server says, asked at the same time, in the servers' order."""
    with ThreadPoolExecutor(max_workers=max(1, min(8, len(servers)))) as pool:
        return tuple(pool.map(lambda server: answer(server, name), servers))


def wait(
    name: str,
    address: str | None,
    servers: Sequence[Server],
    *,
    ttl: int | None = 3600,
    timeout_s: float = 300.0,
    interval_s: float = INTERVAL_S,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Answer, ...]:
    """Ask until every server answers ``address`` with the TTL (``None``: any), and return what they said.

    ``address`` ``None`` waits for the name to have no A record. ``progress`` is told whom is waited for, at first and whenever
    that has changed. After ``timeout_s`` raises :class:`Unreachable` when not one
    server answered, else :class:`Waiting`; both tell what each server said last. They are asked once at least.
    """
    deadline, told = time.monotonic() + timeout_s, ""
    while True:
        said = answers(servers, name)
        late = [str(one) for one in said if not one.agrees(address, ttl)]
        if said and not late:
            return said
        left_s = deadline - time.monotonic()
        if interval_s > left_s:
            break
        if told != (told := "; ".join(late)):
            progress(f"{len(late)} of {len(said)} name servers not yet, waiting up to {left_s:.0f} s: {told}")
        time.sleep(interval_s)
    wanted = f"{name} A {address}" + (f" with TTL {ttl}" if ttl is not None else "") if address else f"no A record at {name}"
    seen = "; ".join(str(one) for one in said)
    if not any(one.reached for one in said):
        raise Unreachable(
            f"no authoritative name server answers about {name}",
            seen=seen,
            next="check that this machine may send DNS questions (UDP and TCP port 53) out, then run this again",
        )
    raise Waiting(
        f"not every authoritative name server answers `{wanted}` yet",
        who="whoever manages the company's DNS",
        seen=seen,
        next="wait for the DNS provider to publish the record, or have it made there; then run this again",
    )


def wait_without(
    name: str,
    foreign: Collection[str],
    servers: Sequence[Server],
    *,
    timeout_s: float = 300.0,
    interval_s: float = INTERVAL_S,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Answer, ...]:
    """Ask until no server tells an address besides ``foreign``, for ``timeout_s`` at most; what each said last.

    ``progress`` as in :func:`wait`. Raises nothing: ``is_without`` of each answer says whether it came so far.
    """
    deadline, told = time.monotonic() + timeout_s, ""
    while True:
        said = answers(servers, name)
        late = [str(one) for one in said if not one.is_without(foreign)]
        left_s = deadline - time.monotonic()
        if not late or interval_s > left_s:
            return said
        if told != (told := "; ".join(late)):
            progress(f"{len(late)} of {len(said)} name servers still tell it, waiting up to {left_s:.0f} s: {told}")
        time.sleep(interval_s)
