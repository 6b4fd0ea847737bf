"""Ports forwarded by a site's router to its edge host.

A router may serve several sites and holds rules of other people. Ours carry the mark ``qbokit:<site>``; only they are changed or
deleted. A :class:`RouterBackend` reads, plans, writes and proves for one make of router; ``job.perform`` is the one way in which
all of them are used. A plan is made from what was read, so sites behind one router must not be changed at the same time (in a
role: ``throttle: 1``).

Taking over: a rule of somebody else that takes one of our ports is a refusal, unless a person asks for its place. It is never
deleted then: it stands back, marked with the site's name, and comes back when the site's forwards are removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from qbo_sync.edge import addresses
from qbo_sync.errors import Blocked, KitError, UsageError

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

    ``target`` is ``address:port`` when the rule says plainly where to, else empty; ``port`` 0 means the port stays. ``key`` is
    the router's own name for the rule, where it has one.
    """

    text: str
    protos: frozenset[str]
    ports: tuple[range, ...]
    target: str = ""
    key: str = ""

    def takes(self, forward: Forward) -> bool:
        """Whether the rule takes packets that the forward wants."""
        return forward.proto in self.protos and any(forward.external_port in ports for ports in self.ports)

    def takes_only(self, forwards: Iterable[Forward]) -> bool:
        """Whether nothing but what these forwards want would be lost without the rule."""
        wanted = {(f.proto, f.external_port) for f in forwards}
        few = sum(len(ports) for ports in self.ports) <= len(wanted)
        return few and all((proto, port) in wanted for proto in self.protos for ports in self.ports for port in ports)

    def does_same(self, forward: Forward) -> bool:
        """Whether the rule sends those packets where the forward wants them."""
        return self.target in (f"{forward.address}:{forward.internal_port}", f"{forward.address}:0") and (
            not self.target.endswith(":0") or forward.external_port == forward.internal_port
        )

    def __str__(self) -> str:
        """The rule as shown, and its present target in plain words."""
        return f"{self.text} [it leads to {self.target.removesuffix(':0')} now]" if self.target else self.text


