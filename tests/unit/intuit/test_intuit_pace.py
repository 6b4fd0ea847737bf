"""The pace: all processes of a site together stay below Intuit's limits."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from intuit_lab import Lab, Rests

from lab.intuit.process import running
from qbo_sync.config import Settings
from qbo_sync.errors import Unreachable
from qbo_sync.intuit import Http
from qbo_sync.intuit.files import exclusive
from qbo_sync.intuit.pace import Pacer

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


def pacer(tmp_path: Path, rests: Rests, per_second: float = 0.5) -> Pacer:
    return Pacer(tmp_path / "pace.db", per_second=per_second, per_minute=60, sleep=rests)


def test_starts_queue_up(tmp_path: Path, rests: Rests) -> None:
    for _ in range(4):
        pacer(tmp_path, rests).permit().wait()
    assert [round(seconds) for seconds in rests.seconds] == [2, 4, 6]


def test_a_pause_holds_for_everybody(tmp_path: Path, rests: Rests) -> None:
    pacer(tmp_path, rests, 8).pause(50)
    pacer(tmp_path, rests, 8).pause(1)
    assert round(pacer(tmp_path, rests, 8).permit().wait()) == 50


@dataclass
class Time:
    """A clock that only sleeping moves, on a machine that wakes up late."""

    late: Iterator[float]
    now: float = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds + next(self.late)


@given(
    st.floats(0.1, 9.5),
    st.integers(1, 499),
    st.lists(st.tuples(st.booleans(), st.floats(0, 0.2)), max_size=80),
    st.lists(st.floats(0, 1), min_size=1),
)
def test_no_limit_of_intuit_is_ever_passed(
    per_second: float, per_minute: int, requests: list[tuple[bool, float]], late: list[float]
) -> None:
    clock = Time(itertools.cycle([*late, 0.0]))
    starts = []
    with tempfile.TemporaryDirectory() as folder:
        pace = Pacer(
            Path(folder) / "pace.db",
            per_second=per_second,
            per_minute=per_minute,
            sleep=clock.sleep,
            clock=lambda: clock.now,
        )
        for batch, busy in requests:
            pace.permit(batch=batch).wait()
            starts.append((clock.now, batch))
            clock.now += busy
    every = [at for at, _ in starts]
    batches = [at for at, batch in starts if batch]
    for held, count, seconds in ((every, 10, 1.0), (every, per_minute, 59.0), (batches, 40, 60.0)):
        assert all(after - before > seconds for before, after in zip(held, held[count:], strict=False)), (count, seconds)


def test_the_moment_of_sending_is_when_the_connection_stands(settings: Settings) -> None:
    """A new connection takes time, over which a start would be missed unnoticed."""
    accepted: list[socket.socket] = []
    said = []

    class Permit:
        def wait(self) -> float:
            said.append("wait")
            listener.settimeout(0.05 if len(said) == 1 else 5)
            with suppress(TimeoutError):
                accepted.append(listener.accept()[0])
                accepted[0].setblocking(False)
                with pytest.raises(BlockingIOError):
                    accepted[0].recv(1)
            return float(len(said))

        def sent(self) -> None:
            said.append("sent")
            accepted[0].setblocking(True)
            threading.Thread(target=answer).start()

    def answer() -> None:
        accepted[0].recv(9999)
        accepted[0].sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Http(settings)
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert client.send("GET", base, what="ask", headers={}, permit=Permit).status == 204
        assert (said, client.counters.waited_s) == (["wait", "wait", "sent"], 3.0)
        client.close()
    accepted[0].close()


def test_whoever_is_late_queues_up_anew(tmp_path: Path) -> None:
    clock = Time(itertools.repeat(0.0))
    pace = Pacer(tmp_path / "pace.db", per_second=8, per_minute=480, sleep=clock.sleep, clock=lambda: clock.now)
    late, others = pace.permit(), [pace.permit() for _ in range(10)]
    late.wait()
    clock.now += 0.9
    for other in others:
        other.wait()
    assert round(late.wait(), 2) == 0.9
    assert late.wait() == 0.0


def test_whoever_is_held_up_while_sending_counts_from_then_on(tmp_path: Path) -> None:
    """The machine had no time for the thread between the last look at the clock and the writing."""
    clock = Time(itertools.repeat(0.0))
    pace = Pacer(tmp_path / "pace.db", per_second=8, per_minute=480, sleep=clock.sleep, clock=lambda: clock.now)
    held_up = pace.permit()
    held_up.wait()
    clock.now += 0.9
    held_up.sent()
    for _ in range(9):
        pace.permit().wait()
    assert pace.permit().wait() == pytest.approx(1.25)


@given(st.binary(min_size=1, max_size=2000))
@example(b"SQLite format 3\0" + bytes(2000))
def test_a_strange_file_never_stops_the_site(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pace.db"
        path.write_bytes(content)
        assert Pacer(path, per_second=8, per_minute=60, sleep=lambda _: None).permit().wait() == 0.0


@pytest.mark.parametrize("ahead", [-1e9, -61.0, 121.0, 1e9])
def test_starts_of_another_boot_do_not_count(tmp_path: Path, rests: Rests, ahead: float) -> None:
    pacer(tmp_path, rests).pause(0)
    with exclusive(tmp_path / "pace.db", timeout_s=0) as db:
        db.execute("UPDATE start SET at = ?", (time.monotonic() + ahead,))
    assert pacer(tmp_path, rests).permit().wait() == 0.0


def test_a_lock_that_is_kept_is_told(tmp_path: Path, rests: Rests) -> None:
    with (
        exclusive(tmp_path / "lock", timeout_s=0),
        pytest.raises(Unreachable, match="another process"),
        exclusive(tmp_path / "lock", timeout_s=0, sleep=rests),
    ):
        pass
    with exclusive(tmp_path / "lock", timeout_s=0):
        pass
