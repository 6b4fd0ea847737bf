"""Python's cycle collector, out of the way while records are matched and written."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Make no search for cycles meanwhile: records are plain and hold none, and each search walks all of them.

    `./kit bench import` shows the difference.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
