"""The control node's state file."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from qbo_sync.edge import state
from qbo_sync.errors import KitError, Waiting


def test_records_and_reads(tmp_path: Path) -> None:
    path = tmp_path / "store" / "state.json"
    assert state.read(path) == {}
    kept = state.record(path, "lab", "dns_record", state.result(changed=True, seen={"a": "11.22.33.10"}))
    state.record(path, "lab", "verify", state.result(changed=False, state="failed", next="look"))
    state.record(path, "other", "verify", state.result(changed=False))
    found = state.read(path)
    assert found["lab"]["dns_record"] == kept
    assert kept.items() >= {"changed": True, "state": "done", "seen": {"a": "11.22.33.10"}}.items()
    assert found["lab"]["verify"]["next"] == "look"
    assert set(found) == {"lab", "other"}


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "store" / "state.json"
    state.record(path, "lab", "verify", state.result(changed=False))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(p.name for p in path.parent.iterdir()) == ["state.json", "state.json.lock"]


def test_a_wait_keeps_its_beginning_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    wait = state.waiting(Waiting("the record is missing", who="the DNS provider", next="make it"), seen={"text": "please"})
    early = {**wait, "waiting_for": {**wait["waiting_for"], "since": "2020-01-01T00:00:00+00:00"}}
    state.record(path, "lab", "dns_record", early)
    again = state.record(path, "lab", "dns_record", wait)
    assert again["waiting_for"] == early["waiting_for"]
    assert (again["state"], again["next"], again["seen"]) == ("waiting", "make it", {"text": "please"})
    other = state.record(path, "lab", "dns_record", state.waiting(Waiting("a date", who="support")))
    assert other["waiting_for"]["since"] > "2020-01-01T00:00:00+00:00"


@pytest.mark.parametrize("content", ["{", "[]", '{"lab": 7}', "\xff"])
def test_a_damaged_file_is_named_and_left(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(KitError, match=r"state\.json"):
        state.record(path, "lab", "verify", state.result(changed=False))
    assert path.read_bytes() == content.encode("latin-1")


def _write(path: Path, site: str) -> None:
    for number in range(25):
        state.record(path, site, f"step{number}", state.result(changed=True))


def test_sites_side_by_side_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(path, f"site{n}")) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = json.loads(path.read_text())
    assert {site: len(steps) for site, steps in found.items()} == {f"site{n}": 25 for n in range(4)}
