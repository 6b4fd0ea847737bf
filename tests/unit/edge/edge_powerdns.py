"""A real PowerDNS on loopback, with its HTTP API and a zone of its own: what lexicon speaks to."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from edge_box import daemon, free_port
from edge_lab import ZONE

from tests.needs import lab_image

SCHEMA = "usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"


@dataclass(frozen=True)
class PowerDNS:
    """A running server; ``key`` opens its API."""

    port: int
    key: str

    @property
    def at(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str = "", document: Any = None) -> Any:
        """The zone's own part of the API, as its owner uses it."""
        address = f"{self.at}/api/v1/servers/localhost/zones{path}"
        answer = requests.request(method, address, json=document, headers={"X-API-Key": self.key}, timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.text else None

    def sets(self) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/{ZONE}.")["rrsets"])

    def replace(self, host: str, kind: str, ttl: int, contents: list[str]) -> None:
        """The records of one kind at a host, all at once; an empty list removes them."""
        records = [{"content": content, "disabled": False} for content in contents]
        change = {"name": f"{host}.{ZONE}.", "type": kind, "ttl": ttl, "records": records, "changetype": "REPLACE"}
        self.call("PATCH", f"/{ZONE}.", {"rrsets": [change]})

    def clear(self) -> None:
        """Nothing but the zone's own records."""
        for found in self.sets():
            if found["name"] != f"{ZONE}.":
                self.replace(found["name"].removesuffix(f".{ZONE}."), found["type"], found["ttl"], [])


@contextmanager
def running(folder: Path) -> Iterator[PowerDNS]:
    """Start PowerDNS with an empty folder of its own; it is stopped at the end."""
    server = PowerDNS(free_port(), secrets.token_hex(16))
    options = {
        "launch": "gsqlite3",
        "gsqlite3-database": "/mnt/zones.db",
        "local-address": "127.0.0.1",
        "local-port": free_port(),
        "webserver-address": "127.0.0.1",
        "webserver-port": server.port,
        "api": "yes",
        "api-key": server.key,
        "socket-dir": "/mnt",
        "guardian": "no",
        "daemon": "no",
    }
    (folder / "pdns.conf").write_text("".join(f"{name}={value}\n" for name, value in options.items()))

    def answers() -> bool:
        try:
            return requests.get(server.at, timeout=2).status_code < 500
        except requests.RequestException:
            return False

    with closing(sqlite3.connect(folder / "zones.db")) as database:
        database.executescript((lab_image() / SCHEMA).read_text())
    with daemon(folder, "/usr/sbin/pdns_server", "--config-dir=/mnt", answers=answers):
        server.call("POST", document={"name": f"{ZONE}.", "kind": "Native", "nameservers": [f"ns1.{ZONE}."]})
        yield server
