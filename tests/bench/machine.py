"""Any order of edits, plans, imports, interruptions and undos, walked far: `./kit bench machine [N] [--database NAME]`."""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.databases import servers
from tests.databases.test_machine import walk

STEPS = 40


def main(arguments: list[str]) -> int:
    """Take N walks; the first one that breaks a promise is shown, made as short as can be."""
    parser = argparse.ArgumentParser(prog="./kit bench machine")
    parser.add_argument("walks", nargs="?", type=int, default=300)
    parser.add_argument("--database", choices=("sqlite", *servers.KINDS), default="sqlite")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qbo-kit-bench-") as folder, ExitStack() as stack:
        name = options.database
        walk(options.walks, STEPS, None if name == "sqlite" else stack.enter_context(servers.running(name, Path(folder))))
    print(f"{name}: {options.walks} walks of up to {STEPS} steps in {time.monotonic() - began:.0f} s, no promise broken")
    return 0
