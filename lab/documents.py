"""`./kit docs`: writes the generated parts of ``docs/*.md`` anew, from the code they describe.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``; everything else on a page is written by hand.
A test fails while a part is not what this module makes of today's code.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import typer
import yaml
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql

from lab import checks as check_table
from lab import printed
from lab.intuit.known import KNOWN
from qbo_sync import cli, errors
from qbo_sync.edge.preflight import CATALOGUE
from qbo_sync.miracle import journal, reference
from qbo_sync.switch import match, translate
from qbo_sync.switch.audit import RULES, Sides, audit
from qbo_sync.switch.codec import Links, Records, Rows
from qbo_sync.switch.model import Kind, PlannedRow, Row
from qbo_sync.switch.read import Books, Company
from qbo_sync.switch.shelf import listings

TOP = Path(__file__).resolve().parent.parent
DOCS = TOP / "docs"
PART = re.compile(r"(?s)<!-- generated: (?P<name>[a-z-]+) -->\n.*?<!-- end of (?P=name) -->")


def main(arguments: list[str]) -> int:
    """Write every page whose generated parts are out of date, and say which."""
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        new = filled(text)
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(f"written: {page.relative_to(TOP)}")
    return 0


def filled(text: str) -> str:
    """A page with its generated parts made anew. Raises ``KeyError`` for a part that nobody makes."""

    def one(found: re.Match[str]) -> str:
        name = found["name"]
        return f"<!-- generated: {name} -->\n{PARTS[name]().strip()}\n<!-- end of {name} -->"

    return PART.sub(one, text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is written so that it stays in its cell."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """Text set as code; nothing for an empty one."""
    return f"`{text}`" if text else ""


# --- commands ------------------------------------------------------------------------------------------------------

ORDER = (
    "doctor", "status", "connect", "disconnect", "prepare", "profile", "audit", "plan", "import", "review", "discard", "undo",
    "reconcile", "export", "serve", "batch",
)  # fmt: skip
MEANINGS = {
    "ok": "Done, nothing left to do.",
    "failed": "Anything else; a fault of our own leaves a file to send.",
    "attention": "Done, but a person has something to decide.",
}


def exit_codes() -> str:
    """The exit codes with what they mean, in the words of the error tree."""
    raised = {error.outcome: str(error.__doc__).partition("\n")[0] for error in errors.KitError.__subclasses__()}
    meanings = raised | MEANINGS
    rows = sorted((number, outcome) for outcome, number in cli.EXIT_CODES.items())
    return table(("exit code", "outcome", "meaning"), [(str(n), code(outcome), plain(meanings[outcome])) for n, outcome in rows])


def plain(text: str) -> str:
    """A docstring's words without its mark-up."""
    return text.replace("``", "`")


def all_commands() -> Iterator[tuple[str, Any]]:
    """Every command of ``qbo-sync`` with its full name, in the guide's order."""
    top: Any = typer.main.get_command(cli.app)
    for name in sorted(top.commands, key=ORDER.index):
        command = top.commands[name]
        inner = getattr(command, "commands", {})
        if not inner or command.invoke_without_command:
            yield name, command
        yield from ((f"{name} {sub}", inner[sub]) for sub in inner)


def commands() -> str:
    """One section for each command: what it does, how it is called, its options."""
    top: Any = typer.main.get_command(cli.app)
    sections = ["For every command:\n\n" + _options(top)]
    for name, command in all_commands():
        section = f"### qbo-sync {name}\n\n{command.help.strip()}\n\n    qbo-sync --config FILE {_usage(name, command)}"
        sections.append(section + (f"\n\n{_options(command)}" if command.params else ""))
    return "\n\n".join(sections)


def _usage(name: str, command: Any) -> str:
    words = [name]
    for option in command.params:
        if option.opts[0].startswith("--"):
            words.append(f"[{option.opts[0]}{_value(option)}]")
        else:
            words.append(option.metavar or option.opts[0].upper())
    return " ".join(words)


def _options(command: Any) -> str:
    rows = []
    for option in command.params:
        named = option.opts[0].startswith("--")
        spelled = option.opts[0] + _value(option) if named else option.metavar or option.opts[0].upper()
        default = str(option.default) if option.default not in (None, "", False) else ""
        rows.append((code(spelled), "required" if option.required else code(default), option.help))
    return table(("option", "default", "means"), rows)


