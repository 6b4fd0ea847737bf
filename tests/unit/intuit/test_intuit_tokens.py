"""The token store: what it keeps, what it refuses, and what a stranger can do to it."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from intuit_lab import REDIRECT

from qbo_sync.config import Settings
from qbo_sync.errors import KitError, ReconnectNeeded, UsageError
from qbo_sync.intuit import Grant, GrantState, TokenStore
from qbo_sync.intuit.tokens import Authorization

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def settings_in(folder: Path, environment: str = "sandbox") -> Settings:
    folder.mkdir(exist_ok=True)
    return Settings(
        site="acme",
        intuit={
            "environment": environment,
            "client_id": "app",
            "client_secret_file": folder / "secret",
            "redirect_uri": REDIRECT,
        },
        miracle={"database_url": "sqlite://"},
        store={"directory": folder / "store"},
    )


def grant(realm: str = "123", refresh: str = "refresh-canary", days: float = 100, hard: float | None = None) -> Grant:
    return Grant(
        realm=realm,
        environment="sandbox",
        access_token="access-canary",
        refresh_token=refresh,
        access_expires_at=NOW + timedelta(hours=1),
        refresh_expires_at=NOW + timedelta(days=days),
        hard_expires_at=None if hard is None else NOW + timedelta(days=hard),
        connected_at=NOW,
        company="Acme",
    )


@pytest.fixture
def site(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def store(site: Settings) -> TokenStore:
    return TokenStore(site, clock=lambda: NOW)


def execute(site: Settings, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(site.store.directory / "state.db", isolation_level=None)) as db:
        return db.execute(statement, values).fetchall()


def test_a_grant_comes_back_as_it_was(store: TokenStore, site: Settings) -> None:
    assert store.load() is None
    store.save(grant())
    assert TokenStore(site).load() == replace(grant(), generation=1)
    assert store.bound_realm() == "123"


def test_tokens_are_not_in_the_clear_anywhere(store: TokenStore, site: Settings) -> None:
    store.save(grant())
    for path in site.store.directory.iterdir():
        content = path.read_bytes()
        assert b"refresh-canary" not in content, path
        assert b"access-canary" not in content, path
    assert "canary" not in repr(grant())
    assert "canary" not in repr(store)


def test_everything_is_private_whatever_the_umask(site: Settings) -> None:
    before = os.umask(0)
    try:
        TokenStore(site).save(grant())
    finally:
        os.umask(before)
    assert stat.S_IMODE(site.store.directory.stat().st_mode) == 0o700
    for name in ("state.db", "store.key", "token.lock"):
        assert stat.S_IMODE((site.store.directory / name).stat().st_mode) == 0o600, name


@pytest.mark.parametrize(
    ("days", "hard", "state"),
    [
        (100, None, GrantState.connected),
        (30, None, GrantState.connected),
        (29, None, GrantState.expiring),
        (100, 29, GrantState.expiring),
        (100, 1800, GrantState.connected),
        (0, None, GrantState.reconnect_needed),
        (100, 0, GrantState.reconnect_needed),
    ],
)
def test_state_follows_the_nearer_end(store: TokenStore, days: float, hard: float | None, state: GrantState) -> None:
    assert store.state() is GrantState.disconnected
    store.save(grant(days=days, hard=hard))
    assert store.state() is state


def test_a_dead_grant_stays_dead_until_a_new_one(store: TokenStore) -> None:
    store.save(grant())
    store.mark_dead()
    assert store.state() is GrantState.reconnect_needed
    store.save(grant(refresh="new"))
    assert store.state() is GrantState.connected


def test_an_interrupted_refresh_leaves_a_usable_grant(store: TokenStore) -> None:
    store.save(grant())
    store.mark_refreshing()
    assert store.state() is GrantState.connected
    assert store.load() is not None


def test_forgetting_keeps_the_company(store: TokenStore) -> None:
    store.save(grant())
    store.forget()
    assert store.load() is None
    assert store.state() is GrantState.disconnected
    assert store.bound_realm() == "123"


def test_environments_do_not_share_a_grant(store: TokenStore, tmp_path: Path) -> None:
    store.save(grant())
    other = TokenStore(settings_in(tmp_path, "production"))
    assert other.load() is None
    assert other.bound_realm() is None


def rejected(site: Settings) -> bool:
    store = TokenStore(site, clock=lambda: NOW)
    with pytest.raises(ReconnectNeeded, match="not the one this program wrote"):
        store.load()
    return store.state() is GrantState.reconnect_needed


def test_every_flipped_byte_is_noticed(store: TokenStore, site: Settings) -> None:
    store.save(grant())
    ((sealed,),) = execute(site, "SELECT sealed FROM token_grant")
    assert isinstance(sealed, bytes)
    for position in range(0, len(sealed), 7):
        altered = bytearray(sealed)
        altered[position] ^= 1
        execute(site, "UPDATE token_grant SET sealed = ?", bytes(altered))
        assert rejected(site)
    for length in (0, 5, 12, 20, len(sealed) - 1):
        execute(site, "UPDATE token_grant SET sealed = ?", sealed[:length])
        assert rejected(site)
    execute(site, "UPDATE token_grant SET sealed = ?", sealed)
    assert store.load() is not None


@pytest.mark.parametrize(
    "change", ["realm = '124'", "generation = 2", "generation = 0", "realm = '123|sandbox|1', environment = 'sandbox'"]
)
def test_every_altered_column_is_noticed(store: TokenStore, site: Settings, change: str) -> None:
    store.save(grant())
    execute(site, f"UPDATE token_grant SET {change}")
    assert rejected(site)


def test_an_old_row_put_back_is_noticed(store: TokenStore, site: Settings) -> None:
    store.save(grant(refresh="old"))
    (old,) = execute(site, "SELECT realm, generation, sealed FROM token_grant")
    store.save(grant(refresh="new"))
    execute(site, "UPDATE token_grant SET realm = ?, generation = ?, sealed = ?", *old)
    assert rejected(site)


def test_a_row_of_another_environment_is_noticed(store: TokenStore, site: Settings, tmp_path: Path) -> None:
    store.save(grant())
    execute(site, "UPDATE token_grant SET environment = 'production'")
    execute(site, "UPDATE token_mark SET environment = 'production'")
    assert rejected(settings_in(tmp_path, "production"))


def test_a_row_of_another_site_is_noticed(tmp_path: Path) -> None:
    ours, theirs = settings_in(tmp_path / "a"), settings_in(tmp_path / "b")
    TokenStore(ours).save(grant())
    TokenStore(theirs).save(grant(refresh="theirs"))
    (row,) = execute(theirs, "SELECT sealed FROM token_grant")
    execute(ours, "UPDATE token_grant SET sealed = ?", *row)
    assert rejected(ours)


def test_a_lost_key_is_a_clear_reconnect(store: TokenStore, site: Settings) -> None:
    store.save(grant())
    site.store.key.unlink()
    assert rejected(site)


def test_a_state_is_good_once_in_its_browser_for_ten_minutes(site: Settings) -> None:
    now = NOW
    store = TokenStore(site, clock=lambda: now)
    store.begin_authorization("a", "browser")
    assert store.take_authorization("a", "browser") is Authorization.good
    assert store.take_authorization("a", "browser") is Authorization.unknown
    store.begin_authorization("b", "browser")
    assert store.take_authorization("b", "another") is Authorization.of_another_browser
    assert store.take_authorization("b", "browser") is Authorization.unknown, "a wrong guess uses it up"
    store.begin_authorization("c", "browser")
    now = NOW + timedelta(minutes=10)
    assert store.take_authorization("c", "browser") is Authorization.too_late
    assert store.take_authorization("\ud800", "\ud800") is Authorization.unknown


def test_a_flood_of_consents_does_not_grow_the_store(store: TokenStore, site: Settings) -> None:
    execute(site, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
            " INSERT INTO token_authorization SELECT 'state' || i, 'b', ? + i FROM n", NOW.timestamp())  # fmt: skip
    store.begin_authorization("mine", "browser")
    assert execute(site, "SELECT count(*) FROM token_authorization") == [(1000,)]
    assert store.take_authorization("mine", "browser") is Authorization.good


def test_a_credential_of_systemd_wins(site: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "store.key").write_bytes(bytes(range(32)))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    TokenStore(site).save(grant())
    assert not site.store.key.exists()
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert rejected(site)


def test_a_sealed_key_is_never_made_here(site: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = site.model_copy(update={"store": site.store.model_copy(update={"sealed_key": True})})
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(UsageError, match="sealed to this host") as told:
        TokenStore(sealed)
    assert "as root" in told.value.next
    assert not site.store.key.exists()
    (tmp_path / "store.key").write_bytes(bytes(range(32)))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert TokenStore(sealed).save(grant()).generation == 1


@pytest.mark.parametrize("company", range(25))
def test_processes_that_start_together_agree_on_one_key(tmp_path: Path, company: int) -> None:
    site = settings_in(tmp_path / str(company))
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: TokenStore(site), range(8)))
    stores[0].save(grant())
    assert all(store.load() is not None for store in stores)
    assert stat.S_IMODE(site.store.key.stat().st_mode) == 0o600
    assert {path.name for path in site.store.directory.glob("*store.key*")} == {"store.key", "store.key.lock"}


def open_to_others(site: Settings) -> None:
    site.store.directory.chmod(0o750)


def key_open_to_others(site: Settings) -> None:
    site.store.key.chmod(0o640)


def key_has_a_second_name(site: Settings) -> None:
    os.link(site.store.key, site.store.directory / "second")


def key_of_another_user(site: Settings) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(site.store.key, 12345, 12345)


def key_too_short(site: Settings) -> None:
    site.store.key.write_bytes(bytes(31))


def key_too_long(site: Settings) -> None:
    site.store.key.write_bytes(bytes(33))


def key_is_a_link(site: Settings) -> None:
    site.store.key.rename(site.store.key.with_name("elsewhere"))
    site.store.key.symlink_to("elsewhere")


def database_is_a_link(site: Settings) -> None:
    path = site.store.directory / "state.db"
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def database_has_a_second_name(site: Settings) -> None:
    os.link(site.store.directory / "state.db", site.store.directory / "second")


def store_is_a_file(site: Settings) -> None:
    shutil.rmtree(site.store.directory)
    site.store.directory.write_text("")


@pytest.mark.parametrize(
    "harm",
    [
        open_to_others,
        key_open_to_others,
        key_has_a_second_name,
        key_of_another_user,
        key_too_short,
        key_too_long,
        key_is_a_link,
        database_is_a_link,
        database_has_a_second_name,
        store_is_a_file,
    ],
)
def test_a_store_that_is_not_private_is_not_used(store: TokenStore, site: Settings, harm: object) -> None:
    store.save(grant())
    assert callable(harm)
    harm(site)
    with pytest.raises(UsageError):
        TokenStore(site)


def test_another_users_store_is_not_used(store: TokenStore, site: Settings) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    os.chown(site.store.directory, 12345, 12345)
    with pytest.raises(UsageError, match="belongs to another user"):
        TokenStore(site)


def test_a_database_readable_by_others_is_closed_to_them(store: TokenStore, site: Settings) -> None:
    (site.store.directory / "state.db").chmod(0o644)
    TokenStore(site)
    assert stat.S_IMODE((site.store.directory / "state.db").stat().st_mode) == 0o600


def test_a_broken_database_is_a_clean_error(store: TokenStore, site: Settings) -> None:
    for path in site.store.directory.glob("state.db*"):
        path.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(KitError, match="cannot be used"):
        store.load()


def test_a_store_can_be_opened_and_read_while_someone_writes(store: TokenStore, site: Settings) -> None:
    store.save(grant())
    with closing(sqlite3.connect(site.store.directory / "state.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM token_grant")
        assert TokenStore(site).load() == replace(grant(), generation=1)
        db.execute("ROLLBACK")


FULL_DISK = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from dataclasses import replace
from test_intuit_tokens import NOW, TokenStore, grant, settings_in
folder = Path(sys.argv[3])
def fill(left):
    with open(folder / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            filler.truncate(max(0, filler.tell() - left))
for left in range(0, 68, 4):
    (folder / "filler").unlink(missing_ok=True)
    store = TokenStore(settings_in(folder), clock=lambda: NOW)
    store.save(grant(refresh="first"))
    store.mark_refreshing()
    fill(left * 1024)
    for number in range(40):
        store.save(grant(refresh="x" * 600 + str(number)))
    print(store.load().refresh_token[600:])
"""


def test_a_full_disk_does_not_cost_the_connection(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a small disk of its own needs root and unshare")
    here = Path(__file__).resolve()
    script = f'mount -t tmpfs -o size=1m tmpfs "{tmp_path}" && exec "$@"'
    inside = [sys.executable, "-c", FULL_DISK, str(here.parents[3]), str(here.parent), str(tmp_path)]
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *inside], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "39\n" * 17, "with 0, 4, 8 … 64 KB left"


def test_nothing_secret_is_logged(store: TokenStore, site: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store.save(grant())
    execute(site, "UPDATE token_grant SET generation = 9")
    with pytest.raises(ReconnectNeeded) as error:
        store.load()
    assert "canary" not in caplog.text + str(error.value) + repr(error.value)
