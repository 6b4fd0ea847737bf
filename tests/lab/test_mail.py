"""The mail sink keeps what a real client sends, byte for byte."""

from __future__ import annotations

import asyncio
import queue
import smtplib
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.world.mail import MailSink


@contextmanager
def sink(directory: Path) -> Iterator[int]:
    """A sink on a free port of this machine."""
    ready: queue.SimpleQueue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = queue.SimpleQueue()

    async def serve() -> None:
        # All of it in one loop: a server that another thread closes can lose the call, and its thread never ends.
        server = await asyncio.start_server(MailSink(directory).serve, "127.0.0.1", 0)
        done = asyncio.Event()
        ready.put((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), done))
        async with server:
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    port, loop, done = ready.get(timeout=10)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(timeout=10)
        assert not thread.is_alive()


def kept(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(directory.glob("*.eml"))]


LINES = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), min_size=1, max_size=8)


@given(LINES)
@settings(max_examples=25, deadline=None)
def test_a_message_is_kept_as_sent(lines: list[str]) -> None:
    message = "Subject: probe\r\n\r\n" + "".join(f"{line}\r\n" for line in lines)
    with tempfile.TemporaryDirectory() as folder, sink(Path(folder)) as port:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("it@mycompany.com", ["a@lab.internal", "b@lab.internal"], message)
        (found,) = kept(Path(folder))
    envelope = b"X-Envelope-From: it@mycompany.com\r\nX-Envelope-To: a@lab.internal, b@lab.internal\r\n"
    assert found == envelope + message.encode()


def test_two_messages_of_one_client_become_two_files(tmp_path: Path) -> None:
    with sink(tmp_path) as port, smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("a@x.test", ["b@x.test"], "Subject: first\r\n\r\n")
        client.sendmail("c@x.test", ["d@x.test"], "Subject: second\r\n\r\n")
    first, second = kept(tmp_path)
    assert b"a@x.test" in first
    assert b"first" in first
    assert b"c@x.test" in second
    assert b"second" in second


def test_a_message_without_a_recipient_is_refused(tmp_path: Path) -> None:
    with sink(tmp_path) as port, smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail("a@x.test")
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.data("Subject: lost\r\n\r\n")
        assert refused.value.smtp_code == 503
    assert kept(tmp_path) == []


def test_a_client_that_breaks_off_leaves_no_message(tmp_path: Path) -> None:
    with sink(tmp_path) as port, closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.sendall(b"HELO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nSubject: half\r\n")
        client.shutdown(socket.SHUT_WR)
        while client.recv(1024):
            pass
    assert list(tmp_path.iterdir()) == []
