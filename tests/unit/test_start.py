"""What a command loads before it works: only the libraries that it needs. Loading the others takes longer than most work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.switch.conftest import Acme, acme, lookalike  # noqa: F401 - fixtures

PAGES = {"starlette", "uvicorn", "anyio"}
INTUIT = {"requests", "urllib3"}
TOKENS = {"oauthlib", "requests_oauthlib"}
DATABASE = {"sqlalchemy", "yaml"}
REPORT = {"openpyxl", "jinja2"}
TEXT = {"rich"}
SITE = {"pydantic", "cryptography", "msgspec"}
DRIVERS = {"psycopg", "pymysql", "pymssql"}

# Command → what it needs of these. A grant that is still good is used without asking for a token.
ALL = PAGES | INTUIT | TOKENS | DATABASE | REPORT | TEXT | SITE
NEEDED = {
    "--help": TEXT,
    "--format json status": SITE | DATABASE,
    "status": SITE | DATABASE | TEXT,
    "--format json connect": SITE | INTUIT,
    "--format json export status": SITE | DATABASE,
    "--format json prepare": SITE | INTUIT | REPORT,
    "--format json audit": SITE | INTUIT | DATABASE | REPORT,
    "--format json plan": SITE | INTUIT | DATABASE | REPORT,
    "--format json audit --accept none --reason none": SITE | DATABASE,
    "--format json disconnect": SITE | INTUIT,
}


def loaded(folder: Path, command: str) -> set[str]:
    """The packages that a command loads, as Python itself tells."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "qbo_sync.cli", "--config", str(folder / "acme.toml"), *command.split()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert told, done.stderr
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in told}


def test_a_command_loads_what_it_needs_and_nothing_else(acme: Acme) -> None:  # noqa: F811
    """Also that it loads what it needs: a library that is replaced by another must be replaced here too."""
    found = {command: loaded(acme.folder, command) & ALL for command in NEEDED}
    assert found == NEEDED


def test_only_the_drivers_of_the_sites_own_database_are_loaded(acme: Acme) -> None:  # noqa: F811
    own = {"sqlite": set(), "postgresql": {"psycopg"}, "mysql": {"pymysql"}, "mariadb": {"pymysql"}}
    assert loaded(acme.folder, "export status") & DRIVERS == own[acme.engine.dialect.name]


@pytest.mark.parametrize("package", ["intuit", "miracle", "report", "switch.steps", "web"])
def test_a_package_gives_out_every_name_that_it_promises(package: str) -> None:
    """Each is asked in a program of its own: a module must not rely on another one having been loaded before."""
    asked = f"import qbo_sync.{package} as p; print([name for name in p.__all__ if not hasattr(p, name)])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
