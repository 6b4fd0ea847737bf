"""The records of a zone and the rules Cloudflare keeps about them."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.cloudflare.errors import ApiError, validation

TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "TXT")
AUTOMATIC = 1
TTL_MIN, TTL_MAX = 60, 86_400
_LABEL = re.compile(r"[A-Za-z0-9_*]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@dataclass(frozen=True)
class Record:
    """One record; ``name`` is absolute and in lower case."""

    name: str
    type: str
    content: str
    ttl: int = AUTOMATIC
    proxied: bool = False
    comment: str | None = None
    tags: tuple[str, ...] = ()
    priority: int | None = None
    created_on: str = ""
    modified_on: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def proxiable(self) -> bool:
        """Whether Cloudflare could stand in front of it."""
        if self.type == "CNAME":
            return True
        return self.type in ("A", "AAAA") and ipaddress.ip_address(self.content).is_global

    @property
    def key(self) -> tuple[str, str, str]:
        """What may exist once."""
        return self.name, self.type, self.content

    @property
    def settings(self) -> tuple[Any, ...]:
        """What makes two records of one key identical."""
        return self.ttl, self.proxied, self.comment, self.priority

    def document(self) -> dict[str, Any]:
        """The record as the API tells it."""
        document = {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "content": self.content,
            "proxiable": self.proxiable,
            "proxied": self.proxied,
            "ttl": self.ttl,
            "settings": {"flatten_cname": False} if self.type == "CNAME" else {},
            "meta": {},
            "comment": self.comment,
            "tags": list(self.tags),
            "created_on": self.created_on,
            "modified_on": self.modified_on,
        }
        return document if self.priority is None else {**document, "priority": self.priority}


# What a request may set. Anything else in a body (`data: null`, `settings`) is taken and left out of account.
_FIELDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "type": (str,),
    "content": (str,),
    "ttl": (int,),
    "proxied": (bool,),
    "comment": (str, type(None)),
    "tags": (list, type(None)),
    "priority": (int, type(None)),
}


def made_from(body: Mapping[str, Any], zone: str, old: Record | None, now: str) -> Record:
    """The record that a body describes; with ``old`` (PATCH) what the body doesn't say stays. Raises :class:`ApiError`."""
    given = {name: body[name] for name in _FIELDS if name in body}
    if not all(isinstance(value, _FIELDS[name]) for name, value in given.items()):
        raise validation()
    given["tags"] = tuple(given.get("tags") or (old.tags if old else ()))
    if old is None:
        if not {"name", "type", "content"} <= given.keys():
            raise validation()
        record = Record(**given, created_on=now, modified_on=now)
    else:
        record = replace(old, **given, modified_on=now)
    return checked(replace(record, name=absolute(record.name, zone)))


def absolute(name: str, zone: str) -> str:
    """A name as the API takes it: ``@`` is the zone itself, and a name not ending in the zone's is below it."""
    name = name.rstrip(".").lower()
    if name in ("", "@"):
        return zone
    return name if name == zone or name.endswith("." + zone) else f"{name}.{zone}"


def checked(record: Record) -> Record:
    """The record in the form it is kept. Raises :class:`ApiError` when it breaks a rule that needs no other record."""
    if record.type not in TYPES or not all(_LABEL.fullmatch(label) for label in record.name.split(".")) or len(record.name) > 253:
        raise validation()
    if not (record.ttl == AUTOMATIC or TTL_MIN <= record.ttl <= TTL_MAX):
        raise validation((9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic."))
    _check_content(record)
    if not record.proxied:
        return record
    if not record.proxiable:
        raise validation((9041, "This DNS record cannot be proxied."))
    return replace(record, ttl=AUTOMATIC)


def _check_content(record: Record) -> None:
    try:
        if record.type == "A":
            ipaddress.IPv4Address(record.content)
        elif record.type == "AAAA":
            ipaddress.IPv6Address(record.content)
    except ValueError:
        if record.type == "A":
            raise validation((9005, "Content for A record must be a valid IPv4 address.")) from None
        raise validation((9006, "Content for AAAA record must be a valid IPv6 address.")) from None
    if not record.content or (record.type == "MX" and not isinstance(record.priority, int)):
        raise validation()


def check_neighbours(record: Record, others: list[Record]) -> None:
    """Raise :class:`ApiError` when the record can't stand beside the others of its zone."""
    for other in others:
        if other.key == record.key:
            if other.settings == record.settings:
                raise ApiError(400, 81058, "An identical record already exists.")
            raise ApiError(400, 81057, "The record already exists.")
    hosts = ("A", "AAAA", "CNAME")
    beside = [other for other in others if other.name == record.name and other.type in hosts]
    if record.type in hosts and any("CNAME" in (record.type, other.type) for other in beside):
        raise ApiError(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
