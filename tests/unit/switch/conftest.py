"""A site on loopback: the real Intuit look-alike over HTTP, and a stand-in for Miracle Service (SQLite unless said otherwise)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from lab import seed
from lab.demo.loopback import entities_at
from lab.intuit import process
from qbo_sync import config
from qbo_sync.intuit import Connection
from qbo_sync.miracle import journal, reference
from qbo_sync.miracle.database import engine_for
from qbo_sync.switch import steps
from qbo_sync.switch.model import Kind
from tests.databases import servers

REALM = "4620816365"

SETTINGS = """site = "acme"
[intuit]
environment = "custom"
discovery_url = "{address}/.well-known/openid_configuration"
api_url = "{address}"
client_id = "app"
client_secret_file = "client-secret"
redirect_uri = "http://localhost:8021/qbo/callback"
requests_per_second = 9.5
[miracle]
{database}
[store]
directory = "store"
[import]
chunk_rows = 10
"""


@dataclass
class Acme:
    """One connected site."""

    folder: Path
    address: str
    engine: sa.Engine

    @property
    def site(self) -> steps.Site:
        """Opened anew, as each command does."""
        return steps.Site(config.load(self.folder / "acme.toml"))

    def entities(self, name: str) -> list[dict[str, Any]]:
        """All rows the look-alike holds."""
        return list(entities_at(self.address)(name))  # type: ignore[arg-type]

    def active(self, name: str) -> list[dict[str, Any]]:
        """The active ones."""
        return [row for row in self.entities(name) if row.get("Active", True)]

    def put(self, entity: str, row: dict[str, Any]) -> None:
        """Change or add a row in QuickBooks, as a user there would."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        stamped = {**row, "MetaData": {"CreateTime": now, **row.get("MetaData", {}), "LastUpdatedTime": now}}
        requests.post(f"{self.address}/lab/entities/{entity}", json=stamped, timeout=30).raise_for_status()

    def fault(self, *rules: dict[str, Any]) -> None:
        """Let the look-alike answer with these faults from now on."""
        requests.post(f"{self.address}/lab/faults", json=list(rules), timeout=30).raise_for_status()

    def latency(self, milliseconds: float) -> None:
        """How long each answer of the look-alike takes from now on."""
        requests.post(f"{self.address}/lab/latency", json={"latency_ms": milliseconds}, timeout=30).raise_for_status()

    def stats(self) -> dict[str, Any]:
        """The look-alike's counters."""
        counters: dict[str, Any] = requests.get(f"{self.address}/lab/stats", timeout=30).json()
        return counters

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """A statement in Miracle Service's own database, as a user there would cause it."""
        with self.engine.begin() as connection:
            done = connection.execute(sa.text(statement), values)
            return list(done.all()) if done.returns_rows else []

    def mend(self) -> None:
        """Correct every blocker."""
        seed.mend(self.engine, self.entities)
        steps.fix(self.site, confirmed=True)

    def dump(self) -> dict[str, list[Any]]:
        """Every table of Miracle Service's own, row by row."""
        return {table: self.sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in reference.metadata.tables}

    @property
    def journal(self) -> journal.Journal:
        """Our own tables, as this kind of database has them."""
        return journal.tables(self.engine.dialect.name)

    def links(self, kind: str = "") -> dict[str, tuple[str, str]]:
        """QBO id → (Miracle id, state) as the journal has it; of all kinds together unless one is named."""
        link = self.journal.link
        wanted = sa.select(link.c.qbo_id, link.c.miracle_id, link.c.state, link.c.kind)
        with self.engine.begin() as connection:
            rows = connection.execute(wanted.where(link.c.kind == kind) if kind else wanted).all()
        return {row.qbo_id if kind else f"{row.kind} {row.qbo_id}": (row.miracle_id, row.state) for row in rows}

    def last_import(self) -> str:
        """The id of the newest import."""
        run = self.journal.run
        with self.engine.begin() as connection:
            newest = sa.select(run.c.id).where(run.c.command == "import").order_by(run.c.fence.desc()).limit(1)
            return str(connection.execute(newest).scalar_one())


def quiet(_: Kind, __: int) -> None:
    """No progress shown."""


@pytest.fixture(scope="session")
def lookalike(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("intuit")
    secret = folder / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    arguments = ["--generate", "7", "--customers", "60", "--vendors", "12", "--items", "12", "--realm", REALM]
    credentials = [
        "--client-id",
        "app",
        "--client-secret-file",
        str(secret),
        "--redirect-uri",
        "http://localhost:8021/qbo/callback",
    ]
    with process.running(*arguments, *credentials) as address:
        yield address


@pytest.fixture
def acme(lookalike: str, tmp_path: Path, database_url: sa.URL) -> Iterator[Acme]:
    """A connected site whose Miracle Service holds part of the company; nothing is audited yet."""
    requests.post(f"{lookalike}/lab/reset", timeout=30).raise_for_status()
    database = servers.settings(database_url, tmp_path / "database-password")
    (tmp_path / "acme.toml").write_text(SETTINGS.format(address=lookalike, database=database))
    (tmp_path / "client-secret").write_text("s3cret")
    (tmp_path / "client-secret").chmod(0o600)
    engine = engine_for(database_url)
    acme = Acme(tmp_path, lookalike, engine)
    seed.fill(engine, acme.entities)
    grant = requests.post(f"{lookalike}/lab/token", json={"realm": REALM}, timeout=30).json()
    connection = Connection(acme.site.settings)
    connection.adopt(REALM, grant["refresh_token"])
    connection.close()
    try:
        yield acme
    finally:
        engine.dispose()
    shutil.rmtree(tmp_path / "store")
