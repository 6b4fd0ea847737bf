"""Who may see and change which zones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from lab.cloudflare.errors import ApiError, malformed_authorization

_BEARER = re.compile(r"Bearer ([!#-&(-~]+)")


@dataclass(frozen=True)
class Token:
    """An API token: ``zones`` it may see (none named: all of them), and whether it may change records."""

    value: str
    edit: bool = True
    zones: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id the API tells of a token; nothing of the token can be found from it."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:32]

    def sees(self, zone: str) -> bool:
        """Whether the zone exists for this token."""
        return not self.zones or zone in self.zones

    @property
    def permissions(self) -> list[str]:
        """The token's permissions, as a zone tells them."""
        return ["#dns_records:edit", "#dns_records:read", "#zone:read"] if self.edit else ["#dns_records:read", "#zone:read"]


def parse(text: str) -> Token:
    """``TOKEN [edit|read] [ZONE…]``. Raises ``ValueError``."""
    words = text.split()
    if not words:
        raise ValueError("a token is empty")
    value, rest = words[0], words[1:]
    edit = True
    if rest and rest[0] in ("edit", "read"):
        edit = rest.pop(0) == "edit"
    return Token(value, edit, tuple(zone.lower() for zone in rest))


def authenticate(request: Request, tokens: dict[str, Token], unknown: Callable[[], ApiError]) -> Token:
    """The token of a request. Raises :class:`ApiError` for a missing or malformed one, and ``unknown`` for one nobody made."""
    header = request.headers.get("authorization")
    if header is None:
        if "x-auth-key" in request.headers or "x-auth-email" in request.headers:
            raise ApiError(403, 9103, "Unknown X-Auth-Key or X-Auth-Email")
        raise ApiError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    match = _BEARER.fullmatch(header)
    if not match:
        raise malformed_authorization()
    token = tokens.get(match[1])
    if token is None:
        raise unknown()
    return token
