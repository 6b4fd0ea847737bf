"""VyOS (1.4 and later) over its shell: rules of ``nat destination`` and ``nat source``.

Read with ``show configuration commands``, written in one configuration session with ``commit`` and ``save``, so that packets meet
either the old rules or the new ones. Hairpin needs the site's network: a second destination rule for what clients inside send to
the external address, and a source rule that brings the answer back through the router.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import ClassVar

from qbo_sync.edge.router import Capabilities, Foreign, Forward, Run, uplink
from qbo_sync.edge.router.entries import Change, Entry, EntryRouter, made_forward, ports, protos, target
from qbo_sync.edge.router.nftables import check_interface, first_address
from qbo_sync.errors import KitError, UsageError

# Rules are asked in the order of their numbers; people begin at 10 or 100.
FIRST_RULE = 8000
_RULE = re.compile(r"set nat (destination|source) rule (\d+)(?: (.+?))??(?: '(.*)')?", re.DOTALL)
_DONE = "qbokit-done"
_SESSION = """source /opt/vyatta/etc/functions/script-template
"""


class Vyos(EntryRouter):
    """See the module's docstring."""

    capabilities: ClassVar[Capabilities] = Capabilities(persistent=True, hairpin=True, can_read_wan=True, needs_refresh=False)
    label: ClassVar[str] = "description"
    off: ClassVar[tuple[str, str]] = ("disable", "")

    def __init__(self, run: Run, wan: str, lan_network: str = "") -> None:
        super().__init__(check_interface(wan) if wan else "")
        self._run, self._lan = run, check_network(lan_network)

    def describe(self) -> str:
        """The make of router and what is used of it."""
        return "VyOS, rules of nat destination and nat source"

    def wan_address(self) -> str:
        """The first address of the interface towards the internet."""
        return first_address(self._run(["ip", "-4", "-o", "addr", "show", "dev", self._wan], "")) if self._wan else ""

    def sides(self) -> uplink.Sides:
        """The interfaces, and those of the default routes."""
        return uplink.linux(self._run(uplink.ASK, ""))

    def entries(self) -> dict[str, Entry]:
        """The rules that translate addresses."""
        return parse(self._run(["vbash", "-s"], f"{_SESSION}run show configuration commands\n"))

    def wanted(self, forward: Forward) -> list[Entry]:
        """A destination rule, and two more for clients inside."""
        to = {
            "description": forward.tag,
            "protocol": forward.proto,
            "translation address": forward.address,
            "translation port": str(forward.internal_port),
            "destination port": str(forward.external_port),
        }
        rules = [Entry("destination", {**to, "inbound-interface name": self._wan})]
        if forward.external_address and self._lan:
            inside = {**to, "source address": self._lan, "destination address": forward.external_address}
            back = {
                "description": forward.tag,
                "protocol": forward.proto,
                "source address": self._lan,
                "destination address": forward.address,
                "destination port": str(forward.internal_port),
                "translation address": "masquerade",
            }
            rules += [Entry("destination", inside), Entry("source", back)]
        return rules

    def forward(self, entry: Entry) -> Forward | None:
        """The forward of one of our rules; those for clients inside make none."""
        v = entry.values
        if entry.kind != "destination" or "source address" in v:
            return None
        words = ("protocol", "destination port", "translation address", "translation port", "description")
        return made_forward(*(v.get(word, "") for word in words))

    def foreign(self, key: str, entry: Entry) -> Foreign | None:
        """A destination rule of somebody else that takes what comes from outside."""
        v = entry.values
        if entry.kind != "destination" or "disable" in v:
            return None
        if v.get("inbound-interface name", "any") not in (self._wan, "any"):
            return None
        leads = target(v.get("translation address", ""), v.get("translation port", ""))
        plain = not any(name.startswith("source ") for name in v) and "exclude" not in v
        text = self.text(key, entry).replace("\n", "; ")
        return Foreign(text, protos(v.get("protocol", "")), ports(v.get("destination port", "")), leads if plain else "", key)

    def key_for(self, entry: Entry, free: Sequence[str], used: Iterable[str]) -> str:
        """A number of ours, or the next one."""
        if free:
            return free[0]
        taken = {int(key.split()[1]) for key in used if key.startswith(entry.kind + " ")}
        return f"{entry.kind} {next(n for n in range(FIRST_RULE, 1_000_000) if n not in taken)}"

    def text(self, key: str, entry: Entry) -> str:
        """A rule as ``show configuration commands`` writes it."""
        return "\n".join(_set(key, name, value) for name, value in sorted(entry.values.items()))

    def write(self, changes: Sequence[Change]) -> None:
        """One session: all of it is committed and saved, or nothing."""
        lines = [f"{line} || refused=yes" for change in changes for line in _commands(change)]
        script = [
            "configure",
            "refused=",
            *lines,
            '[ -n "$refused" ] || commit || refused=yes',
            '[ -n "$refused" ] || save || refused=yes',
            f'[ -n "$refused" ] || echo {_DONE}',
            '[ -z "$refused" ] || discard',
            "exit",
        ]
        said = self._run(["vbash", "-s"], _SESSION + "\n".join(script) + "\n")
        if _DONE not in said:
            raise KitError(
                "the router refused the configuration; it was discarded",
                seen=said.strip()[-400:],
                next="its words say what it did not take; this needs VyOS 1.4 or later",
            )


def check_network(network: str) -> str:
    """The site's network as it is, or an empty text. Raises :class:`UsageError` when it is no network."""
    try:
        return str(ipaddress.IPv4Network(network)) if network else ""
    except ValueError as error:
        raise UsageError("that is no network", seen=network, next="write it as 10.0.0.0/24") from error


def parse(shown: str) -> dict[str, Entry]:
    """The rules in what ``show configuration commands`` printed. Raises :class:`KitError` for the grammar of VyOS 1.3."""
    rules: dict[str, Entry] = {}
    for line in (line.strip() for line in shown.splitlines()):
        match = _RULE.fullmatch(line)
        if not match:
            continue
        kind, number, name, value = match[1], match[2], match[3] or "", match[4] or ""
        if name in ("inbound-interface", "outbound-interface"):
            raise KitError(
                "this router speaks the language of VyOS 1.3 or EdgeOS",
                seen=line,
                next="update it to VyOS 1.4 or later, or use port_forward_provider: manual",
            )
        values = rules.setdefault(f"{kind} {number}", Entry(kind, {})).values
        rules[f"{kind} {number}"] = Entry(kind, {**values, **({name: value} if name else {})})
    return rules


def _set(key: str, name: str, value: str) -> str:
    return f"set nat {_path(key)} {name}" + (f" '{value}'" if value else "")


def _path(key: str) -> str:
    kind, number = key.split()
    return f"{kind} rule {number}"


def _commands(change: Change) -> list[str]:
    if change.after is None:
        return [f"delete nat {_path(change.key)}"]
    before = change.before.values if change.before else {}
    gone = [f"delete nat {_path(change.key)} {name}" for name in sorted(before) if name not in change.after.values]
    changed = {name: value for name, value in sorted(change.after.values.items()) if name not in before or before[name] != value}
    words = [
        f"set nat {_path(change.key)} {name} {shlex.quote(value) if value else ''}".rstrip() for name, value in changed.items()
    ]
    return gone + words
