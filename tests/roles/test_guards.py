"""Wrong input is refused by name, before anything changes, with the cause and the next step."""

from __future__ import annotations

import json

import pytest

from tests.roles.conftest import SITE, Control

GUARD = [{"name": "Guard", "kit_known_variables": {"role": "handoff", "path": "{{ playbook_dir }}/role"}}]
BEGIN = [{"name": "Begin", "kit_site": {}}]


def test_an_unknown_variable_of_a_role_is_refused_with_the_nearest_name(control: Control) -> None:
    run = control.role("handoff", handoff_bookd_date="2027-01-02", handoff_file="/nowhere/handoff.txt")
    assert run.code == 2
    assert "acme: the role handoff does not know: handoff_bookd_date (did you mean handoff_booked_date?)" in run.flat
    assert (
        "next: mend or remove these names in the site's files; roles/handoff/README.md lists all. Nothing was changed" in run.flat
    )
    assert control.state["handoff"]["state"] == "failed"


def test_a_variable_that_resembles_nothing_is_refused_without_a_hint(control: Control) -> None:
    run = control.role("handoff", handoff_zzzzzzzzzzzz=1)
    assert "the role handoff does not know: handoff_zzzzzzzzzzzz next:" in run.flat
    assert "did you mean" not in run.flat


def test_a_misspelt_site_variable_is_refused_by_the_role_too(control: Control) -> None:
    run = control.role("handoff", site_adress="11.22.33.44")
    assert "the role handoff does not know: site_adress (did you mean site_address?)" in run.flat


def test_names_of_other_roles_and_internal_ones_are_left_alone(control: Control) -> None:
    run = control.role("handoff", certificate_anything=1, __handoff_anything=1, handoffs=1)
    assert run.code == 0, run.text


def test_a_site_without_a_name_it_needs_is_refused_before_any_role(control: Control) -> None:
    del control.variables["site_zone"]
    run = control.play(BEGIN)
    assert run.code == 2
    assert "acme: the site's variables are not complete or not right" in run.flat
    assert "seen: missing: site_zone (the DNS zone it lies in, company.com) next: mend" in run.flat
    assert "next: mend inventory/group_vars/site_acme/main.yml; roles/README.md lists them all. Nothing was changed" in run.flat


def test_a_site_with_a_misspelt_name_is_refused_before_any_role(control: Control) -> None:
    control.variables = {**SITE, "site_upstram": "x"}
    run = control.play(BEGIN)
    assert "seen: site_upstram is not known (did you mean site_upstream?) next:" in run.flat


def test_a_complete_site_passes(control: Control) -> None:
    run = control.play(BEGIN)
    assert (run.code, run.count("ok"), run.count("changed")) == (0, 1, 0), run.text


def test_a_wrong_choice_is_refused_by_the_argument_spec(control: Control) -> None:
    run = control.role("handoff", handoff_app="nobody")
    assert run.code == 2
    assert "value of handoff_app must be one of: vendor, msp, site, got: nobody" in run.flat


@pytest.mark.parametrize(
    ("steps", "connected"),
    [
        ({}, False),
        ({"connect": "waiting 09:00"}, False),
        ({"connect": "done 09:00"}, True),
        ({"connect": "done 09:00", "offboard": "done 10:00"}, False),
        ({"connect": "done 09:00", "offboard": "failed 10:00"}, False),
        ({"connect": "done 11:00", "offboard": "done 10:00"}, True),
    ],
    ids=str,
)
def test_a_site_is_connected_until_it_is_taken_off(control: Control, steps: dict[str, str], connected: bool) -> None:
    """A site that begins anew is looked at from outside before support is asked for its part, whatever it was before."""
    recorded = {step: dict(zip(("state", "at"), said.split(), strict=True), changed=False) for step, said in steps.items()}
    (control.folder / "store").mkdir()
    (control.folder / "store" / "state.json").write_text(json.dumps({"acme": recorded}))
    look = {"name": "Look", "ansible.builtin.assert": {"that": f"kit_connected is {str(connected).lower()}"}}
    run = control.play([*BEGIN, look])
    assert run.code == 0, run.text
