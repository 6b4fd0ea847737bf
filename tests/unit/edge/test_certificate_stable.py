"""The stable path: whenever the program dies, it leads to a certificate and the key that belongs to it."""

from __future__ import annotations

import os
import shutil
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
import pytest
from edge_certified import DAY, NAME, NOW, Certified, certify, lay
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.edge.certificate import stable
from qbo_sync.errors import KitError


def test_a_certificate_is_read_as_what_it_is(leaf: Certified, tmp_path: Path) -> None:
    found = stable.describe(stable.leaf(lay(tmp_path, leaf) / "fullchain.pem"))
    assert found.names == (NAME,)
    assert found.issuer == "CN=An Intermediate"
    assert int(found.serial, 16) == leaf.certificate.serial_number
    assert (found.not_before, found.not_after) == ((NOW - DAY).timestamp(), (NOW + 60 * DAY).timestamp())


@given(st.binary(max_size=200))
@hypothesis.settings(max_examples=10, deadline=None)  # each asks openssl
def test_what_is_no_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        stable.describe(content)


@pytest.mark.parametrize(("days", "left"), [(90, 30), (64, 64 / 3), (45, 15), (10, 10 / 3), (6, 3)])
def test_it_is_due_with_a_third_left_or_half_of_a_short_life(days: float, left: float) -> None:
    found = stable.Certificate("", "", "", (), 0.0, days * 86400.0)
    assert (found.not_after - found.due_at) / 86400 == pytest.approx(left)


def test_a_version_is_whole_and_closed_and_made_once(leaf: Certified, tmp_path: Path) -> None:
    version = stable.version_of(lay(tmp_path / "live", leaf), tmp_path / "site.d")
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (version, *version.iterdir())}
    assert modes == {version.name: "0o700", "fullchain.pem": "0o644", "privkey.pem": "0o600"}
    assert stable.version_of(tmp_path / "live", tmp_path / "site.d") == version
    assert [path.name for path in (tmp_path / "site.d").iterdir()] == [version.name]


def test_a_pair_that_does_not_fit_is_refused_before_anything_is_written(leaf: Certified, tmp_path: Path) -> None:
    lineage = lay(tmp_path / "live", leaf)
    (lineage / "privkey.pem").write_bytes(certify(NAME).key_pem)
    with pytest.raises(KitError, match=r"do not belong together[\s\S]*next: run certbot renew"):
        stable.version_of(lineage, tmp_path / "site.d")
    assert not (tmp_path / "site.d").exists()


def test_only_the_newest_two_versions_and_the_placeholder_stay(tmp_path: Path) -> None:
    versions = tmp_path / "site.d"
    made = [stable.version_of(lay(tmp_path / f"live{n}", certify(NAME)), versions) for n in range(4)]
    for age, version in enumerate(reversed(made)):
        os.utime(version, (1e9 - age, 1e9 - age))
    (versions / "placeholder").mkdir()
    (versions / ".new-left-by-a-killed-run").mkdir()
    stable.drop_old(versions)
    assert {path.name for path in versions.iterdir()} == {"placeholder", made[2].name, made[3].name}


def killed_after(lines: int, work: Callable[[], Any]) -> bool:
    """Run it in a process of its own that dies without a word before that line of ``stable``; whether it came so far."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != stable.__file__:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os._exit(9)
        return trace

    sys.settrace(trace)
    work()
    os._exit(0)


def test_killed_at_any_line_the_path_leads_to_a_pair_that_belongs_together(tmp_path: Path) -> None:
    """And the next run ends well, with the new pair and nothing left over."""
    versions, link = tmp_path / "site.d", tmp_path / "site"
    old = stable.version_of(lay(tmp_path / "old", certify(NAME)), versions)
    new = lay(tmp_path / "new", certify(NAME))

    def deploy() -> None:
        stable.point(link, stable.version_of(new, versions))
        stable.drop_old(versions)

    seen = set()
    for lines in range(500):
        stable.point(link, old)
        for version in versions.iterdir():
            if version != old:
                shutil.rmtree(version)
        killed = killed_after(lines, deploy)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(link / "fullchain.pem", link / "privkey.pem")
        seen.add(stable.laid(link) == stable.laid(new))
        deploy()
        assert stable.laid(link) == stable.laid(new)
        assert len(list(versions.iterdir())) == 2
        if not killed:
            break
    assert not killed
    assert lines > 20
    assert seen == {True, False}
