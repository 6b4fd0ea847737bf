"""A program of this package as one file that an edge host's own Python runs: an executable zip archive.

Only modules that need nothing but the standard library can travel this way. The same sources give the same bytes, so an unchanged
host is left alone.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# What the edge host's certificate program is made of.
CERTIFICATE = ("__init__.py", "disk.py", "errors.py", "edge/__init__.py", "edge/budget.py", "edge/certificate")
_HEAD = b"#!/usr/bin/python3\n"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def pack(parts: tuple[str, ...], module: str) -> bytes:
    """The archive of these files and folders of ``qbo_sync``; run, it calls ``main()`` of ``module``."""
    start = f"import sys\n\nfrom {module} import main\n\nsys.exit(main())\n"
    files = {"__main__.py": start.encode()}
    for part in parts:
        path = PACKAGE / part
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            files[f"{PACKAGE.name}/{file.relative_to(PACKAGE)}"] = file.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _FIRST_DAY), content, zipfile.ZIP_DEFLATED)
    return _HEAD + packed.getvalue()
