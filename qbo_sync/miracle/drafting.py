"""Proposes a profile for a database nobody has described yet: by what its tables and columns are called, their types, and their
foreign keys. What cannot be placed is said, in the file itself; a person reads all of it before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa
import yaml
from sqlalchemy import Engine, inspect

from qbo_sync.miracle import reference
from qbo_sync.miracle.checking import ALWAYS_FILLED, FAMILIES, referring
from qbo_sync.miracle.engine import unreachable_if_down
from qbo_sync.miracle.money import Money
from qbo_sync.miracle.profile import KINDS
from qbo_sync.miracle.vocabulary import COLUMNS, KEY_WORDS, PREFIXES, SETTINGS, SPELLINGS, TABLES, TAX_TABLES

Json = dict[str, Any]
ENOUGH = 0.5  # of the words of a name must be those of a field


@dataclass
class Draft:
    """The proposed profile, and what could not be placed, one sentence each."""

    profile: Json
    left_over: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The YAML file, with what is left for a person on top."""
        notes = "".join(f"# * {line}\n" for line in self.left_over)
        head = "# A draft, made from the names, types and foreign keys of the database. Read every line before it is used.\n"
        return head + (f"# Left for you:\n{notes}" if notes else "") + yaml.safe_dump(self.profile, sort_keys=False, width=120)


def draft(engine: Engine, name: str) -> Draft:
    """Propose a profile of that name. Reads only what the database says of its own tables."""
    with unreachable_if_down(engine):
        return _Drafter(engine).draft(name)


def words(name: str) -> list[str]:
    """The words of a table's or column's name, in the singular and spelled out: ``tblCustTypes`` → customer, type."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    found = [SPELLINGS.get(part.lower(), part.lower()) for part in parts]
    plain = [word for part in found for word in SPELLINGS.get(_singular(part), _singular(part)).split()]
    return [word for word in plain if word not in PREFIXES] or plain


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _likeness(name: Sequence[str], wanted: str) -> float:
    """How much of both are the same words: 1 for equal, 0 for nothing in common."""
    mine, theirs = set(name), set(wanted.split())
    return len(mine & theirs) / len(mine | theirs) if mine else 0.0


@dataclass(frozen=True)
class _Table:
    name: str
    columns: Mapping[str, Mapping[str, Any]]
    key: list[str]
    points_at: Mapping[str, str]

    def score(self, names: Sequence[str]) -> float:
        """How well the table's name fits one of these."""
        return max(_likeness(words(self.name), wanted) for wanted in names)


