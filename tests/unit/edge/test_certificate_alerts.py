"""Alerts: a real mail server and a real web server take them; no secret is told when they do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from qbo_sync.edge.certificate import alerts
from qbo_sync.edge.certificate.settings import Alerts
from tests.lab.test_mail import kept, sink
from tests.serving import served


@contextmanager
def webhook(status: int) -> Iterator[tuple[str, list[bytes]]]:
    """A web server on a free port, its address with a secret path, and what it was sent."""
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with served(HTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}/hook/s3cret", taken


def made(folder: Path, port: int, address: str) -> Alerts:
    (folder / "hook").write_text(f"{address}\n")
    return Alerts(("it@x.test", "msp@x.test"), "edge@x.test", "127.0.0.1", port, webhook_file=str(folder / "hook"))


def test_both_ways_carry_the_problem_and_its_next_step(tmp_path: Path) -> None:
    with sink(tmp_path) as port, webhook(200) as (address, taken):
        facts = {"site": "qbo.x.test", "state": "failing"}
        assert alerts.send(made(tmp_path, port, address), "it needs you", "what\n  next: do this\n", facts) == []
    (mail,) = kept(tmp_path)
    for part in (
        b"X-Envelope-To: it@x.test, msp@x.test",
        b"Subject: it needs you",
        b"Auto-Submitted: auto-generated",
        b"next: do this",
    ):
        assert part in mail
    (body,) = taken
    assert json.loads(body) == {"text": "it needs you\nwhat\n  next: do this\n", "subject": "it needs you", **facts}


def test_one_way_is_tried_when_the_other_fails_and_nothing_secret_is_said(tmp_path: Path) -> None:
    with webhook(500) as (address, taken):
        failed = alerts.send(made(tmp_path, 1, address), "s", "t", {})
    assert len(taken) == 1
    assert failed == [
        "e-mail through 127.0.0.1: ConnectionRefusedError: Connection refused",
        "webhook: it answered 500",
    ]
    (tmp_path / "hook").write_text("http://elsewhere.test/hook/s3cret")
    with sink(tmp_path) as port:
        settings = made(tmp_path, port, "http://elsewhere.test/hook/s3cret")
        assert alerts.send(settings, "s", "t", {}) == ["webhook: its address must begin with https://"]
    assert len(kept(tmp_path)) == 1


def test_nobody_named_means_nobody_told() -> None:
    assert alerts.send(Alerts(), "s", "t", {}) == []
