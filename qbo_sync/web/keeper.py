"""What the service does while nobody looks: it renews the connection each day, and reads what webhooks told of.

Both happen in one thread beside the server, so no answer waits for them. Intuit ends a connection that nobody uses for 100 days
(facts/qbo_api.md 1.4); a day without a run would otherwise count.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from qbo_sync.config import Settings
from qbo_sync.errors import KitError
from qbo_sync.intuit import CAPTURED, Connection, EventQueue, GrantState, Http, Intuit, Snapshot
from qbo_sync.intuit.tokens import Clock, utc_now

log = logging.getLogger("qbo_sync.web")

_TURN_S = 3600.0
# Events come in bursts, and each reading is billed: gather them first, and read no more often than this.
GATHER_S = 2.0
PAUSE_S = 300.0
# Whoever opens Intuit's disconnect landing makes us ask whether the grant still stands, but not more often than this.
_DOUBT_S = 60.0
# Since the end of the newest access token, which lives an hour: a day without any use.
_UNUSED = timedelta(hours=22)
# The unit's stop waits for a request under way; a long outage is the next turn's.
_TIMEOUT_S = 20.0
_PATIENCE_S = 30.0
_READ = {entity.lower() for entity in CAPTURED}


class Keeper:
    """One thread for one site. ``wake`` tells it that events have come."""

    def __init__(
        self, settings: Settings, *, gather_s: float = GATHER_S, pause_s: float = PAUSE_S, clock: Clock = utc_now
    ) -> None:
        self.settings = settings
        self._queue = EventQueue(settings, clock=clock)
        self._gather_s, self._pause_s = gather_s, pause_s
        self._clock = clock
        self._stopped = threading.Event()
        self._told = threading.Event()
        self._doubted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper")

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let what is under way end: a token that Intuit has just renewed must reach the disk."""
        self._stopped.set()
        self._told.set()
        self._thread.join()

    def wake(self) -> None:
        """Events have come."""
        self._told.set()

    def doubt(self) -> None:
        """Somebody may have disconnected inside QuickBooks."""
        self._doubted.set()
        self._told.set()

    def renew(self, *, now: bool = False) -> None:
        """Use the connection when nobody has for a day, or ``now``. It is free of charge, and tells whether the grant stands."""
        with closing(Connection(self.settings, http=self._http(), clock=self._clock)) as connection:
            if connection.state() not in (GrantState.connected, GrantState.expiring):
                return
            if now or self._clock() - connection.grant().access_expires_at > _UNUSED:
                connection.access_token(force=now)

    def work_off(self) -> bool:
        """Read what changed, once for all events that wait; whether Intuit was asked.

        Events of other companies, and of lists that the kit does not read, cost nothing.
        """
        events = self._queue.waiting()
        with closing(Connection(self.settings, http=self._http(), clock=self._clock)) as connection:
            realm = connection.grant().realm
            asked = any(event.realm == realm and event.entity in _READ for event in events)
            if asked:
                with Intuit(self.settings, connection, self._http(), clock=self._clock) as intuit:
                    if not Snapshot(self.settings, intuit, clock=self._clock).catch_up():
                        return True
        self._queue.worked_off(events)
        return asked

    # Inside

    def _http(self) -> Http:
        return Http(self.settings, timeout_s=_TIMEOUT_S, patience_s=_PATIENCE_S)

    def _run(self) -> None:
        next_read = next_doubt = 0.0
        while not self._stopped.is_set():
            self._told.clear()
            self._try(self.renew)
            if self._doubted.is_set() and time.monotonic() >= next_doubt:
                self._doubted.clear()
                next_doubt = time.monotonic() + _DOUBT_S
                self._try(lambda: self.renew(now=True))
            if self._try(lambda: self._queue.state().count):
                self._stopped.wait(max(self._gather_s, next_read - time.monotonic()))
                if not self._stopped.is_set() and self._try(self.work_off):
                    next_read = time.monotonic() + self._pause_s
            self._told.wait(_DOUBT_S if self._doubted.is_set() else _TURN_S)

    @staticmethod
    def _try(act: Callable[[], object]) -> object:
        """What fails now is tried again at the next turn; the pages and ``qbo-sync status`` say what a person has to do."""
        try:
            return act()
        except KitError as error:
            log.warning("%s%s", error.what, f" ({error.seen})" if error.seen else "")
        except Exception:
            log.exception("a fault of our own; the service goes on")
        return None
