"""The Python software of an edge host: wheels collected once on the control node, then carried to every host that needs them.

A site's network needs no access to a package index, and every site gets the same pinned bytes. Dependencies are collected for the
host's Python, architecture and C library; this checkout's own wheel is built from its sources.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qbo_sync.errors import Unreachable, UsageError

# manylinux tags before 2.17 go by other names; pip knows what those stand for.
OLDEST_GLIBC_MINOR = 17


@dataclass(frozen=True)
class Target:
    """What a wheel must fit: ``python`` "3.11", ``machine`` "x86_64", ``glibc`` "2.36"."""

    python: str
    machine: str
    glibc: str

    def __str__(self) -> str:
        return f"python{self.python}-{self.machine}-glibc{self.glibc}"

    def pip_options(self) -> list[str]:
        """The options by which pip chooses wheels for this target instead of for the machine it runs on."""
        tag = "cp" + self.python.replace(".", "")
        major, minor = (int(part) for part in self.glibc.split(".")[:2])
        platforms = [f"manylinux_{major}_{n}_{self.machine}" for n in range(minor, OLDEST_GLIBC_MINOR - 1, -1)]
        platforms.append(f"manylinux2014_{self.machine}")
        options = ["--only-binary", ":all:", "--python-version", self.python, "--implementation", "cp"]
        for abi in (tag, "abi3", "none"):
            options += ["--abi", abi]
        for platform in platforms:
            options += ["--platform", platform]
        return options


@dataclass(frozen=True)
class Software:
    """One virtual environment's content: pinned ``requirements``, and this checkout's own wheel when ``project`` names it."""

    name: str
    requirements: tuple[str, ...]
    constraints: Path
    project: Path | None = None


@dataclass(frozen=True)
class Bundle:
    """The files that travel: archives of wheels. ``fingerprint`` is that of their content, so equal bytes are equal software."""

    files: tuple[Path, ...]

    @property
    def fingerprint(self) -> str:
        """The first 12 hexadecimal digits of the content's SHA-256."""
        return _digest(*(path.read_bytes() for path in self.files))


def project_requirements(project: Path) -> tuple[str, ...]:
    """What the checkout at ``project`` needs on an edge host: its dependencies and those of the extra ``edge``."""
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return (*table["dependencies"], *table["optional-dependencies"]["edge"])


def planned(software: Software, target: Target, cache: Path) -> Bundle:
    """Where the software's archives are, or would be after :func:`collect`. Touches nothing."""
    key = _digest("\n".join(software.requirements).encode(), software.constraints.read_bytes(), str(target).encode())
    files = [cache / f"{software.name}-{key}-{target}.tar"]
    if software.project:
        files.append(cache / f"{software.name}-{_sources(software.project)}-own.tar")
    return Bundle(tuple(files))


def is_collected(bundle: Bundle) -> bool:
    """Whether every archive is in the cache already."""
    return all(path.is_file() for path in bundle.files)


def collect(software: Software, target: Target, cache: Path) -> Bundle:
    """The software's archives, collected if they are not in ``cache`` yet; parallel runs collect once.

    Raises :class:`Unreachable` when pip cannot fetch a wheel, :class:`UsageError` when the own wheel cannot be built.
    """
    bundle = planned(software, target, cache)
    if is_collected(bundle):
        return bundle
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache):
        dependencies, *own = bundle.files
        if not dependencies.is_file():
            _download(software, target, dependencies)
        for archive in own:
            if software.project and not archive.is_file():
                _build(software.project, archive)
    return bundle


def _download(software: Software, target: Target, archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        command = ["download", "--dest", folder, "--constraint", str(software.constraints), *target.pip_options()]
        problem = _pip(*command, *software.requirements)
        if problem:
            raise Unreachable(
                f"the wheels of {software.name} for {target} could not be collected on this machine",
                seen=problem,
                next="check that this machine reaches its Python package index (pip download PACKAGE), then run this again",
            )
        _pack(Path(folder), archive)


def _build(project: Path, archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        problem = _pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, str(project))
        if problem:
            raise UsageError(
                f"the wheel of this checkout could not be built from {project}",
                seen=problem,
                next="call the playbooks through ./kit or its .venv, which holds the build tool (hatchling), and run this again",
            )
        _pack(Path(folder), archive)


def _pip(*arguments: str) -> str:
    """Run this interpreter's pip; what it complained about, or nothing when all went well."""
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-3:]
    return " / ".join(errors) or f"pip ended with {done.returncode}"


def _pack(folder: Path, archive: Path) -> None:
    """One tar of a folder's wheels; the same wheels give the same bytes. Appears complete or not at all."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(folder.glob("*.whl")):
            entry = tarfile.TarInfo(path.name)
            entry.size = path.stat().st_size
            with path.open("rb") as wheel:
                tar.addfile(entry, wheel)
    part = archive.with_suffix(".part")
    part.write_bytes(packed.getvalue())
    part.replace(archive)


def _sources(project: Path) -> str:
    """The fingerprint of what the own wheel is built from."""
    folders = [project / "qbo_sync", project / "templates"]
    files = [
        path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts
    ]
    files += [project / name for name in ("pyproject.toml", "README.md", "LICENSE")]
    return _digest(*(part for path in files for part in (str(path.relative_to(project)).encode(), path.read_bytes())))


def _digest(*parts: bytes) -> str:
    """12 hexadecimal digits over the parts, each with its length, so that moving bytes between parts changes them."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:12]


@contextmanager
def _lock(cache: Path) -> Iterator[None]:
    """One collector at a time; the others wait and then find everything there."""
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
