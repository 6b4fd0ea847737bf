"""PostgreSQL and MariaDB as real servers on loopback, run from the lab's image in a root and a process tree of their own.

Nothing is installed on the machine. The server's files are in memory, and all of it is gone with the process that started it,
however that ends: mounts are private to the server, and the kernel ends it with its parent.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from tests.needs import lab_image

# $1: the image; $2: a folder to mount on; the rest: the server's start. A tmpfs carries the layer above the image; another one,
# /small, is for databases that are to have little room.
# The shell stays as the first process: one that changes its user, as the server does, no longer ends with its parent.
BOX = """set -e
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount --rbind /dev "$2/root/dev"
mount -t proc proc "$2/root/proc"
mkdir "$2/root/small"
mount -t tmpfs -o "size=$SMALL" tmpfs "$2/root/small"
root=$2/root
shift 2
chroot "$root" "$@"
exit
"""

POSTGRESQL = """set -e
bin=$(echo /usr/lib/postgresql/*/bin)
data=$(echo /var/lib/postgresql/*/main)
echo 'host all all 127.0.0.1/32 scram-sha-256' >/tmp/access.conf
set -- -D "$data" -c "config_file=$(echo /etc/postgresql/*/main/postgresql.conf)" -c external_pid_file= \
  -c unix_socket_directories=/tmp -c ssl=off -c max_wal_size=4GB
echo "CREATE ROLE kit SUPERUSER LOGIN PASSWORD '$PASSWORD'" | "$bin/postgres" --single "$@" postgres
exec "$bin/postgres" "$@" -c "port=$PORT" -c listen_addresses=127.0.0.1 -c hba_file=/tmp/access.conf
"""

MARIADB = """set -e
printf '%s;\n' "CREATE USER kit@localhost IDENTIFIED BY '$PASSWORD'" \
  "GRANT ALL ON *.* TO kit@localhost WITH GRANT OPTION" >/tmp/setup.sql
mkdir -p /tmp/run
exec /usr/sbin/mariadbd --no-defaults --datadir=/var/lib/mysql --socket=/tmp/run/socket --pid-file=/tmp/run/pid \
  --bind-address=127.0.0.1 --port="$PORT" --init-file=/tmp/setup.sql --character-set-server=utf8mb4
"""


@dataclass(frozen=True)
class Kind:
    """How a server is started, as which user of the image, and how databases are made on it."""

    start: str
    user: str
    first_database: str
    create: str


KINDS = {
    "postgresql": Kind(
        POSTGRESQL, "postgres", "postgres", "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
    ),
    "mariadb": Kind(MARIADB, "mysql", "mysql", "CREATE DATABASE {} CHARACTER SET utf8mb4"),
}
SMALL = "64m"
DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}


@dataclass(frozen=True)
class Server:
    """A running server."""

    kind: Kind
    url: sa.URL
    root: Path

    @contextmanager
    def small_database(self) -> Iterator[tuple[sa.URL, Path]]:
        """A fresh database whose tables lie on a disk of :data:`SMALL`, and that disk."""
        name, small = f"t{secrets.token_hex(4)}", self.root / "small"
        folder = small / name
        folder.mkdir()
        data = self.root / "var/lib" / ("postgresql" if self.kind.user == "postgres" else "mysql")
        os.chown(folder, data.stat().st_uid, data.stat().st_gid)
        if self.kind.user == "postgres":
            self._execute(f"CREATE TABLESPACE {name} LOCATION '/small/{name}'")
            self._execute(f"{self.kind.create.format(name)} TABLESPACE {name}")
        else:
            (data / name).symlink_to(f"/small/{name}")
            self._execute(f"ALTER DATABASE {name} CHARACTER SET utf8mb4")
        yield self.url.set(database=name), small

    @contextmanager
    def database(self) -> Iterator[sa.URL]:
        """A fresh database, dropped at the end whoever is still connected."""
        name = f"t{secrets.token_hex(4)}"
        self._execute(self.kind.create.format(name))
        yield self.url.set(database=name)
        self._execute(f"DROP DATABASE {name}{' WITH (FORCE)' if self.kind.user == 'postgres' else ''}")

    def _execute(self, statement: str) -> None:
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)


@contextmanager
def running(name: str, folder: Path) -> Iterator[Server]:
    """Start a server (``postgresql`` or ``mariadb``) with an empty folder of its own; it is stopped at the end."""
    kind = KINDS[name]
    root = lab_image()
    port, password = _free_port(), secrets.token_hex(16)
    alone = (
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
    )
    inside = ("setpriv", f"--reuid={kind.user}", f"--regid={kind.user}", "--init-groups", "/bin/sh", "-c", kind.start)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*alone, "/bin/sh", "-c", BOX, "box", str(root), str(folder), *inside],
            env={"PATH": os.environ["PATH"], "PORT": str(port), "PASSWORD": password, "SMALL": SMALL},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        url = sa.URL.create(DRIVERS[name], "kit", password, "127.0.0.1", port, kind.first_database)
        _wait(url, process, log)
        # As a process sees it that is inside; no mount of it shows outside.
        yield Server(kind, url, Path(f"/proc/{process.pid}/root{folder}/root"))
    finally:
        process.kill()
        process.wait()


def settings(url: sa.URL, password_file: Path) -> str:
    """The lines of a site's ``[miracle]`` settings; a password goes to the file."""
    bare = sa.URL.create(url.drivername, url.username, None, url.host, url.port, url.database)
    lines = f'database_url = "{bare.render_as_string()}"\n'
    if url.password:
        password_file.touch(mode=0o600)
        password_file.write_text(url.password)
        lines += f'password_file = "{password_file}"\n'
    return lines


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: sa.URL, process: subprocess.Popen[bytes], log: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with suppress(exc.OperationalError), engine.connect():
            return
        time.sleep(0.1)
    raise RuntimeError(f"the database server did not start: {log.read_text(errors='replace')[-2000:]}")
