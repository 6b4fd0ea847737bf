"""The network side of ``doctor``, where the edge host's own state says what there is to look at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qbo_sync import config
from qbo_sync.switch.steps import network
from tests.name_server import name_server

EDGE = config.Edge(
    fqdn="qbo.firm.local",
    zone="firm.local",
    address="100.64.1.2",
    lan_address="127.0.0.1",
    acme_directory="https://127.0.0.1:1/d",
)


@pytest.mark.parametrize(("state", "asked"), [('{"source": "acme"}', True), ("", True), ('{"source": "files"}', False)])
def test_a_bought_certificate_asks_nothing_of_a_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, asked: bool
) -> None:
    monkeypatch.setattr(network, "STORE", tmp_path)
    (tmp_path / "qbo.firm.local.json").write_text(state)
    site: Any = SimpleNamespace(store=SimpleNamespace(directory=tmp_path), settings=SimpleNamespace(site="acme"))
    _, checks = network.examine(site, EDGE, {})
    assert ({"P21", "P22"} <= {check.id for check in checks}) is asked


@pytest.mark.parametrize(("ttl", "severity"), [(300, "ok"), (3600, "warn")])
def test_the_ttl_is_judged_by_the_one_the_site_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ttl: int, severity: str
) -> None:
    monkeypatch.setattr(network, "STORE", tmp_path)
    site: Any = SimpleNamespace(store=SimpleNamespace(directory=tmp_path), settings=SimpleNamespace(site="acme"))
    with name_server("acme-lifts.com", qbo=f"300 A {EDGE.address}") as at:
        asked = {"fqdn": "qbo.acme-lifts.com", "zone": "acme-lifts.com", "nameservers": (at,), "resolver": at, "ttl": ttl}
        _, checks = network.examine(site, EDGE.model_copy(update=asked), {})
    assert [(check.severity, check.seen) for check in checks if check.id == "P13"] == [(severity, "TTL 300")]
