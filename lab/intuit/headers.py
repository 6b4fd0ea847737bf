"""The headers of Intuit's answers, as they were recorded (fact 2.1 and 1.5)."""

from __future__ import annotations

import secrets


def transaction() -> str:
    """A number of its own for each answer, by which Intuit's support finds it again."""
    tid = secrets.token_hex(16)
    return f"1-{tid[:8]}-{tid[8:]}"


def service() -> dict[str, str]:
    """Those of the accounting service."""
    return {**gateway(), "Qbo-Version": "1944.190"}


def gateway() -> dict[str, str]:
    """Those of the gateway before it."""
    return {
        "Intuit-Tid": transaction(),
        "Service-Time": "total=5, db=1",
        "X-Spanid": secrets.token_hex(8),
        "Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private",
        "Expires": "0",
    }


def tokens() -> dict[str, str]:
    """Those of the token endpoint, which spells the number's name its own way."""
    return {
        "Cache-Control": "no-cache, no-store",
        "Content-Type": "application/json;charset=UTF-8",
        "intuit_tid": transaction(),
    }
