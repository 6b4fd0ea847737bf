"""The checks before the switch and the Summary Checklist, through ``qbo_sync.edge.preflight``; on the control node, in process.

``host`` and ``outside`` are what the actions ``preflight_host`` and ``preflight_outside`` saw, ``router`` what it told.
Nothing is changed but the kit's own store: a person's answers, the key of the account at the CA's rehearsals, and the page.
The task never fails by itself: ``stops`` says what must be mended, ``lines`` is the whole checklist for people.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from qbo_sync.edge import dns, preflight, state
from qbo_sync.edge.action import KitAction
from qbo_sync.edge.preflight import page
from qbo_sync.edge.router import job
from qbo_sync.errors import KitError

TEXT = {"type": "str", "default": ""}
YES, NO = ("yes", "y", "true"), ("no", "n", "false")

dns.load_ahead()


class ActionModule(KitAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "fqdn": {"type": "str", "required": True},
        "zone": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "lan_address": TEXT,
        "ports": {"type": "list", "elements": "int", "default": [80, 443]},
        "resolver": TEXT,
        "nameservers": {"type": "list", "elements": "str", "default": []},
        "acme_directory": TEXT,
        "acme_ca_file": TEXT,
        "staging": TEXT,
        "challenge": {"type": "str", "default": "http-01"},
        "source": {"type": "str", "default": "acme"},
        "ttl": {"type": "int", "default": 3600},
        "issuer": TEXT,
        "fallbacks": {"type": "list", "elements": "dict", "default": []},
        "limits": {"type": "dict", "default": {}},
        "adopt": {"type": "bool", "default": False},
        "dns": {"type": "dict", "default": {}},
        "wan_address": TEXT,
        "router": {"type": "dict", "default": {}},
        "host": {"type": "dict", "default": {}},
        "disk_mib": {"type": "int", "default": 500},
        "outside": {"type": "dict", "default": {}},
        "checklist": {"type": "dict", "default": {}},
        "said": {"type": "list", "elements": "str", "default": []},
        "page": TEXT,
    }
    _direct = ("fqdn", "zone", "address", "lan_address", "resolver", "acme_directory", "acme_ca_file", "staging", "challenge")

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run the checks and put both lists into words."""
        nameservers = tuple(arguments["nameservers"])
        provider, problem = self._provider(arguments["dns"], arguments["resolver"], nameservers)
        host, told = arguments["host"], arguments["router"]
        inputs = preflight.Inputs(
            **{name: arguments[name] for name in (*self._direct, "ttl", "adopt", "outside")},
            ports=tuple(arguments["ports"]),
            nameservers=nameservers,
            fallbacks=tuple((one["directory"], one.get("ca_file", "")) for one in arguments["fallbacks"]),
            limits={name: int(most) for name, most in arguments["limits"].items()},
            site=self.site,
            brought=arguments["source"] == "files",
            provider=provider,
            wan_address=arguments["wan_address"] or told.get("wan_address", ""),
            forwards=job.shown(told) if "foreign" in told else None,
            unasked=told.get("problem", ""),
            ask_next=told.get("next", ""),
            host={**host, "disk_mib": arguments["disk_mib"], "acme_directory": arguments["issuer"]} if host else {},
            account_key=self.store / "preflight" / f"{urlsplit(arguments['staging']).hostname}.pem",
        )
        checks = preflight.run(inputs) + problem
        ticks = self._ticks(arguments)
        return {
            "changed": False,
            "checks": [dataclasses.asdict(check) for check in checks],
            "ticks": [dataclasses.asdict(tick) for tick in ticks],
            "lines": page.lines(ticks, checks),
            "stops": [line for check in checks if check.stops for line in page.words(check)],
            "page": self._page(arguments, ticks, checks),
        }

    def _ticks(self, arguments: dict[str, Any]) -> list[preflight.Tick]:
        given = arguments["checklist"]
        said = {"desktop": given.get("migrated_from_desktop"), "vendor": given.get("vendor_contacted")}
        typed = zip(said, map(str.lower, arguments["said"]), strict=False)
        said |= {name: word in YES for name, word in list(typed) if word in (*YES, *NO)}
        path = self.store / "state.json"
        answers = preflight.remember(path, self.site, said, write=not self.check_mode)
        return preflight.checklist(answers, state.read(path).get(self.site, {}))

    def _page(self, arguments: dict[str, Any], ticks: list[preflight.Tick], checks: list[preflight.Check]) -> str:
        path = Path(arguments["page"]).expanduser() if arguments["page"] else self.store / f"checklist-{self.site}.html"
        if not self.check_mode:
            page.write(path, page.html(self.site, arguments["fqdn"], ticks, checks))
        return str(path)

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
