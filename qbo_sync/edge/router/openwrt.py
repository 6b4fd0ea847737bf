"""OpenWrt over its shell: ``redirect`` sections of ``/etc/config/firewall`` (fw4, and fw3 before it).

Read with ``uci -X show``, written with ``uci set|delete|commit`` and a reload of the firewall. Nothing else is needed there: no
Python, no package. Hairpin is the firewall's own (``reflection``).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from qbo_sync.edge.router import TAG, Capabilities, Foreign, Forward, Run, uplink
from qbo_sync.edge.router.entries import Change, Entry, EntryRouter, made_forward, ports, protos, target
from qbo_sync.errors import Blocked, KitError, UsageError

_OPTION = re.compile(r"firewall\.([A-Za-z0-9_]+)(?:\.([A-Za-z0-9_]+))?=(.*)", re.DOTALL)
# One that isn't there means this, in fw4 as in fw3.
_DEFAULTS = {"proto": "tcp udp", "target": "DNAT", "enabled": "1"}


class OpenWrt(EntryRouter):
    """See the module's docstring. ``wan`` and ``lan`` are names of firewall zones."""

    capabilities: ClassVar[Capabilities] = Capabilities(persistent=True, hairpin=True, can_read_wan=True, needs_refresh=False)
    label: ClassVar[str] = "name"
    off: ClassVar[tuple[str, str]] = ("enabled", "0")
    side: ClassVar[str] = "firewall zone"

    def __init__(self, run: Run, wan: str, lan: str = "lan") -> None:
        for zone in filter(None, (wan, lan)):
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,31}", zone):
                raise UsageError("that is no name of a firewall zone", seen=zone, next="OpenWrt's own are wan and lan")
        super().__init__(wan)
        self._run, self._lan = run, lan

    def describe(self) -> str:
        """The make of router and what is used of it."""
        return "OpenWrt, redirects of /etc/config/firewall"

    def wan_address(self) -> str:
        """The first address of the zone's interfaces, as netifd knows them; those of a default route come first."""
        inside = (each for each in self._interfaces() if _covers(self._zones().get(self._wan, {}), self._wan, each))
        found = (address for each in inside for address in each.get("ipv4-address", ()))
        return str(next((address["address"] for address in found), ""))

    def sides(self) -> uplink.Sides:
        """The firewall zones, and those that hold an interface with a default route."""
        outward = [each for each in self._interfaces() if _default_route(each)]
        zones = self._zones()
        found = [name for each in outward for name, zone in zones.items() if _covers(zone, name, each)]
        return uplink.Sides(tuple(zones), tuple(dict.fromkeys(found)))

    def _interfaces(self) -> list[dict[str, Any]]:
        """netifd's interfaces, those with a default route first, by its metric."""
        shown = self._run(["ubus", "call", "network.interface", "dump"], "")
        try:
            found: list[dict[str, Any]] = json.loads(shown)["interface"]
            return sorted(found, key=lambda each: (not _default_route(each), each.get("metric", 0)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(shown) from error

    def _zones(self) -> dict[str, Mapping[str, str]]:
        found = sections(self._run(["uci", "-X", "show", "firewall"], "")).values()
        return {zone.values.get("name", ""): zone.values for zone in found if zone.kind == "zone"}

    def entries(self) -> dict[str, Entry]:
        """The redirect sections. Refuses while somebody's changes wait to be saved: writing ours would save theirs."""
        if waiting := self._run(["uci", "changes", "firewall"], "").strip():
            raise Blocked(
                "somebody's changes of the router's firewall are not saved yet; nothing was changed",
                seen=waiting[:400],
                next="save them or throw them away (`uci commit firewall` or `uci revert firewall`), then run this again",
            )
        return parse(self._run(["uci", "-X", "show", "firewall"], ""))

    def wanted(self, forward: Forward) -> list[Entry]:
        """One section for each forward."""
        values = {
            "name": forward.tag,
            "target": "DNAT",
            "src": self._wan,
            "proto": forward.proto,
            "src_dport": str(forward.external_port),
            "dest": self._lan,
            "dest_ip": forward.address,
            "dest_port": str(forward.internal_port),
            "reflection": "1" if forward.external_address else "0",
        }
        return [Entry("redirect", values)]

    def forward(self, entry: Entry) -> Forward | None:
        """The forward of one of our sections."""
        v = entry.values
        words = ("proto", "src_dport", "dest_ip", "dest_port", "name")
        return made_forward(*(v.get(word, "") for word in words))

    def foreign(self, key: str, entry: Entry) -> Foreign | None:
        """A redirect of somebody else that takes what comes from outside."""
        v = {**_DEFAULTS, **entry.values}
        if v["enabled"] in ("0", "off", "false", "no", "disabled") or v["target"].upper() != "DNAT":
            return None
        if v.get("src", "*") not in (self._wan, "*"):
            return None
        leads = target(v.get("dest_ip", ""), v.get("dest_port", ""))
        # Redirects for some senders or at some times only are no forward for everybody.
        plain = not {"src_ip", "src_mac", "src_port", "ipset", "mark", "limit", "start_time", "weekdays"} & set(entry.values)
        text = self.text(key, entry).replace("\n", " ")
        return Foreign(text, protos(v["proto"]), ports(v.get("src_dport", "")), leads if plain else "", key)

    def key_for(self, entry: Entry, free: Sequence[str], used: Iterable[str]) -> str:
        """A section's name, the same for the same site and port. Letters and digits only: others are written by their number."""
        site = entry.values["name"].removeprefix(TAG)
        spelt = re.sub(r"[^A-Za-z0-9]", lambda m: f"_{ord(m[0]):02x}", site)
        return f"qbokit_{spelt}_{entry.values['proto']}_{entry.values['src_dport']}"

    def text(self, key: str, entry: Entry) -> str:
        """A section as OpenWrt's own files write it, but for its name, which changes with its place when nobody gave one."""
        options = [f"\toption {name} '{value}'" for name, value in sorted(entry.values.items())]
        return "\n".join([f"config {entry.kind}", *options])

    def write(self, changes: Sequence[Change]) -> None:
        """Stage, save, and load the firewall anew; nothing stays staged when a step is refused."""
        lines = [line for change in changes for line in _commands(change)]
        script = "\n".join(
            [
                "set -e",
                "trap 'uci revert firewall' EXIT",
                *lines,
                "uci commit firewall",
                "trap - EXIT",
                "/etc/init.d/firewall reload",
            ]
        )
        self._run(["sh", "-s"], script + "\n")


def parse(shown: str) -> dict[str, Entry]:
    """The redirects in what ``uci -X show firewall`` printed. Raises :class:`KitError` when it isn't that."""
    return {name: entry for name, entry in sections(shown).items() if entry.kind == "redirect"}


def sections(shown: str) -> dict[str, Entry]:
    """Every section of it; the values of a list become one, with spaces between."""
    kinds: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    for line in filter(None, shown.splitlines()):
        match = _OPTION.fullmatch(line)
        try:
            words = shlex.split(match[3]) if match else None
        except ValueError:
            words = None
        if match is None or words is None:
            raise _unreadable(line)
        section, option = match[1], match[2]
        if option:
            values.setdefault(section, {})[option] = " ".join(words)
        else:
            kinds[section] = " ".join(words)
    return {name: Entry(kind, values.get(name, {})) for name, kind in kinds.items()}


def _default_route(interface: Mapping[str, Any]) -> bool:
    return any(f"{route.get('target')}/{route.get('mask')}" == "0.0.0.0/0" for route in interface.get("route", ()))


def _covers(zone: Mapping[str, str], name: str, interface: Mapping[str, Any]) -> bool:
    """Whether the interface is in the zone: by its name in netifd, or by its device, where ``+`` stands for any ending."""
    devices = zone.get("device", "").split()
    networks = zone.get("network", "" if devices else name).split()
    device = str(interface.get("l3_device", ""))
    return interface.get("interface") in networks or any(
        device.startswith(each[:-1]) if each.endswith("+") else device == each for each in devices
    )


def _commands(change: Change) -> list[str]:
    section = f"firewall.{change.key}"
    if change.after is None:
        return [f"uci delete {section}"]
    before = change.before.values if change.before else {}
    lines = [] if change.before else [f"uci set {section}={change.after.kind}"]
    lines += [f"uci delete {section}.{name}" for name in sorted(before) if name not in change.after.values]
    changed = {name: value for name, value in sorted(change.after.values.items()) if before.get(name) != value}
    return lines + [f"uci set {shlex.quote(f'{section}.{name}={value}')}" for name, value in changed.items()]


def _unreadable(seen: str) -> KitError:
    return KitError("the router's firewall cannot be read", seen=seen[:200], next="check that `uci show firewall` works there")
