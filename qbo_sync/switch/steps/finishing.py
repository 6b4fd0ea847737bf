"""Step 4: review what came in, take rows out again, compare both sides once more, and switch the accounting export on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from qbo_sync.errors import UsageError
from qbo_sync.intuit import TokenStore
from qbo_sync.miracle import Run
from qbo_sync.miracle.database import Chunk, Made, row_hash
from qbo_sync.switch import limits
from qbo_sync.switch.model import TITLE, Kind
from qbo_sync.switch.steps.site import Outcome, Site
from qbo_sync.switch.store import new_id

DISCARD = "discard"


def review(site: Site) -> Outcome:
    """What the imports brought in and still stands, one list per kind, with a column to tick what should go again."""
    with site.miracle() as miracle:
        made = {kind: list(miracle.made(kind=kind)) for kind in Kind}
        runs = miracle.runs()
    tables = {
        TITLE[kind]: [
            {
                "kind": kind.value,
                "qbo_id": row.qbo_id,
                "miracle_id": row.miracle_id,
                "name": row.name,
                "result": "made",
                "reason": f"run {row.run_id}",
                "decision": "",
            }
            for row in made[kind]
        ]
        for kind in Kind
    }
    answer = site.answer("review", summary={kind.value: {"made": len(tables[TITLE[kind]])} for kind in Kind})
    answer.items = [
        {"id": r.qbo_id, "kind": r.kind, "miracle": r.miracle_id, "qbo": r.name} for rows in made.values() for r in rows
    ]
    answer.lines = [f"run {run['id']}: {run['command']}, {run['state']}" for run in runs]
    answer.next = "write 'discard' beside what you do not want and run: qbo-sync discard FILE; otherwise: qbo-sync export enable"
    grant = TokenStore(site.settings).load()
    shown = {title: rows for title, rows in tables.items() if rows}
    return Outcome(answer, tables=shown, title=grant.company if grant else "", has_report=True)


@dataclass(frozen=True)
class _Kept:
    row: Made
    reason: str


def discard(site: Site, ticked: Sequence[Mapping[str, str]]) -> Outcome:
    """Remove the ticked rows, if we made them and nobody touched or uses them. They are never made again."""
    wanted = {(row["kind"], row["qbo_id"]) for row in ticked if row["decision"] == DISCARD}
    if not wanted:
        raise UsageError("no row is ticked", next="write 'discard' into the column decision, then run this again")
    with site.store.run_lock(), site.miracle() as miracle:
        made = [row for row in miracle.made() if (row.kind, row.qbo_id) in wanted]
        unknown = sorted(f"{kind} {qbo_id}" for kind, qbo_id in wanted - {(row.kind, row.qbo_id) for row in made})
        if unknown:
            raise UsageError(
                "rows are ticked that no import of ours made; nothing was removed",
                seen=", ".join(unknown[:5]),
                next="make a fresh list with qbo-sync review and tick there",
            )
        there = sum(miracle.number_linked(kind) for kind in Kind)
        limits.refuse(site.settings.limits, len(made), there, "rows that came in would be discarded")
        run = miracle.begin_run(new_id(), "discard", "")
        kept: list[_Kept] = []
        for kind in reversed(Kind):
            kept += _remove(run, kind, (row for row in made if row.kind == kind), site.settings.imports.chunk_rows, mark=True)[1]
        run.finish()
    return _removal(site, "discard", len(wanted) - len(kept), kept)


def undo(site: Site, run_id: str) -> Outcome:
    """Take back what one import made, where nobody touched it since. The rows can be imported again."""
    with site.store.run_lock(), site.miracle() as miracle:
        if run_id not in {run["id"] for run in miracle.runs()}:
            raise UsageError(f"there is no run '{run_id}'", next="qbo-sync review lists the runs")
        run = miracle.begin_run(new_id(), "undo", "")
        removed, kept = 0, []
        for kind in reversed(Kind):
            gone, stay = _remove(run, kind, miracle.made(run_id, kind), site.settings.imports.chunk_rows, mark=False)
            removed += gone
            kept += stay
        with run.chunk() as chunk:
            chunk.forget_matches(run_id)
        run.finish()
        export_on = miracle.export_enabled()
    outcome = _removal(site, "undo", removed, kept)
    if export_on:
        outcome.answer.outcome = "attention"
        outcome.answer.next = "the accounting export is still enabled; to stop it, run: qbo-sync export disable"
    return outcome


def _remove(run: Run, kind: Kind, made: Iterable[Made], chunk_rows: int, *, mark: bool) -> tuple[int, list[_Kept]]:
    """Remove rows of a kind, newest first: a child was made after its parent. Gives how many went, and those that stay."""
    removed, kept = 0, []
    left = iter(made)
    while some := list(islice(left, chunk_rows)):
        with run.chunk(kind) as chunk:
            stay = _remove_chunk(chunk, kind, some, mark=mark)
        kept += stay
        removed += len(some) - len(stay)
    return removed, kept


def _remove_chunk(chunk: Chunk, kind: Kind, made: Sequence[Made], *, mark: bool) -> list[_Kept]:
    """Again and again what nothing refers to, for a parent is free once its children are gone."""
    now = chunk.fetch(kind, [row.miracle_id for row in made])
    changed = [row for row in made if row.miracle_id in now and row_hash(now[row.miracle_id]) != row.row_hash]
    kept = [_Kept(row, "it was changed in Miracle Service since the import") for row in changed]
    stays = {row.miracle_id for row in changed}
    left = [row for row in made if row.miracle_id not in stays]
    while left:
        used = chunk.used_by(kind, [row.miracle_id for row in left])
        free = [row for row in left if row.miracle_id not in used]
        if not free:
            return kept + [_Kept(row, f"it is used by {', '.join(used[row.miracle_id])}") for row in left]
        refused = chunk.remove(kind, free, keep_mark=mark)
        kept += [_Kept(row, f"the database keeps it: {refused[row.miracle_id]}") for row in free if row.miracle_id in refused]
        left = [row for row in left if row.miracle_id in used]
    return kept


def _removal(site: Site, command: str, removed: int, kept: Sequence[_Kept]) -> Outcome:
    answer = site.answer(command, summary={"removed": removed, "kept": len(kept)})
    answer.items = [
        {"id": k.row.qbo_id, "kind": k.row.kind, "miracle": k.row.miracle_id, "result": "kept", "reason": k.reason} for k in kept
    ]
    answer.lines = [f"{k.row.kind.replace('_', ' ')} '{k.row.name}' stays: {k.reason}" for k in kept]
    if kept:
        answer.outcome = "attention"
        answer.next = "what stays is in use or was edited; remove it in Miracle Service by hand if it should go"
    else:
        answer.next = "run: qbo-sync reconcile"
    return Outcome(answer)
