"""The plan: what an import will do, row by row, fixed by a hash and by the time both sides were read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from qbo_sync.switch.model import Kind, PlannedRow, Result
from qbo_sync.switch.names import normal
from qbo_sync.switch.read import Books, Company


@dataclass(frozen=True)
class Plan:
    """``highest`` is the greatest Miracle id per kind at the reading; ``taxes`` QBO tax code id → Miracle id."""

    id: str
    realm: str
    company: str
    read_at: datetime
    rows: list[PlannedRow]
    highest: Mapping[Kind, str]
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
        highest={kind: _highest(r.miracle_id for r in books.rows[kind]) for kind in Kind},
        taxes=_tax_links(company, books),
    )
    # Through JSON once, so that a plan just made and the same plan read back later are equal to the last digit.
    stored = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    return replace(stored, hash=stored.computed_hash())


def _highest(ids: Iterable[str]) -> str:
    return max(ids, key=lambda i: (int(i) if i.isdigit() else 0, i), default="")


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
