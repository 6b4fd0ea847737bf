"""``store/state.json`` on the control node: the last result of each step of each site.

``{"<site>": {"<step>": {"changed", "state", "seen", "waiting_for"?, "next"?, "at"}}}``; ``at`` is the time in UTC. It holds no
secret. Many sites write at the same time (Ansible runs hosts in parallel), so every change is made under a lock and the file is
replaced whole: a reader never sees half of it, and no site loses another's result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from qbo_sync.disk import locked, whole_file
from qbo_sync.errors import KitError, Waiting

StateName = Literal["done", "waiting", "failed"]


def result(
    *,
    changed: bool,
    state: StateName = "done",
    seen: Mapping[str, Any] | None = None,
    waiting_for: Mapping[str, str] | None = None,
    next: str = "",
) -> dict[str, Any]:
    """A role's result in its documented form; ``waiting_for`` and ``next`` are left out when there is nothing to say."""
    made: dict[str, Any] = {"changed": changed, "state": state, "seen": dict(seen or {})}
    if waiting_for:
        made["waiting_for"] = dict(waiting_for)
    if next:
        made["next"] = next
    return made


def waiting(error: Waiting, *, changed: bool = False, seen: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The role result of a step that waits for a person: who, for what, and since when (kept by :func:`record`)."""
    said = dict(seen or {}) | ({"said": error.seen} if error.seen else {})
    who = {"who": error.who, "what": error.what, "since": now()}
    return result(changed=changed, state="waiting", seen=said, waiting_for=who, next=error.next)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Every site's results by step; empty when there is no file. Raises :class:`KitError` when it can't be read or is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(content, dict) or not all(isinstance(steps, dict) for steps in content.values()):
        raise _unreadable(path, "not an object of sites and steps")
    return content


def record(path: Path, site: str, step: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the result of one step and return what was kept, with the time.

    A step that still waits for the same person and thing keeps its ``since``. Raises :class:`KitError` when the file can't be
    read or written; what it held is then unharmed.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path):
        content = read(path)
        steps = content.setdefault(site, {})
        kept = _keep_since(steps.get(step, {}), dict(result)) | {"at": now()}
        steps[step] = kept
        try:
            with whole_file(path) as new:
                new.write_text(json.dumps(content, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")
        except OSError as error:
            raise KitError(f"cannot write {path}", seen=str(error), next="make room or mend the folder's rights") from error
    return kept


def _keep_since(old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    before, now = old.get("waiting_for"), new.get("waiting_for")
    if before and now and (before.get("who"), before.get("what")) == (now.get("who"), now.get("what")):
        new["waiting_for"] = {**now, "since": before.get("since", now.get("since"))}
    return new


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _unreadable(path: Path, seen: str) -> KitError:
    return KitError(
        f"the kit's state file cannot be read: {path}", seen=seen, next="mend it, or move it away and run the steps again"
    )
