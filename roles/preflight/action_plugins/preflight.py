"""The checks before the switch and the Summary Checklist, through ``qbo_sync.edge.preflight``; on the control node, in process.

``host_checks`` are those that the module ``preflight_host`` made on the edge host. Nothing is changed, so check mode is the same.
The task never fails by itself: ``stops`` says what must be mended, ``lines`` is the whole checklist for people.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from qbo_sync.edge import preflight, state
from qbo_sync.edge.action import KitAction

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
        "host_checks": {"type": "list", "elements": "dict", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run the checks and put both lists into words."""
        given = {name: arguments[name] for name in arguments if name not in ("checklist", "host_checks", "nameservers")}
        checks = preflight.run(preflight.Inputs(nameservers=tuple(arguments["nameservers"]), **given))
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
