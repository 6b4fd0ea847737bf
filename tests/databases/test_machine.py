"""Any order of edits on both sides, plans, imports, interruptions and undos: nothing is doubled, lost or overwritten.

The QuickBooks side is a reading built by hand, Miracle Service a real database with users of its own. `./kit bench machine` walks
much further.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from qbo_sync import config
from qbo_sync.errors import Blocked
from qbo_sync.intuit import Page
from qbo_sync.miracle import Miracle, reference
from qbo_sync.miracle.database import engine_for
from qbo_sync.switch import apply as applying
from qbo_sync.switch import match, read, steps
from qbo_sync.switch import plan as planning
from qbo_sync.switch.model import Kind, Result
from qbo_sync.switch.names import normal
from qbo_sync.switch.store import new_id
from tests.databases import servers
from tests.unit.switch import sides

SETTINGS = """site = "machine"
[intuit]
environment = "custom"
discovery_url = "http://127.0.0.1:1/.well-known/openid_configuration"
api_url = "http://127.0.0.1:1"
client_id = "app"
client_secret_file = "secret"
redirect_uri = "http://localhost:8021/qbo/callback"
[miracle]
{database}[store]
directory = "{folder}/store"
"""

# Some are the same to a reader of names, some only nearly.
NAMES = ("Amy's", "AMY\u2019S", "Bob", "bob ", "Bob 12", "Zoë", "Zoe\u0308", "Dora", "Emil", "Finn")


class Interrupted(Exception):
    """Ctrl-C between two chunks."""


class Site(steps.Site):
    """A site that is bound to a company without having been connected."""

    realm = "1"  # type: ignore[assignment]


class Machine(RuleBasedStateMachine):
    """``qbo``: raw customers by id. ``users``: what users of Miracle Service last wrote, by row id.

    ``fresh`` makes a database for each walk; a SQLite file unless a server's is given.
    """

    fresh: Callable[[Path], AbstractContextManager[sa.URL]] = staticmethod(
        lambda folder: nullcontext(sa.make_url(f"sqlite:///{folder / 'miracle.db'}"))
    )

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="qbo-kit-machine-")))
        url = self.stack.enter_context(self.fresh(folder))
        path = folder / "machine.toml"
        path.write_text(SETTINGS.format(folder=folder, database=servers.settings(url, folder / "database-password")))
        self.site = Site(config.load(path))
        self.engine = engine_for(url)
        reference.create_all(self.engine)
        self.miracle = Miracle.open(self.site.settings, self.site.realm)
        self.qbo: dict[str, dict[str, Any]] = {}
        self.users: dict[str, tuple[str, str]] = {}
        self.plan: planning.Plan | None = None

    def teardown(self) -> None:
        self.miracle.engine.dispose()
        self.engine.dispose()
        self.stack.close()

    # --- QuickBooks ------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), parent=st.booleans())
    def add_in_quickbooks(self, name: str, parent: bool) -> None:
        """QuickBooks itself takes a name only once."""
        if any(normal(raw["DisplayName"]) == normal(name) for raw in self.qbo.values()):
            return
        qbo_id = str(len(self.qbo) + 1)
        above = next((raw for raw in self.qbo.values() if raw["Active"] and "ParentRef" not in raw), None) if parent else None
        more = {"ParentRef": {"value": above["Id"]}, "FullyQualifiedName": f"{above['DisplayName']}:{name}"} if above else {}
        self.qbo[qbo_id] = sides.customer(qbo_id, name, **more)

    @precondition(lambda self: self.qbo)
    @rule(data=st.data(), active=st.booleans())
    def edit_in_quickbooks(self, data: st.DataObject, active: bool) -> None:
        raw = self.qbo[data.draw(st.sampled_from(sorted(self.qbo)))]
        raw.update(SyncToken=str(int(raw["SyncToken"]) + 1), Active=active)

    def changed_since(self, entities: Sequence[str], since: datetime) -> Iterator[Page]:
        """All rows: whether one moved, its SyncToken says."""
        yield Page("Customer", list(self.qbo.values()))

    # --- users of Miracle Service ------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES))
    def add_in_miracle(self, name: str) -> None:
        (row,) = self._sql("INSERT INTO customer (name, phone) VALUES (:name, 'by a user') RETURNING id", name=name)
        self.users[str(row[0])] = (name, "by a user")

    @precondition(lambda self: self._ids())
    @rule(data=st.data())
    def edit_in_miracle(self, data: st.DataObject) -> None:
        row_id = data.draw(st.sampled_from(self._ids()))
        self._sql("UPDATE customer SET phone = 'edited' WHERE id = :id", id=row_id)
        ((name,),) = self._sql("SELECT name FROM customer WHERE id = :id", id=row_id)
        self.users[row_id] = (name, "edited")

    @precondition(lambda self: self._ids())
    @rule(data=st.data())
    def delete_in_miracle(self, data: st.DataObject) -> None:
        row_id = data.draw(st.sampled_from(self._ids()))
        if not self._sql("SELECT id FROM customer WHERE parent_id = :id", id=row_id):
            self._sql("DELETE FROM customer WHERE id = :id", id=row_id)
            self.users.pop(row_id, None)

    # --- the switch --------------------------------------------------------------------------------------------------

    @rule()
    def make_plan(self) -> None:
        self.plan = self._plan()

    def _plan(self) -> planning.Plan:
        company = sides.company({Kind.CUSTOMER: list(self.qbo.values())})
        books = read.books(self.miracle)
        return planning.build(new_id(), company, books, match.match(company, books))

    @precondition(lambda self: self.plan is not None)
    @rule(stop_after=st.integers(0, 4), meanwhile=st.sampled_from(("", *NAMES)))
    def import_(self, stop_after: int, meanwhile: str) -> None:
        """The plan at hand, perhaps an old one, with a chunk for every row: interrupted, or a user adds a name during it."""
        assert self.plan is not None
        chunks: list[int] = []

        def progress(_: Kind, __: int) -> None:
            chunks.append(1)
            if len(chunks) == stop_after:
                raise Interrupted
            if meanwhile and len(chunks) == 1:
                self.add_in_miracle(meanwhile)

        try:
            applying.refuse_if_moved(self.plan, self.miracle, self)
            run = self.miracle.begin_run(new_id(), "import", self.plan.id)
            applying.apply(self.plan, self.miracle, run, 1, progress)
        except (Blocked, Interrupted):
            return

    @rule()
    def import_afresh(self) -> None:
        """A new plan, imported undisturbed: whatever is new arrives, whatever was removed stays away."""
        plan = self._plan()
        before = Counter(row.qbo_id for row in self.miracle.made())
        run = self.miracle.begin_run(new_id(), "import", plan.id)
        done = applying.apply(plan, self.miracle, run, 2, lambda *_: None)
        run.finish()
        links = self.miracle.links()
        made = Counter(row.qbo_id for row in self.miracle.made()) - before
        again = self._plan()
        assert not done.refused
        assert set(made) == {row.qbo_id for row in plan.rows if row.action == "insert"}
        assert all((row.kind.value, row.qbo_id) in links for row in plan.rows if row.action)
        assert not [row for row in again.rows if row.result is Result.NEW and row.action]

    @precondition(lambda self: self._runs())
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self._runs()))
        ours = {row.miracle_id for row in self.miracle.made(run_id)}
        used = {str(i) for (i,) in self._sql("SELECT parent_id FROM customer WHERE parent_id IS NOT NULL")}
        steps.undo(self.site, run_id)
        assert not (ours - used - set(self.users)) & set(self._ids())

    # --- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def what_users_wrote_stands(self) -> None:
        rows = {str(i): (name, phone) for i, name, phone in self._sql("SELECT id, name, phone FROM customer")}
        assert {row_id: rows.get(row_id) for row_id in self.users} == self.users

    @invariant()
    def every_other_row_is_ours_and_made_once(self) -> None:
        made, links = list(self.miracle.made()), self.miracle.links()
        ids = self._ids()
        standing = [row for row in made if row.miracle_id in ids]
        assert set(ids) - set(self.users) <= {row.miracle_id for row in standing}
        assert all(count == 1 for count in Counter(row.qbo_id for row in made).values())
        linked = Counter(miracle_id for miracle_id, state in links.values() if state != "removed" and miracle_id in ids)
        assert all(count == 1 for count in linked.values())

    # --- looking -----------------------------------------------------------------------------------------------------

    def _sql(self, statement: str, **values: Any) -> list[Any]:
        with self.engine.execution_options(writing=True).begin() as connection:
            done = connection.execute(sa.text(statement), values)
            return list(done.all()) if done.returns_rows else []

    def _ids(self) -> list[str]:
        return [str(i) for (i,) in self._sql("SELECT id FROM customer ORDER BY id")]

    def _runs(self) -> list[str]:
        return sorted({row.run_id for row in self.miracle.made()})


def walk(examples: int, steps_each: int, server: servers.Server | None = None) -> None:
    """Take so many walks; on a server, each in a database of its own."""

    class Walk(Machine):
        if server is not None:
            fresh = staticmethod(lambda _: server.database())

    limits = settings(
        max_examples=examples,
        stateful_step_count=steps_each,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Walk, settings=limits)  # type: ignore[no-untyped-call]


def test_any_order_on_sqlite() -> None:
    walk(15, 20)


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_any_order_on_a_server(name: str, database_servers: Callable[[str], servers.Server]) -> None:
    walk(4, 15, database_servers(name))
