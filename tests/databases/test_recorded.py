"""The recorded company, where its recordings are: audited and imported on each kind of database, with the same to say on all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from lab import seed
from lab.demo.loopback import REALM, RECORDED, company_arguments
from lab.intuit import process
from qbo_sync.intuit import Connection
from qbo_sync.miracle.database import engine_for
from qbo_sync.switch import steps
from qbo_sync.switch.model import Kind
from tests.databases import servers
from tests.databases.conftest import EVERYWHERE
from tests.unit.switch.conftest import SETTINGS, Acme, quiet

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recordings in {RECORDED.name}")

# What a bookkeeper is told about the company and the stand-in that holds part of it (lab/seed.py), and nothing else.
RULES = {
    "LST-001", "LST-002", "LST-007", "LST-009", "NAM-002", "NAM-006", "NAM-007", "NAM-012", "SET-003", "SET-015",
    "TAX-001", "TAX-002", "TAX-008", "TAX-011", "TRM-001", "TRM-002",
}  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A look-alike that serves it."""
    secret = tmp_path_factory.mktemp("recorded") / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    app = ["--client-id", "app", "--client-secret-file", str(secret), "--redirect-uri", "http://localhost:8021/qbo/callback"]
    with process.running(*company_arguments(), "--realm", REALM, *app) as address:
        yield address


def connected(address: str, folder: Path, url: sa.URL) -> Acme:
    """A site on that database, connected to it, with a Miracle Service that holds part of the company."""
    folder.mkdir()
    (folder / "acme.toml").write_text(SETTINGS.format(address=address, database=servers.settings(url, folder / "password")))
    (folder / "client-secret").write_text("s3cret")
    (folder / "client-secret").chmod(0o600)
    site = Acme(folder, address, engine_for(url))
    seed.fill(site.engine, site.entities)
    grant = requests.post(f"{address}/lab/token", json={"realm": REALM}, timeout=30).json()
    connection = Connection(site.site.settings)
    connection.adopt(REALM, grant["refresh_token"])
    connection.close()
    return site


def story(site: Acme) -> list[object]:
    """The findings of the first audit, what the import did, and what stands afterwards."""
    found = steps.audit(site.site)
    site.mend()
    planned = steps.make_plan(site.site).answer
    imported = steps.import_(site.site, "", replan=False, progress=quiet).answer
    after = steps.audit(site.site)
    findings = [[(f.id, f.name, f.qbo, f.miracle, f.remedy) for f in each.findings] for each in (found, after)]
    assert {f.rule for f in found.findings} == RULES
    assert after.answer.summary["blocker"] == 0
    with site.site.miracle() as miracle:
        rows = {kind: list(miracle.rows(kind)) for kind in Kind}
    return [*findings, planned.summary, imported.summary, rows]


def test_it_is_audited_and_imported_alike_everywhere(
    recorded: str, tmp_path: Path, database_servers: Callable[[str], servers.Server]
) -> None:
    told = {}
    for name in EVERYWHERE:
        if name == "sqlite":
            site = connected(recorded, tmp_path / name, sa.make_url(f"sqlite:///{tmp_path / 'miracle.db'}"))
            told[name] = story(site)
            site.engine.dispose()
        else:
            with database_servers(name).database() as url:
                site = connected(recorded, tmp_path / name, url)
                told[name] = story(site)
                site.engine.dispose()
    assert told["postgresql"] == told["sqlite"]
    assert told["mariadb"] == told["sqlite"]
