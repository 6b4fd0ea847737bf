"""The network side of ``doctor``, where the edge host's own state says what there is to look at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qbo_sync import config
from qbo_sync.switch.steps import network

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
