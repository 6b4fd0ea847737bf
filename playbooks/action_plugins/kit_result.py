"""Publish ``<role>_result`` and remember it in the control node's ``store/state.json``.

The last task of a role::

    - name: Publish what was done and seen
      kit_result:
        role: certificate
        state: done                    # done | waiting | failed
        changed: "{{ __certificate_issue is changed }}"
        seen: {days_left: 64}
        waiting_for: {who: ..., what: ..., since: ...}   # with state waiting; since is filled in when left out
        next: one sentence             # optional

and in the role's ``rescue``, where it records the failure and fails with the same text::

    - name: Record the failure
      kit_result:
        role: certificate
        state: failed
        problem: "{{ ansible_failed_result.msg | default('') }}"

The task itself never counts as changed; in check mode the fact is published and nothing is recorded.
"""

from __future__ import annotations

import datetime
from typing import Any, ClassVar

from qbo_sync.edge import state
from qbo_sync.edge.action import KitAction


class ActionModule(KitAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "role": {"type": "str", "required": True},
        "step": {"type": "str"},
        "state": {"type": "str", "choices": ["done", "waiting", "failed"], "default": "done"},
        "changed": {"type": "bool", "default": False},
        "seen": {"type": "dict", "default": {}},
        "waiting_for": {
            "type": "dict",
            "options": {
                "who": {"type": "str", "required": True},
                "what": {"type": "str", "required": True},
                "since": {"type": "str"},
            },
        },
        "next": {"type": "str"},
        "problem": {"type": "str"},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Build the result, record it, hand it out as a fact."""
        path = self.store / "state.json"
        step = arguments["step"] or arguments["role"]
        outcome = {name: arguments[name] for name in ("changed", "state", "seen")}
        if arguments["waiting_for"]:
            outcome["waiting_for"] = self._since(arguments["waiting_for"], state.last(path, self.site, step))
        following = arguments["next"] or arguments["problem"]
        if following:
            outcome["next"] = following
        if not self.check_mode:
            state.record(path, self.site, step, outcome)
        if arguments["state"] == "failed":
            return {"failed": True, "msg": arguments["problem"] or f"{self.site}: {step} failed"}
        return {"changed": False, "ansible_facts": {f"{arguments['role']}_result": outcome}}

    def _since(self, waiting_for: dict[str, Any], last: dict[str, Any] | None) -> dict[str, Any]:
        """The same wait keeps the moment it began; a new one begins now."""
        before = (last or {}).get("waiting_for") or {}
        same = (before.get("who"), before.get("what")) == (waiting_for["who"], waiting_for["what"])
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return {**waiting_for, "since": waiting_for.get("since") or (before.get("since") if same else None) or now}
