"""What is written is what was sent, on every database: names, numbers, ids, refusals, triggers, names of tables."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from qbo_sync.miracle import Miracle, load
from qbo_sync.miracle.database import Pending
from qbo_sync.miracle.profile import KINDS
from tests.databases.conftest import EVERYWHERE, Books

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

NAMES = [
    'O\'Brien "Quoted" \\ 100% _ ; --',
    "x" * 500,
    "🙂 Emoji & Söhne",
    "שלום عليكم",
    "e\u0301 combining",
    "Zürich",
    "zurich",
    " leading and trailing ",
]


def pending(qbo_id: int, name: str, **values: object) -> Pending:
    return Pending(str(qbo_id), "0", name, {"name": name, **values})


def test_names_arrive_as_they_are_and_each_has_its_own_row(books: Books) -> None:
    run = books.miracle.begin_run("r1", "import", "p1")
    with run.chunk("customer") as chunk:
        done = chunk.insert("customer", [pending(n, name, taxable=True) for n, name in enumerate(NAMES)])
    assert [d.problem for d in done] == [""] * len(NAMES)
    rows = {row["id"]: row["name"] for row in books.miracle.rows("customer")}
    assert {d.qbo_id: rows[d.miracle_id] for d in done} == {str(n): name for n, name in enumerate(NAMES)}


def test_numbers_flags_and_nothing_arrive_exactly(books: Books) -> None:
    run = books.miracle.begin_run("r1", "import", "p1")
    price = Decimal("1234567890123.123456")
    with run.chunk("inventory_item") as chunk:
        chunk.insert(
            "inventory_item", [pending(1, "A", unit_price=price, taxable=True), pending(2, "B", unit_price=None, taxable=False)]
        )
    first, second = books.miracle.rows("inventory_item")
    assert (first["unit_price"], first["taxable"], first["unit_cost"]) == (price, True, None)
    assert (second["unit_price"], second["taxable"]) == (None, False)


def test_only_the_rows_in_trouble_are_refused(books: Books) -> None:
    books.sql("CREATE UNIQUE INDEX one_name ON supplier (account_number)")
    run = books.miracle.begin_run("r1", "import", "p1")
    rows = [pending(n, f"Supplier {n}", account_number=str(n)) for n in range(30)]
    rows[7] = pending(7, "Again", account_number="3")
    rows[20] = pending(20, "No such term", account_number="20", payment_term_id="4711")
    with run.chunk("supplier") as chunk:
        done = chunk.insert("supplier", rows)
    assert sorted(d.qbo_id for d in done if d.problem) == ["20", "7"]
    assert len(books.sql("SELECT id FROM supplier")) == len(books.miracle.links()) == len(list(books.miracle.made())) == 28
    by_name = {row["name"]: row["id"] for row in books.miracle.rows("supplier")}
    assert all(by_name[f"Supplier {d.qbo_id}"] == d.miracle_id for d in done if not d.problem)


def test_a_text_that_is_too_long_is_refused_and_never_cut(books: Books) -> None:
    if books.miracle.engine.dialect.name == "sqlite":  # which has no lengths of its own
        too_long = "WHEN length(NEW.name) > 31 BEGIN SELECT RAISE(ABORT, 'too long'); END"
        books.sql(f"CREATE TRIGGER too_long BEFORE INSERT ON payment_method {too_long}")
    run = books.miracle.begin_run("r1", "import", "p1")
    with run.chunk("payment_method") as chunk:
        done = chunk.insert("payment_method", [pending(1, "Cash"), pending(2, "C" * 32)])
    assert [bool(d.problem) for d in done] == [False, True]
    assert books.sql("SELECT name FROM payment_method") == [("Cash",)]


TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER mark AFTER INSERT ON supplier BEGIN UPDATE supplier SET phone = 'by trigger' WHERE id = NEW.id; END",
    ],
    "postgresql": [
        "CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE supplier SET phone = 'by trigger' WHERE id = NEW.id; RETURN NULL; END $$",
        "CREATE TRIGGER mark AFTER INSERT ON supplier FOR EACH ROW EXECUTE FUNCTION mark()",
    ],
    "mariadb": ["CREATE TRIGGER mark BEFORE INSERT ON supplier FOR EACH ROW SET NEW.phone = 'by trigger'"],
}


def test_what_a_trigger_did_is_part_of_the_row_that_we_made(books: Books) -> None:
    for statement in TRIGGERS[books.miracle.engine.dialect.name]:
        with books.user.begin() as connection:
            connection.exec_driver_sql(statement)
    run = books.miracle.begin_run("r1", "import", "p1")
    with run.chunk("supplier") as chunk:
        chunk.insert("supplier", [pending(n, f"Supplier {n}", phone="555") for n in range(3)])
    with run.chunk("supplier") as chunk:
        made = {one.miracle_id: one.row_hash for one in books.miracle.made()}
        assert chunk.hashes("supplier", made) == made
    assert books.sql("SELECT DISTINCT phone FROM supplier") == [("by trigger",)]
    books.sql("UPDATE supplier SET phone = '555' WHERE id = :id", id=next(iter(made)))
    with run.chunk("supplier") as chunk:
        assert [i for i, now in chunk.hashes("supplier", made).items() if now != made[i]] == [next(iter(made))]


def test_a_number_of_ids_that_lags_behind_gives_no_row_a_wrong_link(books: Books) -> None:
    """Somebody's own ids stand above those the database will give out."""
    books.sql("INSERT INTO customer_type (id, name) VALUES (1000, 'By hand')")
    if books.miracle.engine.dialect.name != "postgresql":
        books.sql("DELETE FROM customer_type")
    run = books.miracle.begin_run("r1", "import", "p1")
    with run.chunk("customer_type") as chunk:
        done = chunk.insert("customer_type", [pending(n, f"Type {n}") for n in range(5)])
    rows = {row["id"]: row["name"] for row in books.miracle.rows("customer_type")}
    assert [rows[d.miracle_id] for d in done] == [f"Type {n}" for n in range(5)]


