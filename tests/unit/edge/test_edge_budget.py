"""The CA's rate limits as our own record of failures and certificates counts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.edge import budget
from qbo_sync.edge.budget import HOUR_S, WEEK_S

CA, STAGING = "https://acme-v02.api.letsencrypt.org/directory", "https://acme-staging-v02.api.letsencrypt.org/directory"
NAME, NOW = "qbo.mycompany.com", 1_790_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "certificate" / "budget.json"


def left(path: Path, directory: str = CA, names: tuple[str, ...] = (NAME,), now: float = NOW) -> budget.Left:
    return budget.left(budget.read(path), directory, names, now=now)


def test_nothing_is_spent_at_first(path: Path) -> None:
    seen = left(path)
    assert (seen.allowed, seen.failures, seen.certificates, seen.again_at) == (True, 4, 4, 0.0)


def test_the_fifth_failure_is_never_spent(path: Path) -> None:
    for minute in range(4):
        assert left(path, now=NOW + minute * 60).allowed
        budget.failed(CA, NAME, "connection", path=path, now=NOW + minute * 60)
    seen = left(path, now=NOW + 300)
    assert (seen.allowed, seen.failures, seen.again_at) == (False, 0, NOW + HOUR_S)
    assert "4 failed validations" in seen.reason
    assert left(path, now=seen.again_at).allowed


def test_the_fifth_certificate_is_never_spent(path: Path) -> None:
    for day in range(4):
        budget.issued(CA, [NAME], path=path, now=NOW + day * 86_400)
    seen = left(path, now=NOW + 4 * 86_400)
    assert (seen.allowed, seen.failures, seen.again_at) == (False, 4, NOW + WEEK_S)
    assert left(path, names=(NAME, "other.mycompany.com"), now=NOW + 4 * 86_400).allowed


def test_another_ca_and_another_name_have_a_budget_of_their_own(path: Path) -> None:
    for _ in range(4):
        budget.failed(CA, NAME, "dns", path=path, now=NOW)
    assert not left(path).allowed
    assert left(path, names=("other.mycompany.com",)).allowed
    assert left(path, "https://other.example/directory").failures == 4
    assert left(path, STAGING).failures == 199


def test_the_cas_own_word_counts_beyond_ours(path: Path) -> None:
    budget.refused(CA, NOW + 7200, path=path, now=NOW)
    seen = left(path, now=NOW + 7000)
    assert (seen.allowed, seen.again_at) == (False, NOW + 7200)
    assert left(path, now=NOW + 7200).allowed


def test_what_no_longer_counts_is_forgotten(path: Path) -> None:
    budget.failed(CA, NAME, "dns", path=path, now=NOW)
    budget.issued(CA, [NAME], path=path, now=NOW + WEEK_S + 1)
    assert budget.read(path)["failures"] == []


def test_a_clock_that_was_wrong_locks_nobody_out(path: Path) -> None:
    for _ in range(4):
        budget.failed(CA, NAME, "dns", path=path, now=NOW + 10 * WEEK_S)
    assert left(path).allowed


@pytest.mark.parametrize("text", ["[]", "{", '{"failures": 1}', '{"failures": [{"at": "now"}]}', '{"certificates": [1]}'])
def test_a_damaged_record_is_refused(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011 (json has its own kind)
        budget.read(path)


@given(st.lists(st.integers(0, 7200), max_size=12), st.integers(0, 7200))
def test_no_hour_ever_holds_five_failures(times: list[int], later: int) -> None:
    record = budget.parse("")
    for at in sorted(times):
        if budget.left(record, CA, [NAME], now=at).allowed:
            record["failures"].append({"at": at, "directory": CA, "name": NAME, "problem": "dns"})
    spent = [entry["at"] for entry in record["failures"]]
    assert sum(later - HOUR_S < at <= later for at in spent) < budget.STRICT.failures


def test_the_file_alone_works_beside_another_program(path: Path, tmp_path: Path) -> None:
    """On the edge host it lies next to the programs that use it, with nothing of the package around it."""
    (tmp_path / "budget.py").write_text(Path(budget.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    code = f"import budget; budget.issued({CA!r}, [{NAME!r}], path=budget.Path({str(path)!r}))"
    subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"], check=True)
    assert [entry["names"] for entry in budget.read(path)["certificates"]] == [[NAME]]
