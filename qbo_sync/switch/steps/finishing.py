"""Step 4: review what came in, take rows out again, compare both sides once more, and switch the accounting export on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from qbo_sync.errors import UsageError
from qbo_sync.intuit import TokenStore
from qbo_sync.miracle import Run
from qbo_sync.miracle.database import Chunk, Made
from qbo_sync.switch import limits
from qbo_sync.switch.model import TITLE, Kind
from qbo_sync.switch.names import normal_path
from qbo_sync.switch.steps.listing import LISTED
from qbo_sync.switch.steps.site import Outcome, Site
from qbo_sync.switch.store import new_id

DISCARD = "discard"
# Kept rows that the terminal names; the report has them all.
_NAMED = 12


def review(site: Site) -> Outcome:
    """What the imports brought in and still stands, one list per kind, with a column to tick what should go again."""
    tables: dict[str, list[dict[str, str]]] = {}
    by_run: Counter[str] = Counter()
    answer = site.answer("review")
    with site.miracle() as miracle:
        for kind in Kind:
            rows, number = [], 0
            for number, row in enumerate(miracle.made(kind=kind), start=1):
                by_run[row.run_id] += 1
                if number <= LISTED:
                    rows.append(_made(row))
            answer.summary[kind.value] = {"made": number}
            tables[TITLE[kind]] = sorted(rows, key=lambda line: normal_path(line["name"]))
        answer.lines = [_run_line(run, by_run[run["id"]]) for run in miracle.runs() if by_run[run["id"]]]
    answer.items = [_item(row) for rows in tables.values() for row in rows]
    if any(figures["made"] > LISTED for figures in answer.summary.values()):
        answer.lines.append(f"of each list the report has the newest {LISTED:,} rows")
    answer.next = "write 'discard' beside what you do not want and run: qbo-sync discard FILE; otherwise: qbo-sync export enable"
    grant = TokenStore(site.settings).load()
    shown = {title: rows for title, rows in tables.items() if rows}
    return Outcome(answer, tables=shown, title=grant.company if grant else "", has_report=True)


def _made(row: Made) -> dict[str, str]:
    line = {"kind": row.kind, "qbo_id": row.qbo_id, "miracle_id": row.miracle_id, "name": row.name, "result": "made"}
    return {**line, "reason": f"run {row.run_id}", "decision": ""}


def _run_line(run: Mapping[str, Any], standing: int) -> str:
    """A run in words, with the way back."""
    stand = "1 row still stands" if standing == 1 else f"{standing:,} rows still stand"
    return f"{run['command']}, {run['state']}: {stand}; to take it back: qbo-sync undo {run['id']}"


def _item(line: Mapping[str, str]) -> dict[str, str]:
    """A line of a list as an item of the JSON document."""
    return {"id": line["qbo_id"], "kind": line["kind"], "miracle": line["miracle_id"], "qbo": line["name"]}


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
    now = chunk.hashes(kind, [row.miracle_id for row in made])
    changed = [row for row in made if now.get(row.miracle_id, row.row_hash) != row.row_hash]
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
    lines = [
        {"kind": k.row.kind, "qbo_id": k.row.qbo_id, "miracle_id": k.row.miracle_id, "name": k.row.name, "reason": k.reason}
        for k in kept[:LISTED]
    ]
    answer.items = [{**_item(r), "result": "kept", "reason": r["reason"]} for r in lines]
    answer.lines = [f"{r['kind'].replace('_', ' ')} '{r['name']}' stays: {r['reason']}" for r in lines[:_NAMED]]
    if len(kept) > _NAMED:
        answer.lines.append(f"… and {len(kept) - _NAMED:,} more in the report")
    if kept:
        answer.outcome = "attention"
        answer.next = "what stays is in use or was edited; remove it in Miracle Service by hand if it should go"
    else:
        answer.next = "run: qbo-sync reconcile"
    return Outcome(answer, tables={"Stay as they are": lines} if lines else {}, has_report=True)
