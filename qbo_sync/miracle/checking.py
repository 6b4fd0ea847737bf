"""Holds a profile against the real database, before anything is written: all that would make an import stumble, named at once.

A *problem* would stop the import or spoil what it writes. A *question* is for a person who knows the database. Nothing is
changed: what the catalogue does not tell is tried by statements that concern no row, and rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc, inspect

from qbo_sync.miracle import permissions, reference
from qbo_sync.miracle.database import Miracle
from qbo_sync.miracle.engine import family, unreachable_if_down
from qbo_sync.miracle.money import Money
from qbo_sync.miracle.profile import KindMap, TaxCodeMap, TaxComponentMap
from qbo_sync.miracle.remark import Remark

# What an import always has a value for; everything else may be empty in QuickBooks Online.
ALWAYS_FILLED = frozenset({"name", "taxable", "item_type", "rate", "active", "compound"})

# The longest texts that QuickBooks Online takes (facts/qbo_api.md 3.1 to 3.7).
LONGEST = {
    "name": 100,
    "customer.name": 500,
    "supplier.name": 500,
    "payment_term.name": 31,
    "payment_method.name": 31,
    "company_name": 100,
    "first_name": 100,
    "last_name": 100,
    "email": 100,
    "phone": 30,
    "mobile": 30,
    "account_number": 100,
    "part_number": 100,
    "currency": 3,
    "notes": 2000,
    "description": 4000,
}
SHORTEST_NAME = 25

# What a column must be able to hold, by the reference schema's type for the field: the words, and the types that do.
Type = sa.types.TypeEngine[Any]
FAMILIES: tuple[tuple[type[Type], tuple[str, tuple[type[Type], ...]]], ...] = (
    (Money, ("an exact decimal number", (sa.Numeric,))),
    (sa.Boolean, ("yes or no (boolean or a whole number)", (sa.Boolean, sa.Integer))),
    (sa.Integer, ("a whole number", (sa.Integer, sa.Numeric))),
    (sa.String, ("text", (sa.String,))),
)


def check(miracle: Miracle) -> list[Remark]:
    """Everything there is to say, problems first. An unreachable database is an error of its own."""
    missing = [Remark("profile", problem, "Correct the profile or the database.") for problem in miracle.check()]
    with unreachable_if_down(miracle.engine):
        gone = {name for name in miracle.declared() if not inspect(miracle.engine).has_table(name)}
        found = [*missing, *_Check(miracle, gone).run(), *permissions.check(miracle, gone)]
    return sorted(dict.fromkeys(found), key=lambda remark: not remark.problem)


class _Check:
    """The tables that are there, column by column."""

    def __init__(self, miracle: Miracle, gone: set[str]) -> None:
        self.miracle = miracle
        self.profile = miracle.profile
        self.inspector = inspect(miracle.engine)
        self.gone = gone
        self._columns: dict[str, Mapping[str, Any]] = {}

    def run(self) -> Iterator[Remark]:
        for kind, part in self.profile.kinds.items():
            if part.table not in self.gone:
                yield from self._types(part.table, part.columns, reference.metadata.tables[kind], part.references)
                yield from self._lengths(kind, part)
                yield from self._required(part.table, part.columns, {part.id, *part.defaults})
                yield from self._key(part)
                yield from self._references(part)
                yield from self._referred_by(kind, part)
        yield from self._taxes()
        yield from self._settings()

    def columns(self, table: str) -> Mapping[str, Any]:
        """The columns of a table by name, as reflected."""
        if table not in self._columns:
            self._columns[table] = {column["name"]: column for column in self.inspector.get_columns(table)}
        return self._columns[table]

    def _types(self, table: str, columns: Mapping[str, str], ours: sa.Table, references: Iterable[str] = ()) -> Iterator[Remark]:
        for field, column in columns.items():
            there = self.columns(table).get(column)
            if there is None or field in references or field not in ours.c:
                continue
            yield from self._type(f"{table}.{column}", field, ours.c[field].type, there["type"])

    def _type(self, where: str, field: str, ours: Type, real: Type) -> Iterator[Remark]:
        words, allowed = next(family for sort, family in FAMILIES if isinstance(ours, sort))
        money = isinstance(ours, Money)
        if money and isinstance(real, sa.Float):
            remedy = "Make it a decimal column if you can; amounts may differ in the last digit."
            yield Remark(where, f"it keeps {field} as {_said(real)}, which is not exact", remedy, problem=False)
        elif money and isinstance(real, sa.String) and family(self.miracle.engine) == "sqlite":
            return  # SQLite has no exact numbers; the reference schema keeps them as text there
        elif not isinstance(real, (*allowed, sa.types.NullType)):
            yield Remark(where, f"it is {_said(real)}; {field} needs {words}", "Name another column, or leave the field out.")
        elif money and isinstance(real, sa.Numeric) and real.scale is not None and real.scale < 2:
            yield Remark(where, f"it keeps {real.scale} decimal places of {field}", "Widen the column to two or more.")

    def _lengths(self, kind: str, part: KindMap) -> Iterator[Remark]:
        """One remark for a table: what QuickBooks may have is rarely that long, and no text is ever cut."""
        short = {}
        for field, column in part.columns.items():
            there = self.columns(part.table).get(column)
            length = getattr(there["type"], "length", None) if there else None
            wanted = LONGEST.get(f"{kind}.{field}") or LONGEST.get(field, 0)
            if isinstance(length, int) and length < wanted and field not in part.references:
                short[field] = f"{column} takes {length} of {wanted}"
                if field == "name" and length < SHORTEST_NAME:
                    yield Remark(
                        f"{part.table}.{column}", f"a name has {length} characters at most", "Widen it: many are longer."
                    )
        if short:
            remedy = "Widen them if you can; a record with more is named as 'invalid' and not imported."
            said = f"shorter than QuickBooks Online allows: {', '.join(short.values())}"
            yield Remark(part.table, said, remedy, problem=False)

    def _required(self, table: str, columns: Mapping[str, str], filled: set[str]) -> Iterator[Remark]:
        fields = {column: field for field, column in columns.items()}
        for name, column in self.columns(table).items():
            needed = not column["nullable"] and column.get("autoincrement") is not True and not column.get("computed")
            field = fields.get(name, "")
            if not needed or name in filled or column.get("identity") or field in ALWAYS_FILLED:
                continue
            if field:
                yield Remark(
                    f"{table}.{name}",
                    f"it must not be empty, and {field} may be in QuickBooks Online",
                    f"Add to this table's part of the profile: defaults: {{{name}: '…'}}.",
                )
            elif column["default"] is None:
                yield Remark(
                    f"{table}.{name}",
                    "it must not be empty, has no default, and the profile has nothing to put there",
                    f"Add to this table's part of the profile: defaults: {{{name}: …}}.",
                )

    def _key(self, part: KindMap) -> Iterator[Remark]:
        column = self.columns(part.table).get(part.id)
        if column is None:
            return
        where = f"{part.table}.{part.id}"
        primary = self.inspector.get_pk_constraint(part.table).get("constrained_columns") or []
        if primary != [part.id] and [part.id] not in self._unique(part.table):
            view = part.table in self.inspector.get_view_names()
            remedy = "Make sure that no two rows share it; links are kept by it."
            yield Remark(where, "nothing says that it is unique", remedy, problem=not view)
        made = column.get("autoincrement") is True or bool(column.get("identity")) or column["default"] is not None
        if family(self.miracle.engine) == "sqlite":
            made = made or (primary == [part.id] and str(column["type"]).upper() == "INTEGER")
            yield from self._ids_again(part, primary)
        if not made and part.id not in part.columns.values():
            yield Remark(
                where,
                "the database gives new rows no key, and the profile does not fill it",
                "Name a column that the database fills (identity, auto-increment), or one that holds a field of ours.",
            )

    def _ids_again(self, part: KindMap, primary: list[str]) -> Iterator[Remark]:
        with self.miracle.engine.connect() as connection:
            made = connection.execute(
                sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name"), {"name": part.table}
            ).scalar()
        if made and primary == [part.id] and part.id not in part.columns.values() and "AUTOINCREMENT" not in str(made).upper():
            yield Remark(
                f"{part.table}.{part.id}",
                "SQLite may give the id of a deleted row to a new one",
                "Make the column AUTOINCREMENT; otherwise run 'reconcile' after rows were deleted.",
                problem=False,
            )

    def _unique(self, table: str) -> list[list[str | None]]:
        found = [index["column_names"] for index in self.inspector.get_indexes(table) if index["unique"]]
        found += [list(each["column_names"]) for each in self.inspector.get_unique_constraints(table)]
        return found

    def _references(self, part: KindMap) -> Iterator[Remark]:
        for field, kind in part.references.items():
            where = f"{part.table}.{part.columns[field]}"
            target = self._target(kind)
            if target is None:
                yield Remark(where, "it refers to taxes, which the profile does not declare", "Declare them.")
            elif target.table not in self.gone:
                mine = self.columns(part.table).get(part.columns[field])
                theirs = self.columns(target.table).get(target.id)
                if mine and theirs and isinstance(mine["type"], sa.Integer) != isinstance(theirs["type"], sa.Integer):
                    kinds = f"it is {_said(mine['type'])}, and {target.table}.{target.id} is {_said(theirs['type'])}"
                    yield Remark(where, kinds, "Name the key column that it really refers to as the id of that table.")

    def _target(self, kind: str) -> KindMap | TaxCodeMap | None:
        if kind != "tax_code":
            return self.profile.kinds[kind]
        return self.profile.taxes.code if self.profile.taxes else None

    def _referred_by(self, kind: str, part: KindMap) -> Iterator[Remark]:
        for table, column in referring(self.inspector, part.table):
            if (table, column) not in part.referred_by:
                yield Remark(
                    f"{table}.{column}",
                    f"it points at {part.table}, and referred_by of {kind} does not name it",
                    f"Add [{table}, {column}] there, so that undo and discard leave rows alone that it uses.",
                )

    def _taxes(self) -> Iterator[Remark]:
        taxes = self.profile.taxes
        if taxes is None:
            yield Remark("taxes", "the profile declares none", "Declare them, or compare the taxes by eye.", problem=False)
            return
        if taxes.code.table not in self.gone:
            yield from self._types(taxes.code.table, taxes.code.columns, reference.metadata.tables["tax_code"])
            yield from self._fillable(taxes.code.table, taxes.code.columns, {taxes.code.id})
        for rates in filter(None, (taxes.component, taxes.purchase)):
            if rates.table not in self.gone:
                yield from self._types(rates.table, rates.columns, reference.metadata.tables["tax_component"])
                yield from self._fillable(rates.table, rates.columns, {rates.code_id, rates.position})
                yield from self._has_rate(rates)

    def _has_rate(self, rates: TaxComponentMap) -> Iterator[Remark]:
        if "rate" not in rates.columns:
            yield Remark(rates.table, "the profile names no column for rate", "Without it taxes cannot be compared.")

    def _fillable(self, table: str, columns: Mapping[str, str], filled: set[str]) -> Iterator[Remark]:
        """Taxes are only added by ``audit fix``; where that cannot work, somebody adds them by hand."""
        for remark in self._required(table, columns, filled):
            yield Remark(
                remark.where, remark.what, "'audit fix' cannot add taxes then; add them in Miracle Service.", problem=False
            )

    def _settings(self) -> Iterator[Remark]:
        wanted = {name: getattr(self.profile, name) for name in ("tax_method", "currency", "export_format", "export_switch")}
        if self.profile.settings is None or self.profile.settings.table in self.gone:
            return
        where = self.profile.settings
        if not {where.name, where.value} <= set(self.columns(where.table)):
            return
        for name, declared in wanted.items():
            if declared is not None and self.miracle.setting(declared.setting) is None:
                yield Remark(
                    f"{where.table}: {declared.setting}",
                    f"there is no such setting, which {name} names",
                    "Correct its name in the profile, if Miracle Service has it under another.",
                    problem=False,
                )
        switch = self.profile.export_switch
        value = self.miracle.setting(switch.setting) if switch else None
        if switch and value is not None and value not in (switch.enabled, switch.disabled):
            yield Remark(
                f"{where.table}: {switch.setting}",
                f"its value is '{value}', neither '{switch.enabled}' nor '{switch.disabled}'",
                "Correct the two values of export_switch in the profile.",
            )


def _said(real: Type) -> str:
    try:
        return str(real).lower()
    except exc.CompileError:
        return type(real).__name__.lower()


def referring(inspector: sa.Inspector, table: str) -> list[tuple[str, str]]:
    """Every table and column whose foreign key points at a table; our own tables have none."""
    return [
        (other, key["constrained_columns"][0])
        for other in inspector.get_table_names()
        for key in inspector.get_foreign_keys(other)
        if key["referred_table"] == table and len(key["constrained_columns"]) == 1
    ]
