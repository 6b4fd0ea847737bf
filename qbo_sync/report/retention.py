"""Old reports go: of each command the newest stay, and whatever is still needed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

# Only names that we gave; whatever else lies in the folder is somebody else's.
_NAME = re.compile(r"(?P<made>\d{8}-\d{6})-(?P<command>[a-z-]+?)(-decisions)?\.(html|xlsx|json|csv|txt)")


def prune(directory: Path, kept: int, needed: Callable[[str, str], bool]) -> list[Path]:
    """Remove the files of all but the newest ``kept`` reports of each command; those that were removed.

    ``needed`` says of a command (``prepare---apply``) and a time (``20261124-101500``) whether that report stays all the same.
    A file that somebody else removes meanwhile is no error.
    """
    reports: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in directory.iterdir():
        if found := _NAME.fullmatch(path.name):
            reports[found["command"]][found["made"]].append(path)
    old = [
        path
        for command, by_time in reports.items()
        for made in sorted(by_time)[:-kept]
        if not needed(command, made)
        for path in by_time[made]
    ]
    for path in old:
        path.unlink(missing_ok=True)
    return old
