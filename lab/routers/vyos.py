"""VyOS' configuration shell as far as NAT goes: what ``/opt/vyatta/etc/functions/script-template`` gives to ``vbash``.

::

    python3 -m lab.routers.vyos --root DIR install BIN TEMPLATE   a vbash for PATH, and the functions it sources
    python3 -m lab.routers.vyos --root DIR restart

``set`` and ``delete`` take the paths below ``nat destination`` and ``nat source`` that VyOS 1.4 has and no other, ``commit``
checks what VyOS checks and applies all or nothing, ``save`` writes the configuration that a restart loads; what was committed and
not saved is lost then.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from lab.routers import kernel
from lab.routers.kernel import Translation

Config = dict[str, str]


class Refused(Exception):
    """What the shell says before the command ends with 1."""


def _address(text: str) -> bool:
    try:
        ipaddress.IPv4Network(text.removeprefix("!"), strict=False)
    except ValueError:
        return False
    return True


def _port(text: str) -> bool:
    parts = re.split(r"[,-]", text.removeprefix("!"))
    return all(part.isdigit() and 1 <= int(part) <= 65535 for part in parts)


def _words(*words: str) -> Callable[[str], bool]:
    return lambda text: text in words


_INTERFACE = re.compile(r"[A-Za-z0-9_.*-]{1,15}").fullmatch
_PROTOCOL = _words("tcp", "udp", "tcp_udp", "all", "icmp", "gre")
# Path below a rule -> whether a value is one. None: no value.
LEAVES: dict[str, dict[str, Callable[[str], object] | None]] = {
    "destination": {
        "description": lambda text: len(text) <= 255,
        "disable": None,
        "exclude": None,
        "log": None,
        "protocol": _PROTOCOL,
        "inbound-interface name": _INTERFACE,
        "destination address": _address,
        "destination port": _port,
        "source address": _address,
        "source port": _port,
        "translation address": _address,
        "translation port": _port,
    },
    "source": {
        "description": lambda text: len(text) <= 255,
        "disable": None,
        "exclude": None,
        "log": None,
        "protocol": _PROTOCOL,
        "outbound-interface name": _INTERFACE,
        "destination address": _address,
        "destination port": _port,
        "source address": _address,
        "source port": _port,
        "translation address": lambda text: text == "masquerade" or _address(text),
        "translation port": _port,
    },
}


class Device:
    """The three configurations: the one being edited, the active one, the saved one."""

    def __init__(self, root: Path) -> None:
        self.edited, self.active, self.saved = (root / f"{name}.json" for name in ("edited", "active", "saved"))

    def read(self, path: Path) -> Config:
        """A configuration: path -> value."""
        found: Config = json.loads(path.read_text()) if path.exists() else {}
        return found

    def write(self, path: Path, config: Config) -> None:
        """Write one."""
        path.write_text(json.dumps(config, indent=1))

    def restart(self) -> None:
        """The device starts anew from what was saved."""
        self.edited.unlink(missing_ok=True)
        self.write(self.active, self.read(self.saved))
        kernel.load(translations(rules(self.read(self.active))))


def split(words: list[str]) -> tuple[str, str, list[str]]:
    """``nat destination rule 10 …``: the kind, the number, the rest. Refuses any other path."""
    path = " ".join(words)
    match = re.fullmatch(r"nat (destination|source) rule (\d+)( .*)?", path)
    if not match or not 1 <= int(match[2]) <= 999_999:
        raise Refused(f"\n  Configuration path: [{path}] is not valid\n  Set failed\n")
    return match[1], match[2], words[4:]


def set_(device: Device, words: list[str]) -> None:
    """``set PATH [VALUE]``."""
    config = device.read(device.edited)
    kind, number, rest = split(words)
    for leaf, check in LEAVES[kind].items():
        length = len(leaf.split())
        if " ".join(rest[:length]) != leaf:
            continue
        value = rest[length:]
        good = value == [] if check is None else len(value) == 1 and check(value[0])
        if not good:
            raise Refused(f'\n  Value validation failed\n  Invalid value "{" ".join(value)}" of {leaf}\n  Set failed\n')
        device.write(device.edited, {**config, f"{kind} {number} {leaf}": value[0] if value else ""})
        return
    raise Refused(f"\n  Configuration path: [{' '.join(words)}] is not valid\n  Set failed\n")


def delete(device: Device, words: list[str]) -> None:
    """``delete PATH``: a rule, or something below one."""
    config = device.read(device.edited)
    kind, number, rest = split(words)
    path = " ".join([kind, number, *rest])
    left = {name: value for name, value in config.items() if name != path and not name.startswith(path + " ")}
    if left == config:
        raise Refused(f"\n  Nothing to delete (the specified node does not exist)\n  [{' '.join(words)}]\n  Delete failed\n")
    device.write(device.edited, left)


def commit(device: Device, _words: list[str]) -> None:
    """Check and apply; the active configuration is untouched when a check fails."""
    config = device.read(device.edited)
    made = translations(rules(config))
    kernel.load(made)
    device.write(device.active, config)


def rules(config: Config) -> dict[tuple[str, int], dict[str, str]]:
    """Rules in the order in which they are asked."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for path, value in config.items():
        kind, number, leaf = path.split(" ", 2)
        found.setdefault((kind, int(number)), {})[leaf] = value
    return dict(sorted(found.items()))


