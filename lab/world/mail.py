"""A mail server that keeps everything: each message becomes a file, nothing is ever sent on.

``python -m lab.world.mail --host ADDRESS --port N --directory DIR``. Speaks the part of RFC 5321 that a client without
authentication and TLS needs; a file holds the message as received, envelope first in ``X-Envelope-From`` and ``X-Envelope-To``.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

LINE_LIMIT = 64 * 1024
MESSAGE_LIMIT = 10 * 1024 * 1024


@dataclass
class Envelope:
    """What a client has said so far about one message."""

    sender: str | None = None
    recipients: list[str] = field(default_factory=list)


class MailSink:
    """Accepts messages and writes each to ``<directory>/<number>.eml``, under its final name only when complete."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold one conversation until the client leaves."""
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the client broke off or sent an endless line: nobody is left to answer
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _say(writer, "220 mail.lab.internal ESMTP")
        envelope = Envelope()
        while line := await reader.readline():
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    envelope = Envelope()
                    await _say(writer, "250-mail.lab.internal" if verb.upper() == "EHLO" else "250 mail.lab.internal")
                    if verb.upper() == "EHLO":
                        await _say(writer, f"250-SIZE {MESSAGE_LIMIT}", "250-8BITMIME", "250 SMTPUTF8")
                case "MAIL" if rest.upper().startswith("FROM:"):
                    envelope = Envelope(sender=_address(rest))
                    await _say(writer, "250 OK")
                case "RCPT" if rest.upper().startswith("TO:") and envelope.sender is not None:
                    envelope.recipients.append(_address(rest))
                    await _say(writer, "250 OK")
                case "DATA" if envelope.recipients:
                    await _say(writer, "354 end with a line holding only a full stop")
                    await _say(writer, self._keep(envelope, await _read_message(reader)))
                    envelope = Envelope()
                case "RSET":
                    envelope = Envelope()
                    await _say(writer, "250 OK")
                case "NOOP":
                    await _say(writer, "250 OK")
                case "QUIT":
                    await _say(writer, "221 bye")
                    return
                case "MAIL" | "RCPT" | "DATA":
                    await _say(writer, "503 not now, or not like this")
                case _:
                    await _say(writer, "502 not known here")

    def _keep(self, envelope: Envelope, message: bytes | None) -> str:
        if message is None:
            return "552 too large"
        head = f"X-Envelope-From: {envelope.sender}\r\nX-Envelope-To: {', '.join(envelope.recipients)}\r\n"
        number = str(time.time_ns())
        part = self._directory / f"{number}.part"
        part.write_bytes(head.encode() + message)
        part.rename(part.with_suffix(".eml"))
        return f"250 kept as {number}"


async def _say(writer: asyncio.StreamWriter, *lines: str) -> None:
    writer.write("".join(f"{line}\r\n" for line in lines).encode())
    await writer.drain()


def _address(argument: str) -> str:
    """The address in ``FROM:<a@b> SIZE=10`` or ``TO:<a@b>``."""
    return argument.partition(":")[2].strip().partition(" ")[0].strip("<>")


async def _read_message(reader: asyncio.StreamReader) -> bytes | None:
    """The lines up to the full stop, a doubled first stop made single again; ``None`` when there are too many."""
    lines: list[bytes] = []
    size = 0
    while (line := await reader.readline()) != b".\r\n":
        if not line:
            raise ConnectionError("the client left in the middle of a message")
        size += len(line)
        if size <= MESSAGE_LIMIT:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
    return b"".join(lines) if size <= MESSAGE_LIMIT else None


async def run(host: str, port: int, directory: Path) -> None:
    """Serve until cancelled."""
    sink = MailSink(directory)
    server = await asyncio.start_server(sink.serve, host, port, limit=LINE_LIMIT)
    print(f"mail: listening on {host}:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.world.mail", description="A mail server that keeps everything.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2525)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args(arguments)
    asyncio.run(run(options.host, options.port, options.directory))


if __name__ == "__main__":
    main()
