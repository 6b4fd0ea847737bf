"""A changing address: the site's own record follows it in a real BIND, and nobody else's does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from edge_bind import Bind, line
from edge_lab import ZONE, write_secret

from qbo_sync.edge import dns, follow
from qbo_sync.errors import Blocked, Unreachable, UsageError

NAME = f"qbo.{ZONE}"


@pytest.fixture
def settings(bind: Bind, tmp_path: Path) -> follow.Settings:
    """A site whose record says 11.22.33.10; the page that should tell the address is not there."""
    given = {"token_file": str(write_secret(tmp_path / "key", line(bind.site))), "server": bind.at}
    made = follow.Settings("lab", NAME, ZONE, 300, "https://127.0.0.1:9/", "127.0.0.1", "rfc2136", given)
    dns.present(dns.provider("rfc2136", **given), name=NAME, zone=ZONE, address="11.22.33.10", site="lab", ttl=300)
    return made


def test_its_own_record_follows_and_then_stays(bind: Bind, settings: follow.Settings) -> None:
    assert follow.follow(settings, "11.22.33.10") == ""
    changed = follow.follow(settings, "11.22.33.11")
    assert changed == f"replace {NAME} A 11.22.33.10 (TTL 300, qbokit:lab) by {NAME} A 11.22.33.11 (TTL 300, qbokit:lab)"
    assert bind.records() == ["A 300 11.22.33.11", 'TXT 3600 "qbokit:lab=11.22.33.11"']
    serial = bind.serial()
    assert (follow.follow(settings, "11.22.33.11"), bind.serial()) == ("", serial)


@pytest.mark.parametrize("there", ["A 11.22.33.99", "CNAME elsewhere.example.", "AAAA 2600::1"])
def test_a_record_that_is_gone_or_a_strangers_is_left_alone(bind: Bind, settings: follow.Settings, there: str) -> None:
    bind.edit("del qbo", f"add qbo 300 {there}")
    before = bind.records()
    with pytest.raises(Blocked):
        follow.follow(settings, "11.22.33.11")
    assert bind.records() == before


def test_what_went_wrong_is_kept_for_monitoring_and_counted(bind: Bind, settings: follow.Settings, tmp_path: Path) -> None:
    assert [follow.look(settings, tmp_path) for _ in range(2)] == [1, 1]
    state = json.loads((tmp_path / "lab.json").read_text())
    assert (state["name"], state["failures_in_a_row"]) == (NAME, 2)
    assert "the page that tells the external address does not answer" in state["problem"]
    assert bind.records()[0] == "A 300 11.22.33.10"


def test_what_cannot_be_followed_is_refused(bind: Bind, settings: follow.Settings) -> None:
    for change in ({"source": "http://127.0.0.1/"}, {"source": "manual"}, {"provider": "manual"}):
        with pytest.raises(UsageError):
            follow.Settings(**{**vars(settings), **change})
    with pytest.raises(Unreachable):
        follow.external_address(settings)
