"""The Intuit look-alike as a child process, and a plain HTTP caller for it (never the kit's own client)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.intuit.process import running

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "qbo"
CLIENT = ("ABlabintuitclientid", "lab-intuit-client-secret")
REDIRECT = "https://qbo.example.com/qbo/callback"


class Caller:
    """Calls one look-alike as an app that already holds a grant."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.grant = self.lab("token", {})
        self.company = f"{url}/v3/company/{self.grant['realmId']}"

    def lab(self, verb: str, document: Any = None) -> Any:
        """Call the admin interface; GET without a document."""
        method = "GET" if document is None else "POST"
        answer = self.http.request(method, f"{self.url}/lab/{verb}", json=document, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str, **parameters: str) -> requests.Response:
        """GET below the company's address."""
        return self._call("GET", path, parameters)

    def post(self, path: str, body: Any, **parameters: str) -> requests.Response:
        """POST JSON below the company's address."""
        return self._call("POST", path, parameters, json=body)

    def query(self, statement: str) -> requests.Response:
        """Send one statement."""
        return self.get("query", query=statement)

    def rows(self, entity: str, rest: str = "") -> list[dict[str, Any]]:
        """The rows of ``select * from entity …``; an empty answer has no key at all."""
        answer = self.query(f"select * from {entity} {rest}")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["QueryResponse"].get(entity, [])
        return found

    def error(self, answer: requests.Response) -> dict[str, Any]:
        """The one error of a fault answer with status 400."""
        assert answer.status_code == 400, answer.text
        (error,) = answer.json()["Fault"]["Error"]
        return dict(error)

    def token(self, **form: str) -> requests.Response:
        """Call the token endpoint."""
        return self.http.post(f"{self.url}/oauth2/v1/tokens/bearer", data=form, auth=CLIENT, timeout=30)

    def _call(self, method: str, path: str, parameters: dict[str, str], **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.grant['access_token']}", "Accept": "application/json"}
        return self.http.request(method, f"{self.company}/{path}", params=parameters, headers=headers, timeout=30, **more)


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Caller]]:
    """Start look-alikes with any arguments; all end with the session."""
    with ExitStack() as stack:

        def start(*arguments: str) -> Caller:
            caller = Caller(stack.enter_context(running("--redirect-uri", REDIRECT, *arguments)))
            stack.callback(caller.http.close)
            return caller

        yield start


@pytest.fixture(scope="session")
def generated_server(start: Callable[..., Caller]) -> Caller:
    return start("--limits", "off")


@pytest.fixture
def intuit(generated_server: Caller) -> Iterator[Caller]:
    """The generated company, without limits, as at the start for each test."""
    yield generated_server
    generated_server.lab("reset", {})
    generated_server.grant = generated_server.lab("token", {})


@pytest.fixture(scope="session")
def recorded_folder() -> Path:
    if not RECORDED.is_dir():
        pytest.skip("the recorded answers (../shared/data/qbo next to the checkout) are not here")
    return RECORDED


@pytest.fixture
def recorded(recorded_folder: Path) -> Callable[[str], Any]:
    """Read one recorded answer or request by its path."""
    return lambda name: json.loads((recorded_folder / name).read_bytes())


@pytest.fixture(scope="session")
def recorded_company(start: Callable[..., Caller], recorded_folder: Path) -> Caller:
    """All recorded answers of the US sandbox company and nothing else."""
    return start("--limits", "off", "--data", str(recorded_folder / "sandbox_us"), "--exact")


@pytest.fixture
def replay(intuit: Caller, recorded: Callable[[str], Any]) -> Callable[..., Caller]:
    """Load only these recorded answers and give the caller, so that what comes back must be what was recorded."""

    def load(*names: str) -> Caller:
        intuit.lab("load", [recorded(name) for name in names])
        return intuit

    return load
