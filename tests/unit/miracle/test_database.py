"""The Miracle Service side on SQLite: what is read, what a chunk writes, what undo and the fence protect."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from qbo_sync.errors import Blocked
from qbo_sync.miracle import Miracle, load, reference
from qbo_sync.miracle.database import Pending, engine_for


@pytest.fixture
def miracle(tmp_path: Path) -> Iterator[Miracle]:
    engine = engine_for(sa.make_url(f"sqlite:///{tmp_path / 'miracle.db'}"))
    reference.create_all(engine)
    with Miracle(engine, load("reference"), "9341") as opened:
        yield opened


def pending(qbo_id: str, name: str, **values: object) -> Pending:
    return Pending(qbo_id, "0", name, {"name": name, **values})


def test_the_reference_profile_fits_the_reference_schema(miracle: Miracle) -> None:
    assert miracle.check() == []


def test_a_missing_column_is_named(miracle: Miracle) -> None:
    with miracle.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE customer DROP COLUMN mobile")
        connection.exec_driver_sql("DROP TABLE tax_component")
    assert miracle.check() == ["column 'customer.mobile' is missing", "table 'tax_component' is missing"]


def test_reading_makes_no_table(miracle: Miracle) -> None:
    assert miracle.links() == {}
    assert list(miracle.made()) == []
    assert not [t for t in sa.inspect(miracle.engine).get_table_names() if t.startswith("qbo_sync")]


def test_rows_links_and_journal_are_written_together(miracle: Miracle) -> None:
    run = miracle.begin_run("r1", "import", "p1")
    with run.chunk("inventory_item") as chunk:
        price = Decimal("1234567890123.123456")
        done = chunk.insert("inventory_item", [pending("7", "Rock Fountain", unit_price=price), pending("8", "Pump")])
    assert [d.problem for d in done] == ["", ""]
    rows = {r["name"]: r for r in miracle.rows("inventory_item")}
    assert rows["Rock Fountain"]["unit_price"] == price
    assert rows["Pump"]["unit_price"] is None
    assert miracle.links()["inventory_item", "7"] == (rows["Rock Fountain"]["id"], "made")
    assert [m.name for m in miracle.made("r1")] == ["Pump", "Rock Fountain"]


def test_a_failure_inside_a_chunk_leaves_nothing(miracle: Miracle) -> None:
    run = miracle.begin_run("r1", "import", "p1")
    with pytest.raises(RuntimeError), run.chunk("customer_type") as chunk:
        chunk.insert("customer_type", [pending("1", "Retail")])
        raise RuntimeError
    assert list(miracle.rows("customer_type")) == []
    assert miracle.links() == {}


def test_a_row_the_database_refuses_is_alone_in_its_trouble(miracle: Miracle) -> None:
    with miracle.engine.begin() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX one_name ON payment_method (name)")
    run = miracle.begin_run("r1", "import", "p1")
    with run.chunk("payment_method") as chunk:
        done = chunk.insert("payment_method", [pending("1", "Cash"), pending("2", "Cash"), pending("3", "Check")])
    assert [bool(d.problem) for d in done] == [False, True, False]
    assert [r["name"] for r in miracle.rows("payment_method")] == ["Cash", "Check"]
    assert ("payment_method", "2") not in miracle.links()


def test_an_overtaken_run_cannot_write(miracle: Miracle) -> None:
    old = miracle.begin_run("r1", "import", "p1")
    miracle.begin_run("r2", "import", "p1")
    with pytest.raises(Blocked, match="took over"), old.chunk("customer_type"):
        pytest.fail("the chunk must not open")


def test_a_discarded_row_keeps_its_mark_and_an_undone_one_does_not(miracle: Miracle) -> None:
    run = miracle.begin_run("r1", "import", "p1")
    with run.chunk("customer_type") as chunk:
        chunk.insert("customer_type", [pending("1", "Retail"), pending("2", "Trade")])
    trade, retail = miracle.made("r1")
    undo = miracle.begin_run("r2", "undo", "p1")
    with undo.chunk("customer_type") as chunk:
        chunk.remove("customer_type", [retail], keep_mark=True)
        chunk.remove("customer_type", [trade], keep_mark=False)
    assert list(miracle.rows("customer_type")) == []
    assert {k: state for k, (_, state) in miracle.links().items()} == {("customer_type", "1"): "removed"}


def test_a_row_in_use_is_named(miracle: Miracle) -> None:
    run = miracle.begin_run("r1", "import", "p1")
    with run.chunk("customer_type") as chunk:
        (done,) = chunk.insert("customer_type", [pending("1", "Retail")])
        chunk.insert("customer", [pending("9", "Amy's Bird Sanctuary", customer_type_id=done.miracle_id, taxable=True)])
        assert chunk.used_by("customer_type", [done.miracle_id]) == {done.miracle_id: ["customer.customer_type_id (1)"]}
