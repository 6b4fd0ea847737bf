"""The site's A record: what is there, what has to change, and the change.

``present`` and ``absent`` are what callers use. A provider only reads and writes; what may be written is decided here by ``plan``
and ``plan_removal``, which are pure, so that every provider behaves alike:

* the name lies in the zone and the address is public, or nothing is even read;
* a record of ours carries the comment ``qbokit:<site>``; only such a record is changed or removed;
* a record of somebody else that already says exactly the wanted is left as it is;
* any other A record, and a CNAME, is a refusal, unless ``adopt`` allows to replace it; another site's record always is.

A provider ``by_hand`` never writes: a person makes the changes, so nothing is refused but told, with what stands in the way.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from qbo_sync.edge import addresses
from qbo_sync.errors import Blocked, KitError, UsageError, Waiting

TAG = "qbokit:"
# The guide asks for 3600; Cloudflare takes 60 to 86,400 (facts/edge.md, P13).
TTL = 3600
TTL_MIN, TTL_MAX = 60, 86_400


@dataclass(frozen=True)
class Zone:
    """A DNS zone as the provider knows it. ``status`` is ``active`` when the registrar delegates to ``name_servers``."""

    id: str
    name: str
    name_servers: tuple[str, ...] = ()
    status: str = "active"


@dataclass(frozen=True)
class Record:
    """One DNS record. ``name`` is absolute, without the final dot; ``ttl`` in seconds, 1 means the provider's choice."""

    name: str
    type: str
    content: str
    ttl: int = TTL
    proxied: bool = False
    comment: str = ""
    id: str = ""

    def same_value(self, other: Record) -> bool:
        """Whether both say the same to the world (the comment and the provider's id don't matter)."""
        return (self.name, self.type, self.content, self.ttl, self.proxied) == (
            other.name,
            other.type,
            other.content,
            other.ttl,
            other.proxied,
        )

    def __str__(self) -> str:
        ttl = "automatic" if self.ttl == 1 else str(self.ttl)
        proxied = ", proxied" if self.proxied else ""
        owner = f", {self.comment}" if self.comment.startswith(TAG) else ""
        return f"{self.name} {self.type} {self.content} (TTL {ttl}{proxied}{owner})"


@dataclass(frozen=True)
class Snapshot:
    """Every A, AAAA, CNAME and NS record at one name at one time."""

    name: str
    records: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Change:
    """One record before and after: ``before`` is missing for a new record, ``after`` for a removed one."""

    before: Record | None
    after: Record | None

    def __str__(self) -> str:
        if self.before is None:
            return f"add {self.after}"
        return f"replace {self.before} by {self.after}" if self.after else f"remove {self.before}"


class Provider(Protocol):
    """What every DNS provider can do. Each method raises :class:`~qbo_sync.errors.KitError`.

    ``by_hand`` says that ``apply`` and ``restore`` write nothing and raise :class:`~qbo_sync.errors.Waiting` with what a person
    has to do.
    """

    @property
    def by_hand(self) -> bool:
        """Whether a person makes the changes."""

    def zone_for(self, name: str, zone: str = "") -> Zone:
        """The zone that holds ``name``: the one given, else the closest one the account has. The right to write is checked."""

    def snapshot(self, zone: Zone, name: str) -> Snapshot:
        """The records at ``name`` now."""

    def apply(self, zone: Zone, before: Snapshot, changes: Iterable[Change]) -> None:
        """Make the changes; :class:`~qbo_sync.errors.Blocked` when the records are no longer those of ``before``."""

    def restore(self, zone: Zone, snapshot: Snapshot) -> bool:
        """Put back the A and CNAME records of a snapshot; whether anything had to be changed."""


@dataclass(frozen=True)
class Outcome:
    """What ``present`` or ``absent`` did, or with ``check`` would do."""

    zone: Zone
    before: Snapshot
    changes: tuple[Change, ...]

    @property
    def changed(self) -> bool:
        """Whether anything is different now."""
        return bool(self.changes)


