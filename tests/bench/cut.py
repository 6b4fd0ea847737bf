"""Every run cut off after its first change, until one has nothing left to change: `./kit bench cut`.

The demo's company is taken through the whole guide, but each playbook is killed (SIGKILL) as soon as one task has changed
something, and run again, so that every change is once the last one before a cut. What then stands must be what an undisturbed
journey leaves: ``site.yml`` changes nothing any more, in check mode and for real, and no service runs with older files than those
on the disk. It runs alone or not at all: the lab must be down.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.demo import whole
from lab.world import image, world
from lab.world.layout import TOP

CALLBACKS = Path(__file__).with_name("callbacks")
KILLED = -9
# A unit of ours that systemd knows in an older form; a service that began before what it reads was written.
STALE = r"""
for unit in $(systemctl list-units --all --plain --no-legend 'qbo-*' nginx.service | cut -d' ' -f1); do
    [ "$(systemctl show -P NeedDaemonReload "$unit")" = no ] || echo "$unit: systemd has not read its file"
done
older() {
    for process in $(pgrep "$@"); do
        began=$(( $(date +%s) - $(ps -o etimes= -p "$process") + 1 ))
        for file in $files; do
            [ "$(stat -Lc %Z "$file")" -le "$began" ] || echo "process $process ($*) is older than $file"
        done
    done
}
files=$(ls /etc/nginx/conf.d/qbo-kit.conf /etc/nginx/modules-enabled/90-qbo-kit-stream.conf)
older -f 'nginx: worker'
files=$(find /etc/qbo-sync -type f; ls /opt/qbo-kit/qbo-sync/bin/qbo-sync)
older -u qbo-sync -f serve
"""


class CutStory(whole.Story):
    """The demo's story, told by somebody whose power fails after each change."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.cuts: list[str] = []
        self._said = folder / "cut"

    def playbook(self, name: str, *options: str, fails: bool = False) -> str:
        """Run a playbook, cut after each change, and then once to its end."""
        while self._cut(name, *options):
            task = self._said.read_text(encoding="utf-8")
            print(f"cut {len(self.cuts) + 1:3d}  {name}: {task}", flush=True)
            if self.cuts[-3:] == [f"{name}: {task}"] * 3:
                raise SystemExit(f"bench cut: {name} changes the same thing again and again: {task}")
            self.cuts.append(f"{name}: {task}")
        return super().playbook(name, *options, fails=fails)

    def _cut(self, name: str, *options: str) -> bool:
        """One run; whether it was cut."""
        extra = {
            "KIT_CUT_FILE": str(self._said),
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "kit_cut",
        }
        command = ["ansible-playbook", "-i", str(self.lab.inventory), f"playbooks/{name}.yml", *options]
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False, env=os.environ | extra)
        return done.returncode == KILLED


def main(arguments: list[str]) -> int:
    """Tell the story and judge what stands; exit status 1 when anything is not as it should be."""
    if arguments:
        sys.stderr.write("usage: ./kit bench cut\n")
        return 2
    if reason := image.available():
        sys.stderr.write(f"bench cut: {reason}\n")
        return 2
    if world.load_state() is not None:
        sys.stderr.write("bench cut: a lab is up, and this needs one of its own; ./kit lab down, then run it again\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        world.up()
        try:
            story = CutStory(Path(folder))
            whole.prerequisites(story)
            whole.after_the_prerequisites(story)
            problems = judge(story)
        finally:
            world.down()
    print(f"\n{len(story.cuts)} runs cut off, each after a change; {len(problems)} problems")
    print("\n".join(problems))
    return 1 if problems else 0


def judge(story: CutStory) -> list[str]:
    """What is not as an undisturbed journey leaves it."""
    problems = story.lab.shell("edge", STALE).stdout.splitlines()
    decisions = ("-e", f"qbo_sync_decisions_file={whole.DECISIONS}")
    for options in (("--check", *decisions), decisions):
        done = whole.Story.playbook(story, "site", *options)
        changed = sum(int(number) for number in re.findall(r"changed=(\d+)", done))
        if changed:
            problems.append(f"site.yml {' '.join(options[:-2])} still changes {changed}:")
            problems += [line for line in done.splitlines() if line.startswith("changed:")]
    return problems
