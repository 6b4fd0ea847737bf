"""The token endpoint as requests-oauthlib speaks to it. Imported only when a token is asked for, since the library is large."""

from __future__ import annotations

import io
import logging
from typing import Any

import requests
from oauthlib.oauth2 import OAuth2Error
from requests_oauthlib import OAuth2Session

from qbo_sync.errors import IntuitFault
from qbo_sync.intuit import faults
from qbo_sync.intuit.http import Http

# At DEBUG this library writes bodies and headers with every token in them.
logging.getLogger("requests_oauthlib.oauth2_session").setLevel(logging.INFO)


class Session(OAuth2Session):
    """requests-oauthlib, speaking through our own patient transport.

    It refuses http even to this machine unless an environment variable allows it for every connection of the process. So it
    is shown https addresses, and the real scheme, which the settings have checked, is put back when the request is sent.
    """

    def __init__(self, http: Http, what: str, *, plain: bool, **values: Any) -> None:
        super().__init__(**values)
        self._transport = http
        self._what = what
        self._plain = plain

    def shown(self, url: str) -> str:
        """An address as the library wants to see it."""
        return "https:" + url.removeprefix("http:") if self._plain and url.startswith("http:") else url

    def real(self, url: str) -> str:
        """The address that was meant."""
        return "http:" + url.removeprefix("https:") if self._plain else url

    def request(  # type: ignore[override]
        self, method: str, url: str, data: dict[str, str] | None = None, headers: dict[str, str] | None = None, **values: Any
    ) -> requests.Response:
        """Send a token request. Raises what :meth:`Http.send` raises."""
        prepared = requests.Request(method, self.real(url), headers=headers, data=data, auth=values["auth"]).prepare()
        answer = self._transport.send(
            method,
            self.real(url),
            what=self._what,
            headers={name: value for name, value in prepared.headers.items() if name != "Content-Length"},
            data=data,
        )
        fault = faults.parse(answer.status, answer.body)
        if fault is not None and fault.type != "OAuth":
            raise IntuitFault(
                f"{self._what}: Intuit did not answer as a token service",
                status=answer.status,
                code=fault.code,
                tid=answer.tid,
                seen=str(fault),
                next="run the same command again later",
            )
        response = requests.Response()
        response.status_code = answer.status
        response.request = prepared
        response.headers.update(answer.headers)
        response.raw = io.BytesIO(answer.body)
        response.encoding = "utf-8"
        return response


__all__ = ["OAuth2Error", "Session"]
