"""Others at work on the same database while an import runs: a user of Miracle Service, a second import."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from qbo_sync.errors import Blocked
from qbo_sync.miracle import Miracle, reference
from qbo_sync.miracle.database import engine_for
from qbo_sync.switch.model import Kind
from qbo_sync.switch.read import Company
from qbo_sync.switch.store import new_id
from tests.databases.conftest import EVERYWHERE, Books
from tests.unit.switch import sides

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

LAST = "Customer O40"


def test_a_user_in_the_middle_of_adding_the_same_customer(books: Books, company: Company) -> None:
    """Their transaction is open when the import starts: it waits, then sees the row and stops before its own."""
    planned = books.plan(company)
    with ThreadPoolExecutor(1) as pool:
        with books.user.execution_options(writing=True).begin() as connection:
            connection.execute(sa.text("INSERT INTO customer (name) VALUES (:name)"), {"name": "Customer B1 "})
            importing = pool.submit(books.apply, planned)
            with pytest.raises(TimeoutError):
                importing.result(timeout=1)
        with pytest.raises(Blocked, match="Miracle Service has moved") as refused:
            importing.result(timeout=30)
    assert "'Customer B1'" in refused.value.seen
    assert books.customers() == ["Customer B1 "]


@pytest.mark.parametrize("with_id", ["", "-7"])
def test_a_user_adding_a_customer_between_two_chunks(books: Books, company: Company, with_id: str) -> None:
    """Also when their program hands out ids of its own, below ours."""
    planned = books.plan(company)
    columns, values = ("id, name, taxable", f"{with_id}, :name, :yes") if with_id else ("name, taxable", ":name, :yes")
    added: list[int] = []

    def progress(_: Kind, __: int) -> None:
        if not added:
            added.append(1)
            books.sql(f"INSERT INTO customer ({columns}) VALUES ({values})", name=LAST.upper(), yes=True)

    with pytest.raises(Blocked, match="Miracle Service has moved"):
        books.apply(planned, progress=progress)
    books.apply(books.plan(company))
    assert len(books.customers()) == 40
    assert [name for name in books.customers() if name.upper() == LAST.upper()] == [LAST.upper()]


def test_a_user_who_takes_the_id_of_a_deleted_row(books: Books, company: Company) -> None:
    """The plan knew the highest id; now another customer has it."""
    books.sql("INSERT INTO customer (id, name) VALUES (100, 'Somebody else')")
    planned = books.plan(company)
    books.sql("DELETE FROM customer WHERE id = 100")
    books.sql("INSERT INTO customer (id, name) VALUES (100, :name)", name=LAST)
    with pytest.raises(Blocked, match="Miracle Service has moved") as refused:
        books.apply(planned, chunk_rows=1000)
    assert LAST in refused.value.seen
    assert books.customers() == [LAST]


def test_an_id_that_the_database_gives_anew_leaves_no_link_to_the_wrong_row(books: Books, company: Company) -> None:
    """A user deletes what we made; the next row we make may get its id."""
    if books.user.dialect.name == "sqlite":
        books.sql("DROP TABLE customer")
        table = reference.metadata.tables["customer"]
        with books.user.begin() as connection:
            connection.exec_driver_sql(str(CreateTable(table).compile(books.user)).replace("AUTOINCREMENT", ""))
    books.apply(books.plan(company), chunk_rows=1000)
    ((highest,),) = books.sql("SELECT max(id) FROM customer")
    deleted = next(qbo_id for (_, qbo_id), (miracle_id, _) in books.miracle.links().items() if miracle_id == str(highest))
    books.sql("DELETE FROM customer WHERE id = :id", id=highest)
    later = sides.company({Kind.CUSTOMER: [sides.customer("99", "Newcomer")]})
    books.apply(books.plan(later))
    states = {qbo_id: (miracle_id, state) for (_, qbo_id), (miracle_id, state) in books.miracle.links().items()}
    names = {row["id"]: row["name"] for row in books.miracle.rows("customer")}
    assert names[states["99"][0]] == "Newcomer"
    assert states[deleted][1] == "removed" or states[deleted][0] not in names


def test_a_matched_row_that_a_user_edits_stops_the_import(books: Books, company: Company) -> None:
    books.sql("INSERT INTO customer (name) VALUES (:name)", name=LAST)
    planned = books.plan(company)
    books.sql("UPDATE customer SET phone = '555' WHERE name = :name", name=LAST)
    with pytest.raises(Blocked, match="Miracle Service has moved") as refused:
        books.apply(planned, chunk_rows=1000)
    assert "changed there meanwhile" in refused.value.seen
    assert books.customers() == [LAST]


def test_an_import_that_another_overtakes_says_so(books: Books, company: Company) -> None:
    """Two stores, one database: the second import finishes, the first stops, and nothing is there twice."""
    planned = books.plan(company)
    second: list[int] = []

    def progress(kind: Kind, _: int) -> None:
        if not second:
            second.append(1)
            books.apply(books.plan(company))

    with pytest.raises(Blocked, match="another run took over"):
        books.apply(planned, progress=progress)
    assert len(books.customers()) == len(set(books.customers())) == 40
    assert len(books.miracle.links()) == 40


def test_runs_that_begin_at_once_have_a_number_each(books: Books) -> None:
    """Also when our own tables have to be made."""
    together = threading.Barrier(4)

    def begin(_: int) -> int:
        with Miracle(engine_for(books.user.url), books.miracle.profile, "1") as miracle:
            together.wait()
            try:
                return miracle.begin_run(new_id(), "import", "").fence
            except Blocked:
                return 0

    with ThreadPoolExecutor(4) as pool:
        fences = [fence for fence in pool.map(begin, range(4)) if fence]
    assert fences
    assert len(set(fences)) == len(fences)