@dataclass(frozen=True)
class Settings:
    """What the providers need to know; each takes what concerns it.

    ``token_file`` holds the secret: an API token (cloudflare), a TSIG key (rfc2136) or the service's options (lexicon).
    ``api_url`` is empty for the provider's own address, ``api_ca_file`` for the system's CAs. ``service`` is lexicon's name of
    the provider. ``server`` is the rfc2136 primary (empty: the one that the zone's SOA record names). ``resolver`` is empty for
    the system's, ``nameservers`` for those of the delegation.
    """

    token_file: Path | str = ""
    api_url: str = ""
    api_ca_file: Path | str = ""
    server: str = ""
    service: str = ""
    resolver: str = ""
    nameservers: tuple[str, ...] = ()

    @property
    def secret_file(self) -> Path:
        """The token file. Raises :class:`UsageError` when none is given."""
        if not str(self.token_file):
            raise UsageError(
                "the DNS provider's API token is missing",
                next="put the token into a file on the control node, mode 0600, and name it with dns_record_token_file",
            )
        return Path(self.token_file)


# Where each provider's maker is; imported only when asked for, so that nobody needs the library of another.
PROVIDERS = ("cloudflare", "lexicon", "manual", "rfc2136")


def provider(name: str, **settings: Any) -> Provider:
    """The DNS provider of that name with these :class:`Settings`. Raises :class:`UsageError` for what can't be used."""
    if name not in PROVIDERS:
        raise UsageError(f"there is no DNS provider named {name!r}", next=f"use one of: {', '.join(PROVIDERS)}")
    made: Provider = importlib.import_module(f"{__name__}.{name}").make(Settings(**settings))
    return made


def load_ahead() -> None:
    """Load the library of the commonest provider, which takes a while.

    For Ansible's actions: its main process loads them before it forks a worker for each host and task, and each worker that finds
    the library loaded is done sooner.
    """
    importlib.import_module(f"{__name__}.cloudflare")


def tag(site: str) -> str:
    """The ownership mark of a site's records and rules."""
    return TAG + site


def tidy(name: str) -> str:
    """A host name in the one form used here: lower case, no final dot."""
    return name.strip().rstrip(".").lower()


def check_name(name: str, zone: str) -> None:
    """Raise :class:`UsageError` unless ``name`` lies in ``zone``."""
    if name != zone and not name.endswith("." + zone):
        raise UsageError(
            f"{name} is not in the zone {zone}", next="mend the name or the zone; the record must lie in the company's own domain"
        )


def wanted_record(name: str, address: str, site: str, ttl: int = TTL) -> Record:
    """The A record a site needs. Raises :class:`UsageError` for an address nobody can reach or a TTL no provider takes."""
    addresses.check_public(address)
    if not TTL_MIN <= ttl <= TTL_MAX:
        raise UsageError(f"a TTL must be {TTL_MIN} to {TTL_MAX} seconds", seen=str(ttl), next=f"use {TTL}, as the guide asks")
    return Record(name=tidy(name), type="A", content=address, ttl=ttl, comment=tag(site))


def after(before: Snapshot, changes: Iterable[Change]) -> tuple[Record, ...]:
    """The records at the name once the changes are made, without the providers' ids."""
    changes = list(changes)
    gone = [change.before for change in changes]
    left = [record for record in before.records if record not in gone]
    return tuple(replace(record, id="") for record in [*left, *(c.after for c in changes if c.after is not None)])


def plan(before: Snapshot, wanted: Record, *, adopt: bool = False, own: bool = False) -> tuple[Change, ...]:
    """What has to change at the name so that ``wanted`` is its one A record; nothing when it is.

    With ``own`` it must also carry the site's mark, because it will be changed later when nobody is there to be asked. Raises
    :class:`Blocked` where somebody else's record is in the way and ``adopt`` doesn't allow to replace or to mark it.
    """
    ours = [r for r in before.records if r.type == "A" and r.comment == wanted.comment]
    others = [r for r in before.records if r.type in ("A", "CNAME") and r not in ours]
    conflicts = [r for r in others if not r.same_value(wanted)]
    _refuse_delegation(before)
    _refuse_other_sites([r for r in others if r.comment != wanted.comment])
    if conflicts and not adopt:
        _refuse_foreign(before.name, wanted, conflicts)
    kept = _closest([*ours, *others], wanted)
    # A CNAME allows no other record beside it, so removals come first.
    removals = [Change(r, None) for r in [*conflicts, *ours] if r is not kept]
    if kept is None:
        return (*removals, Change(None, wanted))
    stranger = own and kept.comment != wanted.comment
    if stranger and not adopt:
        _refuse_unmarked(kept)
    return (*removals, *([] if kept.same_value(wanted) and not stranger else [Change(kept, wanted)]))


def _closest(records: list[Record], wanted: Record) -> Record | None:
    """The A record that needs the least change; two with one content can't be, so the one with the wanted content goes first."""
    candidates = [r for r in records if r.type == "A"]
    return min(candidates, key=lambda r: (not r.same_value(wanted), r.content != wanted.content), default=None)


