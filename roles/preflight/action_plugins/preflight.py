"""The checks before the switch and the Summary Checklist, through ``qbo_sync.edge.preflight``; on the control node, in process.

``host_checks`` are those that the module ``preflight_host`` made on the edge host. Nothing is changed, so check mode is the same.
The task never fails by itself: ``stops`` says what must be mended, ``lines`` is the whole checklist for people.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar

from qbo_sync.edge import dns, preflight, state
from qbo_sync.edge.action import KitAction
from qbo_sync.errors import KitError

MARKS = {"ok": "done", "info": "done", "warn": "look", "error": "missing", "fatal": "missing"}


class ActionModule(KitAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "fqdn": {"type": "str", "required": True},
        "zone": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "lan_address": {"type": "str", "default": ""},
        "resolver": {"type": "str", "default": ""},
        "nameservers": {"type": "list", "elements": "str", "default": []},
        "acme_directory": {"type": "str", "default": ""},
        "acme_ca_file": {"type": "str", "default": ""},
        "adopt": {"type": "bool", "default": False},
        "checklist": {"type": "dict", "default": {}},
        "dns": {"type": "dict", "default": {}},
        "wan_listing": {"type": "str", "default": ""},
        "host_checks": {"type": "list", "elements": "dict", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run the checks and put both lists into words."""
        ours = ("checklist", "host_checks", "nameservers", "dns", "wan_listing")
        given = {name: value for name, value in arguments.items() if name not in ours}
        nameservers = tuple(arguments["nameservers"])
        provider, problem = self._provider(arguments["dns"], arguments["resolver"], nameservers)
        wan_address = _first_address(arguments["wan_listing"])
        checks = preflight.run(preflight.Inputs(nameservers=nameservers, provider=provider, wan_address=wan_address, **given))
        checks += problem
        checks += [preflight.Check(**check) for check in arguments["host_checks"]]
        ticks = preflight.checklist(
            migrated_from_desktop=arguments["checklist"].get("migrated_from_desktop"),
            vendor_contacted=arguments["checklist"].get("vendor_contacted"),
            results=state.read(self.store / "state.json").get(self.site, {}),
        )
        return {
            "changed": False,
            "checks": [dataclasses.asdict(check) for check in checks],
            "ticks": [dataclasses.asdict(tick) for tick in ticks],
            "lines": [*_summary(ticks), *(line for check in checks for line in _words(check))],
            "stops": [line for check in checks if check.stops for line in _words(check)],
        }

    def _provider(
        self, settings: dict[str, Any], resolver: str, nameservers: tuple[str, ...]
    ) -> tuple[dns.Provider | None, list[preflight.Check]]:
        """The DNS provider that dns_record will use; or what is wrong with its settings, as a check."""
        name = settings.pop("provider", "")
        if not name:
            return None, []
        token_file = settings.pop("token_file", "")
        secret = self.secret_file(token_file) if token_file else ""
        try:
            return dns.provider(name, token_file=secret, resolver=resolver, nameservers=nameservers, **settings), []
        except KitError as error:
            title = "the DNS provider can be asked"
            return None, [preflight.Check("P24", title, "fatal", f"{error.what}: {error.seen}".rstrip(": "), error.next)]


def _first_address(listing: str) -> str:
    """The first address of `ip -json -4 address`; nothing when the router could not be asked."""
    try:
        return str(json.loads(listing)[0]["addr_info"][0]["local"])
    except (ValueError, LookupError, TypeError):
        return ""


def _summary(ticks: list[preflight.Tick]) -> list[str]:
    """The guide's Summary Checklist, one tick a line, with who does what when it isn't done."""
    lines = ["Summary Checklist"]
    for tick in ticks:
        lines.append(f"  {'done   ' if tick.done else 'missing'}  {tick.title} ({tick.seen})")
        if not tick.done:
            lines.append(f"           to mend it: {tick.who}: {tick.remedy}")
    return [*lines, "What was seen"]


def _words(check: preflight.Check) -> list[str]:
    lines = [f"  {MARKS[check.severity]:7}  {check.id} {check.title}: {check.seen}"]
    if check.remedy and check.severity != "ok":
        lines.append(f"           {'note' if check.severity == 'info' else 'to mend it'}: {check.remedy}")
    return lines
