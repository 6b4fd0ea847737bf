"""What Intuit says when it says no, in all the shapes it has been seen to use (facts/qbo_api.md 1.5 and 2.8).

The service writes ``{"Fault": {"Error": [...]}}``; the gateway in front of it writes the same in lower case, or XML even when
JSON was asked for; a proxy writes HTML, or nothing at all.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from qbo_sync.errors import IntuitFault, KitError, ReconnectNeeded, Unreachable

THROTTLED = "3001"
_WRONG_CLUSTER = "130"
_NOT_ALLOWED = "3100"
_SEEN_LENGTH = 300
# Told apart from DefaultTaxCodeRef and the like, so that a page of a thousand rows is not decoded twice.
_FAULT = re.compile(rb'["<:]fault["\s>]', re.IGNORECASE)


class AccessRefused(IntuitFault):
    """The grant is valid, but not for this company, this environment or this person any more."""

    exit_code = ReconnectNeeded.exit_code
    outcome = ReconnectNeeded.outcome


@dataclass(frozen=True)
class Fault:
    """One fault. ``code`` is Intuit's own, ``""`` when the answer held none."""

    status: int
    code: str = ""
    message: str = ""
    detail: str = ""
    element: str = ""
    type: str = ""

    @property
    def throttled(self) -> bool:
        """Whether Intuit asks for patience; before 2017 it did so with 403."""
        return self.status == 429 or self.code == THROTTLED

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.throttled or self.status >= 500

    def __str__(self) -> str:
        """Without the detail for a refused token: the gateway repeats the token there."""
        words = self.message if self.status == 401 else " – ".join(dict.fromkeys(t for t in (self.message, self.detail) if t))
        code = f" code {self.code}" if self.code else ""
        field = f" (field {self.element})" if self.element else ""
        return f"HTTP {self.status}{code}{field}{': ' if words else ''}{words}"[:_SEEN_LENGTH]


def parse(status: int, body: bytes) -> Fault | None:
    """The first fault in an answer, whatever its form; ``None`` for a success that holds none."""
    if status < 300 and not _FAULT.search(body, 0, 4096):
        return None
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{"):
        fault = _from_json(status, text)
    elif text.startswith(b"<"):
        fault = _from_xml(status, text)
    else:
        fault = None
    if fault is None and status >= 300:
        return Fault(status, message=_plain(text))
    return fault


def error(fault: Fault, *, what: str, tid: str, reconnect: str) -> KitError:
    """The error to raise for a fault that no waiting mends. ``reconnect`` is the address of the connect page."""
    seen = f"{fault}{f' (intuit_tid {tid})' if tid else ''}"
    if fault.passing:
        return Unreachable(f"{what}: Intuit is busy or out of order", seen=seen, next="run the same command again later")
    if fault.code == _WRONG_CLUSTER:
        return AccessRefused(
            f"{what}: this company does not live on the server that was asked",
            status=fault.status,
            code=fault.code,
            tid=tid,
            seen=seen,
            next="check [intuit] environment: development keys reach sandbox companies only, production keys real ones only",
        )
    if fault.status == 401:
        return ReconnectNeeded(f"{what}: Intuit no longer accepts the connection", seen=seen, next=f"open {reconnect}")
    if fault.status == 403 or fault.code == _NOT_ALLOWED:
        return AccessRefused(
            f"{what}: the connection does not cover this QuickBooks company",
            status=fault.status,
            code=fault.code,
            tid=tid,
            seen=seen,
            next="the person who connected lost the administrator right, the app was disconnected in QuickBooks, or"
            f" [intuit] environment is not this company's; connect again at {reconnect}",
        )
    return IntuitFault(
        f"{what}: Intuit refused the request",
        status=fault.status,
        code=fault.code,
        tid=tid,
        seen=seen,
        next="give the intuit_tid above to Intuit's support" if tid else "run it again, and report this if it stays",
    )


def _from_json(status: int, body: bytes) -> Fault | None:
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError):
        return None
    fault = _any(document, "Fault")
    if not isinstance(fault, Mapping):
        oauth = document.get("error")
        if isinstance(oauth, str):
            return Fault(status, code=oauth, message=_text(document.get("error_description")), type="OAuth")
        return None
    errors = _any(fault, "Error")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
    return Fault(
        status,
        code=_text(_any(first, "code")),
        message=_text(_any(first, "Message")),
        detail=_text(_any(first, "Detail")),
        element=_text(_any(first, "element")),
        type=_text(_any(fault, "type")),
    )


def _from_xml(status: int, body: bytes) -> Fault | None:
    # A document type could make the parser expand entities without end; no fault of Intuit has one.
    if b"<!DOCTYPE" in body.upper() or b"<!ENTITY" in body.upper():
        return None
    try:
        root = ET.fromstring(body)  # noqa: S314 - no document type gets this far
    except ET.ParseError:
        return None
    fault = next((node for node in root.iter() if _local(node) == "fault"), None)
    if fault is None:
        return None
    first = next((node for node in fault.iter() if _local(node) == "error"), fault)
    words = {_local(child): _text(child.text) for child in first}
    return Fault(
        status,
        code=first.get("code", "") if first is not fault else "",
        message=words.get("message", ""),
        detail=words.get("detail", ""),
        element=first.get("element", ""),
        type=fault.get("type", ""),
    )


def _local(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2].lower()


def _any(mapping: Mapping[str, Any], key: str) -> Any:
    """The value of ``key`` whatever its letter case: the gateway and the service differ in nothing else."""
    return next((value for name, value in mapping.items() if name.lower() == key.lower()), None)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _plain(body: bytes) -> str:
    """Something a person can read of an answer that is no fault of Intuit's: the title of a page, or nothing."""
    low = body[:4096].lower()
    start, end = low.find(b"<title>"), low.find(b"</title>")
    if 0 <= start < end:
        return body[start + 7 : end].decode("utf-8", "replace").strip()
    return "an empty answer" if not body else "an answer that is not Intuit's"
