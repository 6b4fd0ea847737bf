"""Ctrl-C, heard between two chunks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

P = ParamSpec("P")


@contextmanager
def interrupted_between() -> Iterator[Callable[..., None]]:
    """While inside, Ctrl-C waits for the chunk that is being written; a second one does not.

    Gives a function to call between two chunks: it calls its first argument with the others, then raises
    :class:`KeyboardInterrupt` if Ctrl-C was pressed.
    """
    pressed: list[int] = []

    def note(number: int, _: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    def between(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        work(*args, **kwargs)
        if pressed:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread hears signals
        yield between
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield between
    finally:
        signal.signal(signal.SIGINT, before)
