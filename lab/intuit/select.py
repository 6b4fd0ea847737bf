"""Answering a parsed query from a company's tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from lab.intuit.clock import parse_time
from lab.intuit.company import Company, Order, Row, Table, get_path
from lab.intuit.query import Condition, QueryValidationError, Statement
from lab.intuit.rows import number_of
from lab.intuit.schema import BY_ID, BY_LOWER, Entity

Test = Callable[[Row], bool]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}


@dataclass(frozen=True)
class Answer:
    """What a query found: encoded rows of one page, or only their number."""

    entity: str
    total: int | None
    rows: list[bytes]
    start: int

    def body(self) -> bytes:
        """The value of ``QueryResponse``."""
        if self.total is not None:
            return b'{"totalCount":%d}' % self.total
        if not self.rows:
            return b"{}"
        return b'{"%s":[%s],"startPosition":%d,"maxResults":%d}' % (
            self.entity.encode(),
            b",".join(self.rows),
            self.start,
            len(self.rows),
        )


def entity_named(name: str) -> Entity:
    """The entity of that name in any letter case. Raises :class:`QueryValidationError`."""
    entity = BY_LOWER.get(name.lower())
    if entity is None:
        raise QueryValidationError(f"QueryValidationError: invalid context declaration: {name}")
    return entity


def run(statement: Statement, company: Company) -> Answer:
    """Answer one statement. Raises :class:`QueryValidationError` for what may not be asked."""
    entity = entity_named(statement.entity)
    table = company[entity.name]
    conditions = [_resolve(condition, entity) for condition in statement.conditions]
    order = tuple((_property(name, entity, entity.sortable), descending) for name, descending in statement.order)
    found = _found(table, conditions, BY_ID if statement.count else order or entity.order)
    if statement.count:
        return Answer(entity.name, len(found), [], 1)
    page = found[statement.start - 1 : statement.start - 1 + statement.limit]
    rows = [table.rows[number] for number in page]
    if statement.columns:
        rows = [_project(raw, statement.columns) for raw in rows]
    return Answer(entity.name, None, rows, statement.start)


def _resolve(condition: Condition, entity: Entity) -> Condition:
    name = _property(condition.name, entity, frozenset())
    if name == "Id" and condition.operator not in ("=", "in"):
        raise QueryValidationError(f"QueryValidationError: operator {condition.operator} is not supported for property Id")
    return Condition(name, condition.operator, condition.values)


def _property(name: str, entity: Entity, also: frozenset[str]) -> str:
    lower = name.lower()
    for known in entity.filterable | also:
        if known.lower() == lower:
            return known
    if lower in {known.lower() for known in entity.unqueryable | entity.sortable}:
        raise QueryValidationError(f"QueryValidationError: property '{name}' is not queryable")
    raise QueryValidationError(f"QueryValidationError: Property {name} not found for Entity {entity.name}")


def _found(table: Table, conditions: list[Condition], order: Order) -> Sequence[int]:
    active = [condition for condition in conditions if condition.name == "Active"]
    wanted_states = _states(active) if active else {True}
    others = [condition for condition in conditions if condition.name != "Active"]
    if wanted_states == {True} and not active and not others:
        return table.ordered(order, inactive_too=False)
    if wanted_states == {True, False} and not others and not table.entity.pseudo_ids:
        return table.ordered(order, inactive_too=True)
    # Few rows are left as a rule, so they are found in the order of Id and sorted then.
    found: Iterable[int] = table.ordered(BY_ID, inactive_too=False in wanted_states)
    for condition in filter(_on_update, others):
        found = table.updated_where(found, _update_test(condition))
    if wanted_states == {False}:
        found = (number for number in found if not table.active(number))
    elif not wanted_states:
        found = ()
    if active and table.entity.pseudo_ids:
        # Pseudo tax codes have no property Active, so no condition on it finds them.
        found = (number for number in found if number >= 0)
    for condition in others:
        if condition.name == "Id":
            found = filter(set(map(number_of, condition.values)).__contains__, found)
    tests = [_test(condition) for condition in others if condition.name != "Id" and not _on_update(condition)]
    if tests:
        found = (number for number in found if _passes(msgspec.json.decode(table.rows[number]), tests))
    return table.sort(list(found), order)


def _on_update(condition: Condition) -> bool:
    """Whether the table can answer a condition without a look into its rows."""
    return condition.name == "MetaData.LastUpdatedTime" and condition.operator in _COMPARE


def _update_test(condition: Condition) -> Callable[[float], bool]:
    compare, moment = _COMPARE[condition.operator], _moment(condition.name, condition.values[0]).timestamp()
    return lambda updated: compare(updated, moment)


def _states(conditions: list[Condition]) -> set[bool]:
    states = {True, False}
    for condition in conditions:
        if condition.operator not in ("=", "in") or not {value.lower() for value in condition.values} <= {"true", "false"}:
            raise QueryValidationError(f"QueryValidationError: value {condition.values[0]} is not valid for property Active")
        states &= {value.lower() == "true" for value in condition.values}
    return states


def _passes(row: Row, tests: list[Test]) -> bool:
    return all(test(row) for test in tests)


def _test(condition: Condition) -> Test:
    name, operator = condition.name, condition.operator
    if operator == "like":
        pattern = re.compile(".*".join(map(re.escape, condition.values[0].split("%"))), re.IGNORECASE | re.DOTALL)
        return lambda row: pattern.fullmatch(str(get_path(row, name) or "")) is not None
    if operator == "in":
        tests = [_comparison(name, "=", value) for value in condition.values]
        return lambda row: any(test(row) for test in tests)
    return _comparison(name, operator, condition.values[0])


def _comparison(name: str, operator: str, literal: str) -> Test:
    compare = _COMPARE[operator]

    def test(row: Row) -> bool:
        value = get_path(row, name)
        return value is not None and compare(*_comparable(name, value, literal))

    if name.startswith("MetaData."):
        moment = _moment(name, literal)
        return lambda row: get_path(row, name) is not None and compare(parse_time(get_path(row, name)), moment)
    return test


def _moment(name: str, literal: str) -> datetime:
    try:
        return parse_time(literal)
    except ValueError:
        raise QueryValidationError(f"QueryValidationError: value {literal} is not a valid date time for {name}") from None


def _comparable(name: str, value: Any, literal: str) -> tuple[Any, Any]:
    if isinstance(value, bool):
        return value, literal.lower() == "true"
    if isinstance(value, int | float):
        try:
            return Decimal(str(value)), Decimal(literal)
        except InvalidOperation:
            raise QueryValidationError(f"QueryValidationError: value {literal} is not a number for {name}") from None
    return str(value).casefold(), literal.casefold()


def _project(raw: bytes, columns: tuple[str, ...]) -> bytes:
    row = msgspec.json.decode(raw)
    wanted = {column.split(".")[0].lower() for column in columns}
    kept = {key: value for key, value in row.items() if key.lower() in wanted or key == "domain"}
    return msgspec.json.encode({**kept, "sparse": True})