class _Drafter:
    def __init__(self, engine: Engine) -> None:
        self.inspector = inspect(engine)
        names = [*self.inspector.get_table_names(), *self.inspector.get_view_names()]
        self.tables = {name: self._table(name) for name in names if not name.startswith("qbo_sync_")}
        self.left_over: list[str] = []
        self.guessed: list[str] = []  # kinds whose referring tables go by names

    def _table(self, name: str) -> _Table:
        keys = self.inspector.get_foreign_keys(name)
        return _Table(
            name,
            {column["name"]: column for column in self.inspector.get_columns(name)},
            list(self.inspector.get_pk_constraint(name).get("constrained_columns") or []),
            {key["constrained_columns"][0]: key["referred_table"] for key in keys if len(key["constrained_columns"]) == 1},
        )

    def draft(self, name: str) -> Draft:
        """The whole proposal."""
        chosen = self._choose({**{kind: TABLES[kind] for kind in KINDS}, **TAX_TABLES})
        profile: Json = {"profile": name, "kinds": {}}
        for kind in KINDS:
            if kind in chosen:
                profile["kinds"][kind] = self._kind(kind, chosen[kind], chosen)
            else:
                self.left_over.append(f"no table was found for {kind}; name one under kinds")
        if self.guessed:
            kinds = ", ".join(self.guessed)
            self.left_over.append(
                f"no foreign key points at {kinds}: see that none is missing under referred_by, which goes by names"
            )
        profile |= self._taxes(chosen) | self._settings({table.name for table in chosen.values()})
        plain: Json = msgspec.json.decode(msgspec.json.encode(profile, enc_hook=str))  # reflected names are a kind of their own
        return Draft(plain, self.left_over)

    def _choose(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, _Table]:
        """The best fits first; no table is taken twice."""
        scores = sorted(
            (
                (table.score(names), kind, name)
                for kind, names in wanted.items()
                for name, table in self.tables.items()
                if table.score(names) >= ENOUGH
            ),
            key=lambda each: (-each[0], each[1], each[2]),
        )
        chosen: dict[str, _Table] = {}
        for _, kind, name in scores:
            if kind not in chosen and name not in {table.name for table in chosen.values()}:
                chosen[kind] = self.tables[name]
        return chosen

    def _kind(self, kind: str, table: _Table, chosen: Mapping[str, _Table]) -> Json:
        ours = reference.metadata.tables[kind]
        key = table.key[0] if len(table.key) == 1 else next(iter(table.columns))
        if table.key != [key]:
            self.left_over.append(f"{table.name} has no key of one column; '{key}' is a guess")
        references = self._references(ours, table, chosen)
        taken = {*references.values(), *([] if len(table.columns) == 1 else [key])}
        fields = [column.name for column in ours.c if column.name != "id" and not column.foreign_keys]
        columns = _assign(kind, fields, ours, table, taken)
        if "name" not in columns and isinstance(table.columns[key]["type"], sa.String):
            columns = {"name": key, **columns}  # a list whose name is its key, looked up by it
        maybe_empty = {column for name, column in {**columns, **references}.items() if name not in ALWAYS_FILLED}
        used = {key, *columns.values(), *references.values()}
        self._say_left_over(kind, table, used, maybe_empty, {c.name for c in ours.c} - {"id", *columns, *references})
        part: Json = {"table": table.name, "id": key, "columns": {**columns, **references}}
        if references:
            part["references"] = {name: _target(ours.c[name]) for name in references}
        return part | {"referred_by": self._referring(kind, table)}

    def _references(self, ours: sa.Table, table: _Table, chosen: Mapping[str, _Table]) -> dict[str, str]:
        """Our reference fields by foreign keys, and by names where the database has none."""
        found: dict[str, str] = {}
        for column in ours.c:
            target = chosen.get(_target(column)) if column.foreign_keys else None
            if target is None:
                continue
            parent = column.name == "parent_id"
            pointing = [name for name, other in table.points_at.items() if other == target.name]
            named = [name for name in table.columns if ("parent" in words(name)) == parent and _names(table, name, target)]
            free = (name for name in (*pointing, *named) if name not in found.values() and name not in table.key)
            if best := next(free, None):
                found[column.name] = best
        return found

    def _referring(self, kind: str, target: _Table) -> list[list[str]]:
        """Who points at a table: by foreign keys, or, where nobody does by one, by names."""
        pairs = [list(pair) for pair in referring(self.inspector, target.name)]
        if not pairs:
            pairs = [
                [table.name, column]
                for table in self.tables.values()
                for column in table.columns
                if _names(table, column, target) and not (table.name == target.name and column in target.key)
            ]
            self.guessed += [kind] if pairs else []
        return pairs

    def _say_left_over(self, kind: str, table: _Table, used: set[str], maybe_empty: set[str], fields: set[str]) -> None:
        for name, column in table.columns.items():
            needed = not column["nullable"] and column["default"] is None and column.get("autoincrement") is not True
            if name not in used and needed and not column.get("identity"):
                self.left_over.append(f"{table.name}.{name} must not be empty: what is to stand there? (defaults of {kind})")
            elif name in maybe_empty and not column["nullable"]:
                self.left_over.append(
                    f"{table.name}.{name} must not be empty: say under defaults of {kind} what stands for nothing"
                )
        if fields:
            self.left_over.append(f"{kind}: no column was found for {', '.join(sorted(fields))}")

    def _taxes(self, chosen: Mapping[str, _Table]) -> Json:
        if "tax_code" not in chosen or "tax_component" not in chosen:
            self.left_over.append("no tables of tax codes and their rates were found; without them taxes are not compared")
            return {}
        code, ours = chosen["tax_code"], reference.metadata.tables
        key = code.key[0] if len(code.key) == 1 else next(iter(code.columns))
        columns = _assign("tax_code", ["name", "description", "active"], ours["tax_code"], code, {key})
        taxes: Json = {"code": {"table": code.name, "id": key, "columns": columns}}
        for which, place in (("tax_component", "component"), ("purchase_tax_component", "purchase")):
            if which in chosen and (rates := self._rates(chosen[which], code.name, key)):
                taxes[place] = rates
        return {"taxes": taxes} if "component" in taxes else {}

    def _rates(self, table: _Table, code_table: str, code_key: str) -> Json | None:
        named = (name for name in table.columns if words(name) == words(code_key))
        code_id = next((name for name, other in table.points_at.items() if other == code_table), next(named, ""))
        order = _assign("order", ["position"], reference.metadata.tables["tax_component"], table, {code_id})
        if not code_id or not order:
            self.left_over.append(
                f"{table.name}: no column was found for the tax code it belongs to, or for the order of its rates"
            )
            return None
        fields = ["name", "rate", "agency", "compound"]
        columns = _assign("tax_component", fields, reference.metadata.tables["tax_component"], table, {code_id, *order.values()})
        return {"table": table.name, "code_id": code_id, "position": order["position"], "columns": columns}

    def _settings(self, taken: set[str]) -> Json:
        """A table of two text columns that is called like settings. Their names and values are for a person to say."""
        for table in sorted(self.tables.values(), key=lambda table: -table.score(SETTINGS)):
            texts = [name for name, column in table.columns.items() if isinstance(column["type"], sa.String)]
            if table.score(SETTINGS) >= ENOUGH and table.name not in taken and len(texts) >= 2:
                name = next((each for each in texts if [each] == table.key or words(each)[-1:] in (["name"], ["key"])), texts[0])
                value = next((each for each in texts if each != name and words(each)[-1:] == ["value"]), "") or texts[1]
                self.left_over.append(f"which settings of {table.name} are tax_method, currency, export_format and export_switch")
                return {"settings": {"table": table.name, "name": name, "value": value}}
        self.left_over.append("no table of settings was found; without it the tax method and the export switch are not looked at")
        return {}


