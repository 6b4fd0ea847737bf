"""A name server on the loopback that knows a few records."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


def answer(question: bytes, records: dict[str, str]) -> bytes:
    """The answer with the record, ``TTL TYPE DATA``, that stands at the name; REFUSED where there are none at all."""
    asked = dns.message.from_wire(question)
    reply = dns.message.make_response(asked)
    reply.set_rcode(dns.rcode.NOERROR if records else dns.rcode.REFUSED)
    reply.flags |= dns.flags.AA
    (wanted,) = asked.question
    if record := records.get(wanted.name.to_text(omit_final_dot=True)):
        ttl, rdtype, data = record.split(maxsplit=2)
        if rdtype in ("CNAME", dns.rdatatype.to_text(wanted.rdtype)):
            reply.answer.append(dns.rrset.from_text(wanted.name, int(ttl), "IN", rdtype, data))
    return reply.to_wire()


@contextmanager
def name_server(zone: str, **records: str) -> Iterator[str]:
    """A name server that knows these records, by host name in the zone; without any it refuses every question."""
    known = {f"{name}.{zone}": record for name, record in records.items()}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                question, asker = server.recvfrom(4096)
                if question == b"end":
                    return
                server.sendto(answer(question, known), asker)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.sendto(b"end", server.getsockname())
            thread.join()
