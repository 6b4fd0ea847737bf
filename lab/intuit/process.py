"""The look-alike as a child process, for tests and the demo."""

from __future__ import annotations

from contextlib import AbstractContextManager

from lab import child


def running(*args: str) -> AbstractContextManager[str]:
    """Start ``python -m lab.intuit`` with these arguments; its base address, see :func:`lab.child.running`."""
    return child.running("intuit", *args)
