"""The data half on loopback: the Intuit look-alike and a SQLite stand-in for Miracle Service, from connection to export."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from lab import seed
from lab.demo.narration import answered, blockers, counts, decide, must, read, say, step
from lab.intuit import process as intuit_process
from qbo_sync.miracle.database import engine_for

TOP = Path(__file__).resolve().parents[2]
RECORDED = TOP.parent / "shared" / "data" / "qbo" / "sandbox_us"
REALM = "9341454816381446"


def company_arguments() -> list[str]:
    """How the look-alike gets its company: the recorded one where it is there, else the project's own."""
    return ["--data", str(RECORDED)] if RECORDED.is_dir() else ["--generate", "2024"]


def entities_at(address: str) -> seed.Entities:
    """All rows of an entity as the look-alike at that address holds them."""

    def entities(name: str) -> Sequence[Mapping[str, Any]]:
        answer = requests.get(f"{address}/lab/entities/{name}", timeout=30)
        answer.raise_for_status()
        rows: list[Mapping[str, Any]] = answer.json()
        return rows

    return entities


@dataclass
class Loopback:
    """The data half on this machine: a settings file, a look-alike, a SQLite stand-in for Miracle Service."""

    folder: Path
    address: str
    engine: sa.Engine

    @property
    def config(self) -> Path:
        """The site's settings file."""
        return self.folder / "demo.toml"

    @property
    def entities(self) -> seed.Entities:
        """The look-alike's rows."""
        return entities_at(self.address)

    def qbo_sync(self, *command: str) -> dict[str, Any]:
        """Run a command as a user would and read its JSON document; what it says on the way goes to the terminal."""
        call = [sys.executable, "-m", "qbo_sync.cli", "--config", str(self.config), "--format", "json", *command]
        done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=TOP)
        return answered(" ".join(command), done.returncode, done.stdout, done.stderr)


@contextmanager
def loopback(folder: Path) -> Iterator[Loopback]:
    """Start the look-alike and fill the stand-in."""
    secret = folder / "client-secret"
    secret.touch(mode=0o600)
    secret.write_text("lab-secret")
    arguments = [
        *company_arguments(), "--realm", REALM, "--client-id", "lab-app", "--client-secret-file", str(secret),
        "--redirect-uri", "http://localhost:8021/qbo/callback",
    ]  # fmt: skip
    with intuit_process.running(*arguments) as address:
        engine = engine_for(sa.make_url(f"sqlite:///{folder / 'miracle.db'}"))
        seed.fill(engine, entities_at(address))
        demo = Loopback(folder, address, engine)
        demo.config.write_text(_settings(address))
        yield demo
        engine.dispose()


def _settings(address: str) -> str:
    return f"""site = "demo"
[intuit]
environment = "custom"
discovery_url = "{address}/.well-known/openid_configuration"
api_url = "{address}"
client_id = "lab-app"
client_secret_file = "client-secret"
redirect_uri = "http://localhost:8021/qbo/callback"
[miracle]
database_url = "sqlite:///miracle.db"
[store]
directory = "store"
"""


def connect(demo: Loopback) -> dict[str, Any]:
    """Bind the company with a grant that the look-alike hands out without a browser."""
    grant = requests.post(f"{demo.address}/lab/token", json={"realm": REALM}, timeout=30).json()
    token = demo.folder / "refresh-token"
    token.touch(mode=0o600)
    token.write_text(grant["refresh_token"])
    return demo.qbo_sync("connect", "--realm", REALM, "--refresh-token-file", str(token))


def tell() -> None:
    """The guide's steps 3 and 4 on loopback."""
    folder = Path(tempfile.mkdtemp(prefix="qbo-kit-demo-"))
    say("qbo-kit demo: the data half, on loopback (Intuit look-alike, SQLite).")
    with loopback(folder) as demo:
        step("Step 3", "connect QuickBooks Online")
        connected = must(connect(demo), 0)
        say(f"  connected to {connected['summary']['company']} (realm {connected['summary']['realm']})")

        step("Step 3", "Audit Report")
        first = must(demo.qbo_sync("audit"), 4)
        blockers(first)
        say(f"  the report: {first['report']['html']}")

        refused = must(demo.qbo_sync("import", "--replan"), 4)
        say(f"  an import now is refused: {refused['items'][0]['result']}")

        step("Step 3", "corrections in Miracle Service")
        for line in seed.mend(demo.engine, demo.entities):
            say(f"    by hand: {line}")
        fixed = must(demo.qbo_sync("audit", "fix", "--yes"), 0)
        for item in fixed["items"]:
            say(f"    qbo-sync audit fix: added tax {item['qbo']}")
        again = must(demo.qbo_sync("audit"), 0, 3)
        say(f"  audit again: {again['summary']['blocker']} blockers, {again['summary']['warning']} warnings")

        step("Step 3", "plan and import")
        planned = must(demo.qbo_sync("plan"), 0, 3)
        say(counts(planned, "new", "matched", "weak", "conflict", "invalid"))
        answers, asked = decide(read(planned["report"]["decisions"]))
        filled = folder / "decisions.csv"
        filled.write_text(answers)
        say(f"  waiting for a decision: {asked}; decided in {filled}")
        must(demo.qbo_sync("plan", "--decisions", str(filled)), 0)
        imported = must(demo.qbo_sync("import"), 0)
        say("  import:")
        say(counts(imported, "written"))
        second = must(demo.qbo_sync("import"), 0)
        say(f"  a second import writes {sum(t['written'] for t in second['summary'].values())} rows")

        step("Step 4", "review, reconcile, accounting export")
        reviewed = must(demo.qbo_sync("review"), 0)
        say(f"  review list: {reviewed['report']['xlsx']}")
        reconciled = must(demo.qbo_sync("reconcile"), 0)
        say(f"  reconciled: {json.dumps(reconciled['summary'])}")
        enabled = must(demo.qbo_sync("export", "enable"), 0)
        say(f"  accounting export enabled: {enabled['summary']['enabled']}")
    say(f"\nEverything it made is in {folder}")
