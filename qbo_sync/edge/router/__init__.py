"""Ports forwarded by a site's router to its edge host.

A router may serve several sites and holds rules of other people. Ours carry the mark ``qbokit:<site>``; only they are changed.
``plan`` decides, and is pure; a provider (``nftables``) reads and writes. A plan is made from what was read and holds the
forwards of every site, so sites behind one router must not be changed at the same time (in a role: ``throttle: 1``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from qbo_sync.edge import addresses
from qbo_sync.errors import Blocked, UsageError

TAG = "qbokit:"
PORTS = (80, 443)

# How a provider reaches its router: a command and its standard input in, its standard output back. Raises KitError.
Run = Callable[[Sequence[str], str], str]


@dataclass(frozen=True, order=True)
class Forward:
    """Packets for ``external_port`` at the router go to ``address``:``internal_port``.

    ``external_address`` is the site's public address; with it the router also forwards what clients inside send there (hairpin).
    """

    proto: str
    external_port: int
    address: str
    internal_port: int
    tag: str
    external_address: str = ""

    def __post_init__(self) -> None:
        """Raise :class:`UsageError` for a value no router takes; all of them end up in a router's configuration."""
        if self.proto not in ("tcp", "udp"):
            raise UsageError("a forward is tcp or udp", seen=self.proto)
        for port in (self.external_port, self.internal_port):
            if not 1 <= port <= 65535:
                raise UsageError("a port is 1 to 65535", seen=str(port))
        reason = addresses.why_not_lan(self.address)
        if reason:
            raise UsageError(
                "the router cannot forward to that address",
                seen=f"{self.address}: {reason}",
                next="give the edge host's address in the local network",
            )
        if self.external_address:
            addresses.check_public(self.external_address)
        if not re.fullmatch(TAG + r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", self.tag):
            raise UsageError("a site's name has letters, digits, '_', '.' and '-' only", seen=self.tag.removeprefix(TAG))

    def __str__(self) -> str:
        return f"{self.proto} {self.external_port} -> {self.address}:{self.internal_port} ({self.tag})"


@dataclass(frozen=True)
class Foreign:
    """A forwarding rule that isn't ours: ``text`` as the router shows it. ``protos`` and ``ports`` are what it takes.

    ``target`` is ``address:port`` when the rule says plainly where to, else empty; ``port`` 0 means the port stays.
    """

    text: str
    protos: frozenset[str]
    ports: tuple[range, ...]
    target: str = ""

    def takes(self, forward: Forward) -> bool:
        """Whether the rule takes packets that the forward wants."""
        return forward.proto in self.protos and any(forward.external_port in ports for ports in self.ports)

    def does_same(self, forward: Forward) -> bool:
        """Whether the rule sends those packets where the forward wants them."""
        return self.target in (f"{forward.address}:{forward.internal_port}", f"{forward.address}:0") and (
            not self.target.endswith(":0") or forward.external_port == forward.internal_port
        )


@dataclass(frozen=True)
class Reading:
    """What stands in the router: our forwards of every site, the rules of others, and what may still drop our packets."""

    forwards: tuple[Forward, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    drops: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What to write: ``forwards`` of every site behind the router, as ``text`` in the router's language.

    ``undo`` is the text that puts back what was there; ``given`` names rules of others that already do what a forward wants.
    """

    changed: bool
    forwards: tuple[Forward, ...]
    text: str
    undo: str
    given: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Router(Protocol):
    """What every router provider can do. Each method raises :class:`~qbo_sync.errors.KitError`."""

    def read(self) -> Reading:
        """What stands in the router now."""

    def plan(self, site: str, wanted: Iterable[Forward]) -> Plan:
        """What to write so that the site has exactly these forwards; :class:`Blocked` on a conflict."""

    def apply(self, plan: Plan) -> None:
        """Write a plan, whole or not at all; a plan that changes nothing writes nothing."""

    def snapshot(self) -> str:
        """The text that puts back our rules as they are now."""

    def rollback(self, snapshot: str) -> None:
        """Put back a snapshot."""


def forwards(site: str, address: str, ports: Iterable[int] = PORTS, external_address: str = "") -> tuple[Forward, ...]:
    """The forwards the guide asks for: TCP 80 and 443, each to the same port of the edge host.

    Raises :class:`UsageError` for an address, a port or a site's name that can't be.
    """
    return tuple(Forward("tcp", port, address, port, TAG + site, external_address) for port in ports)


def merge(reading: Reading, site: str, wanted: Iterable[Forward]) -> tuple[tuple[Forward, ...], tuple[str, ...]]:
    """The forwards of all sites with this site's replaced by ``wanted``, and the foreign rules that make one of them needless.

    Raises :class:`Blocked` when another site of the kit or somebody else's rule takes one of the ports.
    """
    others = [f for f in reading.forwards if f.tag != TAG + site]
    wanted = list(wanted)
    clashes = [f"{f} [another site of this kit]" for f in others if any(_same_port(f, w) for w in wanted)]
    clashes += [rule.text for rule in reading.foreign if any(rule.takes(w) and not rule.does_same(w) for w in wanted)]
    if clashes:
        raise Blocked(
            "the router already forwards a port that this site needs; nothing was changed",
            seen="; ".join(clashes),
            next="find out what uses it, then move or remove that rule; the kit never changes a rule that is not its own",
        )
    given = [w for w in wanted if w not in reading.forwards and any(r.takes(w) and r.does_same(w) for r in reading.foreign)]
    texts = tuple(sorted({r.text for w in given for r in reading.foreign if r.takes(w)}))
    return tuple(sorted([*others, *(w for w in wanted if w not in given)])), texts


def _same_port(one: Forward, other: Forward) -> bool:
    return (one.proto, one.external_port) == (other.proto, other.external_port)


def provider(name: str, run: Run, *, wan_interface: str) -> Router:
    """The router provider of that name. ``run`` carries a command to the router and brings back its output."""
    if name != "nftables":
        raise UsageError(f"there is no router provider named {name!r}", next="use nftables")
    from qbo_sync.edge.router.nftables import Nftables

    return Nftables(run, wan_interface)
