"""What the stand-ins apply: translations of addresses as one nftables table of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

TABLE = "stand_in"


@dataclass(frozen=True)
class Translation:
    """``match`` and ``action`` in nftables' own words."""

    chain: str
    match: str
    action: str


def load(translations: Iterable[Translation]) -> None:
    """Replace the stand-in's table."""
    lines = [f"table ip {TABLE}", f"delete table ip {TABLE}", f"table ip {TABLE} {{"]
    translations = list(translations)
    for chain, priority in (("prerouting", "dstnat"), ("postrouting", "srcnat")):
        lines += [f"chain {chain} {{", f"type nat hook {chain} priority {priority};"]
        lines += [f"{t.match} {t.action}" for t in translations if t.chain == chain]
        lines.append("}")
    lines.append("}")
    subprocess.run(["nft", "-f", "-"], input="\n".join(lines) + "\n", text=True, check=True)


def address(interface: str) -> tuple[str, str]:
    """The first IPv4 address of an interface and its network; both empty when it has none."""
    shown = subprocess.run(["ip", "-j", "-4", "addr", "show"], capture_output=True, text=True, check=True).stdout
    for link in json.loads(shown):
        if link.get("ifname") == interface and link["addr_info"]:
            found = link["addr_info"][0]
            return found["local"], f"{found['local']}/{found['prefixlen']}"
    return "", ""


def interfaces() -> list[str]:
    """The names of the interfaces."""
    shown = subprocess.run(["ip", "-j", "link", "show"], capture_output=True, text=True, check=True).stdout
    return [link["ifname"] for link in json.loads(shown)]


def outward() -> dict[str, str]:
    """The interfaces with a default route, and its gateway, empty where it has none."""
    shown = subprocess.run(["ip", "-j", "-4", "route", "show", "default"], capture_output=True, text=True, check=True).stdout
    return {route["dev"]: route.get("gateway", "") for route in json.loads(shown or "[]")}