def plan_removal(before: Snapshot, site: str) -> tuple[Change, ...]:
    """The removal of the site's own A records; whatever carries no mark of this site stays."""
    return tuple(Change(r, None) for r in before.records if r.type == "A" and r.comment == tag(site))


def _refuse_delegation(before: Snapshot) -> None:
    servers = [r.content for r in before.records if r.type == "NS"]
    if servers:
        raise Blocked(
            f"{before.name} is delegated to other name servers, so a record written here would never be seen",
            seen=", ".join(servers),
            next="write the record at those name servers, or remove the NS records",
        )


def _refuse_other_sites(records: list[Record]) -> None:
    for record in records:
        if record.comment.startswith(TAG):
            raise Blocked(
                f"the record at {record.name} belongs to another site of this kit",
                seen=str(record),
                next=f"choose another name, or run offboard.yml for the site {record.comment.removeprefix(TAG)} first",
            )


def _refuse_foreign(name: str, wanted: Record, conflicts: list[Record]) -> None:
    kind = "a CNAME" if conflicts[0].type == "CNAME" else "an A record that this kit did not make"
    raise Blocked(
        f"{kind} stands at {name}",
        seen="; ".join(str(r) for r in conflicts),
        next=f"find out what uses it; then change it to `{wanted.type} {wanted.content}`, TTL {wanted.ttl}, not proxied, or "
        "remove it, or set dns_record_adopt: true to let the kit replace it",
    )


def _refuse_unmarked(record: Record) -> None:
    raise Blocked(
        f"the record at {record.name} says the right address, but this kit did not make it, so it would not follow the address",
        seen=str(record),
        next="set dns_record_adopt: true to let the kit mark it as its own, or leave dns_record_follow empty",
    )


def _check_delegated(zone: Zone) -> None:
    if zone.status != "active":
        raise Waiting(
            f"the zone {zone.name} is not delegated to this DNS provider yet",
            who="whoever manages the domain at its registrar",
            seen=f"the provider calls the zone {zone.status!r}",
            next=f"set the name servers of {zone.name} at the registrar to {', '.join(zone.name_servers)}; then run this again",
        )


def present(
    provider: Provider,
    *,
    name: str,
    zone: str,
    address: str,
    site: str,
    ttl: int = TTL,
    adopt: bool = False,
    own: bool = False,
    check: bool = False,
) -> Outcome:
    """See to it that ``name`` has exactly one A record, ``address``; with ``check`` only say what would change.

    With ``own`` the record must carry the site's mark too.

    Raises :class:`UsageError` (nothing read), :class:`Blocked` (nothing written) or what the provider met. A change that fails
    half way is taken back.
    """
    wanted = wanted_record(name, address, site, ttl)
    if zone:
        check_name(wanted.name, tidy(zone))
    found = provider.zone_for(wanted.name, tidy(zone))
    _check_delegated(found)
    before = provider.snapshot(found, wanted.name)
    changes = plan(before, wanted, adopt=adopt or provider.by_hand, own=own and not provider.by_hand)
    return _carry_out(provider, Outcome(found, before, changes), check)


def absent(provider: Provider, *, name: str, zone: str, site: str, check: bool = False) -> Outcome:
    """See to it that the site's own A record at ``name`` is gone; anybody else's stays. Raises as ``present`` does."""
    name = tidy(name)
    if zone:
        check_name(name, tidy(zone))
    found = provider.zone_for(name, tidy(zone))
    before = provider.snapshot(found, name)
    return _carry_out(provider, Outcome(found, before, plan_removal(before, site)), check)


def moved(now: Snapshot) -> Blocked:
    """The error for records that somebody changed since they were read."""
    return Blocked(
        f"somebody changed the records at {now.name} meanwhile; nothing was written",
        seen="; ".join(str(r) for r in now.records) or "no record",
        next="run this again; it starts from what is there now",
    )


def _carry_out(provider: Provider, outcome: Outcome, check: bool) -> Outcome:
    # A wait for a person is told in check mode too: nothing will have changed after the real run either.
    if not outcome.changes or (check and not provider.by_hand):
        return outcome
    try:
        provider.apply(outcome.zone, outcome.before, outcome.changes)
    except (Blocked, Waiting):
        raise
    except KitError:
        # The first of several changes may stand. A single one is whole or not there at all.
        if len(outcome.changes) > 1:
            provider.restore(outcome.zone, outcome.before)
        raise
    return outcome
