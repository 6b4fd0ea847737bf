"""Step 4: review what came in, take rows out again, compare both sides once more, and switch the accounting export on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from qbo_sync.errors import Blocked, UsageError, Waiting
from qbo_sync.intuit import TokenStore
from qbo_sync.miracle import Miracle, Run
from qbo_sync.miracle.database import Chunk, Made, row_hash
from qbo_sync.switch import audit as rules
from qbo_sync.switch import limits
from qbo_sync.switch.match import different_numbers
from qbo_sync.switch.model import TITLE, Decision, Kind, PlannedRow, Result, Row
from qbo_sync.switch.names import normal_path
from qbo_sync.switch.shelf import Line, Listing, Shelf
from qbo_sync.switch.steps.site import Outcome, Site
from qbo_sync.switch.store import new_id

DISCARD = "discard"
HAND_OFF = (
    "Please enable the accounting export of Miracle Service for this site: the audit and the comparison of both sides are clean."
)


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


# --- reconcile and export ------------------------------------------------------------------------------------------


def compare(sides: rules.Sides) -> Iterator[dict[str, Any]]:
    """Both sides, record by record: ``equal``, ``different`` (with what), ``only_qbo``, ``only_miracle``.

    What a person decided to leave out, and what they removed again, is no difference. What the export goes by is compared:
    the full name, and the numbers of payment terms.
    """
    for kind in Kind:
        partners = Shelf()
        for rows in sides.rows.of(kind).chunks():
            here = [row for row in rows if row.result is not Result.REMOVED and row.decision != Decision.SKIP]
            pairs = [row for row in here if row.result in (Result.LINKED, Result.MATCHED)]
            partners.put(kind, [Line(row.miracle_id, 0, "", "") for row in pairs])
            others = sides.books.rows[kind].find({row.miracle_id for row in pairs})
            links = sides.books.links.of(kind, [row.qbo_id for row in pairs])
            for row in here:
                item = {"id": row.qbo_id, "kind": row.kind.value, "qbo": row.path, "miracle": row.miracle_id}
                if row.result in (Result.LINKED, Result.MATCHED):
                    said_by_person = links.get(row.qbo_id, ("", ""))[1] == "decided"
                    reason = _different(row, others[row.miracle_id], said_by_person=said_by_person)
                    yield {**item, "result": "different" if reason else "equal", "reason": reason}
                else:
                    yield {**item, "result": "only_qbo", "reason": row.reason or "not imported yet"}
        yield from _only_miracle(sides.books.rows[kind], partners)


def _different(row: PlannedRow, other: Row, *, said_by_person: bool) -> str:
    """What differs, in words. Terms are one when their numbers are one, whatever they are called."""
    if row.kind is Kind.PAYMENT_TERM:
        return different_numbers(row.fields, other.fields)
    same = said_by_person or normal_path(row.path) == normal_path(other.path)
    return "" if same else f"named '{other.path}' there"


def _only_miracle(rows: Listing[Row], partners: Shelf) -> Iterator[dict[str, Any]]:
    for chunk in rows.chunks():
        known = partners.find(rows.kind, [row.miracle_id for row in chunk])
        for row in chunk:
            if row.miracle_id not in known:
                item = {"id": "", "kind": rows.kind.value, "qbo": "", "miracle": row.miracle_id}
                yield {**item, "result": "only_miracle", "reason": row.path}


def reconcile(site: Site) -> Outcome:
    """Compare both sides once more, after the import. Writes to neither."""
    with site.intuit() as intuit, site.miracle() as miracle:
        sides, _ = site.look(intuit, miracle)
    answer = site.answer("reconcile", summary=dict.fromkeys(("equal", "different", "only_qbo", "only_miracle"), 0))
    for item in compare(sides):
        answer.summary[item["result"]] += 1
        if item["result"] != "equal":
            answer.items.append(item)
    if answer.summary["different"] or answer.summary["only_qbo"]:
        answer.outcome = "attention"
        answer.next = "see to the records that differ or are missing, then run: qbo-sync reconcile"
    else:
        answer.next = "run: qbo-sync export enable"
    return Outcome(answer, title=sides.company.name, has_report=True)


def export_status(site: Site) -> Outcome:
    """Whether the accounting export is on."""
    with site.miracle() as miracle:
        enabled = miracle.export_enabled()
    answer = site.answer("export status", summary={"enabled": enabled})
    word = {True: "enabled", False: "disabled", None: "not declared by the profile"}[enabled]
    answer.lines = [f"the accounting export is {word}"]
    return Outcome(answer)


def set_export(site: Site, *, enabled: bool) -> Outcome:
    """Flip Miracle Service's own switch. Enabling is refused while blockers or unreconciled rows stand.

    Raises :class:`Waiting` with the text to send where the profile declares no switch.
    """
    command = "export enable" if enabled else "export disable"
    with site.store.run_lock(), site.miracle() as miracle:
        already = miracle.export_enabled() is enabled
        answer = site.answer(command, summary={"enabled": enabled, "written": 0 if already else 1})
        if already:
            answer.lines = [f"the accounting export is {'enabled' if enabled else 'disabled'} already"]
            return Outcome(answer)
        if enabled:
            _refuse_unless_clean(site, miracle)
        switch = miracle.profile.export_switch
        if switch is None:
            raise Waiting(
                f"the profile '{miracle.profile.profile}' declares no export switch",
                who="Miracle Service Technical Support",
                next=f"send them: {HAND_OFF}",
            )
        run = miracle.begin_run(new_id(), command, "")
        with run.chunk() as chunk:
            chunk.set_setting(switch.setting, switch.enabled if enabled else switch.disabled)
        run.finish()
        if miracle.export_enabled() is not enabled:
            raise Blocked(
                "the export switch did not take the value that was written",
                seen=f"{switch.setting} = {miracle.setting(switch.setting)!r}",
                next="look for a trigger or a rule on that setting in Miracle Service",
            )
    answer.lines = [f"the accounting export is now {'enabled' if enabled else 'disabled'}"]
    return Outcome(answer)


def _refuse_unless_clean(site: Site, miracle: Miracle) -> None:
    if site.store.last_import() is None:
        raise Blocked("nothing was imported yet; the export stays off", next="run qbo-sync plan, then qbo-sync import")
    with site.intuit() as intuit:
        sides, findings = site.look(intuit, miracle)
    site.store.save_reading("export", sides.company.read_at, findings)
    if stop := rules.blockers(findings):
        raise Blocked(
            f"{len(stop)} blockers stand; the export stays off",
            seen="; ".join(f"{f.id}: {f.title}" for f in stop[:5]),
            next="correct them and run qbo-sync audit, or accept one by name and reason",
        )
    open_items = [item for item in compare(sides) if item["result"] in ("different", "only_qbo")]
    if open_items:
        raise Blocked(
            f"{len(open_items)} records are not reconciled; the export stays off",
            seen="; ".join(f"{i['kind']} '{i['qbo']}': {i['reason']}" for i in open_items[:5]),
            next="qbo-sync reconcile lists them; import, decide 'skip', or correct them",
        )
