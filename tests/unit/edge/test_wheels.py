"""Wheels are collected once, for the host they go to; the same pins give the same bytes."""

from __future__ import annotations

import os
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qbo_sync.edge import wheels
from qbo_sync.edge.wheels import Software, Target
from qbo_sync.errors import Unreachable, UsageError

BOOKWORM = Target("3.11", "x86_64", "2.36")
OLDER = Target("3.11", "x86_64", "2.28")

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "shop"
version = "1.0"
dependencies = ["pure==1.0"]
[project.optional-dependencies]
edge = ["native"]
control = ["never-on-an-edge-host"]
[tool.hatch.build.targets.wheel]
packages = ["qbo_sync"]
"""


def make_wheel(folder: Path, name: str, version: str, tag: str) -> None:
    """A wheel that pip takes for real, without any code in it."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place pip may take wheels from."""
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder, "pure", "1.0", "py3-none-any")
    make_wheel(folder, "pure", "2.0", "py3-none-any")
    make_wheel(folder, "native", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    make_wheel(folder, "native", "1.1", "cp311-abi3-manylinux_2_34_x86_64")
    make_wheel(folder, "native", "2.0", "cp312-cp312-manylinux_2_28_x86_64")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def constraints(tmp_path: Path) -> Path:
    path = tmp_path / "constraints.txt"
    path.write_text("pure==1.0\n")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with sources, templates and the files that go into its wheel."""
    folder = tmp_path / "checkout"
    for name, content in {
        "pyproject.toml": PYPROJECT,
        "README.md": "",
        "LICENSE": "",
        "qbo_sync/__init__.py": "",
        "templates/page.j2": "one",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


@pytest.mark.parametrize(
    ("target", "native"), [(BOOKWORM, "1.1-cp311-abi3-manylinux_2_34"), (OLDER, "1.0-cp311-cp311-manylinux_2_28")]
)
def test_the_wheels_fit_the_host_and_the_pins(
    index: Path, constraints: Path, tmp_path: Path, target: Target, native: str
) -> None:
    bundle = wheels.collect(Software("shop", ("pure", "native"), constraints), target, tmp_path / "cache")
    assert names(bundle.files[0]) == [f"native-{native}_x86_64.whl", "pure-1.0-py3-none-any.whl"]


def test_nothing_is_asked_for_twice(index: Path, constraints: Path, tmp_path: Path) -> None:
    software = Software("shop", ("pure",), constraints)
    first = wheels.collect(software, BOOKWORM, tmp_path / "cache")
    (index / "pure-1.0-py3-none-any.whl").unlink()
    second = wheels.collect(software, BOOKWORM, tmp_path / "cache")
    assert second.files == first.files


def test_the_same_wheels_have_the_same_fingerprint_on_another_machine(index: Path, constraints: Path, tmp_path: Path) -> None:
    software = Software("shop", ("pure", "native"), constraints)
    here, there = (wheels.collect(software, BOOKWORM, tmp_path / name) for name in ("here", "there"))
    assert here.fingerprint == there.fingerprint


def test_hosts_that_come_at_once_collect_once(index: Path, constraints: Path, tmp_path: Path) -> None:
    software = Software("shop", ("pure", "native"), constraints)
    with ThreadPoolExecutor(4) as pool:
        bundles = list(pool.map(lambda _: wheels.collect(software, BOOKWORM, tmp_path / "cache"), range(4)))
    assert len({bundle.fingerprint for bundle in bundles}) == 1
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".lock", bundles[0].files[0].name]


def test_a_changed_pin_is_another_archive(index: Path, constraints: Path, tmp_path: Path) -> None:
    software = Software("shop", ("pure",), constraints)
    before = wheels.collect(software, BOOKWORM, tmp_path / "cache")
    constraints.write_text("pure==2.0\n")
    after = wheels.collect(software, BOOKWORM, tmp_path / "cache")
    assert names(after.files[0]) == ["pure-2.0-py3-none-any.whl"]
    assert after.fingerprint != before.fingerprint


def test_a_wheel_nobody_has_is_said_with_the_next_step(index: Path, constraints: Path, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"no-such-thing[\s\S]*next: check that this machine reaches"):
        wheels.collect(Software("shop", ("no-such-thing",), constraints), BOOKWORM, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_the_checkouts_own_wheel_comes_along_with_what_it_needs(
    index: Path, constraints: Path, tmp_path: Path, project: Path
) -> None:
    software = Software("shop", wheels.project_requirements(project), constraints, project)
    bundle = wheels.collect(software, BOOKWORM, tmp_path / "cache")
    assert [names(path) for path in bundle.files] == [
        ["native-1.1-cp311-abi3-manylinux_2_34_x86_64.whl", "pure-1.0-py3-none-any.whl"],
        ["shop-1.0-py2.py3-none-any.whl"],
    ]


def test_a_changed_source_is_another_version_and_fetches_nothing(
    index: Path, constraints: Path, tmp_path: Path, project: Path
) -> None:
    software = Software("shop", wheels.project_requirements(project), constraints, project)
    before = wheels.collect(software, BOOKWORM, tmp_path / "cache")
    (index / "pure-1.0-py3-none-any.whl").unlink()
    (project / "qbo_sync" / "__init__.py").write_text("changed = True\n")
    assert not wheels.is_collected(wheels.planned(software, BOOKWORM, tmp_path / "cache"))
    after = wheels.collect(software, BOOKWORM, tmp_path / "cache")
    assert after.files[0] == before.files[0]
    assert after.fingerprint != before.fingerprint


def test_a_checkout_that_cannot_be_built_is_said(index: Path, constraints: Path, tmp_path: Path, project: Path) -> None:
    software = Software("shop", (), constraints, project)
    (project / "pyproject.toml").write_text("[build-system]\nrequires = []\nbuild-backend = 'nothing.here'\n")
    with pytest.raises(UsageError, match="could not be built"):
        wheels.collect(Software("shop", ("pure",), software.constraints, project), BOOKWORM, tmp_path / "cache")