@dataclass(frozen=True)
class Reading:
    """What stands in the router: our forwards of every site, the rules of others, and what may still drop our packets.

    ``own`` is our part of its configuration in the router's language; ``ahead`` are those of our forwards that stand before a
    rule of somebody else that wants the same packets; ``taken`` are rules of others that stand back for a site.
    """

    forwards: tuple[Forward, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    drops: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    ahead: frozenset[tuple[str, str, int]] = frozenset()
    taken: tuple[Foreign, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What to write so that the router has ``forwards``, those of every site behind it.

    ``before`` and ``after`` are our part of the configuration in the router's language, ``undo`` the snapshot that ``rollback``
    puts back. ``given`` names rules of others that already do what a forward wants, ``taken`` those that stand back for this
    site. ``steps`` is the provider's own business.
    """

    changed: bool
    forwards: tuple[Forward, ...]
    before: str
    after: str
    undo: str
    given: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    steps: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Capabilities:
    """``persistent``: what is written survives the router's restart. ``hairpin``: people inside reach the external address too.

    ``can_read_wan``: the router tells its own external address. ``needs_refresh``: what is written ends by itself in time.
    """

    persistent: bool
    hairpin: bool
    can_read_wan: bool
    needs_refresh: bool


class RouterBackend(Protocol):
    """What every router provider can do. Each method raises :class:`~qbo_sync.errors.KitError`."""

    capabilities: ClassVar[Capabilities]

    def describe(self) -> str:
        """The make of router and what is used of it, in a few words."""

    def wan_address(self) -> str:
        """The router's own address towards the internet; empty when it doesn't tell."""

    def read(self) -> Reading:
        """What stands in the router now."""

    def plan(self, site: str, wanted: Iterable[Forward], *, take_over: bool = False) -> Plan:
        """What to write so that the site has exactly these forwards; :class:`Blocked` on a conflict. Writes nothing."""

    def apply(self, plan: Plan) -> None:
        """Write a plan, whole or not at all; a plan that changes nothing writes nothing."""

    def verify(self, plan: Plan) -> None:
        """Return when the router shows what was planned."""

    def rollback(self, snapshot: str) -> None:
        """Put back what a plan's ``undo`` remembers."""


@dataclass(frozen=True)
class Settings:
    """How a router is reached and what it calls its sides. A provider uses what it needs.

    ``wan_interface`` is the side towards the internet (OpenWrt: the firewall zone), empty for that of the default route;
    ``lan_network`` is the site's network, as ``10.0.0.0/24``. ``password_file`` holds the API's password, ``memory`` is where a
    provider without a place in the router keeps what it must remember, ``lan_address`` from where it speaks.
    """

    wan_interface: str = ""
    lan_network: str = ""
    lan_address: str = ""
    api_url: str = ""
    api_user: str = ""
    password_file: str = ""
    ca_file: str = ""
    memory: str = ""


MAKES = ("nftables", "openwrt", "vyos", "routeros", "upnp")


def no_shell(command: Sequence[str], _text: str) -> str:
    """The ``run`` of a router that is not reached over a shell."""
    raise UsageError("this router is not reached over a shell", seen=" ".join(command))


def provider(name: str, settings: Settings, run: Run = no_shell) -> RouterBackend:
    """The router provider of that name. ``run`` carries a command to the router and brings back its output."""
    wan = settings.wan_interface
    # Each one is loaded only when it is asked for: on the edge host there is no library but UPnP's.
    if name == "nftables":
        from qbo_sync.edge.router.nftables import Nftables

        return Nftables(run, wan)
    if name == "openwrt":
        from qbo_sync.edge.router.openwrt import OpenWrt

        return OpenWrt(run, wan)
    if name == "vyos":
        from qbo_sync.edge.router.vyos import Vyos

        return Vyos(run, wan, settings.lan_network)
    if name == "routeros":
        from qbo_sync.edge.router.routeros import RouterOs

        return RouterOs(settings, wan)
    if name == "upnp":
        from qbo_sync.edge.router.upnp import Upnp

        return Upnp(settings)
    if name == "manual":
        raise UsageError(
            "a router that is set by hand cannot be asked for its address",
            seen="port_forward_provider: manual",
            next="give the external address that its status page shows as site_address, in place of auto; if it changes, "
            "dns_record_follow: https://… takes the A record after it",
        )
    raise UsageError(f"there is no router provider named {name!r}", next=f"use one of {', '.join(MAKES)}, or manual")


def forwards(site: str, address: str, ports: Iterable[int] = PORTS, external_address: str = "") -> tuple[Forward, ...]:
    """The forwards the guide asks for: TCP 80 and 443, each to the same port of the edge host.

    Raises :class:`UsageError` for an address, a port or a site's name that can't be.
    """
    return tuple(Forward("tcp", port, address, port, TAG + site, external_address) for port in ports)


@dataclass(frozen=True)
class Merged:
    """``forwards`` of all sites to be written, the foreign rules that make one needless, and those that have to stand back."""

    forwards: tuple[Forward, ...]
    given: tuple[Foreign, ...] = ()
    taken: tuple[Foreign, ...] = ()


def merge(reading: Reading, site: str, wanted: Iterable[Forward], *, take_over: bool = False) -> Merged:
    """The forwards of all sites with this site's replaced by ``wanted``.

    Raises :class:`Blocked` when another site of the kit takes one of the ports, or somebody else's rule that is not to be
    taken over. One that a site has taken over stays so without being asked for again.
    """
    others = [f for f in reading.forwards if f.tag != TAG + site]
    wanted = list(wanted)
    clashes = [f"{f} [another site of this kit]" for f in others if any(_same_port(f, w) for w in wanted)]
    conflicts = [(w, rule) for w in wanted for rule in reading.foreign if rule.takes(w) and not rule.does_same(w)]
    asked = [(w, rule) for w, rule in conflicts if (w.tag, w.proto, w.external_port) not in reading.ahead]
    if clashes or (asked and not take_over):
        raise Blocked(
            "the router already forwards a port that this site needs; nothing was changed",
            seen="; ".join([*clashes, *dict.fromkeys(str(rule) for _, rule in asked)]),
            next="find out what uses it, then move or remove that rule; the kit never changes a rule that is not its own."
            + (
                " To give this site its place, set port_forward_take_over: true; port_forward_state: absent gives it back"
                if asked and not clashes
                else ""
            ),
        )
    ours = {(f.tag, f.proto, f.external_port) for f in reading.forwards}
    needless = [w for w in wanted if (w.tag, w.proto, w.external_port) not in ours]
    given = {w: r for w in needless for r in reading.foreign if r.takes(w) and r.does_same(w)}
    return Merged(
        tuple(sorted([*others, *(w for w in wanted if w not in given)])),
        tuple(dict.fromkeys(given.values())),
        tuple(dict.fromkeys(rule for _, rule in conflicts)),
    )


def _same_port(one: Forward, other: Forward) -> bool:
    return (one.proto, one.external_port) == (other.proto, other.external_port)


def not_shown(plan: Plan, shown: str) -> None:
    """Raise :class:`KitError` unless the router shows what was planned."""
    if shown != plan.after:
        raise KitError(
            "the router took the rules but does not show them",
            seen=f"planned: {plan.after or 'nothing'}; shown: {shown or 'nothing'}",
            next="look for another program on the router that rewrites its rules",
        )
