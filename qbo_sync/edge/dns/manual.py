"""A DNS provider without an API of any kind: a person makes the record, from a text that says exactly what.

What stands at the name is asked of the zone's own servers, so a later run sees by itself that the record was made.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

import dns.rdatatype

from qbo_sync.edge import authoritative
from qbo_sync.edge.authoritative import Server
from qbo_sync.edge.dns import Change, Record, Settings, Snapshot, Zone, after, check_name, tidy
from qbo_sync.errors import Unreachable, UsageError, Waiting


def make(settings: Settings) -> Manual:
    """The provider for these settings; nothing is asked yet."""
    return Manual(settings.resolver, settings.nameservers)


@dataclass(frozen=True)
class Manual:
    """A :class:`qbo_sync.edge.dns.Provider` that only reads; ``resolver`` and ``nameservers`` as in :class:`Settings`."""

    resolver: str
    nameservers: tuple[str, ...]
    by_hand = True

    def zone_for(self, name: str, zone: str = "") -> Zone:
        """The zone given. Raises :class:`UsageError` when there is none, :class:`Unreachable` when its servers can't be found."""
        if not zone:
            raise UsageError(f"the zone of {name} must be named", next="set dns_record_zone")
        check_name(name, zone)
        return Zone(zone, zone, tuple(sorted({server.name for server in self._servers(zone)})))

    def _servers(self, zone: str) -> tuple[Server, ...]:
        return authoritative.servers(zone, resolver=self.resolver, nameservers=self.nameservers)

    def snapshot(self, zone: Zone, name: str) -> Snapshot:
        """The records that the first server which answers tells; whether all agree is what ``authoritative.wait`` is for."""
        problems = []
        for server in self._servers(zone.name):
            try:
                found = [record for rdtype in ("A", "AAAA", "CNAME") for record in _at(server, name, rdtype)]
            except authoritative.NoReply as reason:
                problems.append(f"{server}: {reason}")
                continue
            return Snapshot(name, tuple(sorted(found, key=lambda r: (r.type, r.content))))
        raise Unreachable(
            f"no authoritative name server answers about {name}",
            seen="; ".join(problems),
            next="check that this machine may send DNS questions (UDP and TCP port 53) out, then run this again",
        )

    def apply(self, zone: Zone, before: Snapshot, changes: Iterable[Change]) -> None:
        """Write nothing; raises :class:`Waiting` with the text for whoever manages the zone."""
        self._ask_for(zone, before, after(before, changes))

    def restore(self, zone: Zone, snapshot: Snapshot) -> bool:
        """Nothing to do while the records are those of the snapshot; else as ``apply``."""
        now = self.snapshot(zone, snapshot.name)
        if _values(now.records) == _values(snapshot.records):
            return False
        self._ask_for(zone, now, snapshot.records)
        return True

    def _ask_for(self, zone: Zone, now: Snapshot, wanted: Iterable[Record]) -> None:
        stands = [str(record) for record in now.records]
        text = request(zone.name, now, wanted)
        raise Waiting(
            f"the record {now.name} has to be made by hand",
            who=f"whoever manages the DNS of {zone.name} (its name servers: {', '.join(zone.name_servers)})",
            seen="; ".join(stands) or f"no record at {now.name}",
            next="send this to them; a later run sees by itself that it is done\n\n" + textwrap.indent(text, "    "),
            request=text,
        )


def request(zone: str, now: Snapshot, wanted: Iterable[Record]) -> str:
    """The text to send to whoever manages the zone: what to make, and what to take away for it."""
    wanted = [record for record in wanted if record.type in ("A", "CNAME")]
    new = [record for record in wanted if _values([record]) - _values(now.records)]
    old = [record for record in now.records if record.type in ("A", "CNAME") and not _values([record]) & _values(wanted)]
    lines = []
    for record in old:
        lines.append(f"Please remove this record of the zone {zone}, unless something else still needs it:")
        lines += [*_table(zone, record), ""]
    for record in new:
        lines.append(f"Please create this record in the zone {zone}:")
        lines += [*_table(zone, record), "  no proxy, no forwarding, and no AAAA record at this name", ""]
    return "\n".join(lines).rstrip()


def _table(zone: str, record: Record) -> list[str]:
    host = record.name.removesuffix(zone).rstrip(".") or "@"
    return [
        f"  name:  {record.name}  (the host part is {host})",
        f"  type:  {record.type}",
        f"  value: {record.content}",
        f"  TTL:   {record.ttl} seconds",
    ]


def _values(records: Iterable[Record]) -> set[tuple[str, str, int]]:
    return {(record.type, record.content, record.ttl) for record in records}


def _at(server: Server, name: str, rdtype: str) -> list[Record]:
    return [
        Record(name, rdtype, tidy(rdata.to_text()), rrset.ttl)
        for rrset in authoritative.ask(server, name, rdtype).answer
        if tidy(rrset.name.to_text()) == name and rrset.rdtype == dns.rdatatype.from_text(rdtype)
        for rdata in rrset
    ]
