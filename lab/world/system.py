"""Running programs, and keeping hold of those that outlive the command that started them.

Every lasting process of the lab lives in a control group named for it under ``qbokit``. That is its only register: it cannot go
stale, survives a killed ``lab up`` and never names a process of anybody else.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab.world.layout import LOGS, PREFIX, TOP
from qbo_sync.errors import KitError


def run(*command: str, text: str | None = None, timeout_s: float = 120) -> str:
    """Run a program to its end and return what it printed.

    Raises :class:`KitError` with the program's own last words when it fails.
    """
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=timeout_s)
    except FileNotFoundError as error:
        raise KitError(f"lab: the program {command[0]} is missing", next="install it, or run ./kit lab up as root") from error
    except subprocess.TimeoutExpired as error:
        raise KitError(f"lab: {' '.join(command)} did not end within {timeout_s:.0f} s") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-800:]
        raise KitError(f"lab: {' '.join(command)} failed with status {done.returncode}", seen=said)
    return done.stdout


def succeeds(*command: str) -> bool:
    """Whether a program is there and ends well; what it prints is of no interest."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except FileNotFoundError:
        return False


def wait_until(ready: Callable[[], bool], deadline_s: float, what: str, seen: Callable[[], str] = str) -> None:
    """Return as soon as ``ready`` says so; raise :class:`KitError` when that takes longer than ``deadline_s``."""
    end = time.monotonic() + deadline_s
    while not ready():
        if time.monotonic() > end:
            raise KitError(f"lab: {what} was not there after {deadline_s:.0f} s", seen=seen())
        time.sleep(0.1)


def answers(address: str, port: int) -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False


def cgroup_roots() -> list[Path]:
    """The hierarchies in which processes are tracked: the unified one and, on hybrid machines, systemd's named one."""
    roots = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="ascii").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options):
            roots.append(Path(before.split()[4]))
    return roots


def spawn(name: str, *command: str) -> None:
    """Start a program in the control group ``qbokit/<name>``; it goes on when this command ends and is nobody's child.

    It writes to ``/run/qbo-kit/log/<name>.log`` and runs in the checkout's folder.
    """
    if run_in_group(name, log_file(name), "setsid", "--fork", *command) != 0:
        raise KitError(f"lab: {name} could not be started", seen=tail(log_file(name)))


def run_in_group(name: str, log: Path, *command: str) -> int:
    """Run a program to its end in the control group ``qbokit/<name>`` and return its exit status."""
    groups = [root / PREFIX / name for root in cgroup_roots()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)

    def enter() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text("0", encoding="ascii")

    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            command, cwd=TOP, check=False, preexec_fn=enter, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    return done.returncode


def processes(name: str = "") -> set[int]:
    """The ids of the lab's processes, or of those of one of its services."""
    found: set[int] = set()
    for group in _groups(name):
        try:
            found.update(int(pid) for pid in (group / "cgroup.procs").read_text(encoding="ascii").split())
        except OSError:
            continue  # a group that went away while it was looked at
    return {pid for pid in found if not _is_zombie(pid)}


def kill(name: str) -> None:
    """End one service's processes and remove its control groups."""
    end = time.monotonic() + 10
    while (left := processes(name)) and time.monotonic() < end:
        for pid in left:
            if _program(pid) != "systemd-nspawn" or time.monotonic() > end - 5:
                _kill(pid)
        time.sleep(0.05)
    for group in sorted(_groups(name), key=lambda path: len(path.parts), reverse=True):
        _remove_group(group)


def kill_all() -> None:
    """End every process of the lab and remove its control groups.

    What runs inside a container goes first: its supervisor then tidies up after it and leaves by itself.
    """
    for pid in processes():
        if _program(pid) != "systemd-nspawn":
            _kill(pid)
    end = time.monotonic() + 5
    while processes() and time.monotonic() < end:
        time.sleep(0.05)
    while left := processes():
        for pid in left:
            _kill(pid)
        time.sleep(0.05)
    for group in sorted(_groups(), key=lambda path: len(path.parts), reverse=True):
        _remove_group(group)


def log_file(name: str) -> Path:
    """Where a lasting process of the lab writes."""
    return LOGS / f"{name}.log"


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log file, for a message."""
    if not log.exists():
        return "it wrote nothing"
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return f"{log} ends with: " + " | ".join(last)


def python() -> Sequence[str]:
    """The interpreter of this checkout, quiet about nothing and unbuffered so that logs are complete."""
    return (str(TOP / ".venv" / "bin" / "python"), "-u")


def _groups(name: str = "") -> Iterator[Path]:
    for root in cgroup_roots():
        top = root / PREFIX / name if name else root / PREFIX
        # Groups come and go while a host boots: the walk passes over one that has just gone.
        yield from (Path(folder) for folder, _, _ in os.walk(top))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _remove_group(group: Path) -> None:
    end = time.monotonic() + 5
    while group.exists():
        try:
            group.rmdir()
        except OSError as error:  # the kernel lets go of a dead process a moment later
            if time.monotonic() > end:
                raise KitError(f"lab: the control group {group} could not be removed", seen=str(error)) from error
            time.sleep(0.05)
