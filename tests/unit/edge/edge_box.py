"""A daemon of the lab's image on loopback, in a mount and process tree of its own; nothing of it outlives the test."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.needs import lab_image

# $1: the image; $2: the folder that the daemon sees as /mnt; the rest: its command. The mounts are seen by nobody else.
BOX = """set -e
mount --bind "$2" "$1/mnt"
root=$1
shift 2
exec chroot "$root" "$@"
"""

ALONE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(folder: Path, *command: str) -> str:
    """Run a program of the image to its end; its standard output."""
    boxed = [*ALONE, "/bin/sh", "-c", BOX, "box", str(lab_image()), str(folder), *command]
    done = subprocess.run(boxed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def daemon(folder: Path, *command: str, answers: Callable[[], bool], **environment: str) -> Iterator[None]:
    """Run the command until the block ends; entered once ``answers`` says so."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*ALONE, "/bin/sh", "-c", BOX, "box", str(lab_image()), str(folder), *command],
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        end = time.monotonic() + 30
        while not answers():
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()
