"""A plain Linux router with nftables: our own table ``ip qbo_kit``, and reading everybody else's.

Text in, text out: ``parse`` and ``plan`` take what ``nft -j list ruleset`` prints, ``render`` makes a file for ``nft -f``.
Loading such a file replaces the whole table in one transaction, so packets meet either the old rules or the new ones.

For each forward the table has: a DNAT for what arrives from outside at one of the router's own addresses; and, when the site's
external address is known, a DNAT for what clients inside send to it, with the source address replaced by the router's so that
the answer comes back through it (hairpin). ``iifname`` in a postrouting chain needs Linux 5.7.

A rule of somebody else that is taken over is not touched: our rule stands in a chain that is asked before all others, and the
first translation of a connection is the one that counts. Without our rule theirs acts again.

The table has no chain that accepts: with nftables an ``accept`` ends only its own chain, and any other forward chain can still
drop the packet. Such chains are reported as a warning, with the rule to add.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from qbo_sync.edge.router import TAG, Capabilities, Foreign, Forward, Plan, Reading, Run, merge, not_shown, uplink
from qbo_sync.errors import Blocked, KitError, UsageError

FAMILY, TABLE = "ip", "qbo_kit"
_ALL_PORTS: tuple[range, ...] = (range(0, 65536),)
_PROTO_NUMBERS = {"6": "tcp", "17": "udp"}
_PROTOS = frozenset({"tcp", "udp"})

_RULE_WAN = 'iifname "{wan}" fib daddr type local {proto} dport {port} dnat to {address}:{internal} comment "{tag}"'
_RULE_LAN = 'iifname != "{wan}" ip daddr {external} {proto} dport {port} dnat to {address}:{internal} comment "{tag}"'
_RULE_BACK = (
    'iifname != "{wan}" oifname != "{wan}" ct status dnat ip daddr {address} {proto} dport {internal} masquerade comment "{tag}"'
)
_PARSE_WAN = re.compile(r'iifname "\S+" fib daddr type local (\S+) dport (\d+) dnat to ([\d.]+):(\d+) comment "(\S+)"')
_PARSE_LAN = re.compile(r'iifname != "\S+" ip daddr ([\d.]+) (\S+) dport (\d+) dnat to \S+ comment "(\S+)"')

AHEAD = "takeover"
_CHAINS = {
    AHEAD: "type nat hook prerouting priority dstnat - 10; policy accept;",
    "prerouting": "type nat hook prerouting priority dstnat; policy accept;",
    "postrouting": "type nat hook postrouting priority srcnat; policy accept;",
}

Expression: TypeAlias = dict[str, Any]


class Nftables(uplink.Uplinked):
    """A :class:`qbo_sync.edge.router.RouterBackend` over any way to run a command on the router.

    What it writes is in the kernel only; a file that is loaded at boot (a plan's ``after``) is the caller's business.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(persistent=False, hairpin=True, can_read_wan=True, needs_refresh=False)

    def __init__(self, run: Run, wan_interface: str) -> None:
        super().__init__(check_interface(wan_interface) if wan_interface else "")
        self._run = run

    def sides(self) -> uplink.Sides:
        """The interfaces, and those of the default routes."""
        return uplink.linux(self._run(uplink.ASK, ""))

    def describe(self) -> str:
        """The make of router and what is used of it."""
        return f"a Linux router with nftables, table {FAMILY} {TABLE}"

    def wan_address(self) -> str:
        """The first address of the interface towards the internet."""
        return first_address(self._run(["ip", "-4", "-o", "addr", "show", "dev", self._wan], "")) if self._wan else ""

    def read(self) -> Reading:
        """What stands in the router now."""
        return parse(self._list(), self._wan)

    def plan(self, site: str, wanted: Iterable[Forward], *, take_over: bool = False) -> Plan:
        """What to write so that the site has exactly these forwards."""
        wanted = tuple(wanted)
        if wanted:
            self.prove_wan()
        return plan(self._list(), site=site, wanted=wanted, wan_interface=self._wan, take_over=take_over)

    def apply(self, plan: Plan) -> None:
        """Load the plan's text."""
        if plan.changed:
            self._run(["nft", "-f", "-"], plan.after)

    def verify(self, plan: Plan) -> None:
        """Compare the table with the plan."""
        not_shown(plan, _document(self.read().own))

    def rollback(self, snapshot: str) -> None:
        """Load a snapshot's text."""
        self._run(["nft", "-f", "-"], snapshot)

    def _list(self) -> str:
        return self._run(["nft", "-j", "list", "ruleset"], "")


def first_address(shown: str) -> str:
    """The first address in what ``ip -4 -o addr show`` printed; empty when there is none."""
    found = re.search(r"\binet ([\d.]+)/", shown)
    return found[1] if found else ""


def check_interface(name: str) -> str:
    """The name of a network interface as it is. Raises :class:`UsageError` when it can't be one."""
    if not re.fullmatch(r"[A-Za-z0-9_.:@-]{1,15}", name):
        raise UsageError(
            "that is no name of a network interface", seen=name or "(empty)", next="`ip -br link` on the router lists them"
        )
    return name


def plan(listing: str, *, site: str, wanted: Iterable[Forward], wan_interface: str, take_over: bool = False) -> Plan:
    """From what ``nft -j list ruleset`` printed: the file to load so that the site has exactly ``wanted``; none means removal.

    Raises :class:`~qbo_sync.errors.Blocked` on a conflict and :class:`UsageError` for an impossible interface name.
    """
    reading = parse(listing, wan_interface)
    merged = merge(reading, site, wanted, take_over=take_over)
    # Rules of other sites stay as they are, letter by letter, even if somebody changed them by hand.
    mine = f'comment "{TAG}{site}"'
    rules = [t for t in reading.own if not t.endswith(mine)]
    _refuse_unwritable(rules)
    for forward in (f for f in merged.forwards if f.tag == TAG + site):
        chain = AHEAD if any(rule.takes(forward) for rule in merged.taken) else "prerouting"
        rules += _rules([forward], wan_interface, chain)
    warnings = tuple(
        f"the chain {chain} drops what it does not know: add the rule `ct status dnat accept` there"
        for chain in reading.drops
        if merged.forwards
    )
    return Plan(
        changed=sorted(rules) != sorted(reading.own),
        forwards=merged.forwards,
        before=_document(reading.own),
        after=_document(rules),
        undo=_document(filter(_writable, reading.own)),
        given=tuple(rule.text for rule in merged.given),
        taken=tuple(map(str, merged.taken)),
        warnings=warnings,
    )


def _writable(rule: str) -> bool:
    """Whether a rule was read in full, so that it can be written again; the rest is kept as JSON, which nft's language is not."""
    return '{"' not in rule


def _refuse_unwritable(rules: list[str]) -> None:
    strange = [rule for rule in rules if not _writable(rule)]
    if strange:
        raise Blocked(
            f"the table {TABLE} holds a rule of another site that somebody changed to something the kit cannot write again",
            seen="; ".join(strange),
            next=f"run prerequisites.yml for that site once its rule is removed (`nft -a list table {FAMILY} {TABLE}`)",
        )


def render(forwards: Iterable[Forward], wan_interface: str) -> str:
    """The file for ``nft -f`` that makes our table hold exactly these forwards; without any it removes the table."""
    return _document(_rules(forwards, wan_interface))


def _rules(forwards: Iterable[Forward], wan_interface: str, chain: str = "prerouting") -> list[str]:
    """Our table's rules, each as ``<chain> <rule>``."""
    wan = check_interface(wan_interface)
    rules = []
    for f in sorted(forwards):
        values = {
            "wan": wan,
            "proto": f.proto,
            "port": f.external_port,
            "address": f.address,
            "internal": f.internal_port,
            "external": f.external_address,
            "tag": f.tag,
        }
        rules.append(f"{chain} " + _RULE_WAN.format(**values))
        if f.external_address:
            rules.append(f"{chain} " + _RULE_LAN.format(**values))
            rules.append("postrouting " + _RULE_BACK.format(**values))
    return rules


def _document(rules: Iterable[str]) -> str:
    """The file that makes these rules. They are sorted, no two of them wanting the same packets: equal rules, equal file."""
    rules = sorted(rules)
    # Naming the table first makes the deletion good on a router that has none yet.
    lines = [
        "# Made by qbo-kit; loading this file replaces its table.",
        f"table {FAMILY} {TABLE}",
        f"delete table {FAMILY} {TABLE}",
    ]
    if rules:
        lines.append(f"table {FAMILY} {TABLE} {{")
        for chain, head in _CHAINS.items():
            inside = ["\t\t" + rule.removeprefix(chain + " ") for rule in rules if rule.startswith(chain + " ")]
            if inside or chain != AHEAD:
                lines += [f"\tchain {chain} {{", f"\t\t{head}", *inside, "\t}"]
        lines.append("}")
    return "\n".join(lines) + "\n"


def parse(listing: str, wan_interface: str) -> Reading:
    """What ``nft -j list ruleset`` printed. Raises :class:`KitError` when it isn't that."""
    try:
        objects: list[dict[str, Expression]] = json.loads(listing)["nftables"] if listing.strip() else []
        return _reading(objects, wan_interface)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(
            "the router's rules cannot be read", seen=listing[:200], next="check that `nft -j list ruleset` works there"
        ) from error


def _reading(objects: list[dict[str, Expression]], wan: str) -> Reading:
    rules = [o["rule"] for o in objects if "rule" in o]
    chains = [o["chain"] for o in objects if "chain" in o]
    sets = {(s["family"], s["table"], s["name"]): s.get("elem", []) for o in objects for k, s in o.items() if k in ("set", "map")}
    own = tuple(f"{rule['chain']} {_text(rule)}" for rule in rules if _is_ours(rule))
    local_only = {(c["family"], c["table"], c["name"]) for c in chains if c.get("hook") == "output"}
    theirs = (
        _foreign(rule, wan, sets)
        for rule in rules
        if not _is_ours(rule) and rule["family"] in ("ip", "inet") and _chain_of(rule) not in local_only
    )
    forwards = _own_forwards(own)
    ahead = _own_forwards(text for text in own if text.startswith(AHEAD + " "))
    return Reading(
        forwards,
        tuple(rule for rule in theirs if rule),
        _drops(chains, rules),
        own,
        frozenset((f.tag, f.proto, f.external_port) for f in ahead),
    )


def _chain_of(rule: Expression) -> tuple[str, str, str]:
    return rule["family"], rule["table"], rule["chain"]


def _is_ours(rule: Expression) -> bool:
    return (rule["family"], rule["table"]) == (FAMILY, TABLE)


def _own_forwards(texts: Iterable[str]) -> tuple[Forward, ...]:
    """The forwards our rules stand for. A rule changed by hand makes none, so the next run writes the table anew."""
    external = {}
    found = []
    for text in texts:
        rule = text.partition(" ")[2]
        if lan := _PARSE_LAN.fullmatch(rule):
            external[lan[2], int(lan[3]), lan[4]] = lan[1]
        elif (wan := _PARSE_WAN.fullmatch(rule)) and wan[5].startswith(TAG):
            found.append((wan[1], int(wan[2]), wan[3], int(wan[4]), wan[5]))
    return tuple(sorted(Forward(*f, external.get((f[0], f[1], f[4]), "")) for f in found))


def _drops(chains: list[Expression], rules: list[Expression]) -> tuple[str, ...]:
    """Forward chains that drop by policy and have no rule that lets translated connections through."""
    dropping = [c for c in chains if c.get("hook") == "forward" and c.get("policy") == "drop" and c["family"] in ("ip", "inet")]
    letting = {(r["family"], r["table"]) for r in rules if _lets_translated_through(r)}
    return tuple(f"{c['family']} {c['table']} {c['name']}" for c in dropping if (c["family"], c["table"]) not in letting)


def _lets_translated_through(rule: Expression) -> bool:
    expressions = rule.get("expr", [])
    return any("accept" in e for e in expressions) and any(
        e.get("match", {}).get("left") == {"ct": {"key": "status"}} and "dnat" in str(e["match"]["right"]) for e in expressions
    )


# Reading the rules of others ----------------------------------------------------------------------------------------------------

Sets: TypeAlias = dict[tuple[str, str, str], list[Any]]


@dataclass
class _Taken:
    """The packets a rule takes, as far as its matches were read; ``plain`` while all of them were understood."""

    protos: frozenset[str] = _PROTOS
    ports: tuple[range, ...] = _ALL_PORTS
    from_outside: bool = True
    plain: bool = True

    def narrow(self, match: Expression, wan: str, values: list[Any]) -> None:
        left, negated = match["left"], match["op"] == "!="
        if _field(left) in ("iifname", "iif"):
            named = _names(values, wan)
            self.from_outside = self.from_outside and named in (None, not negated)
        elif _field(left) == "dport":
            self.protos &= _proto_of(left)
            self.ports = _overlap(self.ports, _ports(values, negated))
        elif _field(left) in ("l4proto", "protocol"):
            listed = frozenset(_PROTO_NUMBERS.get(str(v), str(v)) for v in values)
            self.protos = self.protos - listed if negated else self.protos & listed
        elif left != {"fib": {"result": "type", "flags": ["daddr"]}}:
            self.plain = False


def _foreign(rule: Expression, wan: str, sets: Sets) -> Foreign | None:
    """The rule as a forward of somebody else; nothing when it forwards nothing, or nothing that comes from outside.

    What can't be read (iptables' own matches, sets that aren't listed) counts as "takes everything": rather one refusal too many.
    """
    expressions = rule.get("expr", [])
    translation = next((e for e in expressions if _translates(e)), None)
    if translation is None:
        return None
    table = (rule["family"], rule["table"])
    taken = _Taken()
    for match in (e["match"] for e in expressions if "match" in e):
        taken.narrow(match, wan, _values(match["right"], table, sets))
    if not taken.from_outside:
        return None
    dnat = translation.get("dnat") or {}
    mapped = _map_keys(dnat, table, sets)
    if mapped is not None:
        taken.ports = _overlap(taken.ports, mapped)
    target = _plain_target(dnat) if taken.plain else ""
    return Foreign(f"{rule['family']} {rule['table']} {rule['chain']}: {_text(rule)}", taken.protos, taken.ports, target)


def _plain_target(dnat: Expression) -> str:
    address, port = dnat.get("addr"), dnat.get("port", 0)
    return f"{address}:{port}" if isinstance(address, str) and isinstance(port, int) else ""


def _overlap(some: tuple[range, ...], others: tuple[range, ...]) -> tuple[range, ...]:
    both = (range(max(a.start, b.start), min(a.stop, b.stop)) for a in some for b in others)
    return tuple(r for r in both if r)


def _translates(expression: Expression) -> bool:
    if "dnat" in expression or "redirect" in expression:
        return True
    # Rules made by iptables may reach nft untranslated: only the target's name is known then.
    return expression.get("xt", {}).get("name") in ("DNAT", "REDIRECT", "NETMAP")


def _field(left: Any) -> str:
    """The field a match looks at: a header field, ``dport``, or a key such as ``iifname``; empty when it is something else."""
    if not isinstance(left, dict):
        return ""
    inner = left.get("payload") or left.get("meta") or {}
    return str(inner.get("field") or inner.get("key") or "")


def _proto_of(left: Expression) -> frozenset[str]:
    name = left["payload"]["protocol"]
    return _PROTOS if name == "th" else frozenset({name})


def _values(right: Any, table: tuple[str, str], sets: Sets) -> list[Any]:
    if isinstance(right, dict) and "set" in right:
        inner = right["set"]
        return inner if isinstance(inner, list) else [inner]
    if isinstance(right, str) and right.startswith("@"):
        return sets.get((*table, right[1:]), [{"unknown": right}])
    return right if isinstance(right, list) else [right]


def _names(values: list[Any], interface: str) -> bool | None:
    """Whether the interface is among the values; nothing when that can't be read."""
    if any(not isinstance(v, str) for v in values):
        return None
    return any(v == interface or (v.endswith("*") and interface.startswith(v[:-1])) for v in values)


def _ports(values: list[Any], negated: bool) -> tuple[range, ...]:
    wanted: list[range] = []
    for value in values:
        found = _range(value)
        if found is None:
            return _ALL_PORTS
        wanted.append(found)
    if not negated:
        return tuple(wanted)
    edges = sorted(wanted, key=lambda r: r.start)
    starts = [0, *(r.stop for r in edges)]
    stops = [*(r.start for r in edges), 65536]
    return tuple(r for r in map(range, starts, stops) if r)


def _range(value: Any) -> range | None:
    if isinstance(value, dict) and "elem" in value:
        value = value["elem"]["val"]
    if isinstance(value, int):
        return range(value, value + 1)
    if isinstance(value, dict) and "range" in value and all(isinstance(v, int) for v in value["range"]):
        return range(value["range"][0], value["range"][1] + 1)
    return None


def _map_keys(dnat: Expression, table: tuple[str, str], sets: Sets) -> tuple[range, ...] | None:
    """The ports of ``dnat to tcp dport map {…}``; nothing when there is no such map."""
    mapping = next((v["map"] for v in dnat.values() if isinstance(v, dict) and "map" in v), None)
    if mapping is None:
        return None
    if _field(mapping["key"]) != "dport":
        return _ALL_PORTS
    pairs = _values(mapping["data"], table, sets)
    return _ports([p[0] if isinstance(p, list) else p for p in pairs], negated=False)


# A rule as text, the way nft writes it ------------------------------------------------------------------------------------------


def _text(rule: Expression) -> str:
    words = [_expression(e) for e in rule.get("expr", [])]
    if rule.get("comment"):
        words.append(f'comment "{rule["comment"]}"')
    return " ".join(words)


def _expression(expression: Expression) -> str:
    kind, body = next(iter(expression.items()))
    write: dict[str, Callable[[Any], str]] = {
        "match": _match,
        "dnat": _dnat,
        "redirect": _redirect,
        "xt": _xt,
        "jump": _jump,
        "counter": _counter,
    }
    if kind in write:
        return write[kind](body)
    return kind if body is None else f"{kind} {json.dumps(body)}"


def _match(match: Expression) -> str:
    left, right = match["left"], match["right"]
    operator = "!= " if match["op"] == "!=" else ""
    quoted = f'"{right}"' if _field(left) in ("iifname", "oifname") and isinstance(right, str) else _value(right)
    return f"{_left(left)} {operator}{quoted}"


def _left(left: Any) -> str:
    kind, body = next(iter(left.items())) if isinstance(left, dict) and left else ("", left)
    if kind == "payload" and "field" in body:
        return f"{body['protocol']} {body['field']}"
    if kind == "meta":
        return str(body["key"])
    if kind == "ct":
        return f"ct {body['key']}"
    if kind == "fib":
        return f"fib {' . '.join(body['flags'])} {body['result']}"
    return json.dumps(left)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_value(v) for v in value)
    if isinstance(value, dict) and "set" in value:
        inner = value["set"]
        return "{ " + ", ".join(_value(v) for v in (inner if isinstance(inner, list) else [inner])) + " }"
    if isinstance(value, dict) and "range" in value:
        return "-".join(_value(v) for v in value["range"])
    return str(value) if isinstance(value, str | int) else json.dumps(value)


def _dnat(body: Expression) -> str:
    address = _value(body["addr"]) if "addr" in body else ""
    return f"dnat to {address}:{_value(body['port'])}" if "port" in body else f"dnat to {address}"


def _redirect(body: Expression | None) -> str:
    return f"redirect to :{_value(body['port'])}" if body and "port" in body else "redirect"


def _xt(body: Expression) -> str:
    return f"xt {body.get('type', '')} {body.get('name', '')}"


def _counter(_body: Any) -> str:
    return "counter"


def _jump(body: Expression) -> str:
    return f"jump {body['target']}"
