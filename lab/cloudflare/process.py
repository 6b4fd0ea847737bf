"""The look-alike as a child process, for tests and the demo."""

from __future__ import annotations

from contextlib import AbstractContextManager

from lab import child


def running(*args: str) -> AbstractContextManager[str]:
    """Start ``python -m lab.cloudflare`` with these arguments; its base address, see :func:`lab.child.running`.

    The API is at ``<base>/client/v4``, the admin interface at ``<base>/lab/``.
    """
    return child.running("cloudflare", *args)
