"""Every role follows the one interface, and every playbook is one that ansible accepts."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
import yaml

from tests.playbooks import TOP
from tests.roles.conftest import Control

ROLES = sorted(path.name for path in (TOP / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((TOP / "playbooks").glob("*.yml"))
# Roles that change nothing anywhere have nothing to remove.
READ_ONLY = {"preflight", "verify"}


def load(role: str, part: str) -> dict[str, Any]:
    return dict(yaml.safe_load((TOP / "roles" / role / part).read_text()) or {})


def options(role: str) -> dict[str, Any]:
    return dict(load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"])


def test_there_are_the_eight_roles_of_the_design() -> None:
    wanted = {"preflight", "dns_record", "port_forward", "reverse_proxy", "certificate", "verify", "handoff", "qbo_sync"}
    assert set(ROLES) == wanted


@pytest.mark.parametrize("role", ROLES)
def test_the_argument_spec_says_what_the_defaults_say(role: str) -> None:
    spec, defaults = options(role), load(role, "defaults/main.yml")
    assert {name: value["default"] for name, value in spec.items() if "default" in value} == defaults
    assert [name for name, value in spec.items() if "default" not in value and not value.get("required")] == []


@pytest.mark.parametrize("role", ROLES)
def test_inputs_carry_the_roles_name_and_a_description(role: str) -> None:
    spec = options(role)
    assert [name for name in spec if not name.startswith(f"{role}_")] == []
    assert [name for name, value in spec.items() if not value.get("description")] == []
    assert [name for name, value in spec.items() if value["type"] not in ("str", "int", "bool", "list", "dict")] == []


@pytest.mark.parametrize("role", ROLES)
def test_names_made_inside_a_role_are_marked_as_internal(role: str) -> None:
    text = "\n".join(path.read_text() for path in (TOP / "roles" / role).glob("tasks/*.yml"))
    registered = re.findall(r"register: (\S+)", text)
    assert [name for name in registered if not name.startswith(f"__{role}_")] == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_refuses_unknown_variables_publishes_a_result_and_can_be_removed(role: str) -> None:
    tasks = TOP / "roles" / role / "tasks"
    texts = {path.name: path.read_text() for path in tasks.glob("*.yml")}
    assert f"kit_known_variables:\n    role: {role}\n" in texts["validate.yml"]
    assert "kit_result:" in "".join(texts.values())
    assert "rescue:" in texts["main.yml"]
    assert ("remove.yml" in texts) is (role not in READ_ONLY)


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_names_every_input(role: str) -> None:
    text = (TOP / "roles" / role / "README.md").read_text()
    assert [name for name in options(role) if f"`{name}`" not in text] == []
    assert f"`{role}_result`" in text


@pytest.mark.parametrize("site", ["harbour", "summit", "maple"])
def test_ansible_accepts_every_playbook_for_every_example_site(site: str, control: Control) -> None:
    others = [str(path) for path in PLAYBOOKS[1:]]
    run = control.playbook(PLAYBOOKS[0], *others, "--syntax-check", "-i", str(TOP / "inventory" / f"{site}.yml"))
    assert run.code == 0, run.text
    assert [str(path) for path in PLAYBOOKS if f"playbook: {path}" not in run.text] == []


def test_site_takes_the_steps_in_the_guides_order() -> None:
    steps = [play["ansible.builtin.import_playbook"] for play in yaml.safe_load((TOP / "playbooks/site.yml").read_text())]
    guide = ["preflight", "prerequisites", "connect", "prepare", "audit", "import", "finish", "status"]
    assert steps == [f"{step}.yml" for step in guide]


@pytest.mark.parametrize("site", ["harbour", "summit", "maple"])
def test_an_example_site_sets_only_names_that_a_role_knows(site: str) -> None:
    sys.path.insert(0, str(TOP / "playbooks" / "action_plugins"))
    try:
        from kit_known_variables import SITE_VARIABLES
    finally:
        sys.path.pop(0)
    known = {*SITE_VARIABLES, *(name for role in ROLES for name in options(role))}
    folder = TOP / "inventory" / "group_vars" / f"site_{site}"
    plain, vault = (yaml.safe_load((folder / name).read_text()) for name in ("main.yml", "vault.yml"))
    assert sorted(set(plain) - known) == []
    assert [name for name in vault if not name.startswith("vault_")] == []
    assert sorted(re.findall(r"vault_\w+", (folder / "main.yml").read_text())) == sorted(vault)
