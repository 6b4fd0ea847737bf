"""How a role says how it ended: a fact, a line in the store, and a wait that ends the site without failing it."""

from __future__ import annotations

from typing import Any

from tests.playbooks import TOP
from tests.roles.conftest import Control

SHOW = {"name": "Show", "ansible.builtin.debug": {"msg": "fact: {{ dns_record_result | to_json }}"}}
WAIT = {
    "role": "dns_record",
    "state": "waiting",
    "waiting_for": {"who": "Pat", "what": "the record"},
    "next": "make the record",
}
STOP = [
    {"name": "Stop", "ansible.builtin.import_tasks": str(TOP / "playbooks/tasks/stop_while_waiting.yml")},
    {"name": "Go on", "ansible.builtin.debug": {"msg": "it went on"}},
]


def result(**arguments: Any) -> dict[str, Any]:
    return {"name": "Publish", "kit_result": {"role": "dns_record", **arguments}}


def test_a_result_is_a_fact_and_is_remembered(control: Control) -> None:
    run = control.play([result(changed=True, seen={"record": "r"}), SHOW])
    assert (run.code, run.count("changed")) == (0, 0), run.text
    kept = control.state["dns_record"]
    assert {name: kept[name] for name in ("changed", "state", "seen")} == {
        "changed": True,
        "state": "done",
        "seen": {"record": "r"},
    }
    assert "waiting_for" not in kept
    assert '"state": "done"' in run.text


def test_in_check_mode_the_fact_is_there_and_nothing_is_remembered(control: Control) -> None:
    run = control.play([result(changed=True), SHOW], "--check")
    assert (run.code, run.count("failed")) == (0, 0), run.text
    assert '"changed": true' in run.text
    assert control.state == {}


def test_a_failure_is_remembered_and_fails_with_the_same_text(control: Control) -> None:
    run = control.play([result(state="failed", problem="the zone is gone"), SHOW])
    assert (run.code, run.count("failed")) == (2, 1), run.text
    assert control.state["dns_record"]["state"] == "failed"
    assert control.state["dns_record"]["next"] == "the zone is gone"
    assert "the zone is gone" in run.text


def test_a_wait_ends_the_site_says_who_and_is_no_failure(control: Control) -> None:
    run = control.play([{"name": "Wait", "kit_result": WAIT}, *STOP])
    assert (run.code, run.count("failed")) == (0, 0), run.text
    kept = control.state["dns_record"]
    assert f"acme: dns_record waits for Pat, since {kept['waiting_for']['since']}: the record" in run.flat
    assert "next: make the record" in run.flat
    assert "it went on" not in run.text


def test_without_a_wait_the_site_goes_on(control: Control) -> None:
    assert "it went on" in control.play([result(), *STOP]).text


def test_the_same_wait_keeps_the_moment_it_began(control: Control) -> None:
    began = {**WAIT, "waiting_for": {**WAIT["waiting_for"], "since": "2026-01-02T03:04:05+00:00"}}
    control.play([{"name": "Wait", "kit_result": began}])
    control.play([{"name": "Wait", "kit_result": WAIT}])
    assert control.state["dns_record"]["waiting_for"]["since"] == "2026-01-02T03:04:05+00:00"


def test_status_tells_every_step_and_what_a_wait_is_for(control: Control) -> None:
    control.play([result(), {"name": "Wait", "kit_result": {**WAIT, "role": "handoff"}}])
    run = control.playbook(TOP / "playbooks" / "status.yml")
    assert run.code == 0, run.text
    assert "acme: dns_record done (" in run.text
    assert "acme: handoff waiting (" in run.text
    assert "make the record" in run.text


def test_status_of_a_new_site_says_how_to_begin(control: Control) -> None:
    assert "acme: nothing recorded yet; begin with playbooks/preflight.yml" in control.playbook(TOP / "playbooks/status.yml").text


def test_offboarding_a_site_that_was_not_named_is_refused(control: Control) -> None:
    run = control.playbook(TOP / "playbooks" / "offboard.yml")
    assert run.code == 2
    assert "acme: nothing was removed." in run.flat
    assert "say that you mean it with -e offboard_site=acme -l site_acme" in run.flat
