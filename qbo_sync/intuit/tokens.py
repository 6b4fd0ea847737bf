"""The token store: the site's grant, encrypted, in the state database of its store.

AES-256-GCM with ``realm|environment|generation`` as associated data: a row that was swapped, put back, altered or cut does not
decrypt. The highest generation ever written is kept outside the row, so that an old row with its old generation is noticed too.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from qbo_sync.config import Settings
from qbo_sync.disk import locked, whole_file
from qbo_sync.errors import ReconnectNeeded, UsageError
from qbo_sync.intuit.files import StoreUnwritable, exclusive, private_directory, private_file, unwritable

KEY_BYTES = 32
_NONCE_BYTES = 12
AUTHORIZATION_LIFE = timedelta(minutes=10)
# How long it is remembered that an authorisation has run out, so that a latecomer is told so.
_LATE = timedelta(days=1)
INVITATION_LIFE = timedelta(hours=72)
_OPEN_INVITATIONS = 20
# Intuit suggests telling the owner 30 days, 7 days and 0 days before the end (facts 1.4).
EXPIRING = timedelta(days=30)
URGENT = timedelta(days=7)
_OPEN_AUTHORIZATIONS = 1000
# Space kept back so that a renewed token can be written on a full disk (measured: facts/fleet.md F4).
_BALLAST_BYTES = 128 * 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS token_grant (environment TEXT PRIMARY KEY, realm TEXT NOT NULL, generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('usable', 'refreshing', 'dead')), sealed BLOB NOT NULL, changed_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS token_mark (environment TEXT PRIMARY KEY, realm TEXT NOT NULL, generation INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS token_authorization (state TEXT PRIMARY KEY, browser TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS token_invitation (token TEXT PRIMARY KEY, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS token_document (url TEXT PRIMARY KEY, body BLOB NOT NULL, read_at REAL NOT NULL);
"""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Now, with its offset."""
    return datetime.now(UTC)


class GrantState(StrEnum):
    """What a person needs to know about the connection."""

    connected = "connected"
    expiring = "expiring"
    reconnect_needed = "reconnect needed"
    disconnected = "disconnected"


class Authorization(StrEnum):
    """What became of a question that was put to Intuit's consent page; each but the first is a reason to start again."""

    good = "good"
    unknown = "it was used before, or was never asked for here"
    of_another_browser = "it was asked for in another browser"
    too_late = "it was asked for more than ten minutes ago"


@dataclass(frozen=True)
class End:
    """When a grant ends. ``for_good``: Intuit's limit of five years, which no use moves; else 100 days without any use."""

    at: datetime
    for_good: bool
    left: timedelta

    @property
    def days(self) -> int:
        """Whole days that are left, 0 on the last one and after it."""
        return max(0, self.left.days)

    @property
    def notice(self) -> int | None:
        """The newest of the notices that are due: 30, 7 or 0 days before the end; ``None`` while there is more time."""
        if self.left >= EXPIRING:
            return None
        return 30 if self.left >= URGENT else 7 if self.left > timedelta(0) else 0


@dataclass(frozen=True)
class Grant:
    """The permission to read one company. ``hard_expires_at`` is Intuit's limit of five years, when it has told us.

    The tokens never show in ``repr``. ``generation`` counts the writes of the store.
    """

    realm: str
    environment: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_expires_at: datetime
    refresh_expires_at: datetime
    hard_expires_at: datetime | None
    connected_at: datetime
    company: str = ""
    generation: int = 0

    def end(self, now: datetime) -> End:
        """The earlier of the two limits."""
        for_good = self.hard_expires_at is not None and self.hard_expires_at <= self.refresh_expires_at
        at = self.hard_expires_at if for_good and self.hard_expires_at else self.refresh_expires_at
        return End(at, for_good, at - now)


