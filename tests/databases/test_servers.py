"""The servers the other tests stand on: real, empty at each start of a test, and gone with the one who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from lab.world.layout import TOP
from lab.world.system import answers
from tests.conftest import require_lab

SERVERS = ("postgresql", "mariadb")


@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
def test_a_fresh_database_is_empty_and_takes_every_script(database_url: sa.URL) -> None:
    engine = sa.create_engine(database_url)
    assert sa.inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE word (id INTEGER PRIMARY KEY, name VARCHAR(50))")
        connection.execute(sa.text("INSERT INTO word VALUES (1, :name)"), {"name": "שלום 🙂 e\u0301"})
        assert connection.exec_driver_sql("SELECT name FROM word").scalar() == "שלום 🙂 e\u0301"
    engine.dispose()


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_ends_with_a_killed_parent(name: str, tmp_path: Path) -> None:
    require_lab()
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.databases import servers\n"
        "with servers.running(sys.argv[1], Path(sys.argv[2])) as server:\n"
        "    print(server.url.port, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, name, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=TOP)
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    assert answers("127.0.0.1", port)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 10
    while answers("127.0.0.1", port) and time.monotonic() < end:
        time.sleep(0.05)
    assert not answers("127.0.0.1", port)
