"""The API client: whole lists, page by page, at a pace that Intuit accepts (facts/qbo_api.md section 2).

It knows entities as Intuit names them (``Customer``, ``TaxCode``) and hands them out as Intuit sent them: identities stay text
(some exceed 2^53), numbers with a fraction are :class:`~decimal.Decimal`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote as percent
from urllib.parse import urlencode

import msgspec

from qbo_sync.config import Settings
from qbo_sync.errors import IntuitFault
from qbo_sync.intuit import changes, faults, lists, query
from qbo_sync.intuit.changes import Changes
from qbo_sync.intuit.counters import Counters
from qbo_sync.intuit.http import WORKERS, Answer, Http, Sleep, leave_signals_to_others
from qbo_sync.intuit.lists import Page, Pending, Progress, Reply, Service
from qbo_sync.intuit.oauth import MINOR_VERSION, Connection
from qbo_sync.intuit.pace import Pacer
from qbo_sync.intuit.pages import connect_url
from qbo_sync.intuit.query import Active
from qbo_sync.intuit.tokens import Clock, utc_now
from qbo_sync.intuit.usage import Usage

# No amount is as large as that; written out in full, it would fill the memory.
_MOST_DIGITS = 100


def _number(text: str) -> Decimal:
    """A number with a fraction or an exponent, exactly."""
    number = Decimal(text)
    if abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueError("a number out of all reason")
    return number


_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=_number)
# Intuit takes 30 in one request (facts 2.6).
_BATCH_QUERIES = 30


@dataclass(frozen=True)
class _Call:
    """One request; ``queries`` is how many reads it may be billed as."""

    method: str
    url: str
    what: str
    data: bytes | None = None
    queries: int = 0
    batch: bool = False


class Intuit:
    """One QBO company, read by one run. Use as a context manager."""

    def __init__(self, settings: Settings, connection: Connection, http: Http, *, clock: Clock = utc_now) -> None:
        self._settings = settings
        self._connection = connection
        self._http = http
        self.realm = connection.grant().realm
        self._base = f"{settings.intuit.api_url}/v3/company/{self.realm}"
        self._usage = Usage(settings, http.counters, clock=clock)
        self._pacer = Pacer.of(settings, http.sleep)
        self._pool = ThreadPoolExecutor(WORKERS, "intuit", initializer=leave_signals_to_others)

    @classmethod
    def open(cls, settings: Settings, *, sleep: Sleep | None = None, clock: Clock = utc_now) -> Self:
        """Open the connected company. Raises :class:`~qbo_sync.errors.ReconnectNeeded` when none is connected."""
        # The tokens travel by a transport of their own: the counters are about the company's data.
        connection = Connection(settings, http=Http(settings, sleep=sleep), clock=clock)
        try:
            return cls(settings, connection, Http(settings, sleep=sleep), clock=clock)
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to Intuit. What is still being asked is given up."""
        self._http.give_up()
        self._pool.shutdown(cancel_futures=True)
        self._http.close()
        self._connection.close()
        self._usage.write()

    @property
    def counters(self) -> Counters:
        """What this object has asked of Intuit so far."""
        return self._http.counters

    def company_info(self) -> dict[str, Any]:
        """The company: name, country, plan (facts 3.12)."""
        return self._read(f"companyinfo/{self.realm}", "CompanyInfo")

    def preferences(self) -> dict[str, Any]:
        """The company's preferences: taxes, classes, currencies."""
        return self._read("preferences", "Preferences")

    def read(self, wanted: Mapping[str, Active], begun: Mapping[str, Progress] | None = None) -> Iterator[Page]:
        """All these lists at once, in the fewest requests and as fast as Intuit's limits allow; the short lists come first.

        See :class:`Page` for what to do with rows that were changed meanwhile. Of the lists in ``begun`` only what follows there
        is asked for, and what was changed since their reading began. Raises :class:`~qbo_sync.errors.Unreachable` when a list
        cannot be read as a whole because it keeps changing.
        """
        for page in lists.read(self._service, wanted, begun or {}):
            self.counters.add(rows=len(page.rows))
            yield page

    def query(self, entity: str, *, active: Active = "active", where: str = "") -> Iterator[dict[str, Any]]:
        """The rows of ``entity``, each once, a few pages of 1,000 in memory at a time.

        ``where`` is one more condition; quote its values with :func:`qbo_sync.intuit.query.quote`.
        """
        given = _Ids()
        for page in lists.read_one(self._service, entity, active, where):
            rows = given.new(page.rows)
            self.counters.add(rows=len(rows))
            yield from rows

    def count(self, entity: str, *, active: Active = "active") -> int:
        """How many rows ``entity`` has."""
        return sum(
            int(self._ask(query.count(entity, (active_filter,))).get("totalCount", 0))
            for active_filter in query.filters(entity, active)
        )

    def changed_since(self, entities: Sequence[str], since: datetime) -> Iterator[Page]:
        """The rows of these lists, active or not, changed at or after ``since`` (which must have an offset), each once.

        One request, unless very much changed. QBO's times have whole seconds, so rows of that very second are given too; their
        ``SyncToken`` tells whether they moved.
        """
        given: dict[str, _Ids] = {entity: _Ids() for entity in entities}
        for page in lists.read_changed(self._service, entities, since):
            rows = given[page.entity].new(page.rows)
            self.counters.add(rows=len(rows))
            yield Page(page.entity, rows)

    def capture(self, entities: Sequence[str], since: datetime) -> Changes:
        """Change data capture: what changed or was deleted in these lists (of :data:`~changes.CAPTURED`) since then.

        ``since`` must have an offset and lie at most 30 days back. One request, unless very much changed.
        """
        found = changes.read(partial(self._ask_changes, since), entities)
        self.counters.add(rows=found.count)
        return found

    def update(self, entity: str, body: dict[str, Any], *, request_id: str) -> dict[str, Any]:
        """Change the given properties of one record and nothing else; the record as QBO then has it.

        ``body`` needs ``Id`` and ``SyncToken``. ``request_id`` (at most 50 characters) makes a repeated call harmless.
        Raises :class:`~qbo_sync.errors.IntuitFault`, code ``5010`` when someone else changed the record meanwhile.
        """
        if not 0 < len(request_id) <= 50:
            raise ValueError("request_id must have 1 to 50 characters")
        data = msgspec.json.encode({**body, "sparse": True})
        url = self._url(entity.lower(), requestid=request_id)
        answer = self._send(_Call("POST", url, f"change {entity} {body['Id']}", data))
        return self._member(answer, entity)

    # Inside

    @property
    def _service(self) -> Service:
        return Service(self._ask_ahead, self._ask_together)

    def _ask(self, text: str) -> dict[str, Any]:
        return self._member(self._send(self._question(text)), "QueryResponse")

    def _ask_ahead(self, text: str) -> Pending:
        """Ask in the background. The token is fetched, and renewed, by the caller's thread only."""
        call, token = self._question(text), self._connection.access_token()
        future = self._pool.submit(self._send_once, call, token)
        return Pending(lambda: self._reply(self._awaited(call, token, future)), future.cancel)

    def _ask_together(self, texts: Sequence[str]) -> list[Reply]:
        """Ask in one request; the limit of a batch allowing, otherwise in several. What a batch refuses is asked alone."""
        if len(texts) < 2:
            return [self._ask_ahead(text).reply() for text in texts]
        if len(texts) > _BATCH_QUERIES:
            return self._ask_together(texts[:_BATCH_QUERIES]) + self._ask_together(texts[_BATCH_QUERIES:])
        data = msgspec.json.encode({"BatchItemRequest": [{"bId": str(n), "Query": text} for n, text in enumerate(texts)]})
        what = f"{len(texts)} questions, from {_short(texts[0])}"
        document = self._document(self._send(_Call("POST", self._url("batch"), what, data, len(texts), batch=True)))
        items = {item.get("bId"): item.get("QueryResponse") for item in _dicts(document.get("BatchItemResponse"))}
        at = _moment(document.get("time"))
        return [
            Reply(found, at) if isinstance(found := items.get(str(n)), dict) else self._ask_ahead(text).reply()
            for n, text in enumerate(texts)
        ]

    def _ask_changes(self, since: datetime, entities: Sequence[str]) -> changes.Window:
        url = self._url("cdc", entities=",".join(entities), changedSince=since.isoformat(timespec="seconds"))
        answer = self._send(_Call("GET", url, f"changes of {', '.join(entities)}", queries=1))
        document = self._document(answer)
        groups = [group for part in _dicts(document.get("CDCResponse")) for group in _dicts(part.get("QueryResponse"))]
        if not groups:
            raise IntuitFault(
                "Intuit's answer holds no changes, and does not say that there are none",
                status=answer.status,
                tid=answer.tid,
                next="run the same command again, without --since when this stays",
            )
        objects = {entity: [row for group in groups for row in _dicts(group.get(entity))] for entity in entities}
        return changes.Window(objects, _moment(document.get("time")))

    def _question(self, text: str) -> _Call:
        return _Call("GET", self._url("query", query=text), _short(text), queries=1)

    def _reply(self, answer: Answer) -> Reply:
        document = self._document(answer)
        return Reply(self._member(answer, "QueryResponse", document), _moment(document.get("time")))

    def _read(self, path: str, member: str) -> dict[str, Any]:
        return self._member(self._send(_Call("GET", self._url(path), f"read {member}", queries=1)), member)

    def _url(self, path: str, **values: str) -> str:
        return f"{self._base}/{path}?{urlencode({**values, 'minorversion': MINOR_VERSION}, quote_via=percent)}"

    def _send(self, call: _Call) -> Answer:
        token = self._connection.access_token()
        return self._accepted(call, token, self._send_once(call, token))

    def _awaited(self, call: _Call, token: str, future: Future[Answer]) -> Answer:
        return self._accepted(call, token, future.result())

    def _accepted(self, call: _Call, token: str, answer: Answer) -> Answer:
        """The answer, if it holds no fault. A refused token is renewed once and the request repeated."""
        fault = faults.parse(answer.status, answer.body)
        if fault is not None and fault.status == 401:
            self.counters.add(retried=1)
            answer = self._send_once(call, self._connection.access_token(refused=token))
            fault = faults.parse(answer.status, answer.body)
        if fault is not None:
            raise faults.error(fault, what=call.what, tid=answer.tid, reconnect=connect_url(self._settings))
        if call.queries:
            self.counters.add(metered=1, metered_by_query=call.queries)
            self._usage.count()
        return answer

    def _send_once(self, call: _Call, token: str) -> Answer:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
        if call.queries:
            self._usage.refuse_when_used_up()
        if call.data is not None:
            headers["Content-Type"] = "application/json"
        return self._http.send(
            call.method,
            call.url,
            what=call.what,
            headers=headers,
            data=call.data,
            permit=lambda: self._pacer.permit(batch=call.batch),
            throttled=self._pacer.pause,
        )

    def _document(self, answer: Answer) -> dict[str, Any]:
        try:
            return _decoder.decode(answer.body)
        except (ValueError, RecursionError) as error:
            raise IntuitFault(
                "Intuit's answer is not JSON",
                status=answer.status,
                tid=answer.tid,
                seen=str(error)[:200],
                next="run the same command again; if it stays, a proxy in between may be answering for Intuit",
            ) from None

    def _member(self, answer: Answer, name: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        member = (self._document(answer) if document is None else document).get(name)
        if not isinstance(member, dict):
            raise IntuitFault(f"Intuit's answer holds no {name}", status=answer.status, tid=answer.tid, next="run it again")
        return member


class _Ids:
    """The ids given so far. Those that come in ascending order, as a list's do, are held as runs without a gap."""

    def __init__(self) -> None:
        self._starts = array("Q")
        self._ends = array("Q")
        self._others: set[str] = set()

    def new(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of ``rows`` that were not given yet; they are now."""
        return [row for row in rows if self._add(str(row["Id"]))]

    def _add(self, row_id: str) -> bool:
        number = int(row_id) if row_id.isascii() and row_id.isdecimal() and len(row_id) < 20 else -1
        last = self._ends[-1] if self._ends else -1
        if number == last + 1 and self._ends:
            self._ends[-1] = number
            return True
        if number > last:
            self._starts.append(number)
            self._ends.append(number)
            return True
        run = bisect_right(self._starts, number) - 1
        if row_id in self._others or (run >= 0 and number <= self._ends[run]):
            return False
        self._others.add(row_id)
        return True


def _short(text: str) -> str:
    """A query without its conditions, for messages."""
    return text.partition(" WHERE ")[0].partition(" ORDERBY")[0]


def _dicts(value: object) -> Iterable[dict[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def _moment(value: object) -> datetime | None:
    """Intuit's time; ``None`` when it is missing or has no offset."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at if at.tzinfo else None
