"""MikroTik RouterOS (7.1 and later) over its REST API: rules of ``/ip/firewall/nat``.

Rules are made with PUT and changed with the commands ``set`` and ``remove``: some versions refuse a rule's identifier in the
path. Each call stands for itself; when one is refused, what was done is taken back. Hairpin needs the site's network: a second
dst-nat rule for what clients inside send to the external address, and a masquerade that brings the answer back.

The password comes from a file and is sent to an ``https://`` address only, whose certificate is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests

from qbo_sync.config import read_secret
from qbo_sync.edge.router import Capabilities, Foreign, Forward, Settings, uplink
from qbo_sync.edge.router.entries import Change, Entry, EntryRouter, made_forward, ports, protos, target
from qbo_sync.edge.router.vyos import check_network
from qbo_sync.errors import KitError, Unreachable, UsageError

TIMEOUT_S = 20
# What the router adds for people to read, and what says how a rule fared.
_NOT_CONFIGURED = {".id", ".nextid", "bytes", "packets", "dynamic", "invalid", "creation-time", "log", "log-prefix"}


class RouterOs(EntryRouter):
    """See the module's docstring. ``wan`` is the interface towards the internet."""

    capabilities: ClassVar[Capabilities] = Capabilities(persistent=True, hairpin=True, can_read_wan=True, needs_refresh=False)
    label: ClassVar[str] = "comment"
    off: ClassVar[tuple[str, str]] = ("disabled", "true")

    def __init__(self, settings: Settings, wan: str) -> None:
        address = urlsplit(settings.api_url)
        if address.scheme != "https" or not address.hostname:
            raise UsageError(
                "the router's REST API must be given as an https:// address",
                seen=settings.api_url or "(empty)",
                next="set port_forward_api_url, for example https://192.168.88.1, and enable the router's service www-ssl",
            )
        self._base = settings.api_url.rstrip("/").removesuffix("/rest") + "/rest"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = settings.ca_file or True
        self._session.auth = (settings.api_user, _password(settings.password_file))
        super().__init__(wan)
        self._lan = check_network(settings.lan_network)

    def describe(self) -> str:
        """The make of router and what is used of it."""
        return "MikroTik RouterOS, rules of /ip/firewall/nat"

    def wan_address(self) -> str:
        """The first address of the interface towards the internet."""
        found = self._call("GET", f"ip/address?interface={self._wan}") if self._wan else ()
        return str(found[0]["address"]).partition("/")[0] if found else ""

    def sides(self) -> uplink.Sides:
        """The interfaces, and those of the active default routes; of those, the main table's come first."""
        names = tuple(str(interface["name"]) for interface in self._call("GET", "interface"))
        routes = [route for route in self._call("GET", "ip/route?dst-address=0.0.0.0/0") if route.get("active") == "true"]
        routes.sort(key=lambda route: route.get("routing-table", "main") != "main")
        # 192.0.2.1%ether1, pppoe-out1, or several of these with commas between them.
        ways = (way.rpartition("%")[2] for route in routes for way in str(route.get("immediate-gw", "")).split(","))
        return uplink.Sides(names, tuple(dict.fromkeys(way for way in ways if way in names)))

    def entries(self) -> dict[str, Entry]:
        """The rules of the NAT table that somebody configured, and those made by the router's own UPnP."""
        rules = {}
        for rule in self._call("GET", "ip/firewall/nat"):
            values = {name: str(value) for name, value in rule.items() if name not in _NOT_CONFIGURED}
            if values.get("disabled") == "false":
                del values["disabled"]
            if rule.get("dynamic") == "true":
                values["dynamic"] = "true"
            rules[rule[".id"]] = Entry(values.pop("chain", ""), values)
        return rules

    def wanted(self, forward: Forward) -> list[Entry]:
        """A dst-nat rule, and two more for clients inside."""
        to = {
            "action": "dst-nat",
            "comment": forward.tag,
            "dst-port": str(forward.external_port),
            "protocol": forward.proto,
            "to-addresses": forward.address,
            "to-ports": str(forward.internal_port),
        }
        rules = [Entry("dstnat", {**to, "in-interface": self._wan})]
        if forward.external_address and self._lan:
            back = {
                "action": "masquerade",
                "comment": forward.tag,
                "dst-address": forward.address,
                "dst-port": str(forward.internal_port),
                "protocol": forward.proto,
                "src-address": self._lan,
            }
            inside = {**to, "src-address": self._lan, "dst-address": forward.external_address}
            rules += [Entry("dstnat", inside), Entry("srcnat", back)]
        return rules

    def forward(self, entry: Entry) -> Forward | None:
        """The forward of one of our rules; those for clients inside make none."""
        v = entry.values
        if entry.kind != "dstnat" or "src-address" in v:
            return None
        return made_forward(*(v.get(word, "") for word in ("protocol", "dst-port", "to-addresses", "to-ports", "comment")))

    def foreign(self, key: str, entry: Entry) -> Foreign | None:
        """A dstnat rule of somebody else that takes what comes from outside."""
        v = entry.values
        if entry.kind != "dstnat" or v.get("disabled") == "true" or v.get("action") not in ("dst-nat", "redirect", "netmap"):
            return None
        if v.get("in-interface", self._wan) != self._wan and not v["in-interface"].startswith("!"):
            return None
        leads = target(v.get("to-addresses", ""), v.get("to-ports", ""))
        plain = not {name for name in v if name.startswith("src-")}
        name = "" if v.get("dynamic") == "true" else key
        return Foreign(
            self.text(key, entry), protos(v.get("protocol", "")), ports(v.get("dst-port", "")), leads if plain else "", name
        )

    def key_for(self, entry: Entry, free: Sequence[str], used: Iterable[str]) -> str:
        """A rule of ours, or a new one, which the router names itself."""
        if free:
            return free[0]
        taken = set(used)
        return next(f"new {n}" for n in range(1, 100_000) if f"new {n}" not in taken)

    def text(self, key: str, entry: Entry) -> str:
        """A rule as the router's export writes it."""
        words = [f'{name}="{value}"' if " " in value else f"{name}={value}" for name, value in sorted(entry.values.items())]
        return " ".join(["/ip firewall nat add", f"chain={entry.kind}", *words])

    def write(self, changes: Sequence[Change]) -> None:
        """Change, delete, make: what is in the way stands back before ours is made, because the first of two rules counts."""
        for change in sorted(changes, key=lambda c: (c.before is None, c.after is None)):
            if change.after is None:
                self._call("POST", "ip/firewall/nat/remove", {".id": change.key})
            elif change.before is None:
                self._call("PUT", "ip/firewall/nat", {"chain": change.after.kind, **change.after.values})
            else:
                gone = [name for name in change.before.values if name not in change.after.values]
                values = {**change.after.values, **{name: "false" if name == "disabled" else "" for name in gone}}
                self._call("POST", "ip/firewall/nat/set", {".id": change.key, **values})

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        """One call. Raises :class:`Unreachable`, or :class:`KitError` with the router's own words."""
        try:
            answer = self._session.request(method, f"{self._base}/{path}", json=body, timeout=TIMEOUT_S, allow_redirects=False)
        except requests.exceptions.SSLError as error:
            raise KitError(
                "the router's certificate is not trusted",
                seen=str(error)[-300:],
                next="name its CA, or the certificate itself, in port_forward_api_ca_file",
            ) from error
        except requests.RequestException as error:
            raise Unreachable(
                f"the router's REST API at {self._base} does not answer",
                seen=str(error)[-300:],
                next="enable the service www-ssl there and allow this machine's address; from elsewhere, use a VPN or `ssh -L`",
            ) from error
        if answer.status_code == 401:
            raise KitError(
                "the router refuses the user or the password",
                seen=f"HTTP 401 for the user {self._session.auth[0] if isinstance(self._session.auth, tuple) else ''}",
                next="check port_forward_api_user and port_forward_api_password_file; its group needs read, write, rest-api",
            )
        if not answer.ok:
            raise KitError(f"the router refused {method} {path.partition('?')[0]}", seen=_words(answer), next="its words say why")
        return answer.json() if answer.content else None


def _password(file: str) -> str:
    if not file:
        raise UsageError(
            "no file with the router's password is named",
            next="put the password into a file of mode 0600 and name that in port_forward_api_password_file",
        )
    return read_secret(Path(file).expanduser(), "router's password")


def _words(answer: requests.Response) -> str:
    try:
        said = answer.json()
        return f"HTTP {answer.status_code}: {said.get('detail') or said.get('message')}"
    except (ValueError, AttributeError):
        return f"HTTP {answer.status_code}"
