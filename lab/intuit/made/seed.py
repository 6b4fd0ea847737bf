"""Where every row begins: the seed, a row's number, and what all rows have in common."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.intuit import words
from lab.intuit.clock import row_time
from lab.intuit.company import Row

FIRST_DAY = datetime(2019, 3, 4, 16, tzinfo=UTC)
# Everything was made within these years and changed last within 450 days more: never after today, however large the company.
YEARS = timedelta(days=5.5 * 365)
DELETED = " (deleted)"
USD = {"value": "USD", "name": "United States Dollar"}
# Intuit's own numbering, of newer kinds.
LARGE = 5_000_000_000_000_000_000


@dataclass(frozen=True)
class Sizes:
    """How many rows of the large kinds; about one in ten is inactive and counts in."""

    customers: int = 120
    vendors: int = 40
    items: int = 90


def reference(row: Row) -> dict[str, str]:
    """A reference to a row, with its name."""
    return {"value": row["Id"], "name": row.get("FullyQualifiedName") or row["Name"]}


def unrank(heads: list[str], tails: list[str], rank: int, number: int) -> str:
    """A name of a head and a tail; no pair comes twice before all have come, and then with the number behind it."""
    # Each round through the heads shifts the tails by one.
    name = f"{heads[rank % len(heads)]} {tails[(rank % len(heads) + rank // len(heads)) % len(tails)]}"
    return name if rank < len(heads) * len(tails) else f"{name} {number}"


class Seed:
    """One company's seed and sizes."""

    def __init__(self, seed: int, sizes: Sizes) -> None:
        self.seed = seed
        self.sizes = sizes
        self.step = min(timedelta(hours=3), YEARS / max(sizes.customers, sizes.vendors, sizes.items, 1))
        shuffle = random.Random(f"{seed} words")
        self.given, self.family, self.trades, self.supplies, self.parts = (
            shuffle.sample(list(each), len(each))
            for each in (words.GIVEN, words.FAMILY, words.TRADES, words.SUPPLIES, words.PARTS)
        )

    def random(self, kind: str, number: int) -> random.Random:
        """The chance that decides about one row."""
        return random.Random(f"{self.seed} {kind} {number}")

    def common(self, kind: str, number: int, row_id: str) -> Row:
        """Identity, version and times."""
        chance = self.random(f"{kind} dates", number)
        created = FIRST_DAY + number * self.step + timedelta(seconds=chance.randrange(3600))
        changes = chance.choice((0, 0, 0, 1, 2, 5))
        updated = created + timedelta(days=changes * chance.randrange(1, 90), seconds=changes)
        return {
            "domain": "QBO",
            "sparse": False,
            "Id": row_id,
            "SyncToken": str(changes),
            "MetaData": {"CreateTime": row_time(created), "LastUpdatedTime": row_time(updated)},
        }

    def listed(self, kind: str, number: int, row_id: str, name: str, /, *, active: bool = True, **properties: Any) -> Row:
        """One record of a small list."""
        row = {"Name": name if active else name + DELETED, **properties, "Active": active}
        return {**row, **self.common(kind, number, row_id)}