def test_a_site_s_own_table_and_column_names_are_quoted(books: Books, tmp_path: Path) -> None:
    """Reserved words, blanks, capitals; a key of text that the site's rows already have."""
    metadata = sa.MetaData()
    sa.Table(
        "Order Details",
        metadata,
        sa.Column("Select Id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("Group", sa.String(100), nullable=False),
        sa.Column("made at", sa.DateTime, server_default=sa.func.current_timestamp()),
    )
    metadata.create_all(books.user)
    kinds = {kind: {"table": "Order Details", "id": "Select Id", "columns": {"name": "Group"}} for kind in KINDS}
    path = tmp_path / "profile.yml"
    path.write_text(yaml.safe_dump({"profile": "odd", "kinds": kinds}))
    miracle = Miracle(books.miracle.engine, load(str(path)), "1")
    assert miracle.check() == []
    run = miracle.begin_run("r1", "import", "p1")
    with run.chunk("supplier") as chunk:
        assert chunk.extent("supplier") == (0, None)
        first, second = chunk.insert("supplier", [pending(1, "One"), pending(2, "Two")])
        assert chunk.extent("supplier") == (2, int(second.miracle_id))
        assert [row["name"] for _, row in chunk.names("supplier")] == ["One", "Two"]
    by_id = {made.miracle_id: made for made in miracle.made()}
    with run.chunk("supplier") as chunk:
        assert chunk.hashes("supplier", [first.miracle_id]) == {first.miracle_id: by_id[first.miracle_id].row_hash}
        chunk.remove("supplier", [by_id[first.miracle_id]], keep_mark=False)
    assert [row["name"] for row in miracle.rows("supplier")] == ["Two"]
