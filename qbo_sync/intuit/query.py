"""The text of QBO queries (facts/qbo_api.md 2.2).

Rows are always asked for in the order of ``Id``: QBO's own order is by name, and a record renamed between two pages would then be
read twice or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

Active = Literal["active", "inactive", "all"]

PAGE_ROWS = 1000
EVERYBODY = "Active IN (true, false)"

# The entities whose rows can be inactive. Transactions and the rest have no such property to ask for.
WITH_ACTIVE = frozenset(
    {"Account", "Class", "Customer", "CustomerType", "Department", "Employee", "Item"}
    | {"PaymentMethod", "TaxCode", "TaxRate", "Term", "Vendor"}
)
# Lists that hardly ever fill a page: asking for it at once costs less than counting first.
SMALL = frozenset(
    {"Account", "Class", "CustomerType", "Department", "Employee", "PaymentMethod", "TaxAgency", "TaxCode", "TaxRate", "Term"}
)
# One object for the whole company; such a query takes neither order nor page.
SINGLE = frozenset({"CompanyInfo", "Preferences"})

# A US company's pseudo tax codes (TAX, NON) have no Active property: every filter on Active loses them.
_WITHOUT_ACTIVE_ON_ALL_ROWS = frozenset({"TaxCode"})


def quote(value: str) -> str:
    r"""A string literal. A backslash is doubled, an apostrophe becomes ``\'`` (a doubled apostrophe is an error to QBO)."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def moment(at: datetime) -> str:
    """A time literal with its offset. Raises ``ValueError`` for a time without one, which QBO would read in its own zone."""
    if at.tzinfo is None:
        raise ValueError("a time without an offset is ambiguous to QBO")
    return quote(at.isoformat(timespec="seconds"))


def filters(entity: str, active: Active) -> tuple[str, ...]:
    """The filters whose answers together make the wanted rows; ``""`` is no filter, by which QBO hides the inactive ones."""
    if active == "active":
        return ("",)
    if active == "inactive":
        return ("Active = false",)
    if entity in _WITHOUT_ACTIVE_ON_ALL_ROWS:
        return ("", "Active = false")
    return (EVERYBODY,) if entity in WITH_ACTIVE else ("",)


def changed(entity: str, since: datetime) -> tuple[str, ...]:
    """The conditions for every row, active or not, changed at or after the second of ``since``."""
    return (EVERYBODY if entity in WITH_ACTIVE else "", f"MetaData.LastUpdatedTime >= {moment(since)}")


def select(entity: str, conditions: Iterable[str] = (), *, start: int = 1, rows: int = PAGE_ROWS) -> str:
    """One page of rows; ``start`` counts from 1."""
    return f"SELECT * FROM {_name(entity)}{_where(conditions)} ORDERBY Id STARTPOSITION {start} MAXRESULTS {rows}"  # noqa: S608 - QBO has no bound parameters; quote() escapes


def single(entity: str) -> str:
    """The one object of an entity in ``SINGLE``."""
    return f"SELECT * FROM {_name(entity)}"  # noqa: S608 - as above


def count(entity: str, conditions: Iterable[str] = ()) -> str:
    """How many rows there are."""
    return f"SELECT COUNT(*) FROM {_name(entity)}{_where(conditions)}"  # noqa: S608 - as above


def _name(entity: str) -> str:
    if not re.fullmatch(r"[A-Za-z]+", entity):
        raise ValueError(f"not the name of a QBO entity: {entity!r}")
    return entity


def _where(conditions: Iterable[str]) -> str:
    given = [condition for condition in conditions if condition]
    return " WHERE " + " AND ".join(given) if given else ""
