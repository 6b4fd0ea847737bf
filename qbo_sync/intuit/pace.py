"""One pace and one refresher for all processes of a site: small files in its store, held with ``flock``.

The operating system frees such a lock the moment its holder dies, whatever killed it, so nothing is ever left locked.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qbo_sync.errors import Unreachable

_POLL_S = 0.02
# Longest wait that a sane file can ask for: Intuit's minute plus a queue. More means another boot or clock wrote it.
_LONGEST_S = 120.0
_FORM = struct.Struct("<d")


@contextmanager
def exclusive(path: Path, *, timeout_s: float, sleep: Callable[[float], None] = time.sleep) -> Iterator[int]:
    """Hold the lock file ``path`` (made 0600); yields its descriptor. Raises :class:`Unreachable` after ``timeout_s``."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _take(descriptor, path, timeout_s, sleep)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, timeout_s: float, sleep: Callable[[float], None]) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Unreachable(
                    f"another process has held {path.name} for {timeout_s:.0f} s",
                    next="wait for it to end, then run the same command again",
                ) from None
            sleep(_POLL_S)
        else:
            return


class Pacer:
    """Spaces the requests of one realm evenly, below both of Intuit's limits.

    ``path`` holds the time (seconds since boot, the same clock for all processes) before which no request may start.
    """

    def __init__(self, path: Path, *, per_second: float, per_minute: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self.path = path
        self.interval_s = max(1.0 / per_second, 60.0 / per_minute)
        self._sleep = sleep

    def wait(self) -> float:
        """Take the next free slot and wait for it; the seconds waited."""
        with exclusive(self.path, timeout_s=_LONGEST_S) as descriptor:
            now = time.monotonic()
            slot = self._read(descriptor, now)
            self._write(descriptor, slot + self.interval_s)
        delay = slot - now
        if delay > 0:
            self._sleep(delay)
        return delay

    def pause(self, seconds: float) -> None:
        """Let no request of this realm start for ``seconds``: Intuit has asked for patience."""
        with exclusive(self.path, timeout_s=_LONGEST_S) as descriptor:
            now = time.monotonic()
            self._write(descriptor, max(self._read(descriptor, now), now + min(seconds, _LONGEST_S)))

    @staticmethod
    def _read(descriptor: int, now: float) -> float:
        held = os.pread(descriptor, _FORM.size, 0)
        if len(held) != _FORM.size:
            return now
        slot: float = _FORM.unpack(held)[0]
        return slot if now <= slot <= now + _LONGEST_S else now

    @staticmethod
    def _write(descriptor: int, slot: float) -> None:
        os.pwrite(descriptor, _FORM.pack(slot), 0)
