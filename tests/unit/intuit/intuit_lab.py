"""A running look-alike of Intuit, as tests talk to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from lab.intuit.__main__ import CLIENT_ID, CLIENT_SECRET, REALM
from qbo_sync.config import Settings
from qbo_sync.intuit import Connection

REDIRECT = "http://127.0.0.1:8021/qbo/callback"


@dataclass
class Lab:
    """The admin interface of a running look-alike."""

    base: str
    realm: str = REALM

    def post(self, path: str, document: Any) -> Any:
        answer = requests.post(f"{self.base}/lab/{path}", json=document, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def fault(self, name: str, **when: Any) -> None:
        self.post("faults", [{"when": when, "fault": name}])

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.base}/lab/stats", timeout=10).json()
        return answer

    def consent(self, address: str, decision: str = "allow") -> str:
        """Answer the consent page; the address that the browser is sent back to."""
        page, _, query = address.partition("?")
        asked = dict(pair.split("=", 1) for pair in query.split("&"))
        form = {name: requests.utils.unquote(value) for name, value in asked.items()} | {"decision": decision, "realm": REALM}
        return requests.post(page, data=form, allow_redirects=False, timeout=10).headers["location"]

    def settings(self, folder: Path, **intuit: Any) -> Settings:
        secret = folder / "secret"
        secret.write_text(CLIENT_SECRET)
        secret.chmod(0o600)
        values: dict[str, Any] = {
            "environment": "custom",
            "discovery_url": f"{self.base}/.well-known/openid_configuration",
            "api_url": self.base,
            "client_id": CLIENT_ID,
            "client_secret_file": secret,
            "redirect_uri": REDIRECT,
        }
        return Settings(
            site="acme",
            intuit={**values, **intuit},
            miracle={"database_url": "sqlite://"},
            store={"directory": folder / "store"},
        )

    def connect(self, settings: Settings) -> None:
        connection = Connection(settings)
        connection.adopt(self.realm, self.post("token", {})["refresh_token"])
        connection.close()


@dataclass
class Rests:
    """Takes the place of sleeping: what a run would have waited."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
