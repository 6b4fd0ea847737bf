"""The API client: whole lists, page by page, at a pace that Intuit accepts (facts/qbo_api.md section 2).

It knows entities as Intuit names them (``Customer``, ``TaxCode``) and hands them out as Intuit sent them: identities stay text
(some exceed 2^53), numbers with a fraction are :class:`~decimal.Decimal`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote as percent
from urllib.parse import urlencode

import msgspec

from qbo_sync.config import Settings
from qbo_sync.errors import IntuitFault
from qbo_sync.intuit import faults, query
from qbo_sync.intuit.http import Answer, Counters, Http, Sleep
from qbo_sync.intuit.oauth import MINOR_VERSION, Connection, connect_url
from qbo_sync.intuit.pace import Pacer
from qbo_sync.intuit.query import Active

_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class Intuit:
    """One QBO company, read by one run. Use as a context manager."""

    def __init__(self, settings: Settings, connection: Connection, http: Http, *, sleep: Sleep = time.sleep) -> None:
        self._settings = settings
        self._connection = connection
        self._http = http
        self.realm = connection.grant().realm
        self._base = f"{settings.intuit.api_url}/v3/company/{self.realm}"
        self._pacer = Pacer(
            settings.store.directory / "pace.lock",
            per_second=settings.intuit.requests_per_second,
            per_minute=settings.intuit.requests_per_minute,
            sleep=sleep,
        )

    @classmethod
    def open(cls, settings: Settings, *, sleep: Sleep = time.sleep) -> Self:
        """Open the connected company. Raises :class:`~qbo_sync.errors.ReconnectNeeded` when none is connected."""
        # The tokens travel by a transport of their own: the counters are about the company's data.
        connection = Connection(settings, http=Http(settings, sleep=sleep))
        try:
            return cls(settings, connection, Http(settings, sleep=sleep), sleep=sleep)
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to Intuit."""
        self._http.close()
        self._connection.close()

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

    def query(self, entity: str, *, active: Active = "active", where: str = "") -> Iterator[dict[str, Any]]:
        """The rows of ``entity`` in the order of ``Id``, one page of 1,000 in memory at a time.

        ``where`` is one more condition; quote its values with :func:`qbo_sync.intuit.query.quote`.
        """
        for active_filter in query.filters(entity, active):
            yield from self._pages(entity, (active_filter, where))

    def count(self, entity: str, *, active: Active = "active") -> int:
        """How many rows ``entity`` has."""
        return sum(
            int(self._ask(query.count(entity, (active_filter,))).get("totalCount", 0))
            for active_filter in query.filters(entity, active)
        )

    def changed_since(self, entity: str, since: datetime) -> Iterator[dict[str, Any]]:
        """The rows, active or not, changed at or after ``since`` (which must have an offset).

        QBO's times have whole seconds, so rows of that very second are given too; their ``SyncToken`` tells whether they moved.
        """
        return self.query(entity, active="all", where=f"MetaData.LastUpdatedTime >= {query.moment(since)}")

    def update(self, entity: str, body: dict[str, Any], *, request_id: str) -> dict[str, Any]:
        """Change the given properties of one record and nothing else; the record as QBO then has it.

        ``body`` needs ``Id`` and ``SyncToken``. ``request_id`` (at most 50 characters) makes a repeated call harmless.
        Raises :class:`~qbo_sync.errors.IntuitFault`, code ``5010`` when someone else changed the record meanwhile.
        """
        if not 0 < len(request_id) <= 50:
            raise ValueError("request_id must have 1 to 50 characters")
        data = msgspec.json.encode({**body, "sparse": True})
        url = self._url(entity.lower(), requestid=request_id)
        answer = self._send("POST", url, f"change {entity} {body['Id']}", data)
        return self._member(answer, entity)

    # Inside

    def _pages(self, entity: str, conditions: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        start = 1
        while True:
            rows = self._ask(query.select(entity, conditions, start=start)).get(entity, [])
            self.counters.rows += len(rows)
            yield from rows
            if len(rows) < query.PAGE_ROWS:
                return
            start += len(rows)

    def _ask(self, text: str) -> dict[str, Any]:
        answer = self._send("GET", self._url("query", query=text), text.partition(" WHERE ")[0].partition(" ORDERBY")[0])
        return self._member(answer, "QueryResponse")

    def _read(self, path: str, member: str) -> dict[str, Any]:
        return self._member(self._send("GET", self._url(path), f"read {member}"), member)

    def _url(self, path: str, **values: str) -> str:
        return f"{self._base}/{path}?{urlencode({**values, 'minorversion': MINOR_VERSION}, quote_via=percent)}"

    def _send(self, method: str, url: str, what: str, data: bytes | None = None) -> Answer:
        answer = self._send_once(method, url, what, data, self._connection.access_token())
        fault = faults.parse(answer.status, answer.body)
        if fault is not None and fault.status == 401:
            self.counters.retried += 1
            answer = self._send_once(method, url, what, data, self._connection.access_token(force=True))
            fault = faults.parse(answer.status, answer.body)
        if fault is not None:
            raise faults.error(fault, what=what, tid=answer.tid, reconnect=connect_url(self._settings))
        if method == "GET":
            self.counters.metered += 1
        return answer

    def _send_once(self, method: str, url: str, what: str, data: bytes | None, token: str) -> Answer:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        return self._http.send(
            method, url, what=what, headers=headers, data=data, before=self._pacer.wait, throttled=self._pacer.pause
        )

    def _member(self, answer: Answer, name: str) -> dict[str, Any]:
        try:
            member = _decoder.decode(answer.body).get(name)
        except (ValueError, RecursionError) as error:
            raise IntuitFault(
                "Intuit's answer is not JSON",
                status=answer.status,
                tid=answer.tid,
                seen=str(error)[:200],
                next="run the same command again; if it stays, a proxy in between may be answering for Intuit",
            ) from None
        if not isinstance(member, dict):
            raise IntuitFault(f"Intuit's answer holds no {name}", status=answer.status, tid=answer.tid, next="run it again")
        return member
