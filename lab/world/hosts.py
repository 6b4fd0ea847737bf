"""The lab's hosts and containers: throw-away layers over the image, run by systemd-nspawn.

A booted host (router, edge host) gets a network namespace of its own and its links are moved in afterwards: booted straight into
a prepared namespace it would lack the right to route. A container runs one daemon of the image in a prepared namespace.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from lab.world.image import owner
from lab.world.layout import CACHE, HOSTS, PREFIX
from lab.world.system import kill, log_file, processes, run, spawn, tail, wait_until

OVERLAY_PARTS = ("upper", "work", "root")
ARCHIVES = "/var/cache/apt/archives"
LISTS = "/var/lib/apt/lists"
# Releases with systemd 258 or later, which boots in the unified control groups only, also where the machine has the old ones.
UNIFIED = ("resolute",)


@dataclass
class Host:
    """One root file system of the lab, made of the image below and a layer of its own above."""

    name: str
    image: Path
    binds: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """Where its file system is mounted on the machine."""
        return HOSTS / self.name / "root"

    def mount(self) -> None:
        """Make the layer and mount it over the image."""
        upper, work, root = (HOSTS / self.name / part for part in OVERLAY_PARTS)
        for directory in (upper, work, root):
            directory.mkdir(parents=True)
        layers = f"lowerdir={self.image},upperdir={upper},workdir={work}"
        run("mount", "-t", "overlay", f"{PREFIX}-{self.name}", "-o", layers, str(root))
        self.write("/etc/hostname", f"{self.name}\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")

    def forget(self) -> None:
        """Unmount it and remove its layer; nothing of it runs any more."""
        forget_lock(self.root)
        run("umount", str(self.root))
        shutil.rmtree(HOSTS / self.name)

    def write(self, path: str, text: str, *, mode: int = 0o644, user: str = "root") -> None:
        """Put a file into the host, with its folders. ``user`` is a system user of the image."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.touch(mode=0o600)
        target.write_text(text, encoding="utf-8")
        os.chown(target, *owner(self.image, user))
        target.chmod(mode)

    def link(self, path: str, target: str) -> None:
        """Put a symbolic link into the host."""
        link = self.root / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)

    def keep_apt_downloads(self) -> None:
        """Let apt's downloads and package lists outlive this host, in the lab's cache."""
        for inside, name in ((ARCHIVES, "archives"), (LISTS, "lists")):
            kept = CACHE / "apt" / self.name / self.release() / name
            if not kept.exists():
                shutil.copytree(self.root / inside.lstrip("/"), kept)
            self.binds.append((kept, inside))

    def release(self) -> str:
        """Its release of Debian or Ubuntu: apt's lists of one are of no use to another."""
        lines = (self.root / "etc/os-release").read_text(encoding="utf-8").splitlines()
        return next(line.removeprefix("VERSION_CODENAME=") for line in lines if line.startswith("VERSION_CODENAME="))

    def boot(self) -> None:
        """Start its systemd. Its network namespace is empty until its links are plugged in."""
        hierarchy = ("env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1") if self.release() in UNIFIED else ()
        spawn(self.name, *hierarchy, *self._nspawn(), "--private-network", "--boot")

    def lose_power(self) -> None:
        """End everything that runs in it, at once; its layer stays mounted, as a disk keeps what was written to it."""
        kill(self.name)
        forget_lock(self.root)
        forget_exchange(self.name)

    def execute(self, namespace: str, *command: str, user: str = "root", environment: dict[str, str] | None = None) -> None:
        """Run one program of the image in a prepared network namespace."""
        variables = [f"--setenv={name}={value}" for name, value in (environment or {}).items()]
        place = (f"--network-namespace-path=/run/netns/{namespace}", f"--user={user}", "--as-pid2")
        spawn(self.name, *self._nspawn(), *place, *variables, *command)

    def leader(self) -> int:
        """The machine's number for the first process inside, waited for: links can be moved to it from then on."""
        found: list[int] = []

        def present() -> bool:
            found[:] = [pid for pid in processes(self.name) if _is_first_inside(pid)]
            return bool(found)

        wait_until(present, 20, f"host {self.name}", lambda: tail(log_file(self.name)))
        return found[0]

    def _nspawn(self) -> list[str]:
        binds = [f"--bind={outside}:{inside}" for outside, inside in self.binds]
        fixed = ["--quiet", "--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off", "--link-journal=no"]
        names = [f"--machine={PREFIX}-{self.name}", f"--hostname={self.name}", f"--directory={self.root}"]
        return ["systemd-nspawn", *fixed, "--console=pipe", *names, *binds]


def unmount_all() -> None:
    """Unmount every layer of the lab, the innermost first."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    for target in reversed([path for path in mounted if path.startswith(f"{HOSTS}/")]):
        forget_lock(Path(target))
        run("umount", target)
    forget_exchange("*")


def forget_lock(root: Path) -> None:
    """Remove the lock file that a killed systemd-nspawn leaves for the folder it ran."""
    status = root.stat()
    Path(f"/run/systemd/nspawn/locks/inode-{status.st_dev:d}:{status.st_ino:d}").unlink(missing_ok=True)


def forget_exchange(name: str) -> None:
    """Remove the folder through which systemd-nspawn hands mounts to a host; where /run is on a disk, it leaves that behind."""
    for left in Path("/run/systemd/nspawn/propagate").glob(f"{PREFIX}-{name}"):
        left.rmdir()


def _is_first_inside(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
    return len(numbers) == 2 and numbers[1] == "1"
