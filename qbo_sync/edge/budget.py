"""What the CA's rate limits still allow, from our own record of failures and certificates.

A CA locks a name out after a handful of failed validations, and a blind retry makes the lock longer. So each order is asked for
here first, and the last one of each limit is never spent: it stays for the person who mends the cause.

The record is one JSON file on the edge host, read and written by root (``PATH``); it holds no secret::

    {"failures": [{"at": 1790000000.0, "directory": "https://…", "name": "qbo.company.com", "problem": "connection"}],
     "certificates": [{"at": 1790000000.0, "directory": "https://…", "names": ["qbo.company.com"]}],
     "refusals": [{"at": 1790000000.0, "directory": "https://…", "until": 1790003600.0}]}

Times are seconds since 1970 UTC. Standard library only: this travels to the edge host with the certificate program. Every change
is made under a lock and replaces the file whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qbo_sync.disk import locked, whole_file

PATH = Path("/var/lib/qbo-kit/certificate/budget.json")
HOUR_S, WEEK_S = 3600.0, 7 * 86400.0

Record = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Limits:
    """A CA's limits: failed validations of one name in an hour, and certificates for the same set of names in seven days."""

    failures: int = 5
    certificates: int = 5


# https://letsencrypt.org/docs/rate-limits/ and /docs/staging-environment/. A CA that nobody knows is treated like the strict one.
STRICT = Limits()
_KNOWN = {"acme-v02.api.letsencrypt.org": STRICT, "acme-staging-v02.api.letsencrypt.org": Limits(200, 30_000)}


def limits_of(directory: str) -> Limits:
    """The limits of the CA with this ACME directory."""
    return _KNOWN.get(urlsplit(directory).hostname or "", STRICT)


@dataclass(frozen=True)
class Left:
    """What is left before the last one, which is never spent. ``again_at`` is when an order may be made (0: now)."""

    failures: int
    certificates: int
    again_at: float = 0.0
    reason: str = ""

    @property
    def allowed(self) -> bool:
        """Whether an order may be made now."""
        return not self.reason


def read(path: Path = PATH) -> Record:
    """The record; empty when there is none. Raises :class:`ValueError` when it is damaged, :class:`OSError` when unreadable."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return parse("")


_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "failures": {"at": (int, float), "directory": str, "name": str, "problem": str},
    "certificates": {"at": (int, float), "directory": str, "names": list},
    "refusals": {"at": (int, float), "directory": str, "until": (int, float)},
}


def parse(text: str) -> Record:
    """The record from the file's text. Raises :class:`ValueError` for what it can't be."""
    content = json.loads(text) if text.strip() else {}
    if not isinstance(content, dict):
        raise ValueError("not a record of failures, certificates and refusals")
    record = {kind: content.get(kind, []) for kind in _FIELDS}
    for kind, entries in record.items():
        if not isinstance(entries, list) or not all(_fits(entry, _FIELDS[kind]) for entry in entries):
            raise ValueError(f"its {kind} are not what they should be")
    return record


def _fits(entry: Any, fields: dict[str, Any]) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in fields.items())


def left(record: Record, directory: str, names: Iterable[str], *, now: float, limits: Limits | None = None) -> Left:
    """What may still be ordered for these names from this CA at ``now``."""
    wanted, most = sorted(names), limits or limits_of(directory)
    failures = max((_times(record["failures"], directory, now, HOUR_S, name=name) for name in wanted), key=len, default=[])
    made = _times(record["certificates"], directory, now, WEEK_S, names=wanted)
    told = [entry["until"] for entry in record["refusals"] if entry["directory"] == directory]
    waits = [
        (
            _again(failures, most.failures, HOUR_S),
            f"{len(failures)} failed validations in an hour, and the CA allows {most.failures}",
        ),
        (
            _again(made, most.certificates, WEEK_S),
            f"{len(made)} certificates in a week, and the CA allows {most.certificates}",
        ),
        (max(told, default=0.0), "the CA itself said to wait"),
    ]
    again_at, reason = max(waits)
    spent = again_at > now
    return Left(
        failures=max(0, most.failures - 1 - len(failures)),
        certificates=max(0, most.certificates - 1 - len(made)),
        again_at=again_at if spent else 0.0,
        reason=reason if spent else "",
    )


def failed(directory: str, name: str, problem: str, *, path: Path = PATH, now: float | None = None) -> None:
    """Keep that a validation of ``name`` failed with this ACME problem type. Raises :class:`OSError`, :class:`ValueError`."""
    at = _now(now)
    _add("failures", {"at": at, "directory": directory, "name": name, "problem": problem}, path, at)


def issued(directory: str, names: Iterable[str], *, path: Path = PATH, now: float | None = None) -> None:
    """Keep that a certificate for just these names was issued. Raises :class:`OSError`, :class:`ValueError`."""
    at = _now(now)
    _add("certificates", {"at": at, "directory": directory, "names": sorted(names)}, path, at)


def refused(directory: str, until: float, *, path: Path = PATH, now: float | None = None) -> None:
    """Keep that the CA answered ``rateLimited`` and named a time. Raises :class:`OSError`, :class:`ValueError`."""
    at = _now(now)
    _add("refusals", {"at": at, "directory": directory, "until": until}, path, at)


def _times(entries: list[dict[str, Any]], directory: str, now: float, window_s: float, **same: Any) -> list[float]:
    """When this happened within the window, oldest first. What lies far ahead was written by a clock that was wrong."""
    wanted = {"directory": directory, **same}
    mine = (entry["at"] for entry in entries if all(entry[key] == value for key, value in wanted.items()))
    return sorted(at for at in mine if abs(now - at) < window_s)


def _again(times: list[float], limit: int, window_s: float) -> float:
    """When all but the last one of the limit are free to be spent again; 0 when they are now."""
    spendable = limit - 1
    return times[-spendable] + window_s if len(times) >= spendable else 0.0


def _now(given: float | None) -> float:
    return time.time() if given is None else given


def _add(kind: str, entry: dict[str, Any], path: Path, now: float) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(path):
        record = read(path)
        record[kind].append(entry)
        kept = {name: [one for one in entries if _counts(one, now)] for name, entries in record.items()}
        with whole_file(path) as new:
            new.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _counts(entry: dict[str, Any], now: float) -> bool:
    return bool(max(entry["at"] + WEEK_S, entry.get("until", 0.0)) > now)
