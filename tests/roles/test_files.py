"""Files on a host, many in one go: made, left alone, told in check mode, refused, never shown when they are secret."""

from __future__ import annotations

import base64
import getpass
import grp
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qbo_sync.edge import host_files
from tests.playbooks import Run
from tests.roles.conftest import Control

ME = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}


@pytest.fixture
def wanted(control: Control, tmp_path: Path) -> dict[str, Any]:
    """One of each kind, below a folder of the test's own."""
    (tmp_path / "secret").write_text("OPEN SESAME")
    (tmp_path / "page.j2").write_text("{{ ansible_managed | comment }}\n{{ site_name }} {{ '{{' }}\n\n")
    top = tmp_path / "host"
    files = [
        {"dest": f"{top}/deep/er", "state": "directory", "mode": "0750"},
        {"dest": f"{top}/deep/plain", "content": "one\n", "mode": "0644"},
        {"dest": f"{top}/deep/er/made", "template": str(tmp_path / "page.j2"), "mode": "0755"},
        {"dest": f"{top}/deep/er/secret", "secret": str(tmp_path / "secret"), "mode": "0600"},
    ]
    return {"files": [{**file, **ME} for file in files], "absent": [f"{top}/old", f"{top}/away"]}


def run(control: Control, wanted: dict[str, Any], *arguments: str) -> Run:
    return control.play([{"name": "Files", "kit_files": wanted}], *arguments)


def listed(top: Path) -> dict[str, tuple[str, bytes]]:
    return {
        str(path.relative_to(top)): (f"{path.lstat().st_mode & 0o7777:04o}", b"" if path.is_dir() else path.read_bytes())
        for path in top.rglob("*")
    }


def test_all_are_made_once_and_check_mode_says_so_before(control: Control, wanted: dict[str, Any], tmp_path: Path) -> None:
    top = tmp_path / "host"
    (top / "away").mkdir(parents=True)
    (top / "away" / "thing").touch()
    (top / "old").symlink_to("/nowhere")
    said = run(control, wanted, "--check", "--diff")
    assert (said.code, said.count("changed")) == (0, 1), said.text
    assert not (top / "deep").exists()
    done = run(control, wanted, "--diff")
    assert (done.code, done.count("changed")) == (0, 1), done.text
    assert said.text.split("PLAY RECAP")[0] == done.text.split("PLAY RECAP")[0]
    assert listed(top) == {
        "deep": ("0755", b""),
        "deep/plain": ("0644", b"one\n"),
        "deep/er": ("0750", b""),
        "deep/er/made": ("0755", b"#\n# Ansible managed\n#\nacme {{\n\n"),
        "deep/er/secret": ("0600", b"OPEN SESAME"),
    }
    assert "SESAME" not in said.text + run(control, wanted, "-vvv").text
    assert run(control, wanted).count("changed") == 0


def test_what_differs_is_mended_and_nothing_else(control: Control, wanted: dict[str, Any], tmp_path: Path) -> None:
    run(control, wanted)
    deep = tmp_path / "host" / "deep"
    (deep / "er").chmod(0o777)
    (deep / "er" / "secret").write_text("another")
    kept = (deep / "plain").stat().st_mtime_ns
    again = run(control, wanted, "--diff")
    assert again.count("changed") == 1
    assert "-directory, mode 0777" in again.text
    assert "(not shown, another one)" in again.text
    assert "SESAME" not in again.text
    assert (deep / "plain").stat().st_mtime_ns == kept
    assert (listed(deep)["er"][0], listed(deep)["er/secret"]) == ("0750", ("0600", b"OPEN SESAME"))


