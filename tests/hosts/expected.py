"""What a site's hosts must look like: ``expectations/*.yml``, read for the variables of one site.

A heading may end in `` where `` and a condition of ``WHERE``, or several with `` and `` between them: its entries count for such
sites only. ``${…}`` is a variable of
the site or, where the site does not set it, the role's default. Variables are taken as they are written: one that is made of
others by ``{{ … }}`` is not computed.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROLES = HERE.parents[1] / "roles"

WHERE: dict[str, Callable[[dict[str, Any]], bool]] = {
    "port 80 is open": lambda site: 80 in map(int, site["port_forward_ports"]),
    "the router is asked by UPnP": lambda site: site["port_forward_provider"] == "upnp",
    "the record follows the address": lambda site: bool(site["dns_record_follow"]),
    "the certificate is ordered": lambda site: site["certificate_source"] == "acme",
    "the default server is ours": lambda site: bool(site["reverse_proxy_default_server"]),
    "the default server of plain http is ours": lambda site: bool(
        site["reverse_proxy_default_server"] or site["reverse_proxy_pass_through_http"]
    ),
    "other names are refused": lambda site: not site["reverse_proxy_pass_through_https"],
    "other names are passed on": lambda site: bool(site["reverse_proxy_pass_through_https"]),
}


@functools.cache
def defaults() -> dict[str, Any]:
    """The roles' defaults, without those that are made of others."""
    found: dict[str, Any] = {}
    for path in sorted(ROLES.glob("*/defaults/main.yml")):
        found |= yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: value for name, value in found.items() if "{{" not in str(value)}


def variables(given: dict[str, Any]) -> dict[str, Any]:
    """The site's variables, with the roles' defaults for what it leaves to them."""
    site = {**defaults(), **given}
    ours, others = site["reverse_proxy_pass_through_ports"]
    return {**site, "port_of_ours": ours, "port_of_others": others}


@functools.cache
def headings(name: str) -> dict[str, list[Any]]:
    """One file of expectations."""
    content: dict[str, list[Any]] = yaml.safe_load((HERE / "expectations" / f"{name}.yml").read_text(encoding="utf-8"))
    return content


def expected(name: str, heading: str, site: dict[str, Any]) -> list[Any]:
    """What is expected of one site under a heading of a file; ``site`` comes from :func:`variables`.

    Raises KeyError for a condition that ``WHERE`` does not have, and for a variable that the site lacks.
    """
    found = []
    for full, entries in headings(name).items():
        plain, _, condition = full.partition(" where ")
        if plain == heading and all(WHERE[part](site) for part in condition.split(" and ") if part):
            found += [_filled(entry, site) for entry in entries]
    return found


def _filled(entry: Any, site: dict[str, Any]) -> Any:
    """An entry with the site's own values; one that is nothing but ``${…}`` becomes the value, which may be a number."""
    if isinstance(entry, dict):
        return {key: _filled(value, site) for key, value in entry.items()}
    if isinstance(entry, list):
        return [_filled(part, site) for part in entry]
    if not isinstance(entry, str):
        return entry
    if entry.startswith("${") and entry.endswith("}") and entry[2:-1] in site:
        return site[entry[2:-1]]
    return string.Template(entry).substitute(site)
