"""Loading a folder of recorded answers, and filling from the generated company what the folder lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.intuit.company import Company, Row
from lab.intuit.schema import ENTITIES, LIST_REFERENCES, ONE_NAME_SPACE

# A company never shows none of these; whatever a folder lacks of them is filled.
INACTIVE_KINDS = ("Customer", "Vendor", "Item", "Term", "PaymentMethod", "Class", "CustomerType")
INACTIVE_ROWS = 4


class LoadError(ValueError):
    """A data folder that can't be read."""


def _rows_in(answer: dict[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    """The rows of a recorded answer: a query's, or the single object of a read, create or update. Anything else has none."""
    for name, value in [*answer.items(), *answer.get("QueryResponse", {}).items()]:
        if name not in ENTITIES:
            continue
        rows = value if isinstance(value, list) else [value]
        yield name, [row for row in rows if isinstance(row, dict) and "Id" in row]


def merge_answer(company: Company, answer: dict[str, Any]) -> None:
    """Take the rows of one recorded answer into the company."""
    for name, rows in _rows_in(answer):
        company.merge(name, rows)


def load_folder(company: Company, folder: Path) -> None:
    """Take every recorded answer of a folder; files in the order of their names. Raises :class:`LoadError`."""
    if not folder.is_dir():
        raise LoadError(f"--data {folder}: no such folder")
    for path in sorted(folder.glob("*.json")):
        try:
            answer = json.loads(path.read_bytes())
        except ValueError as error:
            raise LoadError(f"{path}: not JSON ({error})") from None
        if isinstance(answer, dict):
            merge_answer(company, answer)


def fill(company: Company, generated: Company) -> None:
    """Fill kinds that hold nothing, then add a few inactive rows and the pseudo tax codes where there are none.

    Rows that the company already holds stay untouched.
    """
    for name, table in company.tables.items():
        if not table.rows:
            for row in generated[name].decoded():
                table.put(row)
    for name in INACTIVE_KINDS:
        if company[name].all_active():
            _fill_inactive(company, generated, name)
    for pseudo in ENTITIES["TaxCode"].pseudo_ids:
        code = generated["TaxCode"].get(pseudo)
        if code and company["TaxCode"].raw(pseudo) is None:
            company["TaxCode"].put(code)


def _fill_inactive(company: Company, generated: Company, name: str) -> None:
    table, source = company[name], generated[name]
    shared = ONE_NAME_SPACE if name in ONE_NAME_SPACE else (name,)
    taken = {row[table.entity.label].casefold() for row in table.decoded()}
    candidates = (row for row in source.decoded() if row.get("Active") is False and "ParentRef" not in row)
    for row in list(candidates)[:INACTIVE_ROWS]:
        if row[table.entity.label].casefold() not in taken:
            table.put({**_without_dangling(company, row), "Id": company.next_id(*shared)})


def _without_dangling(company: Company, row: Row) -> Row:
    """The row without references to list records that the company does not have."""
    return {
        name: value
        for name, value in row.items()
        if name not in LIST_REFERENCES or company[LIST_REFERENCES[name]].raw(value["value"]) is not None
    }
