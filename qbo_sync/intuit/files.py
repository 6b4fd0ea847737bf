"""The store's folder and files: private ones, and locks that die with their holder.

A lock is a SQLite file of its own on which an exclusive transaction is held. SQLite does this on every system it runs on, and the
operating system ends the transaction the moment its holder dies, whatever killed it: nothing is ever left locked.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from qbo_sync.errors import KitError, Unreachable, UsageError

_POLL_S = 0.02
# What a reading keeps of the company for the next one.
SNAPSHOT = "snapshot.db"


class StoreUnwritable(KitError):
    """The store can be neither read nor written; nothing was asked of Intuit."""


def unwritable(path: Path, error: sqlite3.Error) -> StoreUnwritable:
    """The error for a file of the store that SQLite cannot use."""
    return StoreUnwritable(
        f"the store {path} cannot be used",
        seen=str(error),
        next=f"free some space on {path.parent} or mend its owner and mode, then run the same command again",
    )


def forget_snapshot(directory: Path) -> None:
    """Remove what is kept of a company in this store."""
    for name in (f"{SNAPSHOT}-journal", SNAPSHOT):
        (directory / name).unlink(missing_ok=True)


def private_directory(directory: Path) -> None:
    """Make ``directory`` 0700 when missing. Raises :class:`UsageError` when others may enter it or it is another user's."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = directory.stat()
    except OSError as error:
        raise UsageError(f"the store cannot be opened: {directory}", seen=str(error), next="check [store] directory") from error
    if seen.st_uid != os.geteuid():
        raise UsageError(
            f"the store {directory} belongs to another user",
            seen=f"owner {seen.st_uid}, this is user {os.geteuid()}",
            next=f"run this as the store's owner: sudo -u '#{seen.st_uid}' qbo-sync …",
        )
    if stat.S_IMODE(seen.st_mode) & 0o077:
        raise UsageError(
            f"others may look into the store {directory}", seen=oct(stat.S_IMODE(seen.st_mode)), next=f"chmod 700 {directory}"
        )


def private_file(path: Path) -> None:
    """Make ``path`` 0600 when missing. Raises :class:`UsageError` when it is a link or someone else's.

    An existing file is looked at without opening it: closing a descriptor of a database drops the locks that SQLite holds on it
    elsewhere in this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    seen = path.lstat()
    if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1 or seen.st_uid != os.geteuid():
        raise UsageError(f"{path} must be a plain file of this user, without a second name", next="put the real file there")
    if stat.S_IMODE(seen.st_mode) & 0o077:
        path.chmod(0o600)


@contextmanager
def exclusive(path: Path, *, timeout_s: float, sleep: Callable[[float], object] = time.sleep) -> Iterator[sqlite3.Connection]:
    """Hold the lock file ``path`` (made 0600); what is written to it meanwhile is kept, unless the block ends by an exception.

    It survives a killed process, not a power failure: it holds nothing that must. Raises :class:`Unreachable` when another
    process keeps it for ``timeout_s``, :class:`StoreUnwritable` when the file cannot be used.
    """
    private_file(path)
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
            _take(db, path, timeout_s, sleep)
            yield db
            db.execute("COMMIT")
    except sqlite3.Error as error:
        raise unwritable(path, error) from error


def _take(db: sqlite3.Connection, path: Path, timeout_s: float, sleep: Callable[[float], object]) -> None:
    """Asks again and again instead of letting SQLite wait: Ctrl-C is heard between two questions."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() >= deadline:
                raise Unreachable(
                    f"another process has held {path.name} for {timeout_s:.0f} s",
                    next="wait for it to end, then run the same command again",
                ) from None
            sleep(_POLL_S)
        else:
            return
