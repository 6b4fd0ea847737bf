"""Run one ``qbo-sync`` command for the site on its edge host, as the user ``qbo-sync``, and read its JSON answer.

::

    - name: Compare both sides
      qbo_sync_command:
        command: [audit]

``decisions`` names a filled-in decisions file on the control node; it is handed over as ``--decisions``.

The exit code decides: ``ok`` and ``attention`` go on, ``waiting`` publishes ``kit_waiting`` so that the playbook ends the site
there, everything else fails with the program's own words. The task counts as changed only when something was
written. The answer is published as ``qbo_sync_result`` and recorded under the command's name. In check mode nothing is run.
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
GOES_ON, ATTENTION = (0, 3), 3
WAITS = 5
# The link for the first connection is shown to whoever runs the playbook; what is recorded holds no secret.
_INVITATION = re.compile(r"\?invitation=\S+")


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {
        "command": {"type": "list", "elements": "str", "required": True},
        "decisions": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run the command and turn its exit code into the task's result."""
        command = arguments["command"]
        if self.check_mode:
            return {"skipped": True, "msg": f"{self.site}: `qbo-sync {' '.join(command)}` is not run in check mode"}
        decided = ["--decisions", self._hand_over(arguments["decisions"])] if arguments["decisions"] else []
        code, document = self._run([*command, *decided])
        step = "_".join(command)
        said = words(document)
        result = state.result(
            changed=wrote(document),
            state="waiting" if code == WAITS else "done" if code in GOES_ON else "failed",
            seen={name: document[name] for name in ("outcome", "summary", "report", "requests") if document.get(name)},
            waiting_for=_waiting_for(document) if code == WAITS else None,
            next=_INVITATION.sub("", said),
        )
        result = state.record(self.store / "state.json", self.site, step, result)
        if result["state"] == "failed":
            return {"failed": True, "exit_code": code, "msg": f"{self.site}: qbo-sync {' '.join(command)}: {said}"}
        facts: dict[str, Any] = {"qbo_sync_result": result}
        if code == WAITS:
            facts["kit_waiting"] = {"step": step, "text": f"{self.site}: {step} waits for {result['waiting_for']['who']}\n{said}"}
        if code == ATTENTION:
            self._display.warning(f"{self.site}: {step}: somebody should look at this\n{said}")
        return {"changed": result["changed"], "msg": said, "seen": result["seen"], "ansible_facts": facts}

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

    def _run(self, command: list[str]) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON answer. Raises :class:`KitError` when there is no such answer."""
        settings = f"/etc/qbo-sync/{self.site}.toml"
        line = [PROGRAM, "--config", settings, "--format", "json", *command]
        # With something on standard input ssh gives no terminal, which would mix progress messages into the answer.
        done = self._low_level_execute_command(shlex.join(line), in_data=b"\n", chdir="/")
        try:
            return done["rc"], dict(json.loads(done["stdout"]))
        except ValueError as error:
            raise KitError(
                f"qbo-sync {' '.join(command)} gave no answer (exit code {done['rc']})",
                seen=(done["stderr"].strip() or done["stdout"].strip())[-600:],
                next="run playbooks/connect.yml, which installs qbo-sync on the edge host and writes its settings",
            ) from error


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


def _waiting_for(document: dict[str, Any]) -> dict[str, str]:
    what = next((str(item["result"]) for item in document.get("items", []) if item.get("kind") == "error"), document["command"])
    who = str((document.get("summary") or {}).get("waiting_for") or "somebody outside")
    return {"who": who, "what": what, "since": datetime.now(UTC).isoformat(timespec="seconds")}