def _value(option: Any) -> str:
    annotation = option.type_descriptor.annotation
    if annotation is bool:
        return ""
    if choices := get_args(annotation):
        return " " + "|".join(str(choice) for choice in choices)
    return {int: " N", Path: " FILE"}.get(annotation, " TEXT")


# --- the audit's rules ---------------------------------------------------------------------------------------------


def audit_rules() -> str:
    """Every rule of the audit."""
    rows = [
        (code(r.id), r.severity.value, r.title, plain(str(r.check.__doc__).partition("\n")[0]), r.remedy, r.where) for r in RULES
    ]
    return f"{len(RULES)} rules.\n\n" + table(("id", "severity", "title", "fires when", "remedy", "where"), sorted(rows))


# --- tables --------------------------------------------------------------------------------------------------------


def reference_tables() -> str:
    """The reference schema, table by table."""
    return _tables(reference.metadata)


def journal_tables() -> str:
    """Our own tables, table by table."""
    return _tables(journal.tables("postgresql").metadata)


def _tables(metadata: MetaData) -> str:
    sections = []
    for name, each in sorted(metadata.tables.items()):
        rows = []
        for column in each.columns:
            key = "key" if column.primary_key else ""
            refers = "".join(f"refers to {code(f.target_fullname)}" for f in column.foreign_keys)
            needed = "" if column.nullable or column.primary_key else "required"
            kind = column.type.compile(postgresql.dialect()).lower()  # type: ignore[no-untyped-call]
            rows.append((code(column.name), kind, ", ".join(filter(None, (key, needed, refers)))))
        sections.append(f"#### {name}\n\n" + table(("column", "type", ""), rows))
    return "\n\n".join(sections)


def profile() -> str:
    """The built-in profile, whole."""
    return f"```yaml\n{(TOP / 'qbo_sync/profiles/reference.yml').read_text(encoding='utf-8').strip()}\n```"


# --- roles ---------------------------------------------------------------------------------------------------------

ROLES = ("preflight", "dns_record", "port_forward", "reverse_proxy", "certificate", "verify", "handoff", "qbo_sync")


def specification(role: str) -> dict[str, Any]:
    """A role's declared interface."""
    text = (TOP / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    main: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]
    return main


def roles() -> str:
    """One section for each role, in the order in which a site meets them."""
    sections = []
    for role in ROLES:
        spec = specification(role)
        rows = [(code(name), _type(o), _default(o), _sentence(o["description"])) for name, o in spec["options"].items()]
        head = f"### {role}\n\n{_sentence(spec['short_description'])}. [More](../roles/{role}/README.md)"
        sections.append(f"{head}\n\n" + table(("option", "type", "default", "means"), rows))
    return "\n\n".join(sections)


def _type(option: Mapping[str, Any]) -> str:
    if choices := option.get("choices"):
        return " or ".join(code(str(choice)) for choice in choices)
    return str(option["type"])


def _default(option: Mapping[str, Any]) -> str:
    if option.get("required"):
        return "required"
    value = option.get("default", "")
    return "empty" if value == "" else code(str(value).lower() if isinstance(value, bool) else str(value))


def _sentence(text: str) -> str:
    text = re.sub(r"C\(([^)]*)\)", r"`\1`", text.strip().rstrip("."))
    return text[:1].upper() + text[1:]


# --- checks --------------------------------------------------------------------------------------------------------

WORST = {"fatal": "stops", "error": "stops", "warn": "is shown", "info": "is told"}


def checks() -> str:
    """The catalogue of what preflight looks at."""
    rows = [(code(id), _sentence(one.title), one.how, WORST[one.worst], one.remedy) for id, one in CATALOGUE.items()]
    return table(("check", "what should be so", "what is looked at", "at worst it", "what to do"), rows)


def check_tests() -> str:
    """Which test builds each check's fault, and with what."""
    rows = [
        (code(id), fault, parts, f"`{path}`: " + ", ".join(map(code, tests)))
        for id, (fault, parts, path, tests) in check_table.TESTS.items()
    ]
    return table(("check", "the fault", "built with", "test"), rows)


# --- names ---------------------------------------------------------------------------------------------------------

