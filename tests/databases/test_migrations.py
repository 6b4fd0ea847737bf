"""Our own tables as the version before made them: they can be read as they are, and are brought up before anything is written."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateSchema

from qbo_sync import __version__
from qbo_sync.errors import Blocked
from qbo_sync.miracle import Miracle, journal, migrations
from qbo_sync.miracle.database import Pending
from tests.databases.conftest import EVERYWHERE, Books

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

# Form 1, written down here: what the program before made, whatever the present one does.
FORM_1 = (
    """CREATE TABLE {s}qbo_sync_link (realm VARCHAR(32) NOT NULL, kind VARCHAR(20) NOT NULL, qbo_id VARCHAR(40) NOT NULL,
    miracle_id VARCHAR(64) NOT NULL, sync_token VARCHAR(20) NOT NULL, state VARCHAR(10) NOT NULL, run_id VARCHAR(40) NOT NULL,
    PRIMARY KEY (realm, kind, qbo_id))""",
    """CREATE TABLE {s}qbo_sync_run (id VARCHAR(40) NOT NULL, realm VARCHAR(32) NOT NULL, command VARCHAR(20) NOT NULL,
    plan_id VARCHAR(40) NOT NULL, fence INTEGER NOT NULL, started_at VARCHAR(32) NOT NULL, finished_at VARCHAR(32),
    state VARCHAR(10) NOT NULL, PRIMARY KEY (id), UNIQUE (fence))""",
    """CREATE TABLE {s}qbo_sync_row (run_id VARCHAR(40) NOT NULL, seq INTEGER NOT NULL, kind VARCHAR(20) NOT NULL,
    table_name VARCHAR(128) NOT NULL, miracle_id VARCHAR(64) NOT NULL, qbo_id VARCHAR(40) NOT NULL, row_hash VARCHAR(64) NOT NULL,
    state VARCHAR(10) NOT NULL, name TEXT NOT NULL, PRIMARY KEY (run_id, seq))""",
    "CREATE INDEX qbo_sync_row_by_record ON {s}qbo_sync_row (kind, miracle_id)",
    "INSERT INTO {s}qbo_sync_run VALUES ('r1', '1', 'import', 'p1', 7, '2026-01-01T00:00:00+00:00', NULL, 'done')",
    "INSERT INTO {s}qbo_sync_link VALUES ('1', 'customer_type', '5', '1', '0', 'made', 'r1')",
    "INSERT INTO {s}qbo_sync_row VALUES ('r1', 1, 'customer_type', 'customer_type', '1', '5', 'x', 'made', 'Retail')",
)


@pytest.fixture
def before(books: Books) -> Books:
    """A Miracle Service that the version before has imported into."""
    schema = journal.tables(books.user.dialect.name).metadata.schema
    with books.user.begin() as connection:
        if schema:
            connection.execute(CreateSchema(schema))
        for statement in FORM_1:
            connection.exec_driver_sql(statement.format(s=f"{schema}." if schema else ""))
    return books


def form(miracle: Miracle) -> int | None:
    with miracle.engine.connect() as connection:
        return migrations.found(connection, miracle.journal)


def test_older_tables_are_read_as_they_are(before: Books) -> None:
    assert form(before.miracle) == 1
    assert before.miracle.links() == {("customer_type", "5"): ("1", "made")}
    assert [run["id"] for run in before.miracle.runs()] == ["r1"]
    assert [made.name for made in before.miracle.made("r1")] == ["Retail"]
    assert form(before.miracle) == 1


def test_they_are_brought_up_once_and_keep_what_they_held(before: Books) -> None:
    for run_id in ("r2", "r3"):
        run = before.miracle.begin_run(run_id, "import", "p2")
        with run.chunk("customer_type") as chunk:
            chunk.insert("customer_type", [Pending(run_id, "0", run_id, {"name": run_id})])
        run.finish()
    assert form(before.miracle) == migrations.VERSION
    table = before.miracle.journal.run
    with before.user.connect() as connection:
        programs = {row.id: row.program for row in connection.execute(sa.select(table.c.id, table.c.program))}
        assert connection.execute(sa.select(before.miracle.journal.version)).all() == [(migrations.VERSION,)]
    assert programs == {"r1": None, "r2": __version__, "r3": __version__}
    assert [run["fence"] for run in before.miracle.runs()] == [7, 8, 9]
    assert before.miracle.links()["customer_type", "5"] == ("1", "made")


def test_a_step_that_was_cut_off_is_done_again(before: Books) -> None:
    """MariaDB commits each change of a table at once: the column may be there, and the version not."""
    table = before.miracle.journal.run
    with before.user.begin() as connection:
        migrations.STEPS[2](connection, before.miracle.journal)
    assert form(before.miracle) == 1
    before.miracle.begin_run("r2", "import", "p2")
    assert form(before.miracle) == migrations.VERSION
    assert "program" in {column["name"] for column in sa.inspect(before.user).get_columns(table.name, schema=table.schema)}


def test_a_change_that_was_cut_off_leaves_the_older_form(before: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where changes of tables are part of a transaction nothing of it stays; on MariaDB the next run goes on with what did."""

    def cut_off(connection: sa.Connection, tables: journal.Journal) -> None:
        migrations._program_of_runs(connection, tables)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setitem(migrations.STEPS, 2, cut_off)
        before.miracle.begin_run("r2", "import", "p2")
    table = before.miracle.journal.run
    columns = {column["name"] for column in sa.inspect(before.user).get_columns(table.name, schema=table.schema)}
    assert ("program" in columns) == (before.user.dialect.name in ("mysql", "mariadb"))
    assert form(before.miracle) == 1
    before.miracle.begin_run("r2", "import", "p2")
    assert form(before.miracle) == migrations.VERSION


def test_tables_of_a_newer_program_are_left_alone(books: Books) -> None:
    books.miracle.begin_run("r1", "import", "p1").finish()
    version = books.miracle.journal.version
    with books.user.begin() as connection:
        connection.execute(version.update().values(version=migrations.VERSION + 1))
    with pytest.raises(Blocked, match="newer qbo-sync"):
        books.miracle.begin_run("r2", "import", "p2")
    assert [run["id"] for run in books.miracle.runs()] == ["r1"]


def test_what_is_made_anew_has_the_same_form_as_what_was_brought_up(before: Books, books: Books) -> None:
    def columns() -> dict[str, list[tuple[str, str]]]:
        inspector, schema = sa.inspect(books.user), books.miracle.journal.metadata.schema
        return {
            table.name: [(c["name"], str(c["type"])) for c in inspector.get_columns(table.name, schema=schema)]
            for table in books.miracle.journal.metadata.sorted_tables
        }

    before.miracle.begin_run("r2", "import", "p2")
    brought_up = columns()
    with books.user.begin() as connection:
        books.miracle.journal.metadata.drop_all(connection)
    books.miracle.begin_run("r1", "import", "p1")
    assert columns() == brought_up
