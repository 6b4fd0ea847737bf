"""A connected site on loopback for the measurements."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from lab.intuit import process
from qbo_sync import config
from qbo_sync.intuit import Connection
from qbo_sync.miracle import reference
from qbo_sync.miracle.database import engine_for
from qbo_sync.switch import steps
from tests.databases import servers

REALM = "4620816365"
CLIENT = ("app", "s3cret")
REDIRECT_URI = "http://localhost:8021/qbo/callback"


@dataclass
class Bench:
    """The site and where its look-alike answers."""

    folder: Path
    address: str

    @property
    def site(self) -> steps.Site:
        """Opened anew, as each command does."""
        return steps.Site(config.load(self.folder / "bench.toml"))

    def connect(self) -> None:
        """Give the site a fresh grant."""
        grant = self.post("token", {"realm": REALM})
        connection = Connection(self.site.settings)
        connection.adopt(REALM, grant["refresh_token"])
        connection.close()

    def post(self, verb: str, document: object) -> Any:
        """Tell the look-alike's admin interface, and what it answers."""
        answer = requests.post(f"{self.address}/lab/{verb}", json=document, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def stats(self) -> dict[str, int]:
        """The look-alike's counters."""
        counters: dict[str, int] = requests.get(f"{self.address}/lab/stats", timeout=60).json()
        return counters


@contextmanager
def database(name: str) -> Iterator[sa.URL | None]:
    """A fresh database on a server of its own (root only); ``None`` for ``sqlite``, which is a file beside the site."""
    if name == "sqlite":
        yield None
        return
    with (
        tempfile.TemporaryDirectory(prefix="qbo-kit-bench-") as folder,
        servers.running(name, Path(folder)) as server,
        server.database() as url,
    ):
        yield url


@contextmanager
def connected(*lookalike: str, database_url: sa.URL | None = None, lock_wait_s: int = 30) -> Iterator[Bench]:
    """Start a look-alike with these arguments and connect a site with an empty Miracle Service to it."""
    with tempfile.TemporaryDirectory(prefix="qbo-kit-bench-") as name:
        folder = Path(name)
        secret = folder / "client-secret"
        secret.touch(mode=0o600)
        secret.write_text(CLIENT[1])
        app = [
            "--client-id",
            CLIENT[0],
            "--client-secret-file",
            str(secret),
            "--redirect-uri",
            "http://localhost:8021/qbo/callback",
        ]
        with process.running("--generate", "7", "--realm", REALM, *app, *lookalike) as address:
            url = database_url or sa.make_url(f"sqlite:///{folder / 'miracle.db'}")
            (folder / "bench.toml").write_text(
                _settings(address, f"lock_wait_s = {lock_wait_s}\n" + servers.settings(url, folder / "database-password"))
            )
            bench = Bench(folder, address)
            engine = engine_for(url)
            reference.create_all(engine)
            setting = reference.metadata.tables["setting"]
            with engine.begin() as connection:
                for name, value in (("tax_method", "line_item"), ("export_format", "quickbooks_online")):
                    connection.execute(setting.insert().values(name=name, value=value))
            engine.dispose()
            bench.connect()
            yield bench


def _settings(address: str, miracle: str) -> str:
    return f"""site = "bench"
[intuit]
environment = "custom"
discovery_url = "{address}/.well-known/openid_configuration"
api_url = "{address}"
client_id = "app"
client_secret_file = "client-secret"
redirect_uri = "{REDIRECT_URI}"
[miracle]
{miracle}[store]
directory = "store"
"""
