"""Routers with UPnP IGD, or PCP and NAT-PMP where there is none: asked by the edge host itself, from inside the network.

What such a router is told, it forgets: when its lease ends (asked for seven days; a router that only knows lasting ones is asked
for that), and often when it restarts. So a timer on the edge host looks every quarter of an hour and asks again for what is
missing or more than a day old. What must be remembered is in one file: the job, and the mappings of others that stand back.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import miniupnpc

from qbo_sync.edge import addresses
from qbo_sync.edge.router import TAG, Capabilities, Foreign, Forward, Plan, Reading, Settings, merge, not_shown, pcp
from qbo_sync.errors import Blocked, KitError, Unreachable

LEASE_S = 604_800
RENEW_BELOW_S = 518_400
# Most routers answer at once, some take their time. miniupnpc waits as long for each of four kinds of device.
DISCOVERY_MS = (500, 2000)


@dataclass(frozen=True, order=True)
class Mapping:
    """A port that the router forwards. ``lease_s`` is what is left of it, 0 for ever."""

    proto: str
    port: int
    address: str
    internal: int
    description: str
    lease_s: int = 0

    def same(self, other: Mapping) -> bool:
        """Equal but for the time that is left."""
        return (*self._words(), self.description) == (*other._words(), other.description)

    def _words(self) -> tuple[str, int, str, int]:
        return self.proto, self.port, self.address, self.internal

    def __str__(self) -> str:
        return f"{self.proto} {self.port} -> {self.address}:{self.internal} ({self.description or 'without a name'})"


@dataclass
class Memory:
    """The file: ``job`` to be done again by the timer, ``taken`` mappings of others, ``held`` what PCP gave us."""

    path: Path
    content: dict[str, Any]

    @classmethod
    def load(cls, name: str) -> Memory:
        """What was kept; nothing when there is no file yet."""
        path = Path(name)
        try:
            return cls(path, json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls(path, {})

    @property
    def taken(self) -> list[Mapping]:
        """The mappings of others that stand back."""
        return [Mapping(**m) for m in self.content.get("taken", [])]

    def save(self, **values: Any) -> None:
        """Keep some values; an empty memory is no file."""
        self.content = {k: v for k, v in {**self.content, **values}.items() if v}
        if not self.content:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(self.content, file, indent=1)
        part.replace(self.path)


class Door(Protocol):
    """A way to ask the router."""

    def name(self) -> str: ...
    def wan_address(self) -> str: ...
    def mappings(self) -> list[Mapping]: ...
    def add(self, mapping: Mapping) -> None: ...
    def delete(self, mapping: Mapping) -> None: ...


class Upnp:
    """A :class:`~qbo_sync.edge.router.RouterBackend` that runs on the edge host."""

    capabilities: ClassVar[Capabilities] = Capabilities(persistent=False, hairpin=False, can_read_wan=True, needs_refresh=True)

    def __init__(self, settings: Settings) -> None:
        self._memory = Memory.load(settings.memory)
        self._address = settings.lan_address
        self._found: Door | None = None

    def describe(self) -> str:
        """The make of router and what is used of it."""
        return f"a router asked by {self._door.name()}"

    def wan_address(self) -> str:
        """The external address that the router tells."""
        return self._door.wan_address()

    def read(self) -> Reading:
        """What the router shows; not every router shows everything."""
        return self._reading(self._door.mappings())

    def plan(self, site: str, wanted: Iterable[Forward], *, take_over: bool = False) -> Plan:
        """What to ask so that the site has exactly these forwards."""
        tag, wanted, now = TAG + site, tuple(wanted), self._door.mappings()
        reading = self._reading(now)
        merged = merge(reading, site, wanted, take_over=take_over)
        mine = [m for m in now if m.description == tag]
        mappings = [_mapping(f) for f in merged.forwards if f.tag == tag]
        stand_back = [m for m in now if m.description != tag and any(_foreign(m) == rule for rule in merged.taken)]
        kept = [m for m in self._memory.taken if any(_foreign(m).takes(w) for w in wanted)]
        come_back = [m for m in self._memory.taken if m not in kept]
        gone = [m for m in mine if not any(m.same(w) for w in mappings)]
        new = [w for w in mappings if not any(m.same(w) for m in mine)]
        taken = [*(m for m in kept if not any(_foreign(m).takes(_forward_of(s)) for s in stand_back)), *stand_back]
        others = [m for m in now if _is_ours(m) and m.description != tag]
        steps = (*(("delete", m) for m in (*stand_back, *gone)), *(("add", m) for m in (*new, *come_back)))
        return Plan(
            changed=bool(steps) or taken != self._memory.taken,
            forwards=merged.forwards,
            before=_shown([*others, *mine], self._memory.taken, tag),
            after=_shown([*others, *mappings], taken, tag),
            undo=json.dumps({"tag": tag, "own": _dump(mine), "others": _dump(stand_back), "taken": _dump(self._memory.taken)}),
            given=tuple(rule.text for rule in merged.given),
            taken=tuple(map(str, taken)),
            steps=(tag, steps, tuple(taken)),
        )

    def apply(self, plan: Plan) -> None:
        """Ask step by step; whoever stands back is remembered before it is asked to."""
        if plan.changed:
            _, steps, taken = plan.steps
            self._memory.save(taken=_dump([*self._memory.taken, *(m for m in taken if m not in self._memory.taken)]))
            for verb, mapping in steps:
                (self._door.add if verb == "add" else self._door.delete)(mapping)
            self._memory.save(taken=_dump(taken))

    def verify(self, plan: Plan) -> None:
        """Compare what the router shows with the plan."""
        ours = [m for m in self._door.mappings() if _is_ours(m)]
        not_shown(plan, _shown(ours, self._memory.taken, plan.steps[0]))

    def rollback(self, snapshot: str) -> None:
        """Ask for what was there."""
        memory = json.loads(snapshot)
        now = self._door.mappings()
        own, others, taken = ([Mapping(**m) for m in memory[part]] for part in ("own", "others", "taken"))
        for mapping in (m for m in now if m.description == memory["tag"] and not any(m.same(o) for o in own)):
            self._door.delete(mapping)
        for mapping in (m for m in [*own, *others] if not any(m.same(n) for n in now)):
            self._door.add(mapping)
        self._memory.save(taken=_dump(taken))

    def renew(self, site: str) -> list[str]:
        """Ask again for the site's mappings of which more than a day is gone; the ports."""
        old = [m for m in self._door.mappings() if m.description == TAG + site and 0 < m.lease_s < RENEW_BELOW_S]
        for mapping in old:
            self._door.add(mapping)
        return [f"{m.proto} {m.port}" for m in old]

    def remember(self, job: dict[str, Any] | None) -> None:
        """Keep the job for the timer, or forget it."""
        self._memory.save(job=job)

    def _reading(self, mappings: Iterable[Mapping]) -> Reading:
        mappings = list(mappings)
        forwards = tuple(sorted(_forward_of(m) for m in mappings if _is_ours(m)))
        foreign = tuple(_foreign(m) for m in mappings if not _is_ours(m))
        return Reading(
            forwards, foreign, own=tuple(str(m) for m in mappings if _is_ours(m)), taken=tuple(map(_foreign, self._memory.taken))
        )

    @property
    def _door(self) -> Door:
        if self._found is None:
            found = find(self._address, held=bool(self._memory.content.get("held")))
            self._found = found if isinstance(found, Igd) else Pcp(found, self._memory)
        return self._found


