"""Writes rows together with their journal.

Everything that writes happens inside :meth:`Run.chunk`: one transaction that holds the kind's table against other writers, checks
the run's fence, and keeps rows, links and journal together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection, CursorResult, Table, exc, func, select

from qbo_sync.errors import Blocked
from qbo_sync.miracle import journal
from qbo_sync.miracle.engine import concerns_a_row, insert_columns, insert_many, lock, read_whole, said, unreachable_if_down
from qbo_sync.miracle.profile import KindMap, TaxComponentMap

if TYPE_CHECKING:
    from qbo_sync.miracle.database import Miracle

# Ids asked for in one statement: SQL Server takes 2100 parameters, PostgreSQL and MySQL 65535, SQLite 32766.
IDS_AT_ONCE = 1000


class Pending(msgspec.Struct, frozen=True, gc=False):
    """One row to insert: our fields with references already resolved to Miracle ids."""

    qbo_id: str
    sync_token: str
    name: str
    values: Mapping[str, Any]


class Made(msgspec.Struct, frozen=True, gc=False):
    """A row that an import made and that still stands, as the journal has it."""

    run_id: str
    seq: int
    kind: str
    miracle_id: str
    qbo_id: str
    row_hash: str
    name: str


class Inserted(msgspec.Struct, frozen=True, gc=False):
    """One row that a chunk made, or could not make (``problem`` says why in the database's words)."""

    qbo_id: str
    miracle_id: str
    problem: str = ""


# A row as the driver gives it: its id first, its name second, then every column.
Whole = Sequence[Any]


class _Unclear(Exception):
    """The rows read back cannot be told apart with certainty; they are then made one by one."""


class Run:
    """One writing run; everything it writes goes through :meth:`chunk`."""

    def __init__(self, miracle: Miracle, run_id: str, fence: int) -> None:
        self.miracle = miracle
        self.run_id = run_id
        self.fence = fence
        self._seq = 0

    @contextmanager
    def chunk(self, kind: str = "") -> Iterator[Chunk]:
        """One transaction. With ``kind``, that kind's table is held against other writers until it ends."""
        miracle = self.miracle
        with unreachable_if_down(miracle.engine), miracle.writer.begin() as connection:
            if kind:
                part = miracle.profile.kinds[kind]
                lock(connection, miracle.table(part.table), part.id)
            self._check_fence(connection)
            yield Chunk(self, connection)

    def _check_fence(self, connection: Connection) -> None:
        highest = connection.execute(select(func.max(self.miracle.journal.run.c.fence))).scalar()
        if highest != self.fence:
            raise Blocked(
                "another run took over this site while this one was working",
                seen=f"our run has number {self.fence}, the newest has {highest}",
                next="let the other run finish; nothing was written twice",
            )

    def finish(self, state: str = "done") -> None:
        """Write how the run ended."""
        with self.chunk() as chunk:
            run = self.miracle.journal.run
            chunk.connection.execute(run.update().where(run.c.id == self.run_id).values(state=state, finished_at=journal.now()))

    def next_seqs(self, number: int) -> int:
        """The first of so many next numbers of journal rows."""
        first, self._seq = self._seq + 1, self._seq + number
        return first


class Chunk:
    """An open transaction of a run."""

    def __init__(self, run: Run, connection: Connection) -> None:
        self.run = run
        self.miracle = run.miracle
        self.journal = run.miracle.journal
        self.connection = connection

    # --- looking -----------------------------------------------------------------------------------------------

    def extent(self, kind: str, below: int | None = None) -> tuple[int, Any]:
        """How many rows a kind has (of those with an id ``below`` that, if given) and its highest id.

        Both unchanged means that nobody added any.
        """
        part, table = self._part(kind)
        key = table.c[part.id]
        number = select(func.count()).select_from(table)
        count = self.connection.execute(number if below is None else number.where(key < below)).scalar_one()
        return int(count), self.connection.execute(select(func.max(key))).scalar()

    def names(self, kind: str, ids: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every row of a kind, or those with these ids, by id: ``id``, ``name`` and, where the kind has it, ``parent_id``."""
        part, table = self._part(kind)
        key = table.c[part.id]
        fields: dict[str, str] = {"id": part.id, **{f: part.columns[f] for f in ("name", "parent_id") if f in part.columns}}
        statement = select(*[table.c[column] for column in fields.values()]).order_by(key).limit(IDS_AT_ONCE)
        if ids is not None:
            pages = (statement.where(key.in_(some)) for some in self._keys(part, ids))
            for page in pages:
                yield from ((str(row[0]), dict(zip(fields, row, strict=True))) for row in self.connection.execute(page).all())
            return
        page = statement
        while rows := self.connection.execute(page).all():
            yield from ((str(row[0]), dict(zip(fields, row, strict=True))) for row in rows)
            page = statement.where(key > rows[-1][0])

    def standing(self, kind: str) -> Iterator[list[tuple[str, str]]]:
        """The links of a kind that are not marked as removed, some at a time: QBO id and Miracle id."""
        link = self.journal.link
        mine = (link.c.realm == self.miracle.realm) & (link.c.kind == kind)
        statement = select(link.c.qbo_id, link.c.miracle_id).where(mine).order_by(link.c.qbo_id).limit(IDS_AT_ONCE)
        statement = statement.where(link.c.state != "removed")
        page = statement
        while rows := self.connection.execute(page).all():
            yield [(qbo_id, miracle_id) for qbo_id, miracle_id in rows]
            page = statement.where(link.c.qbo_id > rows[-1][0])

    def links_of(self, kind: str, qbo_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """The links of these records as they are now: QBO id → (Miracle id, state)."""
        return self.miracle.links_of(kind, qbo_ids, connection=self.connection)

    def _keys(self, part: KindMap, ids: Iterable[str]) -> Iterator[list[Any]]:
        """Ids as their column has them, as many at a time as one statement may ask for."""
        left = (self.miracle.key(part, miracle_id) for miracle_id in ids)
        while some := list(islice(left, IDS_AT_ONCE)):
            yield some

    def hashes(self, kind: str, ids: Iterable[str]) -> dict[str, str]:
        """Of the rows with these ids as they are now, every column: the hash that the journal keeps of a row."""
        part, table = self._part(kind)
        found: dict[str, str] = {}
        for some in self._keys(part, ids):
            rows = read_whole(self.connection, table, part.id, "IN", some)
            found.update((str(row[0]), whole_hash(row)) for row in rows)
        return found

    def digests(self, kind: str, ids: Sequence[str]) -> dict[str, str]:
        """Of the rows with these ids as they are now: a digest of what the profile maps, as a reading gives it."""
        found: dict[str, str] = {}
        for start in range(0, len(ids), IDS_AT_ONCE):
            some = ids[start : start + IDS_AT_ONCE]
            found.update((row["id"], row_hash(row)) for row in self.miracle.rows(kind, ids=some, connection=self.connection))
        return found

    def used_by(self, kind: str, ids: Sequence[str]) -> dict[str, list[str]]:
        """Which of these rows the tables that the profile declares as referring to this kind do refer to, and where."""
        part = self.miracle.profile.kinds[kind]
        used: dict[str, list[str]] = {}
        for table_name, column_name in part.referred_by:
            column = self.miracle.table(table_name).c[column_name]
            for some in self._keys(part, ids):
                statement = select(column, func.count()).where(column.in_(some)).group_by(column)
                for miracle_id, count in self.connection.execute(statement):
                    used.setdefault(str(miracle_id), []).append(f"{table_name}.{column_name} ({count})")
        return used

    # --- making rows -------------------------------------------------------------------------------------------

    def insert(self, kind: str, pending: Sequence[Pending]) -> list[Inserted]:
        """Insert rows, their links and their journal. A row the database refuses comes back with its problem."""
        part, table = self._part(kind)
        made: list[tuple[Pending, Whole]] = []
        refused: list[Inserted] = []
        self._insert(part, table, pending, made, refused)
        done = [Inserted(one.qbo_id, str(row[0])) for one, row in made]
        if made:
            self._note(kind, part, made)
            self.link(kind, [(i.qbo_id, i.miracle_id, one.sync_token) for i, (one, _) in zip(done, made, strict=True)], "made")
        of = {one.qbo_id: one for one in (*done, *refused)} if refused else {}
        return [of[one.qbo_id] for one in pending] if refused else done

    def _note(self, kind: str, part: KindMap, made: Sequence[tuple[Pending, Whole]]) -> None:
        run_id, table_name, first = self.run.run_id, part.table, self.run.next_seqs(len(made))
        rows = [
            (run_id, seq, kind, table_name, str(row[0]), one.qbo_id, whole_hash(row), "made", one.name)
            for seq, (one, row) in enumerate(made, start=first)
        ]
        columns = ("run_id", "seq", "kind", "table_name", "miracle_id", "qbo_id", "row_hash", "state", "name")
        insert_many(self.connection, self.journal.row, columns, rows)

    def _insert(
        self,
        part: KindMap,
        table: Table,
        pending: Sequence[Pending],
        made: list[tuple[Pending, Whole]],
        refused: list[Inserted],
    ) -> None:
        """All together; where the database refuses, half and half, down to the row in trouble; one by one where unclear."""
        if not pending:
            return
        try:
            with self.connection.begin_nested():
                rows = self._together(part, table, pending) if len(pending) > 1 else [self._alone(part, table, pending[0])]
        except (exc.DBAPIError, _Unclear) as error:
            if isinstance(error, exc.DBAPIError) and not concerns_a_row(self.miracle.engine, error):
                raise
            if len(pending) == 1:
                problem = said(error) if isinstance(error, exc.DBAPIError) else "it could not be found after it was written"
                refused.append(Inserted(pending[0].qbo_id, "", problem))
                return
            size = 1 if isinstance(error, _Unclear) else (len(pending) + 1) // 2
            for start in range(0, len(pending), size):
                self._insert(part, table, pending[start : start + size], made, refused)
        else:
            made += zip(pending, rows, strict=True)

    def _together(self, part: KindMap, table: Table, pending: Sequence[Pending]) -> list[Whole]:
        """Insert, then read back what stands above the highest id of before: whole rows, what defaults and triggers did included.

        The table is held, so nobody else's row can be among them.
        """
        key = table.c[part.id]
        before = self.connection.execute(select(func.max(key))).scalar()
        columns, values = _values(part, table, pending)
        sent = values[columns.index(part.columns["name"])]
        insert_columns(self.connection, table, columns, values)
        rows = read_whole(self.connection, table, part.id, ">", [] if before is None else [before], also=part.columns["name"])
        if len(rows) != len(pending) or not all(_same(row[1], one) for row, one in zip(rows, sent, strict=True)):
            raise _Unclear
        return rows

    def _alone(self, part: KindMap, table: Table, one: Pending) -> Whole:
        """Insert one row whose id the database tells."""
        columns, values = _values(part, table, [one])
        statement = table.insert().values({column: value for column, (value,) in zip(columns, values, strict=True)})
        key = table.c[part.id]
        if list(table.primary_key) == [key]:
            made = _new_key(self.connection.execute(statement))
        else:
            made = self.connection.execute(statement.returning(key)).scalar_one()
        rows = read_whole(self.connection, table, part.id, "IN", [made], also=part.columns["name"])
        if not rows:
            raise _Unclear
        return rows[0]

    def link(self, kind: str, links: Sequence[tuple[str, str, str]], state: str) -> None:
        """Save links (QBO id, Miracle id, SyncToken) of records that have none."""
        realm, run_id = self.miracle.realm, self.run.run_id
        rows = [(realm, kind, qbo_id, miracle_id, sync_token, state, run_id) for qbo_id, miracle_id, sync_token in links]
        columns = ("realm", "kind", "qbo_id", "miracle_id", "sync_token", "state", "run_id")
        if rows:
            insert_many(self.connection, self.journal.link, columns, rows)

    # --- taking back -------------------------------------------------------------------------------------------

    def remove(self, kind: str, made: Sequence[Made], *, keep_mark: bool) -> dict[str, str]:
        """Delete rows that we made. With ``keep_mark`` their links stay as ``removed``, so they are never made again.

        Returns those that the database did not let go, by Miracle id, with its reason.
        """
        kept: dict[str, str] = {}
        self._delete(kind, [one.miracle_id for one in made], kept)
        gone = [one for one in made if one.miracle_id not in kept]
        row = self.journal.row
        by_run: dict[str, list[int]] = {}
        for one in gone:
            by_run.setdefault(one.run_id, []).append(one.seq)
        for run_id, numbers in by_run.items():
            for some in _some(numbers):
                mine = (row.c.run_id == run_id) & row.c.seq.in_(some)
                self.connection.execute(row.update().where(mine).values(state="discarded" if keep_mark else "undone"))
        if keep_mark:
            self.mark_removed(kind, [one.qbo_id for one in gone])
        else:
            for same in self._links(kind, [one.qbo_id for one in gone]):
                self.connection.execute(self.journal.link.delete().where(same))
        return kept

    def _delete(self, kind: str, ids: Sequence[str], kept: dict[str, str]) -> None:
        """All together; where the database refuses, half and half, down to the row in trouble."""
        part, table = self._part(kind)
        try:
            with self.connection.begin_nested():
                for some in self._keys(part, ids):
                    self.connection.execute(table.delete().where(table.c[part.id].in_(some)))
        except exc.DBAPIError as error:
            if not concerns_a_row(self.miracle.engine, error):
                raise
            if len(ids) == 1:
                kept[ids[0]] = said(error)
                return
            half = (len(ids) + 1) // 2
            self._delete(kind, ids[:half], kept)
            self._delete(kind, ids[half:], kept)

    def forget_matches(self, run_id: str) -> int:
        """Delete the links to rows that were there before, made by that run. Returns how many."""
        mine = (self.journal.link.c.realm == self.miracle.realm) & (self.journal.link.c.run_id == run_id)
        gone = self.connection.execute(
            self.journal.link.delete().where(mine, self.journal.link.c.state.in_(("matched", "decided")))
        )
        return int(gone.rowcount)

    def mark_removed(self, kind: str, qbo_ids: Sequence[str]) -> None:
        """Mark links whose rows a person deleted in Miracle Service."""
        for same in self._links(kind, qbo_ids):
            self.connection.execute(self.journal.link.update().where(same).values(state="removed"))

    def _links(self, kind: str, qbo_ids: Sequence[str]) -> Iterator[sa.ColumnElement[bool]]:
        link = self.journal.link
        for some in _some(qbo_ids):
            yield (link.c.realm == self.miracle.realm) & (link.c.kind == kind) & link.c.qbo_id.in_(some)

    # --- taxes and settings ------------------------------------------------------------------------------------

    def add_tax_code(
        self, code: Mapping[str, Any], sales: Sequence[Mapping[str, Any]], purchase: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Add a tax code with its rates, journalled. Returns its id."""
        maps = self.miracle.profile.taxes
        assert maps is not None  # noqa: S101 - the caller read the taxes from these tables
        codes = self.miracle.table(maps.code.table)
        values = {maps.code.columns[f]: v for f, v in code.items() if f in maps.code.columns}
        code_id = str(_new_key(self.connection.execute(codes.insert().values(values))))
        self._add_rates(maps.component, code_id, sales)
        if maps.purchase and purchase:
            self._add_rates(maps.purchase, code_id, purchase)
        self._note_tax(code, code_id)
        return code_id

    def add_purchase_rates(self, code: Mapping[str, Any], code_id: str, purchase: Sequence[Mapping[str, Any]]) -> None:
        """Add purchase rates to a tax code that is there, journalled."""
        maps = self.miracle.profile.taxes
        assert maps is not None  # noqa: S101 - as above
        assert maps.purchase is not None  # noqa: S101 - without it nothing was compared
        self._add_rates(maps.purchase, code_id, purchase)
        self._note_tax(code, code_id)

    def _add_rates(self, maps: TaxComponentMap, code_id: str, rates: Sequence[Mapping[str, Any]]) -> None:
        table = self.miracle.table(maps.table)
        key: Any = int(code_id) if isinstance(table.c[maps.code_id].type, sa.Integer) else code_id
        for position, rate in enumerate(rates, start=1):
            fields = {maps.columns[f]: self._text(table.c[maps.columns[f]], v) for f, v in rate.items() if f in maps.columns}
            self.connection.execute(table.insert().values({maps.code_id: key, maps.position: position, **fields}))

    def _note_tax(self, code: Mapping[str, Any], code_id: str) -> None:
        maps = self.miracle.profile.taxes
        assert maps is not None  # noqa: S101 - as above
        row = self.tax_row(code_id)
        self.connection.execute(
            self.journal.row.insert().values(
                run_id=self.run.run_id,
                seq=self.run.next_seqs(1),
                kind="tax_code",
                table_name=maps.code.table,
                miracle_id=code_id,
                qbo_id=str(code.get("qbo_id", "")),
                row_hash=row_hash(row),
                state="fixed",
                name=str(code["name"]),
            )
        )

    def tax_row(self, code_id: str) -> dict[str, Any]:
        """The whole row of a tax code."""
        maps = self.miracle.profile.taxes
        assert maps is not None  # noqa: S101 - as above
        codes = self.miracle.table(maps.code.table)
        column = codes.c[maps.code.id]
        key: Any = int(code_id) if isinstance(column.type, sa.Integer) else code_id
        return dict(self.connection.execute(select(codes).where(column == key)).mappings().one())

    @staticmethod
    def _text(column: sa.Column[Any], value: Any) -> Any:
        return format(value, "f") if isinstance(value, Decimal) and isinstance(column.type, sa.String) else value

    def set_setting(self, name: str, value: str) -> None:
        """Set one of Miracle Service's settings, adding it when it is not there."""
        where = self.miracle.profile.settings
        assert where is not None  # noqa: S101 - the profile's own check demands it for every setting
        table = self.miracle.table(where.table)
        changed = self.connection.execute(table.update().where(table.c[where.name] == name).values({where.value: value}))
        if changed.rowcount == 0:
            self.connection.execute(table.insert().values({where.name: name, where.value: value}))

    def _part(self, kind: str) -> tuple[KindMap, Table]:
        part = self.miracle.profile.kinds[kind]
        return part, self.miracle.table(part.table)


T = TypeVar("T")
_json = msgspec.json.Encoder(enc_hook=str).encode


def _some(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as one statement may ask for."""
    return (values[start : start + IDS_AT_ONCE] for start in range(0, len(values), IDS_AT_ONCE))


def _values(part: KindMap, table: Table, pending: Sequence[Pending]) -> tuple[list[str], list[list[Any]]]:
    """The columns that any of the rows has a value for, and the values of each. The database's defaults fill the others."""
    given: set[str] = set().union(*(one.values for one in pending))
    fields = [field for field in part.columns if field in given]
    columns = [part.columns[field] for field in fields]
    nothing: dict[str, Any] = dict.fromkeys(given)
    every = [one.values if len(one.values) == len(given) else {**nothing, **one.values} for one in pending]
    values = []
    for field, column in zip(fields, columns, strict=True):
        of_all = list(map(itemgetter(field), every))
        convert = _converter(field in part.references, table.c[column].type, of_all)
        values.append([None if value is None else convert(value) for value in of_all] if convert else of_all)
    for column, constant in part.defaults.items():
        if column in columns:
            of_all = values[columns.index(column)]
            of_all[:] = [constant if value is None else value for value in of_all]
        else:
            columns.append(column)
            values.append([constant] * len(pending))
    return columns, values


def _converter(reference: bool, column: sa.types.TypeEngine[Any], values: Sequence[Any]) -> Callable[[Any], Any] | None:
    """What the values of a column have to become, if any of them has to."""
    if reference and isinstance(column, sa.Integer):
        return int if any(values) else None
    if isinstance(column, sa.String) and isinstance(next((value for value in values if value is not None), None), Decimal):
        return lambda value: format(value, "f")  # a database without decimals keeps them as text
    return None


def _same(stored: Any, sent: str) -> bool:
    """Whether that may be the row: columns pad, triggers trim or capitalise."""
    return bool(stored == sent) or str(stored).strip().casefold() == sent.strip().casefold()


def _new_key(result: CursorResult[Any]) -> Any:
    key = result.inserted_primary_key
    if key is None:
        raise _Unclear
    return key[0]


def whole_hash(row: Whole) -> str:
    """SHA-256 over a whole row as the driver gives it, the same on every reading of an unchanged row."""
    return hashlib.sha256(_json(row[2:])).hexdigest()


def row_hash(row: Mapping[str, Any]) -> str:
    """SHA-256 over a row's fields, the same on every reading of an unchanged row."""
    return hashlib.sha256(_json(row if isinstance(row, dict) else dict(row))).hexdigest()
