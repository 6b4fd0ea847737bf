"""Programs that are watched at every line of our own code, and killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import qbo_sync.intuit

OURS = str(Path(qbo_sync.intuit.__file__).parent)
# A file's name and the number of a line.
Place = tuple[str, int]


def traced(act: Callable[[], object], at_line: Callable[[Place], None]) -> None:
    """Do it; ``at_line`` is called before each line of our own code in this thread."""

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            at_line((Path(frame.f_code.co_filename).name, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(None)


def killed_at(act: Callable[[], object], matches: Callable[[Place], bool], left: int) -> None:
    """Do it in a child that is killed (SIGKILL) when it comes for the ``left``-th time to a line that ``matches``."""

    def countdown(place: Place) -> None:
        nonlocal left
        left -= matches(place)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    ended(forked(lambda: traced(act, countdown)))


def forked(act: Callable[[], object]) -> int:
    """A child that has everything loaded already; it never returns into this program."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    return child


def ended(child: int) -> int:
    """How a child ended, once it has: 0 when all went well."""
    return os.waitpid(child, 0)[1]
