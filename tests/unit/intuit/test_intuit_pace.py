"""The pace: all processes of a site together stay below Intuit's limits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intuit_lab import Lab, Rests

from lab.intuit.process import running
from qbo_sync.errors import Unreachable
from qbo_sync.intuit.pace import Pacer, exclusive

READER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from intuit_lab import Lab
from qbo_sync.intuit import Intuit
with Intuit.open(Lab(sys.argv[3]).settings(Path(sys.argv[4]))) as intuit:
    for _ in range(15):
        intuit.count("Customer")
    print(intuit.counters.throttled)
"""


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Lab]:
    with running("--limits", "on", "--customers", "5") as base:
        lab = Lab(base)
        lab.connect(lab.settings(tmp_path))
        yield lab


def test_three_processes_are_never_throttled(limited: Lab, tmp_path: Path) -> None:
    here = Path(__file__).resolve()
    command = [sys.executable, "-c", READER, str(here.parents[3]), str(here.parent), limited.base, str(tmp_path)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [reader.communicate(timeout=120)[0] for reader in readers] == ["0\n"] * 3
    stats = limited.stats()
    assert stats["throttled"] == 0
    assert stats["requests"] == 1 + 3 * 15


def pacer(tmp_path: Path, rests: Rests) -> Pacer:
    return Pacer(tmp_path / "pace.lock", per_second=0.5, per_minute=60, sleep=rests)


def test_the_slower_limit_rules(tmp_path: Path) -> None:
    assert Pacer(tmp_path / "p", per_second=8, per_minute=60).interval_s == 1.0
    assert Pacer(tmp_path / "p", per_second=8, per_minute=499).interval_s == 0.125


def test_slots_queue_up(tmp_path: Path, rests: Rests) -> None:
    for _ in range(4):
        pacer(tmp_path, rests).wait()
    assert [round(seconds) for seconds in rests.seconds] == [2, 4, 6]


def test_a_pause_holds_for_everybody(tmp_path: Path, rests: Rests) -> None:
    pacer(tmp_path, rests).pause(60)
    pacer(tmp_path, rests).pause(1)
    assert round(pacer(tmp_path, rests).wait()) == 60


@given(st.binary(max_size=16))
def test_a_strange_file_never_stops_the_site(content: bytes) -> None:
    descriptor = os.memfd_create("pace")
    try:
        os.write(descriptor, content)
        assert 1000.0 <= Pacer._read(descriptor, 1000.0) <= 1120.0
    finally:
        os.close(descriptor)


def test_a_lock_that_is_kept_is_told(tmp_path: Path, rests: Rests) -> None:
    with (
        exclusive(tmp_path / "lock", timeout_s=0),
        pytest.raises(Unreachable, match="another process"),
        exclusive(tmp_path / "lock", timeout_s=0, sleep=rests),
    ):
        pass
    with exclusive(tmp_path / "lock", timeout_s=0):
        pass
