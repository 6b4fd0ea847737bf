"""The state file that monitoring reads: ``/var/lib/qbo-kit/certificate/<name>.json``. It holds no secret; everybody may read it.

::

    {"name", "source": "acme|files", "state": "ok|attention|failing", "checked_at",
     "last_attempt": {"at", "directory", "outcome": "issued|failed", "problem"?, "meaning"?, "seen"?, "next"?, "passing"?},
     "last_success": {"at", "directory"},
     "served": {"fingerprint", "serial", "issuer", "names", "not_before", "not_after", "days_left"} | null,
     "next_due", "retry_at": … | null, "failures_in_a_row", "failures_last_hour",
     "pfx": {"path", "encryption"} | null,
     "problem": TEXT | null, "troubles": [TEXT], "alerts": {"told": {KEY: at}, "undelivered": TEXT | null}}

Times are ISO 8601 in UTC. ``next_due`` is when certbot renews by lifetime; the CA may ask for it earlier. For a certificate that
was brought it is the day it runs out.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qbo_sync.disk import whole_file
from qbo_sync.edge.certificate.stable import DAY_S, Certificate

State = dict[str, Any]


def stamp(at: float) -> str:
    """A moment as text."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def moment(text: str | None) -> float:
    """The moment a text means; 0 for none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def read(path: Path) -> State:
    """What was kept; empty when there is nothing, or nothing that can be read: a damaged file must not stop a renewal."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def describe(found: Certificate | None, now: float) -> dict[str, Any] | None:
    """A certificate as the file shows it."""
    if found is None:
        return None
    return {
        "fingerprint": found.fingerprint,
        "serial": found.serial,
        "issuer": found.issuer,
        "names": list(found.names),
        "not_before": stamp(found.not_before),
        "not_after": stamp(found.not_after),
        "days_left": int((found.not_after - now) // DAY_S),
    }


def write(path: Path, state: State) -> None:
    """Keep it; a reader sees the old one or the new one. Raises :class:`OSError`."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with whole_file(path) as new:
        new.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        new.chmod(0o644)
