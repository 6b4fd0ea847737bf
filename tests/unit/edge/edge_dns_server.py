"""A small authoritative DNS server for tests: UDP and TCP, several zones, dynamic update with TSIG, and bad manners on demand."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.node
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import dns.zone

from tests.serving import served


@dataclass
class DnsServer:
    """``zones`` in master file form, by name. ``mute`` answers nothing, ``refuse`` REFUSED, ``lame`` without authority."""

    zones: dict[str, str]
    key: tuple[str, str] | None = None
    mute: bool = False
    refuse: bool = False
    lame: bool = False
    port: int = 0
    held: dict[dns.name.Name, dns.zone.Zone] = field(default_factory=dict)
    questions: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for name, text in self.zones.items():
            zone = dns.zone.from_text(text, origin=name, relativize=False, check_origin=False)
            self.held[zone.origin] = zone

    @property
    def at(self) -> str:
        """``address:port``."""
        return f"127.0.0.1:{self.port}"

    def set(self, zone: str, text: str) -> None:
        """Replace a zone."""
        with self.lock:
            made = dns.zone.from_text(text, origin=zone, relativize=False, check_origin=False)
            self.held[made.origin] = made

    def answer(self, wire: bytes) -> bytes | None:
        """The answer to one message."""
        if self.mute:
            return None
        keyring = dns.tsigkeyring.from_text({self.key[0]: self.key[1]}) if self.key else None
        try:
            message = dns.message.from_wire(wire, keyring=keyring)
        except dns.exception.DNSException:
            refusal = dns.message.from_wire(wire, keyring=False, continue_on_error=True)
            return self._plain(refusal, dns.rcode.NOTAUTH)
        with self.lock:
            self.questions += 1
            reply = dns.message.make_response(message)
            if message.opcode() == dns.opcode.UPDATE:
                reply.set_rcode(self._update(message) if message.had_tsig else dns.rcode.REFUSED)
            elif self.refuse:
                reply.set_rcode(dns.rcode.REFUSED)
            else:
                self._query(message.question[0], reply)
            return reply.to_wire()

    def _plain(self, message: dns.message.Message, rcode: dns.rcode.Rcode) -> bytes:
        reply = dns.message.Message(id=message.id)
        reply.flags = dns.flags.QR
        reply.set_opcode(message.opcode())
        reply.set_rcode(rcode)
        return reply.to_wire()

    def _zone_of(self, name: dns.name.Name) -> dns.zone.Zone | None:
        return max((z for z in self.held.values() if name.is_subdomain(z.origin)), key=lambda z: len(z.origin), default=None)

    def _query(self, question: dns.rrset.RRset, reply: dns.message.Message) -> None:
        zone = self._zone_of(question.name)
        if zone is None:
            reply.set_rcode(dns.rcode.REFUSED)
            return
        referral = self._referral(zone, question.name)
        if referral is not None:
            reply.authority.append(referral)
            return
        if not self.lame:
            reply.flags |= dns.flags.AA
        node = zone.get_node(question.name)
        if node is None:
            node = zone.get_node(dns.name.Name((b"*", *question.name.parent().labels)))
        if node is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        for rdataset in node.rdatasets if node else ():
            if rdataset.rdtype in (question.rdtype, dns.rdatatype.CNAME):
                reply.answer.append(_rrset(question.name, rdataset))
        if not reply.answer:
            reply.authority.append(_rrset(zone.origin, zone.get_rdataset(zone.origin, "SOA")))

    def _referral(self, zone: dns.zone.Zone, name: dns.name.Name) -> dns.rrset.RRset | None:
        """The NS records of a zone cut at or above the name."""
        while name != zone.origin:
            servers = zone.get_rdataset(name, "NS")
            if servers is not None:
                return _rrset(name, servers)
            name = name.parent()
        return None

    def _update(self, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        zone = self.held.get(message.zone[0].name)
        if zone is None:
            return dns.rcode.NOTZONE
        for change in message.update:
            if change.deleting is not None and change.rdtype == dns.rdatatype.ANY:
                zone.delete_node(change.name)
            elif change.deleting is not None and not len(change):
                zone.delete_rdataset(change.name, change.rdtype)
            else:
                node = zone.find_node(change.name, create=True)
                rdataset = node.find_rdataset(dns.rdataclass.IN, change.rdtype, create=True)
                rdataset.update_ttl(change.ttl)
                for rdata in change:
                    rdataset.add(rdata, change.ttl)
        return dns.rcode.NOERROR


def _rrset(name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> dns.rrset.RRset:
    found = dns.rrset.RRset(name, rdataset.rdclass, rdataset.rdtype)
    found.update(rdataset)
    found.ttl = rdataset.ttl
    return found


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, connection = self.request
        answer = self.server.dns.answer(wire)
        if answer is not None:
            connection.sendto(answer, self.client_address)


class _Tcp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        (length,) = struct.unpack("!H", self.request.recv(2, socket.MSG_WAITALL))
        answer = self.server.dns.answer(self.request.recv(length, socket.MSG_WAITALL))
        if answer is not None:
            self.request.sendall(struct.pack("!H", len(answer)) + answer)


class _TcpServer(socketserver.TCPServer):
    allow_reuse_address = True


@contextmanager
def serving(server: DnsServer, address: str = "127.0.0.1") -> Iterator[DnsServer]:
    """Serve on one port, UDP and TCP, until the end; a free one when the server has no port."""
    with served(_TcpServer((address, server.port), _Tcp)) as tcp:
        server.port = tcp.server_address[1]
        with served(socketserver.UDPServer((address, server.port), _Udp)) as udp:
            tcp.dns = udp.dns = server
            yield server
