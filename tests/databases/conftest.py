"""A Miracle Service of the reference schema on each kind of database, and imports into it without QuickBooks in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from qbo_sync.miracle import Miracle, load, reference
from qbo_sync.miracle.database import engine_for
from qbo_sync.switch import apply as applying
from qbo_sync.switch import match, plan, read
from qbo_sync.switch.model import Kind
from qbo_sync.switch.store import new_id
from tests.unit.switch import sides

EVERYWHERE = ("sqlite", "postgresql", "mariadb")


@dataclass
class Books:
    """The database, as our program and as its users see it."""

    miracle: Miracle
    user: sa.Engine

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """A statement of a user of Miracle Service."""
        with self.user.begin() as connection:
            done = connection.execute(sa.text(statement), values)
            return list(done.all()) if done.returns_rows else []

    def plan(self, company: read.Company) -> plan.Plan:
        """What an import of that company would do now."""
        books = read.books(self.miracle)
        return plan.build(new_id(), company, books, match.match(company, books))

    def apply(
        self, planned: plan.Plan, *, chunk_rows: int = 10, progress: Callable[[Kind, int], None] = lambda *_: None
    ) -> applying.Applied:
        """Import it."""
        run = self.miracle.begin_run(new_id(), "import", planned.id)
        done = applying.apply(planned, self.miracle, run, chunk_rows, progress)
        run.finish()
        return done

    def customers(self) -> list[str]:
        """The names in the customer table."""
        return [name for (name,) in self.sql("SELECT name FROM customer ORDER BY name")]


@pytest.fixture
def books(database_url: sa.URL) -> Iterator[Books]:
    """An empty Miracle Service."""
    user = engine_for(database_url)
    reference.create_all(user)
    with Miracle(engine_for(database_url), load("reference"), "1") as miracle:
        yield Books(miracle, user)
    user.dispose()


@pytest.fixture
def company() -> read.Company:
    """Forty customers, named apart."""
    return sides.company({Kind.CUSTOMER: [sides.customer(str(n), f"Customer {chr(65 + n % 26)}{n}") for n in range(1, 41)]})
