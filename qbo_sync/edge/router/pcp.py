"""PCP (RFC 6887) and its forerunner NAT-PMP (RFC 6886): asking the router for a port with one small UDP packet.

PCP is asked first, with *prefer failure*: rather no port than another one. A router that only knows NAT-PMP gives another port
when the one wanted is taken; that is given back at once. Neither can list what a router forwards.
"""

from __future__ import annotations

import secrets
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from qbo_sync.errors import Blocked, KitError, Unreachable

PORT = 5351
# The first packet may be lost; RFC 6886 doubles the wait each time.
WAITS_S = (0.25, 0.5, 1.0, 2.0)
PROTO_NUMBERS = {"tcp": 6, "udp": 17}
_V6 = b"\0" * 10 + b"\xff\xff"
_ANY = _V6 + b"\0\0\0\0"
_PREFER_FAILURE = bytes([2, 0, 0, 0])
_PCP_REFUSALS = {
    1: "it does not know this version of PCP",
    2: "the router's owner does not allow it",
    3: "it calls the request malformed",
    4: "it does not know the operation",
    7: "it has a network failure; is its internet connection up?",
    8: "it has no room for another mapping",
    9: "it does not forward this protocol",
    10: "this host has as many mappings as it allows one host",
    11: "the port is forwarded to another host already",
    12: "the request came from another address than this host's",
}
_PMP_REFUSALS = {
    1: _PCP_REFUSALS[1],
    2: _PCP_REFUSALS[2],
    3: _PCP_REFUSALS[7],
    4: _PCP_REFUSALS[8],
    5: _PCP_REFUSALS[4],
}


@dataclass(frozen=True)
class Granted:
    """A port the router forwards for ``lease_s`` seconds; ``nonce`` (hexadecimal) proves later that it is ours."""

    lease_s: int
    nonce: str = ""


@dataclass(frozen=True)
class Door:
    """A router that answers. ``epoch`` is for how many seconds it has kept its mappings: smaller than expected, they are gone."""

    gateway: str
    address: str
    speaks_pcp: bool
    epoch: int
    wan_address: str

    def add(self, proto: str, external: int, internal: int, lease_s: int, nonce: str = "") -> Granted:
        """Ask for exactly this port, or renew it. Raises :class:`Blocked` when another host has it."""
        if self.speaks_pcp:
            return self._pcp_map(proto, external, internal, lease_s, nonce or secrets.token_hex(12))
        port, lease = self._pmp_map(proto, external, internal, lease_s)
        if port != external:
            self._pmp_map(proto, 0, internal, 0)
            raise _taken(external, f"it offered port {port} instead")
        return Granted(lease)

    def delete(self, proto: str, internal: int, nonce: str = "") -> None:
        """Give a port back."""
        if self.speaks_pcp:
            self._pcp_map(proto, 0, internal, 0, nonce)
        else:
            self._pmp_map(proto, 0, internal, 0)

    def _pcp_map(self, proto: str, external: int, internal: int, lease_s: int, nonce: str) -> Granted:
        head = struct.pack("!BBHI", 2, 1, 0, lease_s) + _V6 + IPv4Address(self.address).packed
        body = bytes.fromhex(nonce) + struct.pack("!B3xHH", PROTO_NUMBERS[proto], internal, external) + _ANY
        answer = _ask(self.gateway, self.address, head + body + (_PREFER_FAILURE if lease_s else b""))
        result, lease = answer[3], struct.unpack("!I", answer[4:8])[0]
        if result == 11:
            raise _taken(external, _PCP_REFUSALS[11])
        if result or len(answer) < 60:
            raise _refused(f"PCP result {result}: {_PCP_REFUSALS.get(result, 'not documented')}")
        return Granted(lease, nonce)

    def _pmp_map(self, proto: str, external: int, internal: int, lease_s: int) -> tuple[int, int]:
        operation = 2 if proto == "tcp" else 1
        answer = _ask(self.gateway, self.address, struct.pack("!BBHHHI", 0, operation, 0, internal, external, lease_s))
        result = struct.unpack("!H", answer[2:4])[0]
        if result or len(answer) < 16:
            raise _refused(f"NAT-PMP result {result}: {_PMP_REFUSALS.get(result, 'not documented')}")
        port, lease = struct.unpack("!HI", answer[10:16])
        return port, lease


def find(address: str) -> Door:
    """The gateway, when it speaks PCP or NAT-PMP. Raises :class:`Unreachable` when it speaks neither."""
    gateway = default_gateway()
    epoch, pcp = -1, False
    for request in (struct.pack("!BBHI", 2, 0, 0, 0) + _V6 + IPv4Address(address).packed, b"\0\0"):
        try:
            answer = _ask(gateway, address, request)
        except Unreachable:
            continue
        if answer[0] == 2 and answer[3] == 0:
            pcp, epoch = True, struct.unpack("!I", answer[8:12])[0]
        elif answer[:4] == b"\0\x80\0\0":
            epoch = struct.unpack("!I", answer[4:8])[0] if epoch < 0 else epoch
            return Door(gateway, address, pcp, epoch, str(IPv4Address(answer[8:12])))
    if pcp:
        return Door(gateway, address, pcp, epoch, "")
    raise Unreachable(f"{gateway} speaks neither PCP nor NAT-PMP")


def default_gateway() -> str:
    """The next hop of this host's default route. Raises :class:`KitError` when there is none."""
    for line in Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and int(fields[3], 16) & 2:
            return socket.inet_ntoa(struct.pack("=I", int(fields[2], 16)))
    raise KitError("the edge host has no default gateway", next="give it one: its router is what shall forward the ports")


def _ask(gateway: str, address: str, request: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            asker.bind((address, 0))
            asker.connect((gateway, PORT))
        except OSError as error:
            raise Unreachable(f"this host cannot ask {gateway} from {address}", seen=str(error)) from error
        for wait_s in WAITS_S:
            asker.settimeout(wait_s)
            try:
                asker.send(request)
                answer = asker.recv(1100)
            except TimeoutError:
                continue
            except OSError:
                break
            if len(answer) >= 8:
                return answer
    raise Unreachable(f"{gateway} does not answer on UDP port {PORT}")


def _taken(port: int, seen: str) -> Blocked:
    return Blocked(
        "the router already forwards a port that this site needs; nothing was changed",
        seen=f"port {port}: {seen}",
        next="find out what uses it and remove that; PCP and NAT-PMP do not say what it is, so it cannot be taken over",
    )


def _refused(seen: str) -> KitError:
    return KitError("the router refuses to forward the port", seen=seen, next="forward it by hand: port_forward_provider: manual")
