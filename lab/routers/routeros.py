"""The part of MikroTik's REST API (RouterOS 7) that forwards ports: ``/rest/ip/firewall/nat``, and to read ``/rest/ip/address``,
``/rest/ip/route``, ``/rest/interface``.

::

    python3 -m lab.routers.routeros --root DIR --host ADDRESS --port N --user NAME --password-file F --tls-cert F --tls-key F

Rules are strings only, as there; unknown properties, values that are none, unknown identifiers, methods and commands are refused
with the documented bodies. Every change is saved at once and applied in the order of the rules. With ``--ids-in-path off`` a
rule's identifier in the path is refused, as some versions do.
"""

from __future__ import annotations

import argparse
import base64
import hmac
import ipaddress
import json
import re
import ssl
import sys
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lab.routers import kernel
from lab.routers.kernel import Translation

Rule = dict[str, str]


class Refused(Exception):
    """An answer with an error: status and RouterOS' own ``detail``."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def _network(text: str) -> bool:
    try:
        ipaddress.IPv4Network(text.removeprefix("!"), strict=False)
    except ValueError:
        return False
    return True


def _ports(text: str) -> bool:
    return all(part.isdigit() and 1 <= int(part) <= 65535 for part in re.split(r"[,-]", text))


def _one_of(*words: str) -> Callable[[str], bool]:
    return lambda text: text in words


PROPERTIES: dict[str, Callable[[str], object]] = {
    "chain": re.compile(r"[A-Za-z0-9_-]+").fullmatch,
    "action": _one_of("dst-nat", "src-nat", "masquerade", "redirect", "netmap", "accept", "return", "jump", "passthrough"),
    "protocol": _one_of("tcp", "udp", "icmp", "gre", "6", "17"),
    "dst-port": _ports,
    "src-port": _ports,
    "to-ports": _ports,
    "dst-address": _network,
    "src-address": _network,
    "to-addresses": _network,
    "in-interface": re.compile(r"!?[A-Za-z0-9_.-]+").fullmatch,
    "out-interface": re.compile(r"!?[A-Za-z0-9_.-]+").fullmatch,
    "comment": lambda _: True,
    "disabled": _one_of("true", "false", "yes", "no"),
}


class Device:
    """The rules, in a file."""

    def __init__(self, root: Path) -> None:
        self._file = root / "nat.json"

    def rules(self) -> list[Rule]:
        """Every rule in its order."""
        found: list[Rule] = json.loads(self._file.read_text()) if self._file.exists() else []
        return found

    def put(self, rules: list[Rule]) -> None:
        """Apply and save."""
        kernel.load([t for rule in rules for t in translations(rule)])
        self._file.write_text(json.dumps(rules, indent=1))

    def restart(self) -> None:
        """The device starts anew."""
        self.put(self.rules())


def checked(values: dict[str, Any]) -> Rule:
    """The properties given; an empty text unsets one. Refuses what RouterOS does not know."""
    for name, value in values.items():
        if name not in PROPERTIES:
            raise Refused(400, f"unknown parameter {name}")
        if not isinstance(value, str) or (value and not PROPERTIES[name](value)):
            raise Refused(400, f"invalid value for argument {name}")
    return {name: {"yes": "true", "no": "false"}.get(value, value) for name, value in values.items()}


def translations(rule: Rule) -> list[Translation]:
    """What the router makes of a rule. Refuses what RouterOS refuses: ports without a protocol that has them."""
    if {"dst-port", "to-ports"} & set(rule) and rule.get("protocol") not in ("tcp", "udp", "6", "17"):
        raise Refused(400, "failure: ports can be specified if proto is tcp, udp, udp-lite, dccp, sctp")
    if rule.get("disabled") == "true" or rule["action"] not in ("dst-nat", "masquerade", "redirect"):
        return []
    proto = {"6": "tcp", "17": "udp"}.get(rule.get("protocol", ""), rule.get("protocol", ""))
    match = []
    for name, word in (("in-interface", "iifname"), ("out-interface", "oifname")):
        if name in rule:
            match.append(f'{word} {"!= " if rule[name].startswith("!") else ""}"{rule[name].removeprefix("!")}"')
    for name, word in (("src-address", "ip saddr"), ("dst-address", "ip daddr")):
        if name in rule:
            match.append(f"{word} {rule[name].replace('!', '!= ')}")
    if "dst-port" in rule:
        match.append(f"{proto} dport {{ {rule['dst-port']} }}")
    elif proto:
        match.append(f"meta l4proto {proto}")
    if rule["chain"] == "srcnat":
        return [Translation("postrouting", " ".join(match), "masquerade")]
    port = f":{rule['to-ports']}" if "to-ports" in rule else ""
    action = f"redirect to {port}" if rule["action"] == "redirect" else f"dnat to {rule['to-addresses']}{port}"
    return [Translation("prerouting", " ".join(match), action)]


def answer(device: Device, method: str, path: str, body: dict[str, Any], ids_in_path: bool) -> tuple[int, Any]:
    """The answer to one call below ``/rest/``."""
    place, _, query = path.partition("?")
    words = place.strip("/").split("/")
    if words == ["ip", "address"] and method == "GET":
        wanted = dict(urllib.parse.parse_qsl(query)).get("interface", "")
        found = kernel.address(wanted)[1]
        return 200, [{".id": "*1", "address": found, "interface": wanted}] if found else []
    if place == "interface" and method == "GET":
        return 200, [{".id": f"*{n}", "name": name, "running": "true"} for n, name in enumerate(kernel.interfaces(), 1)]
    if words == ["ip", "route"] and method == "GET":
        return 200, routes(dict(urllib.parse.parse_qsl(query)))
    if words[:3] != ["ip", "firewall", "nat"]:
        raise Refused(400, "no such command or directory (" + words[-1] + ")")
    rules = device.rules()
    match method, words[3:]:
        case "GET", []:
            return 200, [
                {
                    **rule,
                    "bytes": "0",
                    "packets": "0",
                    "dynamic": rule.get("dynamic", "false"),
                    "invalid": "false",
                    "disabled": rule.get("disabled", "false"),
                }
                for rule in rules
            ]
        case "PUT", []:
            return 201, add(device, rules, checked(body))
        case "POST", ["set"]:
            change(device, rules, str(body.pop(".id", "")), checked(body))
            return 200, []
        case "POST", ["remove"]:
            remove(device, rules, str(body.pop(".id", "")))
            return 200, []
        case "PATCH", [key] if ids_in_path:
            return 200, change(device, rules, key, checked(body))
        case "DELETE", [key] if ids_in_path:
            remove(device, rules, key)
            return 204, None
        case (("PATCH" | "DELETE"), _):
            raise Refused(400, "missing or invalid resource identifier")
    raise Refused(400, f"no such command ({'/'.join(words[3:])})")


def routes(wanted: dict[str, str]) -> list[Rule]:
    """The default routes, and only those."""
    if wanted != {"dst-address": "0.0.0.0/0"}:
        raise Refused(400, "stand-in: routes are shown for dst-address=0.0.0.0/0 only")
    found = enumerate(kernel.outward().items(), 1)
    seen = ((n, f"{gateway}%{name}" if gateway else name) for n, (name, gateway) in found)
    common = {"dst-address": "0.0.0.0/0", "routing-table": "main", "active": "true"}
    return [{".id": f"*{n}", **common, "gateway": way.partition("%")[0], "immediate-gw": way} for n, way in seen]


def add(device: Device, rules: list[Rule], values: Rule) -> Rule:
    """A new last rule."""
    if "chain" not in values:
        raise Refused(400, "failure: chain must be specified")
    number = 1 + max((int(rule[".id"][1:], 16) for rule in rules), default=0)
    rule = {".id": f"*{number:X}", "action": "accept", **{name: value for name, value in values.items() if value}}
    device.put([*rules, rule])
    return rule


def change(device: Device, rules: list[Rule], key: str, values: Rule) -> Rule:
    """Set properties of a rule."""
    old = find(rules, key)
    new = {name: value for name, value in {**old, **values}.items() if value}
    device.put([new if rule is old else rule for rule in rules])
    return new


def remove(device: Device, rules: list[Rule], key: str) -> None:
    """Take a rule away."""
    old = find(rules, key)
    device.put([rule for rule in rules if rule is not old])


def find(rules: list[Rule], key: str) -> Rule:
    """The rule with that identifier."""
    for rule in rules:
        if rule[".id"] == key:
            if rule.get("dynamic") == "true":
                raise Refused(400, "failure: can not change dynamic rule")
            return rule
    raise Refused(404, "no such item")


REASONS = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 500: "Internal Server Error"}


def handler(device: Device, credentials: str, ids_in_path: bool) -> type[BaseHTTPRequestHandler]:
    """The request handler of one device."""

    class Rest(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                given = self.headers.get("Authorization", "")
                if not hmac.compare_digest(given.encode(), credentials.encode()):
                    raise Refused(401)
                if not self.path.startswith("/rest/"):
                    raise Refused(404)
                path = self.path.removeprefix("/rest/")
                status, content = answer(device, self.command, path, json.loads(body or b"{}"), ids_in_path)
            except Refused as error:
                status, content = error.status, {"error": error.status, "message": REASONS[error.status]}
                if error.detail:
                    content["detail"] = error.detail
            self._say(status, b"" if content is None else json.dumps(content).encode())

        def _say(self, status: int, text: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815 - the names that http.server asks for

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    return Rest


def main(arguments: list[str]) -> int:
    """Serve until killed; prints ``ready`` when it does."""
    parser = argparse.ArgumentParser(prog="lab.routers.routeros")
    for name in ("root", "host", "user", "password-file", "tls-cert", "tls-key"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ids-in-path", choices=["on", "off"], default="on")
    given = parser.parse_args(arguments)
    device = Device(Path(given.root))
    device.restart()
    secret = f"{given.user}:{Path(given.password_file).read_text().strip()}"
    credentials = "Basic " + base64.b64encode(secret.encode()).decode()
    server = ThreadingHTTPServer((given.host, given.port), handler(device, credentials, given.ids_in_path == "on"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.tls_cert, given.tls_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", server.server_address[1], flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
