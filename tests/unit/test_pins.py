"""The pinned packages fit the machine that the README names."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from lab.world.layout import TOP

DEBIAN_12 = "3.11.2"


def test_every_pin_can_be_installed_with_the_python_of_debian_12() -> None:
    pins = [Requirement(line) for line in (TOP / "constraints.txt").read_text().splitlines() if line and line[0] not in "#-"]
    refused = []
    for pin in pins:
        try:
            wanted = metadata(pin.name).get("Requires-Python", "")
        except PackageNotFoundError:  # a package of other machines, such as Windows or an older Python
            continue
        if not SpecifierSet(wanted).contains(DEBIAN_12):
            refused.append(f"{pin}: {wanted}")
    assert len(pins) > 50
    assert refused == []
