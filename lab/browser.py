"""The system's Chromium, for tests that visit pages as a person does."""

from __future__ import annotations

import os
import shutil

from lab.world.system import run
from qbo_sync.errors import KitError

PROGRAMS = ("chromium", "chromium-browser")


def find() -> str | None:
    """The path of the browser, if the machine has it."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def ensure() -> str | None:
    """The path of the browser; installed from Debian's packages when it is missing and this is root. ``None`` without one."""
    if (found := find()) is not None or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return found
    print("kit: installing chromium", flush=True)
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
    try:
        run(*quiet, "update", timeout_s=300)
        run(*quiet, "install", "--no-install-recommends", "--yes", "chromium", timeout_s=600)
    except KitError:
        return None
    return find()


def arguments() -> list[str]:
    """What it is started with: it speaks to nobody but the pages it is shown. Root has no sandbox to offer it."""
    silent = ("background-networking", "component-update", "gpu", "quic", "sync")
    return [*(f"--disable-{each}" for each in silent), "--no-first-run", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
