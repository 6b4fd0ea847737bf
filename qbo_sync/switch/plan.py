"""The plan: what an import will do, row by row, fixed by a hash and by the time both sides were read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from qbo_sync.miracle.database import row_hash
from qbo_sync.switch.model import Decision, Kind, PlannedRow, Result
from qbo_sync.switch.names import normal, normal_path
from qbo_sync.switch.read import Books, Company


@dataclass(frozen=True)
class Plan:
    """What is fixed. By kind: ``partners``, Miracle id → digest of each row that a record will be linked with, as it was read;
    ``namesakes``, full name → how many other rows had a name that will be inserted all the same, because a person said so.
    ``taxes``: QBO tax code id → Miracle id.
    """

    id: str
    realm: str
    company: str
    read_at: datetime
    rows: list[PlannedRow]
    partners: Mapping[Kind, Mapping[str, str]]
    namesakes: Mapping[Kind, Mapping[str, int]]
    taxes: Mapping[str, str]
    hash: str = ""

    def computed_hash(self) -> str:
        """SHA-256 of everything but the hash itself."""
        return hashlib.sha256(msgspec.json.encode(replace(self, hash=""))).hexdigest()


def build(plan_id: str, company: Company, books: Books, rows: list[PlannedRow]) -> Plan:
    """Fix a plan. Nothing is written to either side."""
    plan = Plan(
        id=plan_id,
        realm=company.realm,
        company=company.name,
        read_at=company.read_at,
        rows=rows,
        partners=_partners(books, rows),
        namesakes=_namesakes(books, rows),
        taxes=_tax_links(company, books),
    )
    return replace(plan, hash=plan.computed_hash())


def _partners(books: Books, rows: list[PlannedRow]) -> dict[Kind, dict[str, str]]:
    wanted = {(row.kind, row.miracle_id) for row in rows if row.action == "link"}
    kinds = {kind for kind, _ in wanted}
    return {
        kind: {r.miracle_id: row_hash(r.fields) for r in books.rows[kind] if (kind, r.miracle_id) in wanted} for kind in kinds
    }


def _namesakes(books: Books, rows: list[PlannedRow]) -> dict[Kind, dict[str, int]]:
    """Only a person's decision to create gives a row a name that stands already; all others were found to be new."""
    found: dict[Kind, dict[str, int]] = {}
    for kind in {row.kind for row in rows if row.decision == Decision.CREATE}:
        wanted = {normal_path(row.path) for row in rows if row.kind is kind and row.decision == Decision.CREATE}
        taken = {miracle_id for (k, _), (miracle_id, state) in books.links.items() if k == kind and state != "removed"}
        taken |= {row.miracle_id for row in rows if row.kind is kind and row.action == "link"}
        paths = (normal_path(row.path) for row in books.rows[kind] if row.miracle_id not in taken)
        found[kind] = dict(Counter(path for path in paths if path in wanted))
    return found


def _tax_links(company: Company, books: Books) -> dict[str, str]:
    by_name = {normal(code.name): code.id for code in books.taxes or [] if code.active}
    return {code.id: by_name[normal(code.name)] for code in company.taxes if normal(code.name) in by_name}


def summary(rows: Sequence[PlannedRow], written: Mapping[Kind, int] | None = None) -> dict[str, dict[str, int]]:
    """Counts per kind, in the words of interfaces.md."""
    tally = Counter((row.kind, row.result) for row in rows)
    return {
        kind.value: {
            "read": sum(tally[kind, result] for result in Result),
            **{result.value: tally[kind, result] for result in Result},
            "written": (written or {}).get(kind, 0),
        }
        for kind in Kind
    }


def undecided(rows: Sequence[PlannedRow]) -> list[PlannedRow]:
    """The rows a person has to look at."""
    return [row for row in rows if row.result in (Result.WEAK, Result.CONFLICT, Result.INVALID) and not row.decision]
