"""A look-alike as a child process, for tests and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TOP = Path(__file__).resolve().parents[1]


@contextmanager
def running(name: str, *args: str) -> Iterator[str]:
    """Start ``python -m lab.<name>`` with these arguments and give its base address; see :func:`started`."""
    with started(name, *args) as (address, _):
        yield address


@contextmanager
def started(name: str, *args: str) -> Iterator[tuple[str, int]]:
    """Start ``python -m lab.<name>``, give its base address and its process's id; it is stopped at the end.

    It listens on a free port unless ``--port`` says otherwise. When it does not start, ``RuntimeError`` says what it said.
    """
    path = os.pathsep.join(filter(None, (str(TOP), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"lab.{name}", "--port", "0", *args],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        try:
            yield _address(name, process, errors), process.pid
        finally:
            process.terminate()
            process.wait(timeout=10)
            if process.stdout:
                process.stdout.close()


def _address(name: str, process: subprocess.Popen[str], errors: IO[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith(f"{name} look-alike on "):
        process.wait(timeout=10)
        errors.seek(0)
        raise RuntimeError(f"the look-alike did not start (exit code {process.returncode}): {errors.read().strip()}")
    return line.split()[3]
