"""The part of OpenWrt's shell that concerns its firewall: ``uci``, ``fw4``, ``/etc/init.d/firewall`` and one call of ``ubus``.

::

    python3 -m lab.routers.openwrt --root DIR install BIN    wrappers for PATH that call this program
    python3 -m lab.routers.openwrt --root DIR uci show firewall

``DIR/config/firewall.json`` is what is saved, ``DIR/staged.json`` what waits for ``uci commit`` and is lost at a restart. An
option that fw4 does not know is refused at once, a zone, a target or an address that is none when the firewall is loaded; fw4
itself skips such a section with a warning. The interfaces of the zones are given in ``DIR/interfaces.json``.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from lab.routers import kernel
from lab.routers.kernel import Translation

# As fw4 lists them for a redirect.
OPTIONS = {
    *(
        "enabled",
        "name",
        "_name",
        "family",
        "src",
        "dest",
        "ipset",
        "helper",
        "proto",
        "src_ip",
        "src_mac",
        "src_port",
        "src_dip",
    ),
    *(
        "src_dport",
        "dest_ip",
        "dest_port",
        "limit",
        "limit_burst",
        "utc_time",
        "start_date",
        "stop_date",
        "start_time",
        "stop_time",
    ),
    *("weekdays", "mark", "reflection", "reflection_src", "reflection_zone", "counter", "target"),
}
KINDS = frozenset({"redirect", "rule", "zone", "forwarding", "defaults"})
INITIAL = {
    "cfg01e63d": {".type": "defaults", "input": "REJECT", "forward": "REJECT"},
    "cfg02dc81": {".type": "zone", "name": "lan", "network": "lan", "input": "ACCEPT"},
    "cfg03dc81": {".type": "zone", "name": "wan", "network": "wan", "input": "REJECT", "masq": "1"},
}

Config = dict[str, dict[str, str]]


class Refused(Exception):
    """What a command says on standard error before it ends with 1."""


class Device:
    """The files of one stand-in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.saved_file, self.staged_file = root / "config" / "firewall.json", root / "staged.json"

    def saved(self) -> Config:
        """What ``/etc/config/firewall`` holds."""
        return read(self.saved_file) if self.saved_file.exists() else dict(INITIAL)

    def now(self) -> Config:
        """The same with what is staged."""
        return read(self.staged_file) if self.staged_file.exists() else self.saved()

    def zones(self) -> dict[str, str]:
        """The interface of each zone."""
        found: dict[str, str] = json.loads((self.root / "interfaces.json").read_text())
        return found

    def restart(self) -> None:
        """The device starts anew: what was staged is gone, what was saved is loaded."""
        self.staged_file.unlink(missing_ok=True)
        self.load()

    def load(self) -> None:
        """Load the firewall from what is saved."""
        zones = self.zones()
        kernel.load([t for name, section in self.saved().items() for t in translations(name, section, zones)])


def read(path: Path) -> Config:
    """A configuration file."""
    found: Config = json.loads(path.read_text())
    return found


