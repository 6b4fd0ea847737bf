"""Every DNS provider that dns-lexicon knows (some 80), with what they have in common.

Lexicon lists, makes and removes records; comments, proxies and steps that belong together are beyond it. So our mark is a TXT
record beside the name, what stands there is read again right before and after the writing, and a TTL is changed by making the
record anew. A CNAME is left to a person: some of its modules read the zone's name into where one leads (powerdns in 3.25.2), so
it could not be put back. Its exceptions can quote an address with the credentials in it: those are cut out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from lexicon.client import Client
from lexicon.config import ConfigResolver
from lexicon.exceptions import AuthenticationError, ProviderNotAvailableError

from qbo_sync.config import read_secret
from qbo_sync.edge.dns import TTL, Change, Record, Settings, Snapshot, Zone, after, marks, moved, tidy
from qbo_sync.errors import Blocked, KitError, UsageError

_TYPES = ("A", "AAAA", "CNAME", "NS")

T = TypeVar("T")


def make(settings: Settings) -> Lexicon:
    """The provider for these settings; nothing is sent yet. Raises :class:`UsageError` for an unusable one."""
    if not settings.service:
        raise UsageError("lexicon needs the name of the DNS provider", next="set dns_record_service, for instance to gandi")
    return Lexicon(settings.service, read_options(settings.secret_file))


def read_options(path: Path) -> dict[str, str]:
    """Lexicon's options of a provider: a YAML mapping such as ``auth_token: …``, or a bare token.

    Raises :class:`UsageError`, without telling what the file holds.
    """
    text = read_secret(path, "DNS provider's credentials")
    try:
        # Every value as it is written: to YAML an account number is a number, and 0012345 an octal one.
        found = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts, lists and mappings only
    except yaml.YAMLError:
        found = None
    if isinstance(found, str) and not re.search(r"\s", found):
        return {"auth_token": found}
    if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
        return {str(name): value for name, value in found.items()}
    raise UsageError(
        f"{path} holds neither a token nor lexicon's options",
        next="put one option a line into the file, `auth_username: …`, `auth_token: …`, as `lexicon SERVICE --help` names them",
    )


@dataclass
class Lexicon:
    """A :class:`qbo_sync.edge.dns.Provider`. ``service`` is lexicon's name of the provider, ``options`` its own options."""

    service: str
    options: Mapping[str, str]
    by_hand = False
    # Making a client costs half a second: lexicon looks at the installed packages each time.
    _clients: dict[tuple[str, int], Client] = field(default_factory=dict)

    def zone_for(self, name: str, zone: str = "") -> Zone:
        """The zone given, as the account sees it. Raises :class:`UsageError` when it doesn't, or when no zone is given."""
        if not zone:
            raise UsageError(f"the zone of {name} must be named", next="set dns_record_zone")
        self._ask(f"open the zone {zone}", zone, lambda _: None)
        return Zone(zone, zone)

    def snapshot(self, zone: Zone, name: str) -> Snapshot:
        """The A, AAAA, CNAME and NS records at ``name``, in a stable order, with the owners that the marks name."""

        def read(operations: Any) -> list[Record]:
            texts = _contents(operations.list_records("TXT", marks.name(name)), marks.name(name))
            found = [_record(entry) for rdtype in _TYPES for entry in operations.list_records(rdtype, name)]
            return [marks.owned(record, texts) for record in found if record.name == name and record.type in _TYPES]

        records = self._ask(f"read the records at {name}", zone.name, read)
        return Snapshot(name, tuple(sorted(records, key=lambda r: (r.type, r.content, r.id))))

    def apply(self, zone: Zone, before: Snapshot, changes: Iterable[Change]) -> None:
        """Make the changes in order, unless the records are no longer those of ``before``."""
        changes = tuple(changes)
        _refuse_cnames(before.name, changes)
        now = self.snapshot(zone, before.name)
        if now != before:
            raise moved(now)
        self._write(zone, before, changes)

    def restore(self, zone: Zone, snapshot: Snapshot) -> bool:
        """Put back the A records of a snapshot and their marks."""
        now = self.snapshot(zone, snapshot.name)
        here, then = ({_value(r): r for r in s.records if r.type == "A"} for s in (now, snapshot))
        changes = [Change(record, None) for value, record in here.items() if value not in then]
        changes += [Change(None, record) for value, record in then.items() if value not in here]
        owners = marks.of(here.values()), marks.of(then.values())
        if not changes and owners[0] == owners[1]:
            return False
        changes += [Change(here[value], record) for value, record in then.items() if value in here]
        self._write(zone, now, changes)
        return True

    def _write(self, zone: Zone, before: Snapshot, changes: Iterable[Change]) -> None:
        """The new mark first, then the records, then the old mark goes: what was cut off half way is never taken for ours."""
        changes = tuple(changes)
        wanted = after(before, changes)
        old, new = set(marks.of(before.records)), set(marks.of(wanted))
        place = marks.name(before.name)
        for text in sorted(new):
            self._create(zone, Record(place, "TXT", text, marks.TTL))
        for change in changes:
            self._change(zone, change)
        for text in sorted(old - new):
            self._delete(zone, Record(place, "TXT", text))
        now = self.snapshot(zone, before.name)
        if {_value(r) for r in now.records} != {_value(r) for r in wanted}:
            raise KitError(
                f"{self.service} took the change but does not show it",
                seen="; ".join(str(r) for r in now.records) or f"no record at {before.name}",
                next="look at the records in the provider's own page, then run this again",
            )

    def _change(self, zone: Zone, change: Change) -> None:
        old, new = change.before, change.after
        if old is not None and new is not None and _value(old) == _value(new):
            return
        # Two records with one content can't be; else the name is never without an address.
        first_new = old is not None and new is not None and old.content != new.content
        if new is not None and first_new:
            self._create(zone, new)
        if old is not None:
            self._delete(zone, old)
        if new is not None and not first_new:
            self._create(zone, new)

    def _create(self, zone: Zone, record: Record) -> None:
        def create(operations: Any) -> None:
            operations.create_record(record.type, record.name, record.content)

        self._ask(f"make the record {record}", zone.name, create, record.ttl)

    def _delete(self, zone: Zone, record: Record) -> None:
        def delete(operations: Any) -> None:
            # By what it says: an identifier may have changed since it was read.
            for entry in operations.list_records(record.type, record.name):
                if _record(entry).content == record.content and tidy(entry["name"]) == record.name:
                    operations.delete_record(entry.get("id"), record.type, record.name, entry["content"])

        self._ask(f"remove the record {record}", zone.name, delete)

    def _ask(self, what: str, zone: str, call: Callable[[Any], T], ttl: int = TTL) -> T:
        try:
            with self._client(zone, ttl) as operations:
                return call(operations)
        except ProviderNotAvailableError as error:
            raise UsageError(
                f"lexicon cannot serve the DNS provider {self.service!r}",
                seen=str(error),
                next="check dns_record_service against the list in lexicon's documentation",
            ) from None
        except AuthenticationError as error:
            raise UsageError(
                f"cannot {what}: {self.service} refuses the credentials",
                seen=self._clean(error),
                next="check the credentials, and that the zone is in that account",
            ) from None
        except Exception as error:  # What a provider module raises is its own: every library's and its own exceptions.
            raise KitError(
                f"cannot {what} at {self.service}",
                seen=self._clean(error),
                next="check the options in the token file and that this machine reaches the provider; then run this again",
            ) from None

    def _client(self, zone: str, ttl: int) -> Client:
        if (zone, ttl) not in self._clients:
            # Without `delegated` lexicon guesses the zone from the public suffix list.
            config = {
                "provider_name": self.service,
                "domain": zone,
                "delegated": zone,
                "ttl": ttl,
                self.service: {**self.options},
            }
            # Settings from here only: left to itself it reads the environment and the working directory too.
            settings: ConfigResolver = ConfigResolver().with_dict(config)  # type: ignore[no-untyped-call]
            self._clients[zone, ttl] = Client(settings)
        return self._clients[zone, ttl]

    def _clean(self, error: Exception) -> str:
        """What the provider's module said, without addresses and credentials."""
        text = re.sub(r"(?:for url: )?\S+://\S+", "", f"{type(error).__name__}: {error}")
        for value in filter(None, self.options.values()):
            text = text.replace(value, "…")
        return " ".join(text.split())[:400]


def _refuse_cnames(name: str, changes: Iterable[Change]) -> None:
    cnames = [change.before for change in changes if change.before is not None and change.before.type == "CNAME"]
    if cnames:
        raise Blocked(
            f"a CNAME stands at {name}, and through lexicon it could not be put back",
            seen="; ".join(str(r) for r in cnames),
            next="find out what uses it, remove it in the provider's own page, then run this again",
        )


def _record(entry: Mapping[str, Any]) -> Record:
    """A record of ours from one of lexicon's. Not every provider tells the TTL; the name servers do later."""
    content = str(entry["content"]).strip('"')
    if entry["type"] in ("CNAME", "NS"):
        content = tidy(content)
    return Record(tidy(entry["name"]), str(entry["type"]), content, int(entry.get("ttl") or TTL), id=str(entry.get("id") or ""))


def _contents(entries: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    return [_record(entry).content for entry in entries if entry["type"] == "TXT" and tidy(entry["name"]) == name]


def _value(record: Record) -> tuple[str, str, int]:
    return record.type, record.content, record.ttl