class Igd:
    """UPnP IGD through miniupnpc."""

    def __init__(self, device: Any, address: str) -> None:
        self._device, self._address = device, address

    def name(self) -> str:
        """For people."""
        return "UPnP IGD"

    def wan_address(self) -> str:
        """Empty when the router does not tell it, as one behind another router does."""
        try:
            return str(self._device.externalipaddress() or "")
        except Exception:
            return ""

    def mappings(self) -> list[Mapping]:
        """Every mapping that the router lists."""
        return list(self._listed())

    def add(self, mapping: Mapping) -> None:
        """Ask for seven days, or for ever where the router knows nothing else."""
        try:
            self._add(mapping, LEASE_S)
        except KitError as error:
            if "OnlyPermanentLeasesSupported" not in error.seen:
                raise
            self._add(mapping, 0)

    def delete(self, mapping: Mapping) -> None:
        """Take a mapping away."""
        try:
            self._device.deleteportmapping(mapping.port, mapping.proto.upper())
        except Exception as error:
            raise explained(str(error), mapping, self.wan_address(), "take away") from error

    def _add(self, mapping: Mapping, lease_s: int) -> None:
        words = (mapping.port, mapping.proto.upper(), mapping.address, mapping.internal, mapping.description, "", lease_s)
        try:
            self._device.addportmapping(*words)
        except Exception as error:
            raise explained(str(error), mapping, self.wan_address(), "make") from error

    def _listed(self) -> Iterator[Mapping]:
        for index in range(10_000):
            try:
                found = self._device.getgenericportmapping(index)
            except Exception:
                return
            if found is None:
                return
            port, proto, (address, internal), description, enabled, _, lease = found
            if str(enabled) in ("1", "True", "true"):
                yield Mapping(proto.lower(), int(port), address, int(internal), description, int(lease))