def write(path: Path, config: Config) -> None:
    """Write one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=1))


def uci(device: Device, words: list[str]) -> None:
    """``uci [-X] show|changes|set|delete|commit|revert …``."""
    words = [word for word in words if word != "-X"]
    verb, rest = words[0] if words else "", words[1:]
    if verb == "show" and rest == ["firewall"]:
        sys.stdout.write(shown(device.now()))
    elif verb == "changes" and rest == ["firewall"]:
        if device.staged_file.exists() and device.now() != device.saved():
            print("firewall has changes")
    elif verb == "commit" and rest == ["firewall"]:
        write(device.saved_file, device.now())
        device.staged_file.unlink(missing_ok=True)
    elif verb == "revert" and rest == ["firewall"]:
        device.staged_file.unlink(missing_ok=True)
    elif verb == "set" and len(rest) == 1:
        write(device.staged_file, with_value(device.now(), rest[0]))
    elif verb == "delete" and len(rest) == 1:
        write(device.staged_file, without(device.now(), rest[0]))
    else:
        raise Refused(f"uci: unknown command: {' '.join(words)}")


def shown(config: Config) -> str:
    """As ``uci -X show`` prints it: sections by name, values in single quotes."""
    lines = []
    for name, section in config.items():
        lines.append(f"firewall.{name}={section['.type']}")
        for option, value in section.items():
            quoted = value.replace("'", "'\\''")
            lines += [] if option == ".type" else [f"firewall.{name}.{option}='{quoted}'"]
    return "".join(f"{line}\n" for line in lines)


def with_value(config: Config, words: str) -> Config:
    """``firewall.section=type`` or ``firewall.section.option=value``."""
    match = re.fullmatch(r"firewall\.([A-Za-z0-9_]+)(?:\.([A-Za-z0-9_]+))?=(.*)", words, re.DOTALL)
    if not match:
        raise Refused("uci: Invalid argument")
    section, option, value = match[1], match[2], match[3]
    if option is None:
        if value not in KINDS:
            raise Refused(f"stand-in: fw4 knows no section of the type {value}")
        return {**config, section: {**config.get(section, {}), ".type": value}}
    if section not in config:
        raise Refused("uci: Invalid argument")
    if config[section][".type"] == "redirect" and option not in OPTIONS:
        raise Refused(f"stand-in: fw4 knows no option {option} of a redirect")
    return {**config, section: {**config[section], option: value}}


def without(config: Config, words: str) -> Config:
    """``firewall.section`` or ``firewall.section.option``."""
    section, _, option = words.removeprefix("firewall.").partition(".")
    if section not in config or (option and option not in config[section]):
        raise Refused("uci: Entry not found")
    if not option:
        return {name: values for name, values in config.items() if name != section}
    return {**config, section: {name: value for name, value in config[section].items() if name != option}}


def translations(name: str, section: dict[str, str], zones: dict[str, str]) -> list[Translation]:
    """What fw4 makes of a redirect: the translation from outside, and with reflection the two for clients inside."""
    if section[".type"] != "redirect" or section.get("enabled", "1") == "0":
        return []
    source, to = section.get("src", ""), section.get("dest_ip", "")
    if source not in zones or section.get("dest", "lan") not in zones or section.get("target", "DNAT") != "DNAT":
        raise Refused(f"Section {name}: unknown zone or target")
    ipaddress.IPv4Address(to)
    wan_interface, lan_interface = zones[source], zones["lan"]
    external, _ = kernel.address(wan_interface)
    inside, network = kernel.address(lan_interface)
    made = []
    for proto in section.get("proto", "tcp udp").split():
        if proto not in ("tcp", "udp"):
            raise Refused(f"Section {name}: protocol {proto}")
        dport = section["src_dport"].replace(" ", ",").replace(":", "-")
        port = section.get("dest_port", "")
        goal, match = (f"{to}:{port}" if port else to), f"{proto} dport {{ {dport} }}"
        made.append(Translation("prerouting", f'iifname "{wan_interface}" {match}', f"dnat to {goal}"))
        if section.get("reflection", "1") == "1" and external and network:
            lan = str(ipaddress.IPv4Interface(network).network)
            made.append(Translation("prerouting", f"ip saddr {lan} ip daddr {external} {match}", f"dnat to {goal}"))
            back = f"ip saddr {lan} ip daddr {to} {proto} dport {{ {port or dport} }}"
            made.append(Translation("postrouting", back, f"snat to {inside}"))
    return made


def ubus(device: Device, words: list[str]) -> None:
    """``ubus call network.interface dump``: an interface for each zone, called like it."""
    if words != ["call", "network.interface", "dump"]:
        raise Refused("Command failed: Not found")
    outward = kernel.outward()
    shown = []
    for zone, name in device.zones().items():
        found, _ = kernel.address(name)
        route = [{"target": "0.0.0.0", "mask": 0, "nexthop": outward.get(name) or "0.0.0.0", "source": "0.0.0.0/0"}]
        addresses = [{"address": found, "mask": 24}] if found else []
        answer: dict[str, Any] = {"interface": zone, "up": bool(found), "l3_device": name, "metric": 0}
        shown.append({**answer, "ipv4-address": addresses, "route": route if name in outward else []})
    print(json.dumps({"interface": shown}))


def firewall(device: Device, words: list[str]) -> None:
    """``/etc/init.d/firewall reload`` or ``fw4 reload``."""
    if words[-1:] not in (["reload"], ["restart"]):
        raise Refused(f"stand-in: firewall {' '.join(words)}")
    device.load()


def install(root: Path, folder: Path) -> None:
    """Put ``uci``, ``ubus``, ``fw4`` and ``/etc/init.d/firewall`` (below the folder) in front of this program."""
    for path, name in (("uci", "uci"), ("ubus", "ubus"), ("fw4", "firewall"), ("etc/init.d/firewall", "firewall")):
        wrapper = folder / path
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        top = Path(__file__).resolve().parents[2]
        program = f"PYTHONPATH={top} exec {sys.executable} -m lab.routers.openwrt --root {root} {name}"
        wrapper.write_text(f'#!/bin/sh\n{program} "$@"\n')
        wrapper.chmod(0o755)


def main(arguments: list[str]) -> int:
    """One command of the device."""
    root, command, rest = Path(arguments[1]), arguments[2], arguments[3:]
    device = Device(root)
    try:
        if command == "install":
            install(root, Path(rest[0]))
        elif command == "restart":
            device.restart()
        else:
            {"uci": uci, "ubus": ubus, "firewall": firewall}[command](device, rest)
    except (Refused, KeyError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
