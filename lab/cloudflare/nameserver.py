"""Writes records into a real name server by dynamic update (RFC 2136), signed with TSIG (RFC 8945)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.name
import dns.rcode
import dns.tsigkeyring
import dns.update

from lab.cloudflare.records import AUTOMATIC, Record

AUTOMATIC_TTL_S = 300
TIMEOUT_S = 5.0
# A proxied record is answered with Cloudflare's own addresses; these lie in the ranges Cloudflare publishes.
EDGE = {"A": ("104.16.132.229", "104.16.133.229"), "AAAA": ("2606:4700::6810:84e5", "2606:4700::6810:85e5")}

_KEY_FILE = re.compile(r'key\s+"?(?P<name>[\w.-]+)"?\s*\{(?P<body>[^}]*)\}', re.DOTALL)


@dataclass(frozen=True)
class Key:
    """A TSIG key; ``algorithm`` such as ``hmac-sha256``."""

    name: str
    algorithm: str
    secret: str


def read_key(path: Path) -> Key:
    """The key in a file: a ``key`` statement as ``tsig-keygen`` writes it, or one line ``[algorithm:]name:secret``.

    Raises ``ValueError`` without telling what the file holds.
    """
    text = path.read_text()
    if statement := _KEY_FILE.search(text):
        values = dict(re.findall(r'(algorithm|secret)\s+"?([^";\s]+)"?\s*;', statement["body"]))
        if set(values) == {"algorithm", "secret"}:
            return Key(statement["name"], values["algorithm"], values["secret"])
    parts = text.strip().split(":")
    if len(parts) in (2, 3) and all(parts) and not text.strip().count("\n"):
        *algorithm, name, secret = parts
        return Key(name, algorithm[0] if algorithm else "hmac-sha256", secret)
    raise ValueError(f"{path} holds no TSIG key: a named.conf `key` statement or [algorithm:]name:secret is expected")


class NameServer:
    """A name server that takes dynamic updates for the zones."""

    def __init__(self, address: str, port: int, key: Key) -> None:
        self._address = address
        self._port = port
        self._keyring = dns.tsigkeyring.from_text({key.name: key.secret})
        self._key = key
        self.updates = 0

    async def publish(self, zone: str, before: Iterable[Record], after: Iterable[Record]) -> None:
        """Make the server hold ``after`` where it held ``before``, in one update. Raises ``PublishError``."""
        old, new = _sets(before), _sets(after)
        if old == new:
            return
        update = dns.update.UpdateMessage(
            zone, keyring=self._keyring, keyname=dns.name.from_text(self._key.name), keyalgorithm=self._key.algorithm
        )
        # Removals first: a server refuses a CNAME beside another record also while it works through one update.
        for name, rdtype in sorted(old.keys() - new.keys()):
            update.delete(dns.name.from_text(name), rdtype)
        for (name, rdtype), (ttl, values) in sorted(new.items()):
            if old.get((name, rdtype)) != (ttl, values):
                update.replace(dns.name.from_text(name), ttl, rdtype, *values)
        try:
            answer = await dns.asyncquery.tcp(update, self._address, timeout=TIMEOUT_S, port=self._port)
        except (dns.exception.DNSException, OSError) as error:
            raise PublishError(f"the name server cannot be updated: {error or type(error).__name__}") from error
        if answer.rcode() != dns.rcode.NOERROR:
            raise PublishError(f"the name server refuses the update: {dns.rcode.to_text(answer.rcode())}")
        self.updates += 1


class PublishError(Exception):
    """The name server was not changed."""


def _sets(records: Iterable[Record]) -> dict[tuple[str, str], tuple[int, tuple[str, ...]]]:
    """The record sets that stand for these records, as ``(name, type): (ttl, values)``."""
    sets: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
    for record in records:
        for rdtype, values in _published(record).items():
            ttl = AUTOMATIC_TTL_S if record.ttl == AUTOMATIC else record.ttl
            known_ttl, known = sets.get((record.name, rdtype), (ttl, ()))
            sets[record.name, rdtype] = (min(ttl, known_ttl), tuple(sorted({*known, *values})))
    return sets


def _published(record: Record) -> dict[str, tuple[str, ...]]:
    if record.proxied:
        return dict(EDGE)
    content = record.content
    if record.type in ("CNAME", "NS"):
        content = content.rstrip(".") + "."
    elif record.type == "MX":
        content = f"{record.priority} {content.rstrip('.')}."
    elif record.type == "TXT":
        content = _quoted(content)
    elif record.type == "AAAA":
        content = str(ipaddress.IPv6Address(content))
    return {record.type: (content,)}


def _quoted(text: str) -> str:
    """A TXT value in master file form: strings of at most 255 bytes; one already in quotes is taken as it is."""
    if text.startswith('"'):
        return text
    raw = text.encode()
    parts = [raw[i : i + 255] for i in range(0, len(raw), 255)] or [b""]
    return " ".join('"' + "".join(_escaped(byte) for byte in part) + '"' for part in parts)


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03d}"