class Pcp:
    """PCP or NAT-PMP. They list nothing, so what they gave is in the memory, until it ends or the router has started anew.

    They forward to whoever asks, so each request leaves from the mapping's own address.
    """

    def __init__(self, door: pcp.Door, memory: Memory) -> None:
        self._door, self._memory = door, memory
        self._at = time.time()

    def name(self) -> str:
        """For people."""
        return "PCP" if self._door.speaks_pcp else "NAT-PMP"

    def wan_address(self) -> str:
        """What NAT-PMP tells; PCP alone does not."""
        return self._door.wan_address

    def mappings(self) -> list[Mapping]:
        """What is held still."""
        return [Mapping(**h["mapping"]) for h in self._held if h["until"] > self._at and self._kept_since(h["epoch"], h["since"])]

    def _kept_since(self, epoch: int, since: float) -> bool:
        """Whether the router's clock went on since then, as RFC 6886 3.6 judges it; otherwise it has lost its mappings."""
        return self._door.epoch >= epoch + (self._at - since) * 7 / 8 - 2

    def add(self, mapping: Mapping) -> None:
        """Ask for seven days."""
        before = next((h for h in self._held if Mapping(**h["mapping"]).same(mapping)), {})
        door = replace(self._door, address=mapping.address)
        granted = door.add(mapping.proto, mapping.port, mapping.internal, LEASE_S, before.get("nonce", ""))
        clock = {"since": self._at, "epoch": self._door.epoch, "until": self._at + granted.lease_s}
        held = {"mapping": asdict(mapping), "nonce": granted.nonce, **clock}
        self._memory.save(held=[*(h for h in self._held if h != before), held])

    def delete(self, mapping: Mapping) -> None:
        """Give a port back."""
        for held in [h for h in self._held if Mapping(**h["mapping"]).same(mapping)]:
            replace(self._door, address=mapping.address).delete(mapping.proto, mapping.internal, held["nonce"])
            self._memory.save(held=[h for h in self._held if h != held])

    @property
    def _held(self) -> list[dict[str, Any]]:
        return list(self._memory.content.get("held", []))


def find(address: str, *, held: bool) -> Igd | pcp.Door:
    """What answers: UPnP at once, else PCP or NAT-PMP, else UPnP after a while; with ``held`` (by PCP) only PCP is asked.

    Raises :class:`Unreachable` when nothing of all that is there.
    """
    if not held and (igd := _igd(address, DISCOVERY_MS[0])):
        return igd
    try:
        return pcp.find(address)
    except Unreachable as error:
        if igd := _igd(address, DISCOVERY_MS[1]):
            return igd
        raise Unreachable(
            "no router answers to UPnP, PCP or NAT-PMP",
            seen=f"no answer to a search for UPnP from {address}, and {error.what}",
            next="switch UPnP on in the router's pages, or forward the ports by hand: port_forward_provider: manual",
        ) from error


def _igd(address: str, delay_ms: int) -> Igd | None:
    device = miniupnpc.UPnP(multicastif=address, discoverdelay=delay_ms)
    try:
        device.discover()
        device.selectigd()
    except Exception:
        return None
    return Igd(device, address)


def explained(said: str, mapping: Mapping, wan: str, verb: str) -> KitError:
    """What a router's refusal means, and the next step. miniupnpc gives the words of the UPnP standard, not the number."""
    what = f"the router refuses to {verb} the forward of {mapping.proto} {mapping.port}"
    if said == "ConflictInMappingEntry":
        return Blocked(
            what,
            seen="718 ConflictInMappingEntry: the port is forwarded already, for another host or by a rule UPnP does not show",
            next="look at the router's own page for port forwarding, and remove or change the rule there",
        )
    if said == "Action not authorized":
        return KitError(
            what,
            seen="606 Action not authorized: its UPnP does not allow this port, or not for this host",
            next="many routers allow ports from 1024 only: allow 80 and 443 for this host there, or forward them by hand"
            " (port_forward_provider: manual)",
        )
    if said in ("Action Failed", "ActionFailed"):
        reason = addresses.why_not_public(wan) if wan else "it does not tell its own external address"
        return KitError(
            what,
            seen=f"501 Action Failed; its external address: {wan or 'unknown'}" + (f", {reason}" if reason else ""),
            next="another router stands before it, or the provider shares one address among customers: see preflight's checks of"
            " the address; otherwise restart the router's UPnP",
        )
    return KitError(what, seen=said, next="forward the port by hand: port_forward_provider: manual")


def _mapping(forward: Forward) -> Mapping:
    return Mapping(forward.proto, forward.external_port, forward.address, forward.internal_port, forward.tag)


def _is_ours(mapping: Mapping) -> bool:
    return re.fullmatch(TAG + r"\S+", mapping.description) is not None


def _forward_of(mapping: Mapping) -> Forward:
    return Forward(mapping.proto, mapping.port, mapping.address, mapping.internal, mapping.description)


def _foreign(mapping: Mapping) -> Foreign:
    ports = (range(mapping.port, mapping.port + 1),)
    leads = f"{mapping.address}:{mapping.internal}"
    return Foreign(f"UPnP mapping {mapping}", frozenset({mapping.proto}), ports, leads, f"{mapping.proto} {mapping.port}")


def _dump(mappings: Iterable[Mapping]) -> list[dict[str, Any]]:
    return [asdict(mapping) for mapping in mappings]


def _shown(ours: Iterable[Mapping], taken: Iterable[Mapping], tag: str) -> str:
    lines = [*map(str, ours), *(f"{mapping} stands back for {tag}" for mapping in taken)]
    return "".join(f"{line}\n" for line in sorted(lines))