def on_host(*files: dict[str, Any], check: bool = False) -> list[dict[str, Any]]:
    """What the program on the host says of these."""
    asked = json.dumps({"check": check, "activate": [], "files": files})
    done = subprocess.run([sys.executable, host_files.__file__], input=asked, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_folder_holds_no_other_files(tmp_path: Path) -> None:
    """What an earlier run left goes after the new files are there; folders and what is not there yet are no concern of it."""
    top = tmp_path / "folder"
    only = {"dest": str(top), "state": "only", "names": ["kept", "to come"]}
    assert on_host(only) == [{"state": "only", "others": [], "changed": False}]
    (top / "deeper").mkdir(parents=True)
    for name in ("kept", "old", ".old.new"):
        (top / name).touch()
    said = on_host(only, check=True)
    assert said == [{"state": "only", "others": [".old.new", "old"], "changed": True}]
    assert on_host(only) == said
    assert sorted(path.name for path in top.iterdir()) == ["deeper", "kept"]
    assert on_host(only)[0]["changed"] is False


def test_the_host_never_answers_with_a_secret(tmp_path: Path) -> None:
    """Ansible logs answers when it is asked to be talkative."""
    path = tmp_path / "secret"
    path.write_text("OPEN SESAME")
    path.chmod(0o600)
    content = base64.b64encode(b"OPEN SESAME").decode()
    entry = {"dest": str(path), "state": "file", "mode": "0600", "content": content, "secret": True, **ME}
    for other in (content, base64.b64encode(b"another").decode()):
        (said,) = on_host({**entry, "content": other})
        assert said["changed"] is (other != content)
        assert content not in json.dumps(said)


def test_what_cannot_be_taken_into_use_is_put_back(control: Control, wanted: dict[str, Any], tmp_path: Path) -> None:
    """A web server that refuses its new configuration must still be able to start tomorrow."""
    top, deep = tmp_path / "host", tmp_path / "host" / "deep"
    (deep / "er").mkdir(parents=True)
    (deep / "er" / "made").write_text("as it was")
    (deep / "er" / "made").chmod(0o640)
    (tmp_path / "page").write_text("Debian's")
    (top / "old").symlink_to(tmp_path / "page")
    (deep / "er" / "secret").symlink_to(tmp_path / "nowhere")
    activate = ["sh", "-c", f"grep -c Ansible {deep}/er/made; ls {top}; echo the server says no; exit 1"]
    done = run(control, {**wanted, "activate": activate})
    assert done.code == 2
    assert "what was written could not be taken into use, and was put back as it stood: sh -c" in done.flat, done.text
    assert "seen: 1\ndeep\nthe server says no" in done.text.replace("\\n", "\n"), done.text
    assert (deep / "er" / "made").read_text() == "as it was"
    assert f"{(deep / 'er' / 'made').stat().st_mode & 0o7777:o}" == "640"
    assert ((top / "old").readlink(), (tmp_path / "page").read_text()) == (tmp_path / "page", "Debian's")
    assert ((deep / "er" / "secret").is_symlink(), (tmp_path / "nowhere").exists()) == (True, False)
    assert not (deep / "plain").exists()
    assert run(control, {**wanted, "activate": ["true"]}).count("changed") == 1
    assert not (top / "old").is_symlink()
    assert run(control, {**wanted, "activate": ["false"]}).code == 0, "only what changed is taken into use"


def test_what_could_be_written_in_part_only_is_put_back(control: Control, wanted: dict[str, Any], tmp_path: Path) -> None:
    deep = tmp_path / "host" / "deep"
    (deep / "er" / "secret").mkdir(parents=True)
    done = run(control, {**wanted, "activate": ["true"]})
    assert f"seen: {deep}/er/secret: Is a directory" in done.flat, done.text
    assert not (deep / "plain").exists()
    assert not (deep / "er" / "made").exists()


def test_a_link_stays_a_link(control: Control, wanted: dict[str, Any], tmp_path: Path) -> None:
    """A person who keeps the file elsewhere keeps it there."""
    deep = tmp_path / "host" / "deep"
    deep.mkdir(parents=True)
    (deep / "plain").symlink_to(tmp_path / "elsewhere")
    assert run(control, wanted).count("changed") == 1
    assert (deep / "plain").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "one\n"


def test_what_cannot_be_written_is_told_by_its_name(control: Control, wanted: dict[str, Any], tmp_path: Path) -> None:
    deep = tmp_path / "host" / "deep"
    (deep / "plain").mkdir(parents=True)
    done = run(control, wanted)
    assert done.code == 2
    assert "could not write a file on the host" in done.flat
    assert f"seen: {deep}/plain: Is a directory" in done.flat, done.text
    assert not list(deep.glob(".*"))


def test_a_user_that_is_not_there_is_told_and_is_a_change_in_check_mode(control: Control, tmp_path: Path) -> None:
    file = {"dest": str(tmp_path / "theirs"), "content": "x", "mode": "0600", **ME, "owner": "nobody-of-that-name"}
    assert run(control, {"files": [file]}, "--check").count("changed") == 1
    done = run(control, {"files": [file]})
    assert "theirs: there is no user nobody-of-that-name" in done.flat, done.text
    assert not (tmp_path / "theirs").exists()
