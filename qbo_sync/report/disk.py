"""How a file gets on the disk whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a new file (mode 0600) beside ``path`` to fill; it takes ``path``'s place on the way out, or vanishes on an error."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as filled:
            os.fsync(filled.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