def translations(found: dict[tuple[str, int], dict[str, str]]) -> list[Translation]:
    """The checks of VyOS' own commit, and what it makes of the rules."""
    made = []
    for (kind, number), rule in found.items():
        where = f"{kind.capitalize()} NAT configuration error in rule {number}:"
        if any(name.endswith(" port") for name in rule) and rule.get("protocol") not in ("tcp", "udp", "tcp_udp"):
            raise Refused(f"{where} ports can only be specified when protocol is either tcp, udp or tcp_udp!")
        if not {"translation address", "translation port"} & set(rule) and "exclude" not in rule:
            raise Refused(f"{where} translation requires address and/or port")
        if "disable" in rule or "exclude" in rule:
            continue
        made += [translation(kind, rule, proto) for proto in rule.get("protocol", "all").split("_")]
    return made


def translation(kind: str, rule: dict[str, str], proto: str) -> Translation:
    """One rule for one protocol in nftables' words."""
    match = [f'{way} "{rule[name]}"' for way, name in INTERFACES if name in rule]
    for side, word in (("source", "saddr"), ("destination", "daddr")):
        if address := rule.get(f"{side} address"):
            match.append(f"ip {word} {address.replace('!', '!= ')}")
    for side, word in (("source", "sport"), ("destination", "dport")):
        if port := rule.get(f"{side} port"):
            match.append(f"{proto} {word} {{ {port} }}")
    to, port = rule.get("translation address", ""), rule.get("translation port", "")
    goal = to + (f":{port}" if port else "")
    if kind == "source":
        return Translation("postrouting", " ".join(match), "masquerade" if to == "masquerade" else f"snat to {goal}")
    return Translation("prerouting", " ".join(match), f"dnat to {goal}")


INTERFACES = (("iifname", "inbound-interface name"), ("oifname", "outbound-interface name"))


def show(device: Device, words: list[str]) -> None:
    """``run show configuration commands``: the active configuration."""
    if words != ["show", "configuration", "commands"]:
        raise Refused(f"\n  Invalid command: [{' '.join(words)}]\n")
    print("set interfaces loopback lo")
    print("set system host-name 'vyos'")
    for path, value in sorted(device.read(device.active).items()):
        kind, number, leaf = path.split(" ", 2)
        print(f"set nat {kind} rule {number} {leaf}" + (f" '{value}'" if value else ""))


def configure(device: Device, _words: list[str]) -> None:
    """Begin to edit a copy of the active configuration."""
    device.write(device.edited, device.read(device.active))


def save(device: Device, _words: list[str]) -> None:
    """Keep the active configuration for the next start."""
    device.write(device.saved, device.read(device.active))
    print("Done")


def discard(device: Device, _words: list[str]) -> None:
    """Throw away what was edited."""
    device.write(device.edited, device.read(device.active))
    print("Changes have been discarded")


def leave(device: Device, words: list[str]) -> None:
    """``exit``: refused while there is something to lose."""
    if words != ["discard"] and device.read(device.edited) != device.read(device.active):
        raise Refused("Cannot exit: configuration modified.")


VERBS = {
    "configure": configure,
    "set": set_,
    "delete": delete,
    "commit": commit,
    "save": save,
    "discard": discard,
    "exit": leave,
    "run": show,
}


# One process answers all commands of a session: a line of words in, lines of text out, the last one with the status.
FUNCTIONS = """shopt -s expand_aliases
coproc STAND_IN {{ {program}; }}
stand_in() {{
    printf '%q ' "$@" >&"${{STAND_IN[1]}}"
    echo >&"${{STAND_IN[1]}}"
    while IFS= read -r said <&"${{STAND_IN[0]}}"; do
        case $said in status=*) return "${{said#status=}}" ;; esac
        printf '%s\\n' "$said"
    done
    return 1
}}
"""


def serve(device: Device) -> int:
    """Answer the commands of one session."""
    for line in sys.stdin:
        words = shlex.split(line)
        print(f"status={do(device, words[0], words[1:])}", flush=True)
    return 0


def do(device: Device, verb: str, words: list[str]) -> int:
    """One command; its status."""
    try:
        VERBS[verb](device, words)
    except (Refused, KeyError) as error:
        print(error)
        return 1
    return 0


def install(root: Path, folder: Path, template: Path) -> None:
    """A ``vbash`` that is bash, and the file whose aliases lead here. ``vbash`` sees the file where VyOS has it."""
    folder.mkdir(parents=True, exist_ok=True)
    template.parent.mkdir(parents=True, exist_ok=True)
    top = Path(__file__).resolve().parents[2]
    program = f"env PYTHONPATH={shlex.quote(str(top))} {sys.executable} -m lab.routers.vyos --root {root} serve"
    aliases = "".join(f"alias {verb}='stand_in {verb}'\n" for verb in VERBS)
    template.write_text(FUNCTIONS.format(program=program) + aliases)
    sourced = "/opt/vyatta/etc/functions/script-template"
    vbash = folder / "vbash"
    # The machine that plays the router may not have that path: it is read from where it was put.
    vbash.write_text(f'#!/bin/bash\nsed "s|^source {sourced}$|source {template}|" | exec /bin/bash "$@"\n')
    vbash.chmod(0o755)


def main(arguments: list[str]) -> int:
    """One command of the device."""
    root, verb, rest = Path(arguments[1]), arguments[2], arguments[3:]
    device = Device(root)
    if verb == "install":
        install(root, Path(rest[0]), Path(rest[1]))
    elif verb == "restart":
        device.restart()
    elif verb == "serve":
        return serve(device)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