# What is called how in QuickBooks Online, what Miracle Service holds, and what the case is about. The first record is shown.
NAMES: tuple[tuple[str, Sequence[str], Sequence[str]], ...] = (
    ("the same name", ["Acme Plumbing"], ["Acme Plumbing"]),
    ("other capitals", ["ACME PLUMBING"], ["Acme Plumbing"]),
    ("a space at the end", ["Acme Plumbing "], ["Acme Plumbing"]),
    ("a space at the beginning", [" Acme Plumbing"], ["Acme Plumbing"]),
    ("a space that does not break", ["Acme\u00a0Plumbing"], ["Acme Plumbing"]),
    ("two spaces inside", ["Acme  Plumbing"], ["Acme Plumbing"]),
    ("wide letters", ["Ａｃｍｅ"], ["Acme"]),
    ("ß and ss", ["Straßer"], ["STRASSER"]),
    ("é as one sign, and as e with a combining accent", ["Caf\u00e9 Rouge"], ["Cafe\u0301 Rouge"]),
    ("é and e", ["Café Rouge"], ["Cafe Rouge"]),
    ("a straight apostrophe, and a curly one", ["Amy's Bird Sanctuary"], ["Amy’s Bird Sanctuary"]),
    ("an apostrophe, and none", ["O'Brien Electric"], ["OBrien Electric"]),
    ("a backslash, a percent sign, quotes", ['Back\\Slash 100% "A"'], ['Back\\Slash 100% "A"']),
    ("& and the word for it", ["Smith & Sons"], ["Smith and Sons"]),
    ("a Cyrillic letter that looks like a Latin one", ["\u0410cme Plumbing"], ["Acme Plumbing"]),
    ("a character without width", ["Acme\u200bPlumbing"], ["Acme Plumbing"]),
    ("an emoji", ["Sparks ⚡ Electric"], ["Sparks ⚡ Electric"]),
    ("an emoji, and none", ["Sparks ⚡ Electric"], ["Sparks Electric"]),
    ("right to left", ["מוסך אבי"], ["מוסך אבי"]),
    ("an emoji of several, joined", ["\U0001f469\u200d\U0001f527 Wrench"], ["\U0001f469\u200d\U0001f527 Wrench"]),
    ("right to left, with an invisible mark", ["מוסך אבי\u200f"], ["מוסך אבי"]),
    ("a legal form more", ["Acme Plumbing, Inc."], ["Acme Plumbing"]),
    ("another order of words", ["Rodriguez, Alex"], ["Alex Rodriguez"]),
    ("a number at the end, QuickBooks Desktop's habit", ["Alex Rodriguez 123"], ["Alex Rodriguez"]),
    ("the same the other way round", ["Alex Rodriguez"], ["Alex Rodriguez 123"]),
    ("named as if it were deleted", ["Alex Rodriguez (deleted)"], ["Alex Rodriguez"]),
    ("a micro sign is no m", ["Capacitor 5 \u00b5F"], ["Capacitor 5 mF"]),
    ("below a parent here, alone there", ["Town House:Pool"], ["Town House", "Pool"]),
    ("the same name below another parent", ["Beach House:Pool"], ["Town House:Pool", "Beach House"]),
    ("the same name below the same parent", ["Town House:Pool"], ["Town House", "Town House:Pool", "Beach House:Pool"]),
    ("the name of a supplier", ["Tim Lee"], ["supplier Tim Lee"]),
    ("twice in Miracle Service", ["Tim Lee"], ["Tim Lee", "TIM LEE"]),
    ("twice in QuickBooks Online, apart from what nobody sees", ["Tim Lee", "Tim  Lee"], ["Tim Lee"]),
    ("500 characters, the column takes them", ["A" * 500], ["Acme"]),
    ("501 characters, the column takes 500", ["A" * 501], ["Acme"]),
    ("a tab inside", ["Acme\tPlumbing"], []),
    ("nothing but spaces", ["   "], []),
)
COLUMN_LENGTH = 500


def names() -> str:
    """What the match makes of each name, as it is today, and which rules of the audit speak of it."""
    rows = []
    for case, ours, theirs in NAMES:
        first, rules = _looked_up(ours, theirs)
        shown = [", ".join(code(visible(name)) for name in side) or "nothing" for side in (ours, theirs)]
        rows.append((case, *shown, f"**{first.result.value}**", visible(first.reason), ", ".join(map(code, rules))))
    return table(("case", "QuickBooks Online", "Miracle Service", "result", "why", "the audit says"), rows)


