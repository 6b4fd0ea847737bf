"""The lab comes and goes without a trace, even when it is killed on its way up."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.world import cli, inventory, network, world
from lab.world.layout import RUN, TOP
from lab.world.system import cgroup_roots, processes

# What the names of other tests' network namespaces begin with (tests/unit/edge/conftest.py): they may run beside this one.
TESTS = "qktest-"


def lines_of(*command: str) -> set[str]:
    return {line.strip() for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()}


def space(process: Path) -> str:
    """The network namespace of a process, empty when it has ended."""
    try:
        return str((process / "ns" / "net").readlink())
    except OSError:
        return ""


def lab_spaces() -> set[str]:
    """The network namespaces of the lab's processes, without the machine's own."""
    return {space(Path(f"/proc/{pid}")) for pid in processes()} - {space(Path("/proc/self")), ""}


def inhabitants(spaces: set[str]) -> set[str]:
    """All processes in these namespaces or with the lab's name on their command line."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # ended meanwhile
        if space(process) in spaces or "machine=qbokit" in command or str(RUN) in command:
            found.add(f"{process.name} {command}")
    return found


def traces() -> dict[str, set[str]]:
    """Everything on the machine that a lab changes, apart from its cache and from what other tests have in spaces of theirs."""
    found = {
        "namespaces": lines_of("ip", "netns", "list"),
        "links": {line.split()[0] for line in lines_of("ip", "-brief", "link")},
        "routes": lines_of("ip", "route"),
        "tables": lines_of("nft", "list", "tables"),
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "forwarding": {network.FORWARDING.read_text().strip()},
        "files": {str(path) for path in Path("/run").rglob("*")} | {str(path) for path in TOP.glob("inventory/**/*")},
        "groups": {str(path) for root in cgroup_roots() for path in root.glob("qbokit*")},
    }
    return {name: {trace for trace in traces if TESTS not in trace} for name, traces in found.items()}


def kill_half_way() -> None:
    """Start the lab in a process of its own and kill that once the router is wired, before everything runs."""
    command = [sys.executable, "-m", "lab.front", "lab", "up"]
    starting = subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 240
    while "qbokit-router" not in network.named():
        assert starting.poll() is None, "the start ended before it could be killed"
        assert time.monotonic() < deadline, "the router never came"
        time.sleep(0.01)
    starting.send_signal(signal.SIGKILL)
    starting.wait()


def test_nothing_is_left_of_a_killed_and_of_a_finished_lab(no_lab: None, capsys: pytest.CaptureFixture[str]) -> None:
    before = traces()

    kill_half_way()
    assert processes(), "a killed start leaves processes: that is what the next one has to clean"
    assert not world.is_up()

    assert cli.main(["up"]) == 0
    assert "cleaning up" in capsys.readouterr().out
    assert cli.main(["status"]) == 0
    assert all(path.exists() for path in inventory.files(TOP))

    spaces = lab_spaces()
    assert len(spaces) == 4, "the internet, the stand-in, the router and the edge host"
    assert inhabitants(spaces)
    assert cli.main(["down"]) == 0
    assert inhabitants(spaces) == set()
    assert {name: found - before[name] for name, found in traces().items()} == {name: set() for name in before}
    assert cli.main(["down"]) == 0, "taking down what is not there is harmless"
    assert cli.main(["status"]) == 1
