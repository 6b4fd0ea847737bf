"""`./kit site check`: slips in a site's files are found before any playbook runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import sites
from lab.world.layout import TOP

INVENTORY = "edge_hosts:\n  hosts:\n    x:\n      ansible_host: 192.0.2.1\nsite_x:\n  hosts:\n    x:\n"


def checked(folder: Path, capsys: pytest.CaptureFixture[str], **files: str) -> tuple[int, str]:
    """The exit code and what was printed for a site with these files of variables."""
    variables = folder / "group_vars/site_x"
    variables.mkdir(parents=True)
    for name, text in files.items():
        (variables / f"{name}.yml").write_text(text)
    inventory = folder / "x.yml"
    inventory.write_text(INVENTORY)
    return sites.main(["check", str(inventory)]), capsys.readouterr().out.replace(f"{folder}/", "")


def test_the_examples_are_in_order() -> None:
    examples = [f"inventory/{name}.yml" for name in ("harbour", "maple", "summit")]
    done = subprocess.run([TOP / "kit", "site", "check", *examples], cwd=TOP, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()) == (0, [f"{each}: nothing to mend" for each in examples]), done.stderr


def test_a_slip_in_a_prefix_is_found_with_the_name_that_was_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = checked(tmp_path, capsys, main="certficate_email: a@b.example\nsite_name: x\n")
    assert code == 2
    assert "group_vars/site_x/main.yml: certficate_email is no name of the kit (did you mean certificate_email?)" in said
    assert "site_name" not in said


def test_names_of_others_are_told_and_no_reason_to_stop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = checked(tmp_path, capsys, main="msp_telephone: '1'\nansible_user: root\nvault_anything: x\n")
    assert code == 0
    assert "msp_telephone is no name of the kit, nor like one" in said
    assert "ansible_user" not in said
    assert "vault_anything" not in said


def test_an_encrypted_file_is_named_and_the_rest_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sealed = "$ANSIBLE_VAULT;1.1;AES256\n3132\n"
    value = sealed.replace("\n", "\n  ")
    code, said = checked(tmp_path, capsys, vault=sealed, main=f"certificate_emial: !vault |\n  {value}")
    assert code == 2
    assert "vault.yml: encrypted, so it was not looked at" in said
    assert "did you mean certificate_email?" in said


@pytest.mark.parametrize("broken", ["- a list\n", "a: [\n"])
def test_a_file_that_cannot_be_read_is_no_clean_one(tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str) -> None:
    code, said = checked(tmp_path, capsys, main=broken)
    assert code == 2
    assert "cannot be read" in said


@pytest.mark.parametrize("text", [None, "", "edge_hosts: [\n", "edge_hosts:\n  hosts:\n"])
def test_an_inventory_without_hosts_is_no_clean_one(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None) -> None:
    inventory = tmp_path / "x.yml"
    if text is not None:
        inventory.write_text(text)
    assert sites.main(["check", str(inventory)]) == 2
    assert "cannot be read" in capsys.readouterr().out
