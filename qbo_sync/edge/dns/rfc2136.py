"""A name server that takes dynamic updates (RFC 2136) signed with a TSIG key (RFC 8945), BIND for instance.

One message carries every change and, as prerequisites, what was read before: the server makes all of it or none, and none when
somebody changed the records meanwhile. TTLs are no part of prerequisites. The key must be allowed to change A, CNAME and TXT at
the name and below it, in BIND ``update-policy { grant KEY subdomain qbo.mycompany.com. A CNAME TXT; };``.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from qbo_sync.config import read_secret
from qbo_sync.edge import authoritative
from qbo_sync.edge.authoritative import Server
from qbo_sync.edge.dns import Change, Record, Settings, Snapshot, Zone, after, marks, moved, tidy
from qbo_sync.errors import KitError, Unreachable, UsageError

TIMEOUT_S = 10.0
_WRITTEN = ("A", "CNAME")
_ALGORITHMS = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")
_STATEMENT = re.compile(r'key\s+"?(?P<name>[\w.-]+)"?\s*\{(?P<body>[^}]*)\}\s*;?', re.DOTALL)
_NOT_AS_EXPECTED = (dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN)


def make(settings: Settings) -> Rfc2136:
    """The provider for these settings; nothing is sent yet. Raises :class:`UsageError` for an unusable one."""
    return Rfc2136(read_key(settings.secret_file), settings.server, settings.resolver)


def read_key(path: Path) -> dns.tsig.Key:
    """The key in a file: a ``key`` statement as ``tsig-keygen`` writes it, or one line ``algorithm:name:secret``.

    Raises :class:`UsageError`, without telling what the file holds.
    """
    text = read_secret(path, "TSIG key")
    if statement := _STATEMENT.fullmatch(text):
        values = dict(re.findall(r'(algorithm|secret)\s+"?([^";\s]+)"?\s*;', statement["body"]))
        parts = [values.get("algorithm", ""), statement["name"], values.get("secret", "")]
    else:
        parts = text.split(":")
    try:
        algorithm, name, secret = parts
        if algorithm not in _ALGORITHMS or not secret:
            raise ValueError
        return dns.tsig.Key(name, binascii.a2b_base64(secret, strict_mode=True), algorithm)
    except (ValueError, dns.exception.DNSException):
        raise UsageError(
            f"{path} holds no TSIG key that can be used",
            next="put the `key` statement that tsig-keygen prints into the file, or one line algorithm:name:secret; "
            f"the algorithm is one of {', '.join(_ALGORITHMS)}",
        ) from None


@dataclass
class Rfc2136:
    """A :class:`qbo_sync.edge.dns.Provider`. ``server`` and ``resolver`` as in :class:`Settings`."""

    key: dns.tsig.Key
    server: str
    resolver: str
    by_hand = False

    def zone_for(self, name: str, zone: str = "") -> Zone:
        """The zone given, else the closest one above ``name``; the right to write is tried with a change of nothing."""
        found = zone or self._closest_zone(name)
        primary = self._primary(found)
        try:
            soa = authoritative.ask(primary, found, "SOA", tcp=True)
        except authoritative.NoReply as reason:
            raise _no_answer(primary, f"{reason}") from None
        if not soa.flags & dns.flags.AA or not soa.answer:
            raise UsageError(
                f"{primary} is not authoritative for the zone {found}",
                next="check the zone's name, or name its primary server (dns_record_server)",
            )
        self._try_key(primary, found, name)
        return Zone(found, found)

    def _closest_zone(self, name: str) -> str:
        labels = name.split(".")
        for above in (".".join(labels[i:]) for i in range(len(labels) - 1)):
            if authoritative.look_up(above, "SOA", self.resolver):
                return above
        raise UsageError(f"no zone above {name} can be found", next="give the zone (dns_record_zone)")

    def _primary(self, zone: str) -> Server:
        if self.server:
            return authoritative.servers(zone, resolver=self.resolver, nameservers=[self.server])[0]
        soa = authoritative.look_up(zone, "SOA", self.resolver)
        if not soa:
            raise UsageError(f"the zone {zone} cannot be found", next="check its name, or name its primary (dns_record_server)")
        primary = soa[0].mname.to_text(omit_final_dot=True)
        return authoritative.servers(zone, resolver=self.resolver, nameservers=[primary])[0]

    def _try_key(self, primary: Server, zone: str, name: str) -> None:
        """Remove records nobody has: the server checks the key and its rights, and nothing changes."""
        attempt = self._update(zone)
        for rdtype in (*_WRITTEN, "TXT"):
            attempt.delete(_absolute(f"_qbokit-nobody-has-this-name.{name}"), rdtype)
        self._send(primary, attempt, zone)

    def snapshot(self, zone: Zone, name: str) -> Snapshot:
        """The A, AAAA, CNAME and NS records at ``name``, in a stable order, with the owners that the marks name."""
        primary = self._primary(zone.name)
        texts = self._texts(primary, name)
        found = [marks.owned(record, texts) for rdtype in ("A", "AAAA", "CNAME") for record in self._at(primary, name, rdtype)]
        return Snapshot(name, (*sorted(found, key=lambda r: (r.type, r.content)), *self._cuts(primary, zone, name)))

    def _at(self, primary: Server, name: str, rdtype: str) -> list[Record]:
        return [
            Record(name, rdtype, tidy(rdata.to_text()), rrset.ttl)
            for rrset in self._ask(primary, name, rdtype).answer
            if rrset.name == _absolute(name) and rrset.rdtype == dns.rdatatype.from_text(rdtype)
            for rdata in rrset
        ]

    def _texts(self, primary: Server, name: str) -> list[str]:
        """The TXT records beside the name, marks and others."""
        answer = self._ask(primary, marks.name(name), "TXT").answer
        return [
            b"".join(rdata.strings).decode("utf-8", "replace")
            for rrset in answer
            if rrset.rdtype == dns.rdatatype.TXT and rrset.name == _absolute(marks.name(name))
            for rdata in rrset
        ]

    def _cuts(self, primary: Server, zone: Zone, name: str) -> list[Record]:
        """NS records at the name or between it and the zone: what is written below them is never seen."""
        answer = self._ask(primary, name, "NS")
        return [
            Record(tidy(rrset.name.to_text()), "NS", tidy(rdata.to_text()), rrset.ttl)
            for rrset in (*answer.answer, *answer.authority)
            if rrset.rdtype == dns.rdatatype.NS and rrset.name != _absolute(zone.name)
            for rdata in rrset
        ]

    def apply(self, zone: Zone, before: Snapshot, changes: Iterable[Change]) -> None:
        """Make all the changes or, when the records are no longer those of ``before``, none."""
        self._write(zone, before, after(before, changes))

    def restore(self, zone: Zone, snapshot: Snapshot) -> bool:
        """Put back the A and CNAME records of a snapshot and their marks, in one step."""
        now = self.snapshot(zone, snapshot.name)
        if _held(now.records) == _held(snapshot.records):
            return False
        self._write(zone, now, snapshot.records)
        return True

    def _write(self, zone: Zone, before: Snapshot, wanted: Iterable[Record]) -> None:
        wanted = tuple(wanted)
        primary = self._primary(zone.name)
        update = self._update(zone.name)
        for rdtype in _WRITTEN:
            _expect(update, before.name, rdtype, [r.content for r in before.records if r.type == rdtype])
        # Removals first: a server refuses a CNAME beside another record also while it works through one message.
        for rdtype in _WRITTEN:
            update.delete(_absolute(before.name), rdtype)
        for record in (r for r in wanted if r.type in _WRITTEN):
            update.add(_absolute(record.name), record.ttl, _data(record.type, record.content))
        texts = self._texts(primary, before.name)
        for text in set(texts) & set(marks.of(before.records)):
            update.delete(_absolute(marks.name(before.name)), _data("TXT", text))
        for text in marks.of(wanted):
            update.add(_absolute(marks.name(before.name)), marks.TTL, _data("TXT", text))
        rcode = self._send(primary, update, zone.name)
        if rcode in _NOT_AS_EXPECTED:
            self._tell_what_moved(zone, before, wanted)

    def _tell_what_moved(self, zone: Zone, before: Snapshot, wanted: tuple[Record, ...]) -> None:
        now = self.snapshot(zone, before.name)
        # The answer to an earlier try of ours may have been lost.
        if _held(now.records) != _held(wanted):
            raise moved(now)

    def _update(self, zone: str) -> dns.update.UpdateMessage:
        return dns.update.UpdateMessage(_absolute(zone), keyring=self.key)

    def _ask(self, primary: Server, name: str, rdtype: str) -> dns.message.Message:
        try:
            answer = authoritative.ask(primary, name, rdtype, tcp=True)
        except authoritative.NoReply as reason:
            raise _no_answer(primary, f"{reason}") from None
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise KitError(
                f"{primary} does not tell the {rdtype} records of {name}",
                seen=f"it answers {dns.rcode.to_text(answer.rcode())}",
                next="let this machine ask that server about the zone",
            )
        return answer

    def _send(self, primary: Server, update: dns.update.UpdateMessage, zone: str) -> dns.rcode.Rcode:
        """Send an update and return the server's answer, which is "done" or "not as expected". Raises :class:`KitError`."""
        try:
            rcode = dns.query.tcp(update, primary.address, timeout=TIMEOUT_S, port=primary.port).rcode()
        except dns.tsig.PeerBadTime:
            raise UsageError(
                f"{primary} refuses the signature because of its time",
                next="set the clocks of this machine and of the name server right",
            ) from None
        except (dns.tsig.PeerError, dns.tsig.BadSignature):
            raise UsageError(
                f"{primary} does not accept the TSIG key {tidy(self.key.name.to_text())}",
                next="check the key's name, algorithm and secret against the server's configuration",
            ) from None
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise _no_answer(primary, str(error) or type(error).__name__) from None
        if rcode == dns.rcode.NOERROR or rcode in _NOT_AS_EXPECTED:
            return rcode
        raise UsageError(
            f"{primary} refuses to change {zone} for the TSIG key {tidy(self.key.name.to_text())}",
            seen=f"it answers {dns.rcode.to_text(rcode)}",
            next="allow the key to change A, CNAME and TXT records at the name and below it, in BIND "
            "`update-policy { grant KEY subdomain NAME. A CNAME TXT; };`, or name the zone's primary (dns_record_server)",
        )


def _absolute(name: str) -> dns.name.Name:
    return dns.name.from_text(name)


def _data(rdtype: str, content: str) -> Any:
    text = {"CNAME": f"{content}.", "TXT": f'"{content}"'}.get(rdtype, content)
    return dns.rdata.from_text(dns.rdataclass.IN, rdtype, text)


def _expect(update: dns.update.UpdateMessage, name: str, rdtype: str, contents: list[str]) -> None:
    """Let the update be made only while exactly these records stand there."""
    if contents:
        update.present(_absolute(name), *(_data(rdtype, content) for content in contents))
    else:
        update.absent(_absolute(name), rdtype)


def _held(records: Iterable[Record]) -> set[tuple[str, str, int, str]]:
    return {(r.type, r.content, r.ttl, r.comment) for r in records if r.type in _WRITTEN}


def _no_answer(primary: Server, seen: str) -> Unreachable:
    return Unreachable(
        f"the name server {primary} does not answer",
        seen=seen,
        next="let this machine reach it on TCP port 53, or name the zone's primary (dns_record_server); run this again",
    )
