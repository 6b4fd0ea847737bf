"""Which CA is asked, in which order, when one of them cannot or will not: with a certbot that answers as each CA is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from edge_certified import NAME, Certified, lay

from qbo_sync.edge import budget
from qbo_sync.edge.certificate import certbot, order
from qbo_sync.edge.certificate.settings import Authority, Challenge, Settings

FIRST, OTHER, STAGING = (f"https://{name}.test/dir" for name in ("first", "other", "staging"))
DOWN = "An unexpected error occurred:\nrequests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded"
FAILED = "Some challenges have failed.\n  Identifier: x\n  Type:   {}\n  Detail: words of the CA"


@dataclass
class Cas:
    """The CAs behind the certbot that is called; ``says`` holds what one of them refuses with."""

    folder: Path
    pair: Path
    says: dict[str, str] = field(default_factory=dict)

    def obtain(self, *, rehearsal: str = STAGING) -> order.Outcome:
        for directory in (FIRST, OTHER, STAGING):
            self._file(directory).write_text(self.says.get(directory, ""))
        return order.obtain(
            Settings(
                name=NAME,
                directory=self.folder / "tls",
                authorities=(Authority(FIRST), Authority(OTHER)),
                rehearsal=Authority(rehearsal) if rehearsal else None,
                challenge=Challenge("dns-rfc2136", credentials="x"),
                certbot=str(self.folder / "certbot"),
                certbot_folder=self.folder / "etc",
                store=self.folder / "store",
            )
        )

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().split() if path.exists() else []

    def counted(self, directory: str) -> int:
        failures = budget.read(self.folder / "store" / "budget.json")["failures"]
        return sum(one["directory"] == directory for one in failures)

    def _file(self, directory: str) -> Path:
        return self.folder / directory.split("/")[2]


@pytest.fixture
def cas(tmp_path: Path, leaf: Certified, monkeypatch: pytest.MonkeyPatch) -> Cas:
    monkeypatch.setattr(certbot, "LOG", tmp_path / "no-log")
    pair = lay(tmp_path / "issued", leaf)
    program = tmp_path / "certbot"
    program.write_text(
        f"""#!/bin/sh
for word; do [ "$last" = --server ] && server=$word; [ "$word" = --dry-run ] && dry=1; last=$word; done
echo "$server" >>{tmp_path}/asked
host=${{server#https://}}; host=${{host%%/*}}
[ -s {tmp_path}/$host ] && cat {tmp_path}/$host >&2 && exit 1
[ -n "$dry" ] || {{ mkdir -p {tmp_path}/etc/live && cp -r {pair} {tmp_path}/etc/live/{NAME}; }}
"""
    )
    program.chmod(0o700)
    return Cas(tmp_path, pair)


def test_a_first_order_is_rehearsed(cas: Cas) -> None:
    outcome = cas.obtain()
    assert (outcome.problem, outcome.directory, cas.asked) == (None, FIRST, [STAGING, FIRST])


def test_what_is_wrong_with_the_site_costs_nothing_but_a_rehearsal(cas: Cas) -> None:
    cas.says[STAGING] = FAILED.format("connection")
    outcome = cas.obtain()
    assert (outcome.directory, cas.asked) == (STAGING, [STAGING])
    assert outcome.problem is not None
    assert outcome.problem.type == "connection"


def test_a_rehearsal_that_cannot_be_held_keeps_nobody_from_a_certificate(cas: Cas) -> None:
    cas.says[STAGING] = DOWN
    outcome = cas.obtain()
    assert (outcome.problem, outcome.directory, cas.asked) == (None, FIRST, [STAGING, FIRST])


def test_with_the_ca_and_its_rehearsals_down_the_other_one_issues_at_once(cas: Cas) -> None:
    cas.says |= {STAGING: DOWN, FIRST: DOWN}
    outcome = cas.obtain()
    assert (outcome.problem, outcome.directory, cas.asked) == (None, OTHER, [STAGING, FIRST, OTHER])


@pytest.mark.parametrize("refusal", [FAILED.format("caa"), "urn:ietf:params:acme:error:rejectedIdentifier :: not this name"])
def test_where_the_rehearsal_shows_that_this_ca_will_not_issue_only_the_other_is_asked(cas: Cas, refusal: str) -> None:
    """An order at the first one would be one failure more of the few it allows."""
    cas.says[STAGING] = refusal
    outcome = cas.obtain()
    assert (outcome.problem, outcome.directory, cas.asked) == (None, OTHER, [STAGING, OTHER])
    assert cas.counted(FIRST) == 0


def test_when_nobody_can_issue_all_of_them_are_told(cas: Cas) -> None:
    cas.says |= {STAGING: FAILED.format("caa"), OTHER: FAILED.format("connection")}
    problem = cas.obtain().problem
    assert problem is not None
    assert (problem.type, problem.seen, problem.elsewhere) == ("caa", "words of the CA; the other CA: words of the CA", False)
