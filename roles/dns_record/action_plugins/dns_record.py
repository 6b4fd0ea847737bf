"""The site's A record, through ``qbo_sync.edge``; on the control node, in process.

In check mode nothing is written and nothing is waited for; ``--diff`` shows the records at the name before and after. What a
change replaced is kept as a snapshot; ``state: restored`` puts it back, once, unless somebody changed the records since.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from qbo_sync.edge import authoritative, dns, snapshots
from qbo_sync.edge.action import KitAction, plain
from qbo_sync.errors import Waiting

STEP = "dns_record"

dns.load_ahead()


class ActionModule(KitAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "state": {"type": "str", "choices": ["present", "absent", "restored"], "default": "present"},
        "provider": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "zone": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "ttl": {"type": "int", "default": dns.TTL},
        "adopt": {"type": "bool", "default": False},
        "own": {"type": "bool", "default": False},
        "token_file": {"type": "str", "default": "", "no_log": False},
        "api_url": {"type": "str", "default": ""},
        "api_ca_file": {"type": "str", "default": ""},
        "server": {"type": "str", "default": ""},
        "service": {"type": "str", "default": ""},
        "nameservers": {"type": "list", "elements": "str", "default": []},
        "resolver": {"type": "str", "default": ""},
        "timeout_s": {"type": "int", "default": 300},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make or remove the record, then wait until the world sees it."""
        provider = dns.provider(
            arguments["provider"],
            token_file=self.secret_file(arguments["token_file"]) if arguments["token_file"] else "",
            nameservers=tuple(arguments["nameservers"]),
            **{name: arguments[name] for name in ("api_url", "api_ca_file", "server", "service", "resolver")},
        )
        if arguments["state"] == "restored":
            return self._restore(provider, arguments)
        outcome = self._change(provider, arguments)
        if outcome.changed and not self.check_mode:
            self._keep(provider, outcome)
        attention = _old_answers(outcome, arguments["address"]) if arguments["state"] == "present" else []
        for text in attention:
            self._tell(text)
        result = {"changed": outcome.changed, "diff": _diff(outcome), "zone": outcome.zone.name, "attention": attention}
        if arguments["state"] == "absent":
            left = dns.after(outcome.before, outcome.changes)
            result["others"] = sorted(record.content for record in left if record.type == "A")
        if arguments["state"] == "present" and not self.check_mode:
            try:
                result["servers"] = self._wait(arguments, outcome)
            except Waiting as wait:
                # The record may have been written just now; that is part of the result.
                result |= self.waits(wait)
        return result

    def _change(self, provider: dns.Provider, arguments: dict[str, Any]) -> dns.Outcome:
        place = {"name": arguments["name"], "zone": arguments["zone"], "site": self.site, "check": self.check_mode}
        if arguments["state"] == "absent":
            return dns.absent(provider, **place)
        wanted = {name: arguments[name] for name in ("address", "ttl", "adopt", "own")}
        return dns.present(provider, **wanted, **place)

    def _keep(self, provider: dns.Provider, outcome: dns.Outcome) -> None:
        after = provider.snapshot(outcome.zone, outcome.before.name)
        snapshots.keep(
            self.store,
            self.site,
            STEP,
            before=_documents(outcome.before),
            after=_documents(after),
            more={"zone": plain(asdict(outcome.zone)), "name": outcome.before.name},
        )

    def _restore(self, provider: dns.Provider, arguments: dict[str, Any]) -> dict[str, Any]:
        """Put back what stood there before the last change; ``changed`` is false when there is nothing to put back."""
        kept = snapshots.last(self.store, self.site, STEP)
        if kept is None:
            return {"changed": False, "zone": arguments["zone"], "diff": {"before": "", "after": ""}}
        zone = dns.Zone(**{**kept["zone"], "name_servers": tuple(kept["zone"]["name_servers"])})
        now = provider.snapshot(zone, kept["name"])
        snapshots.check_untouched(kept, _documents(now), f"the DNS at {kept['name']}")
        then = dns.Snapshot(kept["name"], tuple(dns.Record(**record) for record in kept["before"]))
        if not self.check_mode:
            provider.restore(zone, then)
            snapshots.forget(self.store, self.site, STEP)
        texts = [_lines([str(record) for record in snapshot.records]) for snapshot in (now, then)]
        return {"changed": texts[0] != texts[1], "zone": zone.name, "diff": {"before": texts[0], "after": texts[1]}}

    def _wait(self, arguments: dict[str, Any], outcome: dns.Outcome) -> list[str]:
        """What each authoritative server answers; all of them tell the record, or an error says which does not."""
        servers = authoritative.servers(outcome.zone.name, resolver=arguments["resolver"], nameservers=arguments["nameservers"])
        said = authoritative.wait(
            arguments["name"],
            arguments["address"],
            servers,
            ttl=arguments["ttl"],
            timeout_s=arguments["timeout_s"],
            progress=self._tell,
        )
        return [str(answer) for answer in said]

    def _tell(self, text: str) -> None:
        """Say it now, to whoever sits before the run."""
        self._display.display(f"{self.site}: {text}")


def _old_answers(outcome: dns.Outcome, address: str) -> list[str]:
    """Whom the world's resolvers go on to name, and how long: they keep the old answer for its TTL, whatever stands there now."""
    old = [change.before for change in outcome.changes if change.before and change.before.content != address]
    if not old:
        return []
    named, ttl = ", ".join(sorted(record.content for record in old)), max(record.ttl for record in old)
    until = datetime.now(UTC) + timedelta(seconds=ttl)
    return [
        f"whoever asked for {outcome.before.name} before is told {named} until its TTL of {ttl} s is over, at the latest at"
        f" {until.isoformat(timespec='minutes')}"
    ]


def _documents(snapshot: dns.Snapshot) -> list[dict[str, Any]]:
    """Records in JSON's own types, without the provider's ids, which a record put back does not keep."""
    return [plain(asdict(replace(record, id=""))) for record in snapshot.records]


def _diff(outcome: dns.Outcome) -> dict[str, str]:
    """The records at the name before and after, one a line, as ``--diff`` shows them."""
    before = [str(record) for record in outcome.before.records]
    removed = {str(change.before) for change in outcome.changes if change.before}
    added = [str(change.after) for change in outcome.changes if change.after]
    after = [line for line in before if line not in removed] + added
    return {"before": _lines(before), "after": _lines(after)}


def _lines(texts: list[str]) -> str:
    return "".join(f"{text}\n" for text in texts)
