"""Step 4: review what came in, take rows out again, compare both sides once more, and switch the accounting export on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qbo_sync.errors import Blocked, UsageError, Waiting
from qbo_sync.intuit import TokenStore
from qbo_sync.miracle import Miracle
from qbo_sync.miracle.database import Chunk, row_hash
from qbo_sync.switch import audit as rules
from qbo_sync.switch.match import different_numbers
from qbo_sync.switch.model import TITLE, Decision, Kind, Result
from qbo_sync.switch.names import normal_path
from qbo_sync.switch.steps.site import Outcome, Site
from qbo_sync.switch.store import new_id

DISCARD = "discard"
HAND_OFF = (
    "Please enable the accounting export of Miracle Service for this site: the audit and the comparison of both sides are clean."
)


def review(site: Site) -> Outcome:
    """What the imports brought in and still stands, one list per kind, with a column to tick what should go again."""
    with site.miracle() as miracle:
        made = [row for row in miracle.made() if row["kind"] in set(Kind)]
        runs = miracle.runs()
    tables = {
        TITLE[kind]: [
            {
                "kind": kind.value,
                "qbo_id": row["qbo_id"],
                "miracle_id": row["miracle_id"],
                "name": row["name"],
                "result": "made",
                "reason": f"run {row['run_id']}",
                "decision": "",
            }
            for row in made
            if row["kind"] == kind
        ]
        for kind in Kind
    }
    answer = site.answer("review", summary={kind.value: {"made": len(tables[TITLE[kind]])} for kind in Kind})
    answer.items = [{"id": r["qbo_id"], "kind": r["kind"], "miracle": r["miracle_id"], "qbo": r["name"]} for r in made]
    answer.lines = [f"run {run['id']}: {run['command']}, {run['state']}" for run in runs]
    answer.next = "write 'discard' beside what you do not want and run: qbo-sync discard FILE; otherwise: qbo-sync export enable"
    grant = TokenStore(site.settings).load()
    shown = {title: rows for title, rows in tables.items() if rows}
    return Outcome(answer, tables=shown, title=grant.company if grant else "", has_report=True)


@dataclass(frozen=True)
class _Kept:
    row: Mapping[str, Any]
    reason: str


def discard(site: Site, ticked: Sequence[Mapping[str, str]]) -> Outcome:
    """Remove the ticked rows, if we made them and nobody touched or uses them. They are never made again."""
    wanted = {(row["kind"], row["qbo_id"]) for row in ticked if row["decision"] == DISCARD}
    if not wanted:
        raise UsageError("no row is ticked", next="write 'discard' into the column decision, then run this again")
    with site.store.run_lock(), site.miracle() as miracle:
        made = {(row["kind"], row["qbo_id"]): row for row in miracle.made()}
        unknown = sorted(f"{kind} {qbo_id}" for kind, qbo_id in wanted - set(made))
        if unknown:
            raise UsageError(
                "rows are ticked that no import of ours made; nothing was removed",
                seen=", ".join(unknown[:5]),
                next="make a fresh list with qbo-sync review and tick there",
            )
        kept = _remove(miracle, "discard", [made[key] for key in made if key in wanted], keep_mark=True)
    return _removal(site, "discard", len(wanted), kept)


def undo(site: Site, run_id: str) -> Outcome:
    """Take back what one import made, row by row, where nobody touched it since. The rows can be imported again."""
    with site.store.run_lock(), site.miracle() as miracle:
        if run_id not in {run["id"] for run in miracle.runs()}:
            raise UsageError(f"there is no run '{run_id}'", next="qbo-sync review lists the runs")
        made = [row for row in miracle.made(run_id) if row["kind"] in set(Kind)]
        kept = _remove(miracle, "undo", made, keep_mark=False, matched_of=run_id)
        export_on = miracle.export_enabled()
    outcome = _removal(site, "undo", len(made), kept)
    if export_on:
        outcome.answer.outcome = "attention"
        outcome.answer.next = "the accounting export is still enabled; to stop it, run: qbo-sync export disable"
    return outcome


def _remove(
    miracle: Miracle, command: str, made: Sequence[Mapping[str, Any]], *, keep_mark: bool, matched_of: str = ""
) -> list[_Kept]:
    """Children before parents and users before used: the reverse of the order in which they were made."""
    run = miracle.begin_run(new_id(), command, "")
    order = {kind.value: position for position, kind in enumerate(Kind)}
    kept: list[_Kept] = []
    for row in sorted(made, key=lambda r: (order[r["kind"]], r["run_id"], r["seq"]), reverse=True):
        with run.chunk(row["kind"]) as chunk:
            reason = _why_not(chunk, row)
            if reason:
                kept.append(_Kept(row, reason))
            else:
                chunk.remove(row, keep_mark=keep_mark)
    if matched_of:
        with run.chunk() as chunk:
            chunk.forget_matches(matched_of)
    run.finish()
    return kept


def _why_not(chunk: Chunk, row: Mapping[str, Any]) -> str:
    now = chunk.fetch(row["kind"], [row["miracle_id"]]).get(row["miracle_id"])
    if now is None:
        return ""
    if row_hash(now) != row["row_hash"]:
        return "it was changed in Miracle Service since the import"
    used = chunk.used_by(row["kind"], row["miracle_id"])
    return f"it is used by {', '.join(used)}" if used else ""


def _removal(site: Site, command: str, wanted: int, kept: Sequence[_Kept]) -> Outcome:
    answer = site.answer(command, summary={"removed": wanted - len(kept), "kept": len(kept)})
    answer.items = [
        {"id": k.row["qbo_id"], "kind": k.row["kind"], "miracle": k.row["miracle_id"], "result": "kept", "reason": k.reason}
        for k in kept
    ]
    answer.lines = [f"{k.row['kind'].replace('_', ' ')} '{k.row['name']}' stays: {k.reason}" for k in kept]
    if kept:
        answer.outcome = "attention"
        answer.next = "what stays is in use or was edited; remove it in Miracle Service by hand if it should go"
    else:
        answer.next = "run: qbo-sync reconcile"
    return Outcome(answer)


# --- reconcile and export ------------------------------------------------------------------------------------------


def compare(sides: rules.Sides) -> list[dict[str, Any]]:
    """Both sides, record by record: ``equal``, ``different`` (with what), ``only_qbo``, ``only_miracle``.

    What a person decided to leave out, and what they removed again, is no difference. What the export goes by is compared:
    the full name, and the numbers of payment terms.
    """
    found: list[dict[str, Any]] = []
    miracle = {(kind, row.miracle_id): row for kind in Kind for row in sides.books.rows[kind]}
    partners: set[tuple[Kind, str]] = set()
    for row in sides.rows:
        if row.result is Result.REMOVED or row.decision == Decision.SKIP:
            continue
        item = {"id": row.qbo_id, "kind": row.kind.value, "qbo": row.path, "miracle": row.miracle_id}
        if row.result not in (Result.LINKED, Result.MATCHED):
            found.append({**item, "result": "only_qbo", "reason": row.reason or "not imported yet"})
            continue
        partners.add((row.kind, row.miracle_id))
        other = miracle[row.kind, row.miracle_id]
        said_by_person = sides.books.links.get((row.kind.value, row.qbo_id), ("", ""))[1] == "decided"
        reason = "" if said_by_person or normal_path(row.path) == normal_path(other.path) else f"named '{other.path}' there"
        if row.kind is Kind.PAYMENT_TERM:
            # Terms are one when their numbers are one, whatever they are called.
            reason = different_numbers(row.fields, other.fields)
        found.append({**item, "result": "different" if reason else "equal", "reason": reason})
    found += [
        {"id": "", "kind": kind.value, "qbo": "", "miracle": miracle_id, "result": "only_miracle", "reason": left.path}
        for (kind, miracle_id), left in miracle.items()
        if (kind, miracle_id) not in partners
    ]
    return found


def _tally(items: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counted = Counter(item["result"] for item in items)
    return {name: counted[name] for name in ("equal", "different", "only_qbo", "only_miracle")}


def reconcile(site: Site) -> Outcome:
    """Compare both sides once more, after the import. Writes to neither."""
    with site.intuit() as intuit, site.miracle() as miracle:
        sides, _ = site.look(intuit, miracle)
    items = compare(sides)
    answer = site.answer("reconcile", summary=_tally(items))
    answer.items = [item for item in items if item["result"] != "equal"]
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
