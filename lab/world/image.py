"""What the machine needs to carry the lab, and the image from which the lab's hosts are made."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from lab.world.layout import CACHE, HOSTS
from lab.world.system import cgroup_roots, run, run_in_group, succeeds, tail
from qbo_sync.errors import KitError

# Program -> Debian package: only what boots and wires the lab. Its daemons live in the image.
MACHINE_PROGRAMS = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container",
}

SUITE = "bookworm"

# Ubuntu's long-term releases whose Python the kit's programs can use. Debian has no package with the key of Ubuntu's archive, so
# it is taken out of Ubuntu's own by its fingerprint, and nothing else of what comes with it is trusted.
UBUNTU = ("noble", "resolute")
UBUNTU_KEY = "F6ECB3762474EDA9D21B7022871920D1991BC93C"
UBUNTU_KEYRING = CACHE / "ubuntu-archive.gpg"

DAY_S = 86_400

# The first two lines are what any small Debian server has, python3-apt being what Ansible's apt module needs in check
# mode; the third is what the lab's internet and the Miracle Service stand-in run, and the databases of tests/databases; the
# fourth is what single tests switch on or run: UPnP on the router, another DNS provider, a moved clock, a grader, a firewall.
# nginx is absent: the roles install it.
IMAGE_PACKAGES = (
    "ca-certificates curl dbus iproute2 nftables openssh-server openssl procps",
    "python3 python3-apt python3-venv systemd systemd-sysv",
    "bind9 bind9-dnsutils pebble mariadb-server postgresql",
    "miniupnpd-nftables pdns-server pdns-backend-sqlite3 faketime testssl.sh ufw",
)

# A daemon runs only where the lab starts it; apt's own timers would hold its lock just when a role needs it.
SILENCED_UNITS = (
    "named pdns mariadb postgresql apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer"
    " e2scrub_reap"
)

# Run by mmdebstrap when the packages are in; "$1" is the new root. Packages fetched by a host stay in the lab's cache.
IMAGE_HOOKS = (
    f'chroot "$1" systemctl --quiet disable {SILENCED_UNITS}',
    'rm -f "$1"/etc/ssh/ssh_host_*',
    'echo \'APT::Keep-Downloaded-Packages "true"; Binary::apt::APT::Keep-Downloaded-Packages "true";\' '
    '>"$1/etc/apt/apt.conf.d/90qbo-kit"',
)


def available() -> str | None:
    """Why this machine cannot carry the lab, in one line; ``None`` when it can."""
    if os.geteuid() != 0:
        return "the lab needs root"
    missing = [name for name in MACHINE_PROGRAMS if shutil.which(name) is None]
    if missing and shutil.which("apt-get") is None:
        return f"the lab needs a Debian machine or these programs: {' '.join(missing)}"
    if not succeeds("unshare", "--net", "--mount", "--pid", "--fork", "true"):
        return "the lab needs network, mount and process namespaces, which this machine refuses"
    if not any(os.access(root, os.W_OK) for root in cgroup_roots()):
        return "the lab needs control groups that it may write"
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii") and not succeeds("modprobe", "overlay"):
        return "the lab needs overlayfs in the kernel"
    return None


def ensure_packages() -> None:
    """Install what the machine lacks to boot and wire the lab; nothing that starts a daemon."""
    missing = sorted({package for program, package in MACHINE_PROGRAMS.items() if shutil.which(program) is None})
    if not missing:
        return
    print(f"lab: installing {' '.join(missing)}", flush=True)
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
    run(*quiet, "update", timeout_s=300)
    run(*quiet, "install", "--no-install-recommends", "--yes", *missing, timeout_s=600)


def recipe(suite: str = SUITE) -> list[str]:
    """The command that makes an image, without its target. One of another release is an edge host's only."""
    packages, hooks = (IMAGE_PACKAGES, IMAGE_HOOKS) if suite == SUITE else (IMAGE_PACKAGES[:2], IMAGE_HOOKS[1:])
    options = [f"--customize-hook={hook}" for hook in hooks]
    if suite in UBUNTU:
        packages = (*packages, "apt")  # which minbase leaves out there
        options += [f"--keyring={UBUNTU_KEYRING}", "--components=main,universe"]
    included = ",".join(" ".join(packages).split())
    return ["mmdebstrap", "--quiet", "--variant=minbase", "--skip=cleanup/apt/lists", f"--include={included}", *options, suite]


def path(suite: str = SUITE) -> Path:
    """Where the image made by the present recipe is, or will be."""
    return CACHE / f"image-{hashlib.sha256(repr(recipe(suite)).encode()).hexdigest()[:12]}"


def edge_suite() -> str:
    """The Debian or Ubuntu release of the edge host: ``KIT_EDGE_SUITE``, else that of all hosts."""
    return os.environ.get("KIT_EDGE_SUITE", SUITE)


def ensure(suite: str = SUITE) -> Path:
    """Return the image, made now if it is not in the cache; a half-made one never carries the final name."""
    image = path(suite)
    if image.is_dir():
        return image
    print(f"lab: building the hosts' image of {suite} (once, about half a minute)", flush=True)
    for old in CACHE.glob("image-*"):
        # Another checkout's image of today stays: two of them must not take each other's away, again and again.
        if not _in_use(old) and time.time() - old.stat().st_mtime > DAY_S:
            shutil.rmtree(old)
    new = image.with_name(f"{image.name}.new")
    log = CACHE / "image.log"
    CACHE.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    if suite in UBUNTU:
        _fetch_ubuntu_key(suite)
    if run_in_group("image", log, *recipe(suite), str(new)) != 0:
        raise KitError("lab: the hosts' image could not be built", seen=tail(log), next="check that apt works on this machine")
    new.rename(image)
    return image


def _fetch_ubuntu_key(suite: str) -> None:
    """Put the key of Ubuntu's archive where the recipe wants it. The package it comes in is unpacked and not trusted."""
    insecure = ('Acquire::AllowInsecureRepositories "true"', 'APT::Get::AllowUnauthenticated "true"')
    with tempfile.TemporaryDirectory() as folder:
        package, home = Path(folder, "package"), Path(folder, "gnupg")
        home.mkdir(mode=0o700)
        options = ["--variant=extract", "--include=ubuntu-keyring", *(f"--aptopt={option}" for option in insecure)]
        run("mmdebstrap", "--quiet", *options, suite, str(package), timeout_s=300)
        every = package / "usr/share/keyrings/ubuntu-archive-keyring.gpg"
        gpg = ("gpg", "--homedir", str(home), "--batch", "--quiet", "--no-default-keyring", "--keyring", str(every))
        UBUNTU_KEYRING.unlink(missing_ok=True)
        run(*gpg, "--output", str(UBUNTU_KEYRING), "--export", UBUNTU_KEY)
    if not UBUNTU_KEYRING.exists():
        raise KitError("lab: the key of Ubuntu's archive could not be had", seen=f"no key {UBUNTU_KEY} in its package")


def _in_use(image: Path) -> bool:
    """Whether hosts of a running lab stand on it."""
    return f"lowerdir={image}," in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def owner(image: Path, user: str) -> tuple[int, int]:
    """User and group id of a system user of the image."""
    for line in (image / "etc/passwd").read_text(encoding="utf-8").splitlines():
        fields = line.split(":")
        if fields[0] == user:
            return int(fields[2]), int(fields[3])
    raise KitError(f"lab: the image has no user {user}", next=f"remove {image} and run ./kit lab up again")


def forget_hosts() -> None:
    """Remove the throw-away layers of all hosts."""
    shutil.rmtree(HOSTS, ignore_errors=True)
