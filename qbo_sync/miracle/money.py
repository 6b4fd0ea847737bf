"""Exact decimal columns on every database, SQLite included (which would otherwise keep them as floating point)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, Numeric, String
from sqlalchemy.types import TypeDecorator, TypeEngine


class Money(TypeDecorator[Decimal]):
    """A decimal with a fixed number of places: NUMERIC where it is exact, text on SQLite."""

    impl = Numeric
    cache_ok = True

    def __init__(self, places: int = 2) -> None:
        super().__init__(19, places)
        self.places = places

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, NUMERIC elsewhere."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(Numeric(19, self.places))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Round to the column's places before it is sent, so that what is read back is what was written."""
        if value is None:
            return None
        exact = Decimal(value).quantize(Decimal(1).scaleb(-self.places))
        return str(exact) if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """A :class:`~decimal.Decimal` with the column's places."""
        return None if value is None else Decimal(str(value))
