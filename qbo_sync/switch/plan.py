"""The plan: what an import will do, row by row, fixed by a hash and by the time both sides were read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from qbo_sync.switch.match import Matched
from qbo_sync.switch.model import Decision, Kind, PlannedRow, Result
from qbo_sync.switch.names import normal, normal_path
from qbo_sync.switch.read import Books, Company


@dataclass(frozen=True)
class Head:
    """What is fixed beside the rows. ``taxes``: QBO tax code id → Miracle id.

    ``namesakes``, by kind: full name → how many other rows had a name that will be inserted all the same, for a person said so.
    """

    id: str
    realm: str
    company: str
    read_at: datetime
    namesakes: Mapping[Kind, Mapping[str, int]]
    taxes: Mapping[str, str]
    hash: str = ""


@dataclass(frozen=True)
class Plan:
    """A plan: its head, and its rows, which lie on a shelf."""

    head: Head
    rows: Matched

    @property
    def id(self) -> str:
        """The plan's id."""
        return self.head.id

    @property
    def hash(self) -> str:
        """What it was fixed by."""
        return self.head.hash

    def computed_hash(self) -> str:
        """SHA-256 of everything but the hash itself."""
        digest = hashlib.sha256(msgspec.json.encode(replace(self.head, hash="")))
        for kind in Kind:
            for bodies in self.rows.shelf.bodies(kind):
                digest.update(b"".join(bodies))
        return digest.hexdigest()


def build(plan_id: str, company: Company, books: Books, rows: Matched) -> Plan:
    """Fix a plan. Nothing is written to either side."""
    head = Head(
        id=plan_id,
        realm=company.realm,
        company=company.name,
        read_at=company.read_at,
        namesakes=_namesakes(books, rows),
        taxes=_tax_links(company, books),
    )
    return Plan(replace(head, hash=Plan(head, rows).computed_hash()), rows)


def _namesakes(books: Books, rows: Matched) -> dict[Kind, dict[str, int]]:
    """Only a person's decision to create gives a row a name that stands already; all others were found to be new."""
    found: dict[Kind, dict[str, int]] = {}
    for kind in Kind:
        created = rows.only(kind, lambda _, __, decision: decision == Decision.CREATE)
        if wanted := {normal_path(row.path) for row in created}:
            there = books.rows[kind].shelf.having(kind, wanted)
            ids = {line.id for lines in there.values() for line in lines}
            linked = (row.miracle_id for row in rows.only(kind, lambda _, action, __: action == "link"))
            taken = ids.intersection(linked) | books.links.with_rows(kind, ids).keys()
            found[kind] = {path: number for path, lines in there.items() if (number := sum(x.id not in taken for x in lines))}
    return found


def _tax_links(company: Company, books: Books) -> dict[str, str]:
    by_name = {normal(code.name): code.id for code in books.taxes or [] if code.active}
    return {code.id: by_name[normal(code.name)] for code in company.taxes if normal(code.name) in by_name}


def summary(tally: Mapping[tuple[Kind, Result], int], written: Mapping[Kind, int] | None = None) -> dict[str, dict[str, int]]:
    """Counts per kind, in the words of interfaces.md."""
    return {
        kind.value: {
            "read": sum(tally.get((kind, result), 0) for result in Result),
            **{result.value: tally.get((kind, result), 0) for result in Result},
            "written": (written or {}).get(kind, 0),
        }
        for kind in Kind
    }


def results(rows: Matched) -> Counter[tuple[Kind, Result]]:
    """How many rows there are of each kind and result."""
    counted: Counter[tuple[Kind, Result]] = Counter()
    for (kind, result, _, _), number in rows.tally().items():
        counted[kind, result] += number
    return counted


def is_undecided(result: Result, decision: str) -> bool:
    """Whether a person has to look at such a row."""
    return result in (Result.WEAK, Result.CONFLICT, Result.INVALID) and not decision


def undecided(rows: Iterable[PlannedRow]) -> list[PlannedRow]:
    """The rows a person has to look at."""
    return [row for row in rows if is_undecided(row.result, row.decision)]
