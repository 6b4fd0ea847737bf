"""Step 4, second half: compare both sides once more, and switch the accounting export on."""

from __future__ import annotations

from itertools import islice
from typing import Any

from qbo_sync.errors import Blocked, Waiting
from qbo_sync.miracle import Miracle
from qbo_sync.switch import audit as rules
from qbo_sync.switch import reconcile as comparing
from qbo_sync.switch.reconcile import Compared
from qbo_sync.switch.steps.listing import LISTED
from qbo_sync.switch.steps.site import Outcome, Site
from qbo_sync.switch.store import new_id

HAND_OFF = (
    "Please enable the accounting export of Miracle Service for this site: the audit and the comparison of both sides are clean."
)

# Records that a refusal names; qbo-sync reconcile lists them all.
_NAMED = 5


def reconcile(site: Site) -> Outcome:
    """Compare both sides once more, after the import. Writes to neither."""
    with site.intuit() as intuit, site.miracle() as miracle:
        sides, _ = site.look(intuit, miracle)
    answer = site.answer("reconcile", summary=dict.fromkeys((*comparing.RESULTS, "details"), 0))
    tables: dict[str, list[dict[str, Any]]] = {title: [] for title in _TABLES.values()}
    for each in comparing.compare(sides):
        answer.summary[each.result] += 1
        answer.summary["details"] += each.result == "equal" and bool(each.details)
        table = tables[_TABLES[each.result]]
        if (each.result != "equal" or each.details) and len(table) < LISTED:
            answer.items.append(_item(each))
            table += _lines(each)
    if answer.summary["different"] or answer.summary["only_qbo"]:
        answer.outcome = "attention"
        answer.next = "see to the records that differ or are missing, then run: qbo-sync reconcile"
    else:
        answer.next = "run: qbo-sync export enable"
    if any(len(table) >= LISTED for table in tables.values()):
        answer.lines.append(f"of each sort the report lists the first {LISTED:,} lines")
    shown = {title: table for title, table in tables.items() if table}
    return Outcome(answer, tables=shown, title=sides.company.name, has_report=True)


# In the order in which a person wants them.
_TABLES = {
    "different": "Do not agree",
    "only_qbo": "Only in QuickBooks Online",
    "equal": "Same record, other details",
    "only_miracle": "Only in Miracle Service",
}


def _item(each: Compared) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": each.qbo_id,
        "kind": each.kind.value,
        "qbo": "" if each.result == "only_miracle" else each.name,
        "miracle": each.miracle_id,
        "result": each.result,
        "reason": each.reason,
    }
    if each.result == "only_miracle":
        item["name"] = each.name
    if each.details:
        item["differences"] = [{"field": d.field, "qbo": d.qbo, "miracle": d.miracle} for d in each.details]
    return item


def _lines(each: Compared) -> list[dict[str, Any]]:
    """What a person reads of one record: one line for each thing that differs."""
    head: dict[str, Any] = {"name": each.name, "kind": each.kind.value}
    ids = {"qbo_id": each.qbo_id, "miracle_id": each.miracle_id}
    if each.result in ("only_qbo", "only_miracle"):
        return [{**head, "reason": each.reason, **ids}]
    details = [{**head, "field": d.field, "qbo": d.qbo, "miracle": d.miracle, **ids} for d in each.details]
    return [{**head, "field": "", "reason": each.reason, **ids}, *details] if each.reason else details


def export_status(site: Site) -> Outcome:
    """Whether the accounting export is on."""
    with site.miracle() as miracle:
        enabled = miracle.export_enabled()
    answer = site.answer("export status", summary={"enabled": enabled})
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
            answer.lines = ["It was before; nothing was changed."]
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
    open_ones = (each for each in comparing.compare(sides) if each.result in ("different", "only_qbo"))
    first = list(islice(open_ones, _NAMED))
    if first:
        number = len(first) + sum(1 for _ in open_ones)
        raise Blocked(
            f"{number} records are not reconciled; the export stays off",
            seen="; ".join(f"{each.kind} '{each.name}': {each.reason}" for each in first),
            next="qbo-sync reconcile lists them; import, decide 'skip', or correct them",
        )