def _assign(kind: str, fields: Sequence[str], ours: sa.Table, table: _Table, taken: set[str]) -> dict[str, str]:
    """Fields to columns, the best fits first; a column serves one field, and only of a type that can hold it."""
    own = words(table.name)
    scores: list[tuple[float, int, str, str]] = []
    for position, name in enumerate(fields):
        for column, reflected in table.columns.items():
            if column not in taken and _holds(reflected["type"], ours.c[name].type):
                for score in _scores(kind, name, column, own):
                    scores.append((-score, position, name, column))
    found: dict[str, str] = {}
    for _, _, name, column in sorted(scores):
        if name not in found and column not in found.values():
            found[name] = column
    return {name: found[name] for name in fields if name in found}


def _scores(kind: str, name: str, column: str, own: Sequence[str]) -> Iterator[float]:
    """How well a column's name fits a field: as it is, and without the words of its table (``ClientName`` in ``Clients``)."""
    full = words(column)
    bare = [word for word in full if word not in own] or full
    for wanted in COLUMNS.get(f"{kind}.{name}", ()) or COLUMNS.get(name, ()) or (" ".join(words(name)),):
        score = max(_likeness(full, wanted), _likeness(bare, wanted))
        if score >= ENOUGH:
            yield score


def _holds(real: sa.types.TypeEngine[Any], ours: sa.types.TypeEngine[Any]) -> bool:
    _, allowed = next(family for sort, family in FAMILIES if isinstance(ours, sort))
    if isinstance(ours, Money):  # inexact where it is a float, and text where a database has no exact numbers
        allowed = (*allowed, sa.Float, sa.String)
    return isinstance(real, (*allowed, sa.types.NullType))


def _names(table: _Table, column: str, target: _Table) -> bool:
    """Whether a column is called as if it pointed at a table: by its key, or by the table itself; and is of the key's type."""
    if len(target.key) != 1:
        return False
    mine_is, key_is = (isinstance(each["type"], sa.Integer) for each in (table.columns[column], target.columns[target.key[0]]))
    if mine_is != key_is:
        return False
    mine, key = words(column), words(target.key[0])
    if set(key) - KEY_WORDS:
        return mine[-len(key) :] == key
    bare = [word for word in mine if word not in KEY_WORDS and word != "parent"]
    return bool(set(mine) & KEY_WORDS) and _likeness(bare, " ".join(words(target.name))) == 1


def _target(column: sa.Column[Any]) -> str:
    return next(iter(column.foreign_keys)).column.table.name
