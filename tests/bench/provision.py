"""One site from an empty edge host to the enabled export, and once more: `./kit bench provision`.

Takes the demo's company through the whole guide in a lab of its own, then runs ``site.yml`` again, over SSH as in life. Printed
for the network side's first run and for the second run of everything: seconds, tasks, what was executed on the edge host,
changes, and the share of time per role; besides how fast this machine is, since nearly all of it is the processor's work. It runs
alone or not at all: the lab must be down.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from lab.demo import whole
from lab.world import image, world

CALLBACKS = Path(__file__).with_name("callbacks")
EDGE = "lab"
LONGEST = 8


@dataclass
class Measured:
    """What one run of playbooks did."""

    seconds: float
    tasks: list[dict[str, Any]]

    @property
    def executed(self) -> list[dict[str, Any]]:
        """The tasks that ran a module or a command on the edge host."""
        return [task for task in self.tasks if task["modules"] and task["host"] == EDGE]

    def shares(self) -> list[tuple[str, float, int]]:
        """Role, seconds and programs on the edge host, the longest first; playbooks' own tasks are named ``playbook``."""
        ordered = sorted(self.tasks, key=lambda task: task["role"])
        found = []
        for role, group in groupby(ordered, key=lambda task: task["role"]):
            mine = list(group)
            modules = sum(task["modules"] for task in mine if task["host"] == EDGE)
            found.append((role or "playbook", sum(task["seconds"] for task in mine), modules))
        return sorted(found, key=lambda one: -one[1])


@contextlib.contextmanager
def timed(folder: Path) -> Iterator[list[Measured]]:
    """Let the callback write while the block runs; the list then holds what it saw."""
    lines = folder / "timing"
    lines.write_text("")
    extra = {
        "KIT_TIMING_FILE": str(lines),
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "kit_timing",
    }
    os.environ.update(extra)
    found: list[Measured] = []
    began = time.monotonic()
    try:
        yield found
    finally:
        for name in extra:
            del os.environ[name]
    found.append(Measured(time.monotonic() - began, [json.loads(line) for line in lines.read_text().splitlines()]))


def sum_of_ten_million() -> float:
    """Seconds for a piece of work that is always the same: figures of two machines, or of two moments, compare only beside it."""
    began = time.monotonic()
    total = 0
    for number in range(10_000_000):
        total += number
    return time.monotonic() - began


def show(title: str, run: Measured) -> None:
    """A run, as a small table."""
    changed = sum(task["changed"] for task in run.tasks)
    modules = sum(task["modules"] for task in run.executed)
    print(f"\n{title}: {run.seconds:.1f} s")
    print(
        f"  {len(run.tasks)} tasks, {len(run.executed)} of them executed on the edge host ({modules} modules), {changed} changed"
    )
    in_tasks = sum(seconds for _, seconds, _ in run.shares()) or 1.0
    for role, seconds, sent in run.shares():
        print(f"    {role:<14} {seconds:6.1f} s  {100 * seconds / in_tasks:4.0f} %  {sent:3d} programs on the edge host")
    print("  the longest tasks")
    for task in sorted(run.tasks, key=lambda task: -task["seconds"])[:LONGEST]:
        print(f"    {task['seconds']:6.1f} s  {task['role'] or 'playbook'}: {task['task']}")


def main(arguments: list[str]) -> int:
    """Measure and print."""
    if arguments:
        sys.stderr.write("usage: ./kit bench provision\n")
        return 2
    if reason := image.available():
        sys.stderr.write(f"bench provision: {reason}\n")
        return 2
    if world.load_state() is not None:
        sys.stderr.write("bench provision: a lab is up, and this needs one of its own; ./kit lab down, then run it again\n")
        return 2
    before = sum_of_ten_million()
    with tempfile.TemporaryDirectory() as folder:
        try:
            first, again = measure(Path(folder))
        finally:
            world.down()
    show("prerequisites.yml on an empty edge host", first)
    show("site.yml a second time", again)
    print(f"\nadding up ten million numbers took this machine {before:.1f} s before and {sum_of_ten_million():.1f} s after it")
    return 0


def measure(folder: Path) -> tuple[Measured, Measured]:
    """The whole journey in a lab just booted; its story is not shown."""
    print("bench provision: the lab boots, and one company is taken through the guide (about two minutes)", flush=True)
    with contextlib.redirect_stdout(io.StringIO()):
        world.up()
        story = whole.Story()
        with timed(folder) as first:
            whole.prerequisites(story)
        whole.after_the_prerequisites(story)
        with timed(folder) as again:
            story.playbook("site", "-e", f"qbo_sync_decisions_file={whole.DECISIONS}")
    return first[0], again[0]
