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

``fail: false`` records a failure and goes on. With ``state: waiting`` the fact ``kit_waiting`` is set too, ``{text, step}``: the
playbook shows it and ends the site there. The task itself never counts as changed; in check mode the facts are published and
nothing is recorded.
"""

from __future__ import annotations

from datetime import UTC, datetime
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
        "fail": {"type": "bool", "default": True},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Build the result, record it, hand it out as a fact."""
        step = arguments["step"] or arguments["role"]
        waiting_for = arguments["waiting_for"]
        if waiting_for:
            waiting_for = {**waiting_for, "since": waiting_for["since"] or datetime.now(UTC).isoformat(timespec="seconds")}
        result = state.result(
            changed=arguments["changed"],
            state=arguments["state"],
            seen=arguments["seen"],
            waiting_for=waiting_for,
            next=arguments["next"] or arguments["problem"] or "",
        )
        if not self.check_mode:
            result = state.record(self.store / "state.json", self.site, step, result)
        if result["state"] == "failed" and arguments["fail"]:
            return {"failed": True, "msg": arguments["problem"] or f"{self.site}: {step} failed"}
        facts = {f"{arguments['role']}_result": result}
        if result["state"] == "waiting":
            facts["kit_waiting"] = {"step": step, "text": wait_text(self.site, step, result)}
        return {"changed": False, "ansible_facts": facts}


def wait_text(site: str, step: str, result: dict[str, Any]) -> str:
    """What a person reads when a site stops at a wait: who must act, since when, and what to do."""
    wait = result.get("waiting_for", {})
    lines = [f"{site}: {step} waits for {wait.get('who', 'somebody')}, since {wait.get('since', 'now')}: {wait.get('what', '')}"]
    if result.get("next"):
        lines.append(f"  next: {result['next']}")
    return "\n".join(lines)
