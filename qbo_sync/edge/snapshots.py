"""What stood before the kit's last change, on the control node: ``store/snapshots/<site>/<step>.json``, for ``rollback.yml``.

A snapshot holds what was there (``before``) and what the kit left behind (``after``), both in the step's own terms and without
any secret. It is put back only while ``after`` is still what stands there, and only once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qbo_sync.disk import whole_file
from qbo_sync.errors import Blocked, KitError


def keep(store: Path, site: str, step: str, *, before: Any, after: Any, more: Mapping[str, Any] | None = None) -> None:
    """Keep what a change replaced. ``before``, ``after`` and ``more`` are of JSON's own types. Raises :class:`KitError`."""
    path = _path(store, site, step)
    document = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "before": before, "after": after, **(more or {})}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_file(path) as new:
            new.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise KitError(f"cannot keep {path}", seen=str(error), next="make room or mend the folder's rights") from error


def last(store: Path, site: str, step: str) -> dict[str, Any] | None:
    """The snapshot of the last change; ``None`` when there is none to put back. Raises :class:`KitError` for a damaged one."""
    path = _path(store, site, step)
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {"at": document["at"], "before": document["before"], "after": document["after"], **document}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise KitError(
            f"the snapshot cannot be read: {path}", seen=str(error), next="move it away; nothing can be put back from it"
        ) from error


def check_untouched(document: Mapping[str, Any], now: Any, what: str) -> None:
    """Raise :class:`Blocked` when what stands there is not what the kit left behind."""
    if now != document["after"]:
        raise Blocked(
            f"{what} was changed since the kit's last change of {document['at']}, so nothing was put back",
            seen=json.dumps(now),
            next="look who changed it; then set it by hand, or run the role again",
        )


def forget(store: Path, site: str, step: str) -> None:
    """The snapshot was put back."""
    _path(store, site, step).unlink(missing_ok=True)


def _path(store: Path, site: str, step: str) -> Path:
    return store / "snapshots" / site / f"{step}.json"
