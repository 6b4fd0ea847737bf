"""One patient way to speak HTTP to Intuit: what passes is waited for, what does not is handed back."""

from __future__ import annotations

import logging
import math
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

import requests
import urllib3

from qbo_sync.config import Settings, is_loopback
from qbo_sync.errors import IntuitFault, Unreachable
from qbo_sync.intuit import faults, transport
from qbo_sync.intuit.counters import Counters

log = logging.getLogger("qbo_sync.intuit")

# The largest answer ever read: 1,000 of the fattest records are a few MB.
_LARGEST_ANSWER = 64 * 1024 * 1024
_CONNECT_TIMEOUT_S = 10.0
_LONGEST_WAIT_S = 60.0
# Intuit asks for 60 s after 429; an outage of a gateway is usually much shorter.
_FIRST_WAIT_S = {True: 15.0, False: 1.0}
_HELD_BACK = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
# Requests under way at the same time: Intuit's older text allows ten for a realm (facts 2.7).
WORKERS = 8

Sleep = Callable[[float], object]
_held_back = threading.local()


@dataclass(frozen=True)
class Answer:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str = ""

    @property
    def tid(self) -> str:
        """Intuit's number for this request; their support asks for it."""
        return self.headers.get("intuit_tid") or self.headers.get("Intuit-Tid") or ""


class Permit(Protocol):
    """The right to send one request. ``wait`` is called at first and again when the connection stands."""

    def wait(self) -> float:
        """Wait until the request may be sent. Returns the seconds waited."""

    def sent(self) -> None:
        """The request has been written."""


class Unpaced:
    """Leave to send at any time."""

    def wait(self) -> float:
        """Not at all."""
        return 0.0

    def sent(self) -> None:
        """Nobody has to know."""


class Http:
    """A session with one patience, for several threads.

    ``timeout_s`` is how long Intuit may be silent (the settings' own unless given), ``patience_s`` how long one request may take
    in all before it is given up instead of repeated.
    """

    def __init__(
        self, settings: Settings, *, timeout_s: float | None = None, patience_s: float = 300.0, sleep: Sleep | None = None
    ) -> None:
        silence_s = min(timeout_s or settings.intuit.timeout_s, settings.intuit.timeout_s)
        self._timeout = (min(_CONNECT_TIMEOUT_S, silence_s), silence_s)
        # Said at each request: requests would otherwise prefer REQUESTS_CA_BUNDLE of the environment.
        self._verify: bool | str = str(settings.intuit.ca_file) if settings.intuit.ca_file else True
        self._patience_s = patience_s
        self._given_up = threading.Event()
        self.sleep: Sleep = sleep or self._given_up.wait
        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, transport.Adapter(pool_maxsize=WORKERS))
        # Without this, an entry in ~/.netrc would replace the Authorization header.
        self._session.auth = _unchanged
        self._session.trust_env = not is_loopback(urlsplit(settings.intuit.api_url).hostname or "")
        self.counters = Counters()

    def give_up(self) -> None:
        """Wait for nothing any more: whoever waits in :meth:`send` is woken and gets :class:`Unreachable`."""
        self._given_up.set()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        what: str,
        headers: Mapping[str, str],
        data: bytes | Mapping[str, str] | None = None,
        permit: Callable[[], Permit] = Unpaced,
        throttled: Callable[[float], None] = lambda _seconds: None,
    ) -> Answer:
        """Send one request; repeat it while Intuit is busy, out of order or out of reach.

        ``what`` names the request in messages. For each try there is one ``permit``. ``throttled`` is told how long to pause.
        Raises :class:`Unreachable` when the patience is used up.
        """
        waited = 0.0
        attempt = 0
        while True:
            permitted = permit()
            admit = partial(self._admit, permitted)
            admit()
            began = time.monotonic()
            with transport.around_writing(admit, permitted.sent):
                outcome = self._try(method, url, what, headers, data)
            waited += time.monotonic() - began
            if isinstance(outcome, Answer):
                fault = faults.parse(outcome.status, outcome.body) if outcome.status >= 400 else None
                if fault is None or not fault.passing:
                    return outcome
                reason, busy = str(fault), fault.throttled
                asked = _retry_after(outcome)
            else:
                reason, busy, asked = outcome, False, 0.0
            delay = max(asked, _backoff(attempt, busy))
            if busy:
                self.counters.add(throttled=1)
            if waited + delay > self._patience_s or self._given_up.is_set():
                raise Unreachable(
                    f"{what}: Intuit did not answer in time",
                    seen=f"{reason}; tried {attempt + 1} times in {waited:.0f} s",
                    next="run the same command again later; nothing is lost",
                )
            log.warning("%s: %s; waiting %.0f s", what, reason, delay)
            if busy:
                throttled(delay)
            self._rest(delay)
            waited += delay
            attempt += 1
            self.counters.add(waited_s=delay, retried=1)

    def _admit(self, permit: Permit) -> None:
        self.counters.add(waited_s=permit.wait())

    def _rest(self, seconds: float) -> None:
        """Sleep. Nothing is in flight between two tries, so signals that :func:`undisturbed` holds back are let through."""
        outside = getattr(_held_back, "outside", None)
        if outside is None:
            self.sleep(seconds)
            return
        inside = signal.pthread_sigmask(signal.SIG_SETMASK, outside)
        try:
            self.sleep(seconds)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, inside)

    def _try(
        self, method: str, url: str, what: str, headers: Mapping[str, str], data: bytes | Mapping[str, str] | None
    ) -> Answer | str:
        """The answer, or what kept it from coming."""
        self.counters.add(made=1)
        try:
            with self._session.request(
                method,
                url,
                headers=dict(headers),
                data=data,
                timeout=self._timeout,
                verify=self._verify,
                allow_redirects=False,
                stream=True,
            ) as response:
                answer = Answer(response.status_code, response.headers, _read(response, what), url)
        except requests.exceptions.SSLError as error:
            raise Unreachable(
                f"{what}: the server could not prove that it is {urlsplit(url).hostname}",
                seen=_cause(error),
                next="check this machine's clock, the address in [intuit] and, for a lab, its ca_file",
            ) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return _cause(error)
        log.debug("%s: HTTP %s, intuit_tid %s", what, answer.status, answer.tid)
        return answer


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back polite signals while something is asked for that must be on the disk before this process may end."""
    _held_back.outside = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, _held_back.outside)
        _held_back.outside = None


def leave_signals_to_others() -> None:
    """Called first in each thread that sends: a signal must reach the thread that may be holding it back."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read(response: requests.Response, what: str) -> bytes:
    parts = bytearray()
    for part in response.iter_content(1 << 16):
        parts += part
        if len(parts) > _LARGEST_ANSWER:
            raise IntuitFault(
                f"{what}: the answer is larger than {_LARGEST_ANSWER >> 20} MiB and was not read to its end",
                status=response.status_code,
            )
    return bytes(parts)


def _cause(error: BaseException) -> str:
    """The innermost reason, without the request that it happened to."""
    while True:
        inner = error.__cause__ or error.__context__ or next((a for a in error.args if isinstance(a, BaseException)), None)
        inner = inner or getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            return f"{type(error).__name__}: {error}"[:200]
        error = inner


def _backoff(attempt: int, busy: bool) -> float:
    """Exponential, with jitter so that several sites that were stopped together do not come back together."""
    longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S[busy] * 2.0**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing


def _retry_after(answer: Answer) -> float:
    """Intuit documents no Retry-After (facts 2.7); a proxy in between may send one, in seconds or as a date."""
    value = answer.headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_S) if math.isfinite(seconds) else 0.0
