"""What `prepare --apply` has made inactive and `prepare --revert` can take back: a small journal in the site's store.

Each change is noted before Intuit is asked and again after it answered, so that a run that dies in between leaves a record of
what it may have done. One SQLite file, mode 0600.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from qbo_sync.switch.model import Kind
from qbo_sync.switch.store import opened

_SCHEMA = """
CREATE TABLE IF NOT EXISTS inactivation (
  kind TEXT NOT NULL, qbo_id TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, changed_at TEXT NOT NULL,
  PRIMARY KEY (kind, qbo_id));
"""
# going: asked, not answered yet; gone: inactive; returning: asked to be active again, not answered yet.
GOING, GONE, RETURNING = "going", "gone", "returning"


@dataclass(frozen=True, slots=True)
class Inactivation:
    """One record, under the name it had while it was active."""

    kind: Kind
    qbo_id: str
    name: str
    state: str
    changed_at: str


class Inactivations:
    """The journal of one site."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "inactivations.db"
        self._path.touch(mode=0o600)
        with opened(self._path) as database:
            database.executescript(_SCHEMA)

    def begin(self, kind: Kind, qbo_id: str, name: str, state: str) -> None:
        """Note that a change is about to be sent. ``name`` is the one the record has, or had, while it is active."""
        with opened(self._path) as database:
            database.execute(
                "INSERT OR REPLACE INTO inactivation VALUES (?, ?, ?, ?, ?)",
                (kind.value, qbo_id, name, state, datetime.now(UTC).isoformat(timespec="seconds")),
            )

    def is_gone(self, kind: Kind, qbo_id: str) -> None:
        """Note that a record of the journal is inactive."""
        with opened(self._path) as database:
            database.execute("UPDATE inactivation SET state = ? WHERE kind = ? AND qbo_id = ?", (GONE, kind.value, qbo_id))

    def forget(self, records: Iterable[tuple[Kind, str]]) -> None:
        """Drop records that are active, so that there is nothing to take back."""
        with opened(self._path) as database:
            database.executemany(
                "DELETE FROM inactivation WHERE kind = ? AND qbo_id = ?", [(kind.value, qbo_id) for kind, qbo_id in records]
            )

    def all(self) -> dict[tuple[Kind, str], Inactivation]:
        """Everything that can be taken back, in the order in which it was done."""
        with opened(self._path) as database:
            rows = database.execute("SELECT kind, qbo_id, name, state, changed_at FROM inactivation ORDER BY rowid").fetchall()
        return {(Kind(row[0]), row[1]): Inactivation(Kind(row[0]), *row[1:]) for row in rows}