class TokenStore:
    """The grant of one site, shared by all its processes. Every method is one transaction."""

    def __init__(self, settings: Settings, *, clock: Clock = utc_now) -> None:
        """Open the store. Raises :class:`UsageError` when its folder or key is not private to this user."""
        self.environment = settings.intuit.environment
        self.directory = settings.store.directory
        self._key_file = settings.store.key
        self._clock = clock
        self._path = self.directory / "state.db"
        private_directory(self.directory)
        private_file(self._path)
        self._key = read_or_make_key(self._key_file, sealed=settings.store.sealed_key)
        self._ballast = self.directory / "token.ballast"
        with self.lock(timeout_s=30.0):
            self._lay_ballast()
            self._make_tables()

    @contextmanager
    def lock(self, timeout_s: float) -> Iterator[None]:
        """Be the only process of this site that changes the grant. Raises :class:`Unreachable` when another one keeps it."""
        with exclusive(self.directory / "token.lock", timeout_s=timeout_s):
            yield

    # The grant

    def save(self, grant: Grant) -> Grant:
        """Write ``grant`` as the newest generation; it is on the disk when this returns.

        A full disk must not cost the connection: the ballast kept for this moment is given up and the write tried again.
        """
        try:
            return self._save(grant)
        except StoreUnwritable:
            self._ballast.unlink(missing_ok=True)
            return self._save(grant)

    def _save(self, grant: Grant) -> Grant:
        with self._transaction() as db:
            mark = db.execute("SELECT generation FROM token_mark WHERE environment = ?", (self.environment,)).fetchone()
            grant = replace(grant, generation=(mark[0] if mark else 0) + 1)
            row = (self.environment, grant.realm, grant.generation)
            db.execute("INSERT OR REPLACE INTO token_mark VALUES (?, ?, ?)", row)
            db.execute(
                "INSERT OR REPLACE INTO token_grant VALUES (?, ?, ?, 'usable', ?, ?)",
                (*row, self._seal(grant), self._clock().isoformat()),
            )
            db.execute("DELETE FROM token_invitation")
        return grant

    def load(self) -> Grant | None:
        """The grant, or ``None`` when there is none. Raises :class:`ReconnectNeeded` when the row is not what was written."""
        with self._reading() as db:
            row = self._row(db)
        return self._open(*row) if row else None

    def mark_refreshing(self) -> None:
        """Commit the intent to refresh: proves that the store can be written before Intuit is asked to change the token."""
        self._set_state("refreshing")

    def mark_dead(self) -> None:
        """Intuit has refused the refresh token: only a person can give a new one."""
        self._set_state("dead")

    def state(self) -> GrantState:
        """What is known without asking Intuit."""
        with self._reading() as db:
            row = self._row(db)
        if row is None:
            return GrantState.disconnected
        if row[3] == "dead":
            return GrantState.reconnect_needed
        try:
            grant = self._open(*row)
        except ReconnectNeeded:
            return GrantState.reconnect_needed
        notice = grant.end(self._clock()).notice
        if notice == 0:
            return GrantState.reconnect_needed
        return GrantState.connected if notice is None else GrantState.expiring

    def forget(self) -> None:
        """Remove the grant. The site stays bound to its company."""
        with self._transaction() as db:
            db.execute("DELETE FROM token_grant WHERE environment = ?", (self.environment,))

    def unbind(self) -> None:
        """Forget the grant and the company, so that another company may be connected. The generation's mark stays."""
        with self._transaction() as db:
            db.execute("DELETE FROM token_grant WHERE environment = ?", (self.environment,))
            db.execute("UPDATE token_mark SET realm = '' WHERE environment = ?", (self.environment,))

    def bound_realm(self) -> str | None:
        """The company this site was first connected to, also after a disconnect."""
        with self._reading() as db:
            row = db.execute("SELECT realm FROM token_mark WHERE environment = ?", (self.environment,)).fetchone()
        return str(row[0]) if row and row[0] else None

    # The first connection: before it nobody is known, and the page is public

    def invite(self) -> str:
        """A token that opens the Connect page of a never connected site, for 72 hours or until it is. Its hash is kept."""
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._transaction() as db:
            db.execute("DELETE FROM token_invitation WHERE expires_at <= ?", (now.timestamp(),))
            db.execute(
                "DELETE FROM token_invitation WHERE token IN"
                " (SELECT token FROM token_invitation ORDER BY expires_at DESC LIMIT -1 OFFSET ?)",
                (_OPEN_INVITATIONS - 1,),
            )
            db.execute("INSERT INTO token_invitation VALUES (?, ?)", (_digest(token), (now + INVITATION_LIFE).timestamp()))
        return token

    def may_connect(self, invitation: str) -> bool:
        """Whether a consent may begin: the site is bound to its company, or this invitation is good."""
        if self.bound_realm():
            return True
        with self._reading() as db:
            row = db.execute("SELECT expires_at FROM token_invitation WHERE token = ?", (_digest(invitation),)).fetchone()
        return row is not None and self._clock().timestamp() < float(row[0])

    # Authorisations under way

    def begin_authorization(self, state: str, browser: str) -> None:
        """Remember ``state`` for ten minutes, for the browser that holds ``browser``. Only their hashes are kept."""
        now = self._clock()
        with self._transaction() as db:
            db.execute("DELETE FROM token_authorization WHERE expires_at <= ?", ((now - _LATE).timestamp(),))
            db.execute(
                "DELETE FROM token_authorization WHERE state IN"
                " (SELECT state FROM token_authorization ORDER BY expires_at DESC LIMIT -1 OFFSET ?)",
                (_OPEN_AUTHORIZATIONS - 1,),
            )
            db.execute(
                "INSERT INTO token_authorization VALUES (?, ?, ?)",
                (_digest(state), _digest(browser), (now + AUTHORIZATION_LIFE).timestamp()),
            )

    def take_authorization(self, state: str, browser: str) -> Authorization:
        """What is known of ``state``. It is used up by the question."""
        with self._transaction() as db:
            row = db.execute("SELECT browser, expires_at FROM token_authorization WHERE state = ?", (_digest(state),)).fetchone()
            db.execute("DELETE FROM token_authorization WHERE state = ?", (_digest(state),))
        if row is None:
            return Authorization.unknown
        if not hmac.compare_digest(row[0], _digest(browser)):
            return Authorization.of_another_browser
        return Authorization.good if self._clock().timestamp() < row[1] else Authorization.too_late

    # Documents read from Intuit that change rarely

    def document(self, url: str) -> tuple[bytes, float] | None:
        """A document kept earlier and when it was read (seconds since the epoch)."""
        with self._reading() as db:
            row = db.execute("SELECT body, read_at FROM token_document WHERE url = ?", (url,)).fetchone()
        return (bytes(row[0]), float(row[1])) if row else None

    def keep_document(self, url: str, body: bytes) -> None:
        """Keep a document."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO token_document VALUES (?, ?, ?)", (url, body, self._clock().timestamp()))

    # Inside

    @contextmanager
    def _transaction(self, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """One durable transaction; leaving by an exception rolls it back, since closing does."""
        try:
            with closing(sqlite3.connect(self._path, timeout=30.0, isolation_level=None)) as db:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute(f"BEGIN {kind}")
                yield db
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise unwritable(self._path, error) from error

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that waits for no writer."""
        return self._transaction("DEFERRED")

    def _make_tables(self) -> None:
        """Only when they are missing: opening a store must not wait for whoever is writing to it."""
        with self._reading() as db:
            made = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'token_invitation'").fetchone()[0]
        if not made:
            with self._transaction() as db:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)

    def _lay_ballast(self) -> None:
        if not self._ballast.exists():
            with suppress(OSError):
                self._ballast.write_bytes(bytes(_BALLAST_BYTES))

    def _set_state(self, state: str) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE token_grant SET state = ?, changed_at = ? WHERE environment = ?",
                (state, self._clock().isoformat(), self.environment),
            )

    def _row(self, db: sqlite3.Connection) -> tuple[str, int, int, str, bytes] | None:
        """Realm, generation, high-water mark, state and sealed tokens."""
        row = db.execute(
            "SELECT g.realm, g.generation, m.generation, g.state, g.sealed FROM token_grant g"
            " LEFT JOIN token_mark m ON m.environment = g.environment AND m.realm = g.realm WHERE g.environment = ?",
            (self.environment,),
        ).fetchone()
        return (row[0], row[1], -1 if row[2] is None else row[2], row[3], bytes(row[4])) if row else None

    def _associated(self, realm: str, generation: int) -> bytes:
        return f"{realm}|{self.environment}|{generation}".encode()

    def _seal(self, grant: Grant) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        associated = self._associated(grant.realm, grant.generation)
        return nonce + AESGCM(self._key).encrypt(nonce, msgspec.json.encode(grant), associated)

    def _open(self, realm: str, generation: int, mark: int, state: str, sealed: bytes) -> Grant:
        try:
            if generation != mark:
                raise InvalidTag
            nonce, secret = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            plain = AESGCM(self._key).decrypt(nonce, secret, self._associated(realm, generation))
        except (InvalidTag, ValueError):
            raise ReconnectNeeded(
                "the stored connection is not the one this program wrote last",
                seen=f"the entry in {self._path} does not fit {self._key_file.name} or its generation",
                next="find out who changed or restored the file, then connect again",
            ) from None
        return msgspec.json.decode(plain, type=Grant)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def read_or_make_key(path: Path, *, sealed: bool = False) -> bytes:
    """The 32-byte key. A systemd credential of the same file name wins; a missing file is made once, 0600, unless ``sealed``.

    Raises :class:`UsageError` when a sealed key was not handed over, or the key is not 32 bytes, is a link, or is open to others.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / path.name).is_file():
        return _checked_key((Path(credentials) / path.name).read_bytes(), path)
    if sealed:
        raise UsageError(
            "the store's key is sealed to this host and was not handed to this process",
            seen=f"no {path.name} in $CREDENTIALS_DIRECTORY",
            next="run the same command as root on the edge host (sudo qbo-sync …): it unseals the key for that run",
        )
    if not os.path.lexists(path):
        _make_key(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise UsageError(f"the store's key cannot be read from {path}", seen=error.strerror or str(error)) from error
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode) or stat.S_IMODE(seen.st_mode) & 0o077:
            raise UsageError(
                f"others may read the store's key {path}", seen=oct(stat.S_IMODE(seen.st_mode)), next=f"chmod 600 {path}"
            )
        if seen.st_nlink != 1 or seen.st_uid != os.geteuid():
            raise UsageError(
                f"the store's key {path} must be a file of this user, without a second name",
                seen=f"owner {seen.st_uid}, {seen.st_nlink} names",
                next="put the real file there",
            )
        return _checked_key(os.read(descriptor, KEY_BYTES + 1), path)
    finally:
        os.close(descriptor)


def _checked_key(key: bytes, path: Path) -> bytes:
    if len(key) != KEY_BYTES:
        raise UsageError(
            f"the store's key {path.name} is not {KEY_BYTES} bytes long",
            seen=f"{len(key)} bytes" if len(key) <= KEY_BYTES else f"more than {KEY_BYTES} bytes",
            next="put the right file back; with a new key the site has to be connected again",
        )
    return key


def _make_key(path: Path) -> None:
    """By one process at a time, and without a second name even for a moment: whoever starts meanwhile would refuse the key."""
    with locked(path):
        if not os.path.lexists(path):
            with whole_file(path) as new:
                new.write_bytes(os.urandom(KEY_BYTES))
