"""Run ``qbo-sync`` commands for the site on its edge host, as the user ``qbo-sync``, and read their JSON answers.

::

    - name: Check the profile, and compare both sides
      qbo_sync_command:
        commands: [profile check, audit]

All commands of a task run in one process (``qbo-sync batch``): loading the program takes longer than most of them. ``decisions``
names a filled-in decisions file on the control node; it is handed over to ``plan``.

Each answer decides: after ``ok`` and ``attention`` the next command runs, ``waiting`` publishes ``kit_waiting`` so that the
playbook ends the site there, everything else fails with the program's own words. The task counts as changed only when something
was written. Each answer is recorded under its command's name, the last one is published as ``qbo_sync_result``. In check mode
nothing is run.
"""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from qbo_sync.edge import state
from qbo_sync.edge.action import KitAction
from qbo_sync.errors import KitError, UsageError

# The command on the host's path: it becomes the user qbo-sync, and opens a sealed key for the run.
PROGRAM = "/usr/local/bin/qbo-sync"
GOES_ON = ("ok", "attention")
# The link for the first connection is shown to whoever runs the playbook; what is recorded holds no secret.
_INVITATION = re.compile(r"\?invitation=\S+")


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {
        "commands": {"type": "list", "elements": "str", "required": True},
        "decisions": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run the commands and turn their answers into the task's result."""
        commands = arguments["commands"]
        if self.check_mode:
            return {"skipped": True, "msg": f"{self.site}: `qbo-sync {', '.join(commands)}` is not run in check mode"}
        if arguments["decisions"]:
            plan = f"plan --decisions {shlex.quote(self._hand_over(arguments['decisions']))}"
            commands = [plan if command == "plan" else command for command in commands]
        done = self._run(commands)
        answers = documents(done["stdout"])
        results = [self._recorded(answer) for answer in answers]
        for answer, result in zip(answers, results, strict=True):
            self._tell(answer, result)
        if len(answers) < len(commands) and not (results and results[-1]["state"] == "waiting"):
            raise _unanswered(commands[len(answers)], done)
        facts: dict[str, Any] = {"qbo_sync_result": results[-1]}
        if results[-1]["state"] == "waiting":
            facts["kit_waiting"] = self._waiting(answers[-1], results[-1])
        said = "\n".join(map(words, answers))
        changed = any(result["changed"] for result in results)
        return {"changed": changed, "msg": said, "seen": results[-1]["seen"], "ansible_facts": facts}

    def _recorded(self, answer: dict[str, Any]) -> dict[str, Any]:
        """One command's answer as the step's result, which the store keeps."""
        waits = answer["outcome"] == "waiting"
        result = state.result(
            changed=wrote(answer),
            state="waiting" if waits else "done" if answer["outcome"] in GOES_ON else "failed",
            seen={name: answer[name] for name in ("outcome", "summary", "report", "requests") if answer.get(name)},
            waiting_for=_waiting_for(answer) if waits else None,
            next=_INVITATION.sub("", words(answer)),
        )
        return state.record(self.store / "state.json", self.site, _step(answer), result)

    def _tell(self, answer: dict[str, Any], result: dict[str, Any]) -> None:
        """Fail, or warn, where a person has to read the answer now. Raises :class:`KitError`."""
        if result["state"] == "failed":
            raise KitError(f"qbo-sync {answer['command']}: {words(answer)}", site=self.site)
        if answer["outcome"] == "attention":
            self._display.warning(f"{self.site}: {_step(answer)}: somebody should look at this\n{words(answer)}")

    def _waiting(self, answer: dict[str, Any], result: dict[str, Any]) -> dict[str, str]:
        step = _step(answer)
        return {"step": step, "text": f"{self.site}: {step} waits for {result['waiting_for']['who']}\n{words(answer)}"}

    def _hand_over(self, name: str) -> str:
        """Copy the decisions file from the control node into the site's store; where it is there. Raises :class:`UsageError`."""
        source = Path(self.variable("playbook_dir")).parent / name
        target = f"/var/lib/qbo-sync/{self.site}/decisions{source.suffix}"
        try:
            content = source.read_bytes()
        except OSError as error:
            raise UsageError(
                f"the decisions file cannot be read: {source}",
                seen=error.strerror or str(error),
                next="name an existing file with qbo_sync_decisions_file, or leave it empty",
            ) from error
        line = shlex.join(["install", "-o", "qbo-sync", "-g", "qbo-sync", "-m", "600", "/dev/stdin", target])
        done = self._low_level_execute_command(line, in_data=content, chdir="/")
        if done["rc"] != 0:
            raise KitError("the decisions file could not be put on the edge host", seen=done["stderr"].strip()[-300:])
        return target

    def _run(self, commands: list[str]) -> dict[str, Any]:
        """How the batch ended: ``rc``, ``stdout``, ``stderr``."""
        line = [PROGRAM, "--config", f"/etc/qbo-sync/{self.site}.toml", "--format", "json", "batch"]
        # With something on standard input ssh gives no terminal, which would mix progress messages into the answers.
        done: dict[str, Any] = self._low_level_execute_command(
            shlex.join(line), in_data="".join(f"{command}\n" for command in commands).encode(), chdir="/"
        )
        return done


def documents(text: str) -> list[dict[str, Any]]:
    """The JSON documents that stand one after another, as far as there is nothing else."""
    found, decoder = [], json.JSONDecoder()
    while text := text.strip():
        try:
            document, end = decoder.raw_decode(text)
        except ValueError:
            break
        found.append(document)
        text = text[end:]
    return found


def _unanswered(command: str, done: dict[str, Any]) -> KitError:
    return KitError(
        f"qbo-sync {command} gave no answer (exit code {done['rc']})",
        seen=(done["stderr"].strip() or done["stdout"].strip())[-600:],
        next="run playbooks/connect.yml, which installs qbo-sync on the edge host and writes its settings",
    )


def words(document: dict[str, Any]) -> str:
    """What a person should read of an answer: what failed or blocks, where the report is, and the next step."""
    lines = []
    for item in document.get("items", []):
        if item.get("kind") == "error":
            lines += [str(item.get("result", "")), *([f"  seen: {item['qbo']}"] if item.get("qbo") else [])]
        elif item.get("severity") == "blocker":
            sides = ", ".join(f"{side}: {item[key]}" for side, key in (("QBO", "qbo"), ("Miracle", "miracle")) if item.get(key))
            lines.append(f"{item['id']}: {sides}" + (f"; {item['remedy']}" if item.get("remedy") else ""))
    report = (document.get("report") or {}).get("html")
    lines += [f"  report, on the edge host: {report}"] if report else []
    lines += [f"  next: {document['next']}"] if document.get("next") else []
    return "\n".join(lines) or str(document.get("outcome", ""))


def wrote(document: dict[str, Any]) -> bool:
    """Whether any count named ``written`` in the summary is above zero, kind by kind or in all."""
    summary = document.get("summary") or {}
    counts = [summary.get("written"), *(part.get("written") for part in summary.values() if isinstance(part, dict))]
    return any(counts)


def _step(answer: dict[str, Any]) -> str:
    return str(answer["command"]).replace(" ", "_")


def _waiting_for(document: dict[str, Any]) -> dict[str, str]:
    what = next((str(item["result"]) for item in document.get("items", []) if item.get("kind") == "error"), document["command"])
    who = str((document.get("summary") or {}).get("waiting_for") or "somebody outside")
    return {"who": who, "what": what, "since": datetime.now(UTC).isoformat(timespec="seconds")}
