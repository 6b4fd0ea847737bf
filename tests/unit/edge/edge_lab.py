"""Helpers of the edge library's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

ZONE = "mycompany.com"
KEY = ("qbokit-lab", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=")
SOA = "@ 300 IN SOA ns1 hostmaster 1 3600 600 86400 300\n@ 300 IN NS ns1\nns1 300 IN A 127.0.0.1\n"


class Lab:
    """The look-alike: its API's address, and calls of its admin interface and of the API itself."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.api = f"{base}/client/v4"

    def admin(self, verb: str, document: Any = None) -> Any:
        method = "GET" if verb == "stats" else "POST"
        answer = requests.request(method, f"{self.base}/lab/{verb}", json=document, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, self.api + path, json=body, headers={"Authorization": "Bearer good"}, timeout=10)
        assert answer.ok, answer.text
        return answer.json()["result"]

    @property
    def path(self) -> str:
        return f"/zones/{self.call('GET', f'/zones?name={ZONE}')[0]['id']}/dns_records"

    def put(self, **values: Any) -> dict[str, Any]:
        """A record made by somebody else."""
        record = {"name": f"qbo.{ZONE}", "type": "A", "content": "11.22.33.99", "ttl": 3600, **values}
        return dict(self.call("POST", self.path, record))

    def records(self) -> list[tuple[str, str, str, int, str | None]]:
        found = self.call("GET", self.path)
        return sorted((r["name"], r["type"], r["content"], r["ttl"], r["comment"]) for r in found)


def write_secret(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path
