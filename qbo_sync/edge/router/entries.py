"""Routers whose configuration is a list of entries, each made of named values: OpenWrt, VyOS, RouterOS.

What is common to them is here and pure: which entries are ours, which of somebody else's is in the way, what has to change. A
dialect says how its router names things, reads its entries and writes changes.

The mark ``qbokit:<site>`` is the value that the router shows to people as an entry's name, description or comment. An entry that
stands back for a site is switched off and carries ``qbokit:<site> took over: <its former name>`` there; the way back needs no
other record.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from qbo_sync.edge.router import TAG, Foreign, Forward, Merged, Plan, Reading, merge, not_shown
from qbo_sync.edge.router.uplink import Uplinked
from qbo_sync.errors import Blocked, KitError

_STANDS_BACK = re.compile(rf"({TAG}\S+) took over: (.*)", re.DOTALL)
_ALL_PORTS = (range(0, 65536),)


@dataclass(frozen=True)
class Entry:
    """One entry: ``kind`` is where it belongs (a chain, a section's type), ``values`` what it says."""

    kind: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """An entry to be made (nothing before), set (both) or deleted (nothing after)."""

    key: str
    before: Entry | None
    after: Entry | None


class EntryRouter(Uplinked):
    """A :class:`~qbo_sync.edge.router.RouterBackend` but for its dialect.

    ``label`` is the value that carries the mark; ``off`` the name and value that switch an entry off.
    """

    label: ClassVar[str]
    off: ClassVar[tuple[str, str]]

    # The dialect ----------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def entries(self) -> dict[str, Entry]:
        """Every entry that translates addresses, by the router's own key."""

    @abstractmethod
    def wanted(self, forward: Forward) -> list[Entry]:
        """The entries that make a forward, the one for what comes from outside first."""

    @abstractmethod
    def foreign(self, key: str, entry: Entry) -> Foreign | None:
        """An entry that isn't ours as a forward, and whether it is one; switched off it is none."""

    @abstractmethod
    def forward(self, entry: Entry) -> Forward | None:
        """The forward that one of our entries makes for what comes from outside; ``None`` for the others of it."""

    @abstractmethod
    def key_for(self, entry: Entry, free: Sequence[str], used: Iterable[str]) -> str:
        """The key to write an entry under: one of ours that is ``free`` (alike, needed no more), or one that is not ``used``."""

    @abstractmethod
    def text(self, key: str, entry: Entry) -> str:
        """An entry in the router's own language."""

    @abstractmethod
    def write(self, changes: Sequence[Change]) -> None:
        """Write changes, for now and for the router's next start."""

    # What is common -------------------------------------------------------------------------------------------------------------

    def read(self) -> Reading:
        """What stands in the router now."""
        return self._reading(self.entries())

    def plan(self, site: str, wanted: Iterable[Forward], *, take_over: bool = False) -> Plan:
        """What to write so that the site has exactly these forwards."""
        tag, wanted = TAG + site, tuple(wanted)
        if wanted:
            self.prove_wan()
        entries = self.entries()
        merged = merge(self._reading(entries), site, wanted, take_over=take_over)
        target = self._others(entries, tag, wanted, merged)
        mine = {key: entry for key, entry in entries.items() if self._owner(entry) == tag}
        for entry in (e for f in merged.forwards if f.tag == tag for e in self.wanted(f)):
            same = next((k for k, e in mine.items() if e == entry and k not in target), "")
            free = [k for k, e in mine.items() if k not in target and _alike(e, entry) and not self._needed(e, merged, tag)]
            target[same or self.key_for(entry, free, {*entries, *target})] = entry
        keys = sorted({*entries, *target})
        steps = tuple(Change(k, entries.get(k), target.get(k)) for k in keys if entries.get(k) != target.get(k))
        return Plan(
            changed=bool(steps),
            forwards=merged.forwards,
            before=self._shown(entries),
            after=self._shown(target),
            undo=self._snapshot(tag, mine, steps),
            given=tuple(rule.text for rule in merged.given),
            taken=tuple(str(rule) for rule in self._reading(target).taken if rule.key in self._back(target, tag)),
            steps=steps,
        )

    def apply(self, plan: Plan) -> None:
        """Write a plan's changes."""
        if plan.changed:
            self.write(plan.steps)

    def verify(self, plan: Plan) -> None:
        """Compare our part of the configuration with the plan."""
        not_shown(plan, self._shown(self.entries()))

    def rollback(self, snapshot: str) -> None:
        """Make the site's own entries, and those that stood back for it, what they were."""
        memory = json.loads(snapshot)
        now = self.entries()
        mine = {key: entry for key, entry in now.items() if self._owner(entry) == memory["tag"]}
        missing = {key: Entry(*pair) for key, pair in memory["own"].items()}
        for key, entry in list(mine.items()):
            if twin := next((k for k, e in missing.items() if e == entry), ""):
                del missing[twin], mine[key]
        changes = [Change(key, entry, None) for key, entry in mine.items()]
        for key, entry in missing.items():
            # What the router named itself gets a new name.
            changes.append(Change(key if key not in now or key in mine else self.key_for(entry, (), now), None, entry))
        for key, pair in memory["others"].items():
            if key in now and now[key] != Entry(*pair):
                changes.append(Change(key, now[key], Entry(*pair)))
        if changes:
            self.write(changes)

    def _reading(self, entries: Mapping[str, Entry]) -> Reading:
        forwards: list[Forward] = []
        foreign: list[Foreign] = []
        taken: list[Foreign] = []
        for key, entry in entries.items():
            if self._owner(entry):
                made = self.forward(entry)
                forwards += [made] if made else []
                continue
            former = self._former(entry)
            rule = self.foreign(key, former or entry)
            if rule:
                (taken if former else foreign).append(rule)
        return Reading(tuple(sorted(forwards)), tuple(foreign), own=tuple(self._shown(entries).splitlines()), taken=tuple(taken))

    def _others(self, entries: Mapping[str, Entry], tag: str, wanted: Sequence[Forward], merged: Merged) -> dict[str, Entry]:
        """The entries that are not the site's own, as they shall be: standing back for it, or back in their place."""
        target = {key: entry for key, entry in entries.items() if self._owner(entry) != tag}
        for rule in merged.taken:
            if rule.key not in target:
                raise Blocked(
                    "that rule was not written into the router's configuration, so it cannot be switched off there",
                    seen=str(rule),
                    next="find the program that makes it (often UPnP on another machine) and stop it there",
                )
            if not rule.takes_only(wanted):
                raise Blocked(
                    "that rule takes more than this site needs, and taking it over would cut off the rest; nothing was changed",
                    seen=str(rule),
                    next="split it on the router: one rule for the ports that the site needs, one for the rest",
                )
            target[rule.key] = self._step_back(entries[rule.key], tag)
        for key in self._back(entries, tag):
            former = self._former(entries[key])
            rule_again = self.foreign(key, former) if former else None
            if former and not (rule_again and any(rule_again.takes(w) for w in wanted)):
                target[key] = former
        return target

    def _needed(self, entry: Entry, merged: Merged, tag: str) -> bool:
        """Whether the entry is wanted as it is, so that no other may take its place."""
        return any(entry == e for f in merged.forwards if f.tag == tag for e in self.wanted(f))

    def _owner(self, entry: Entry) -> str:
        """The mark on an entry of ours; empty on one of somebody else, also while it stands back."""
        mark = entry.values.get(self.label, "")
        return mark if re.fullmatch(TAG + r"\S+", mark) else ""

    def _back(self, entries: Mapping[str, Entry], tag: str) -> list[str]:
        marks = {key: _STANDS_BACK.fullmatch(entry.values.get(self.label, "")) for key, entry in entries.items()}
        return [key for key, mark in marks.items() if mark and mark[1] == tag]

    def _step_back(self, entry: Entry, tag: str) -> Entry:
        name = f"{tag} took over: {entry.values.get(self.label, '')}"
        return Entry(entry.kind, {**entry.values, self.label: name, self.off[0]: self.off[1]})

    def _former(self, entry: Entry) -> Entry | None:
        """The entry as it was before it stood back; ``None`` when it doesn't."""
        mark = _STANDS_BACK.fullmatch(entry.values.get(self.label, ""))
        if not mark:
            return None
        values = {name: value for name, value in entry.values.items() if name not in (self.label, self.off[0])}
        return Entry(entry.kind, values | ({self.label: mark[2]} if mark[2] else {}))

    def _shown(self, entries: Mapping[str, Entry]) -> str:
        """Our part of the configuration: the entries of all sites, and those that stand back for one."""
        ours = (self.text(key, entry) for key, entry in entries.items() if self._owner(entry) or self._former(entry))
        return "".join(f"{text}\n" for text in sorted(ours))

    def _snapshot(self, tag: str, mine: Mapping[str, Entry], steps: Iterable[Change]) -> str:
        others = {s.key: s.before for s in steps if s.before and s.key not in mine}
        kept = {
            name: {k: (e.kind, dict(e.values)) for k, e in part.items()} for name, part in (("own", mine), ("others", others))
        }
        return json.dumps({"tag": tag, **kept})


def _alike(one: Entry, other: Entry) -> bool:
    """Whether one becomes the other by new values alone, so that the router does it in one step."""
    return one.kind == other.kind and one.values.keys() == other.values.keys()


def made_forward(proto: str, port: str, address: str, internal: str, tag: str) -> Forward | None:
    """A forward from an entry's own words; ``None`` when somebody changed them to what the kit never writes."""
    try:
        return Forward(proto, int(port), address, int(internal), tag)
    except (ValueError, KitError):
        return None


def ports(text: str) -> tuple[range, ...]:
    """Ports as routers write them: ``80``, ``80,443``, ``80 443``, ``1000-2000``, ``1000:2000``; empty or unknown means all.

    ``!`` before them means all others; that too counts as all: rather one refusal too many.
    """
    found = []
    for part in re.split(r"[,\s]+", text.strip()):
        match = re.fullmatch(r"([0-9]{1,5})(?:[-:]([0-9]{1,5}))?", part)
        if not match:
            return _ALL_PORTS
        found.append(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(found)


def protos(text: str) -> frozenset[str]:
    """Which of TCP and UDP a router's word for protocols means; what isn't known counts as both."""
    numbers = {"6": "tcp", "17": "udp"}
    words = [numbers.get(word, word) for word in re.split(r"[,\s]+", text.lower().replace("tcp_udp", "tcp udp")) if word]
    named = frozenset(word for word in words if word in ("tcp", "udp"))
    others = {"icmp", "igmp", "gre", "esp", "ah", "sctp", "icmpv6", "ospf"}
    if words and all(word in named or word in others for word in words):
        return named
    return frozenset({"tcp", "udp"})


def target(address: str, port: str) -> str:
    """``address:port`` for people and for comparison; empty unless both are plain."""
    if re.fullmatch(r"\d+(\.\d+){3}", address) and (port == "" or port.isdigit()):
        return f"{address}:{port or 0}"
    return ""