def _looked_up(ours: Sequence[str], theirs: Sequence[str]) -> tuple[PlannedRow, list[str]]:
    """What becomes of the first of the customers called ``ours``, and the rules that fire, those on what is new or gone aside."""
    parents = sorted({name.rpartition(":")[0] for name in ours} - {""})
    ids = {name: str(n) for n, name in enumerate([*parents, *ours], start=1)}
    company = _company([_customer(ids[name], name, ids.get(name.rpartition(":")[0], "")) for name in ids])
    sides = Sides(company, books := _books(theirs), match.match(company, books))
    rules = {f.rule for f in audit(sides, {}) if f.rule.startswith(("NAM", "LST"))} - {"LST-001", "LST-002", "LST-008"}
    return next(row for row in sides.rows if row.qbo_id == ids[ours[0]]), sorted(rules)


def _customer(qbo_id: str, path: str, parent: str) -> dict[str, Any]:
    name = path.rpartition(":")[2]
    row = {"Id": qbo_id, "SyncToken": "0", "DisplayName": name, "FullyQualifiedName": path}
    return row | ({"ParentRef": {"value": parent}} if parent else {})


def _company(customers: Sequence[Mapping[str, Any]]) -> Company:
    records = sorted((translate.record(Kind.CUSTOMER, row) for row in customers), key=lambda r: r.level)
    return Company(
        realm="1",
        name="",
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
        records=listings(Records(), {Kind.CUSTOMER: records}),
        inactive={kind: {} for kind in Kind},
        other_items={},
        employees={},
        accounts={},
        taxes=[],
        info={},
        preferences={},
    )


def _books(paths: Sequence[str]) -> Books:
    rows: dict[Kind, list[Row]] = {kind: [] for kind in Kind}
    for number, path in enumerate(paths, start=1):
        kind = Kind.SUPPLIER if path.startswith("supplier ") else Kind.CUSTOMER
        name = path.removeprefix("supplier ")
        parent, _, own = name.rpartition(":")
        above = next((n for n, path in enumerate(paths, start=1) if path == parent), number if parent else None)
        rows[kind].append(Row(kind, str(number), own, name, {"name": own, "parent_id": above}))
    return Books(
        rows=listings(Rows(), rows, keyed=True),
        taxes=[],
        links=Links(),
        lengths={kind: {"name": COLUMN_LENGTH} for kind in Kind},
        tax_method=None,
        tax_by_line_item=True,
        currency=None,
        export_format=None,
        export_fits=True,
        purchase_taxes=True,
        export_enabled=None,
        other_realms=[],
    )


def visible(text: str) -> str:
    """A name as a page can show it: what nobody sees is spelled out, and what is long is cut."""
    if len(text) > 100:
        return f"{text[:10]}… ({len(text)} characters)"
    text = re.sub(r"^ +| +$| {2,}", lambda found: "␣" * len(found[0]), text)
    unseen = ("Cc", "Cf", "Mn", "Zs")
    return "".join(f"<U+{ord(c):04X}>" if unicodedata.category(c) in unseen and c != " " else c for c in text)


# --- the Intuit look-alike -----------------------------------------------------------------------------------------


def intuit_known() -> str:
    """What the Intuit look-alike does, and how we know."""
    counts = Counter(each.source for each in KNOWN)
    head = ", ".join(f"{counts[source]} {source}" for source in ("recorded", "documented", "guessed"))
    return f"{head}.\n\n" + table(("behaviour", "known from", "held by"), [(k.behaviour, k.source, code(k.test)) for k in KNOWN])


PARTS: dict[str, Callable[[], str]] = {
    "exit-codes": exit_codes,
    "commands": commands,
    "audit-rules": audit_rules,
    "reference-tables": reference_tables,
    "journal-tables": journal_tables,
    "profile": profile,
    "roles": roles,
    "checks": checks,
    "check-tests": check_tests,
    "names": names,
    "intuit-known": intuit_known,
    **{
        f"printed-{each.__name__}": each
        for each in (printed.prepare, printed.audit, printed.plan, printed.review, printed.reconcile)
    },
}
