"""Step 2, on request: make the ticked records inactive in QuickBooks Online, and active again.

The only step that writes to QuickBooks Online, and only rows that a person ticked. Each record is read again just before it is
changed; each change is noted before it is sent, so that a run that was interrupted anywhere goes on where it ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qbo_sync.errors import IntuitFault, UsageError
from qbo_sync.intuit import Intuit
from qbo_sync.intuit.query import Active, quote
from qbo_sync.switch import cleanup
from qbo_sync.switch.cleanup import CLEANED, Entry, Key, Open, Usage
from qbo_sync.switch.inactivations import GOING, GONE, RETURNING, Inactivations
from qbo_sync.switch.model import QBO_ENTITY, Kind
from qbo_sync.switch.steps.preparing import INACTIVATE, MADE_INACTIVE, REACTIVATE, open_documents, way_back
from qbo_sync.switch.steps.site import Outcome, Site
from qbo_sync.switch.store import new_id

Progress = Callable[[int, int], None]

# Records read again in one request before they are changed, one after the other as Intuit wants it.
_AT_A_TIME = 100
# Kept records that the terminal names; the report has them all.
_NAMED = 12
_STALE = "5010"


@dataclass
class _Work:
    """One run: what is wanted, and what became of it. ``before`` are those that an earlier run has done."""

    site: Site
    intuit: Intuit
    log: Inactivations
    wanted: Mapping[Key, str]
    progress: Progress
    changed: list[Key] = field(default_factory=list)
    before: list[Key] = field(default_factory=list)
    kept: dict[Key, str] = field(default_factory=dict)

    def read(self, keys: Iterable[Key], active: Active = "active") -> dict[Key, Entry]:
        """Those of the records that are active (or inactive) at this moment."""
        found = {}
        asked = list(keys)
        for kind in CLEANED:
            for few in _slices([qbo_id for k, qbo_id in asked if k is kind]):
                where = f"Id IN ({', '.join(map(quote, few))})"
                entries = (cleanup.entry(kind, row) for row in self.intuit.query(QBO_ENTITY[kind], active=active, where=where))
                found.update({entry.key: entry for entry in entries})
        return found

    def settle(self) -> None:
        """See what became of changes that an earlier run sent without hearing the answer."""
        open_ends = [key for key, each in self.log.all().items() if each.state != GONE]
        here = self.read(open_ends)
        self.log.forget(here)
        for kind, qbo_id in open_ends:
            if (kind, qbo_id) not in here:
                self.log.is_gone(kind, qbo_id)

    def told(self, key: Key, refused: str) -> None:
        """Note the end of one record."""
        if refused:
            self.kept[key] = refused
        else:
            self.changed.append(key)
        self.progress(len(self.changed) + len(self.kept) + len(self.before), len(self.wanted))

    def change(self, entry: Entry, values: Mapping[str, Any], why_not: Callable[[Entry], str], *, again: bool = True) -> str:
        """Send one sparse update; why the record stays as it is, else nothing.

        The journal has it first, under the name to go back to. Changed by somebody else since it was read, the record is read
        and looked at once more. Raises whatever is no answer about this record.
        """
        if refused := why_not(entry):
            return refused
        self.log.begin(*entry.key, str(values.get(_label(entry), entry.name)), RETURNING if values["Active"] else GOING)
        body = {"Id": entry.qbo_id, "SyncToken": entry.sync_token, **values}
        try:
            self.intuit.update(QBO_ENTITY[entry.kind], body, request_id=new_id())
        except IntuitFault as fault:
            if fault.status != 400:
                raise
            if fault.code != _STALE or not again:
                return fault.seen or fault.what
        else:
            return ""
        fresh = self.read([entry.key], "inactive" if values["Active"] else "active").get(entry.key)
        return self.change(fresh, values, why_not, again=False) if fresh else "somebody else changed it at this moment"


def prepare_apply(site: Site, ticked: Sequence[Mapping[str, str]], progress: Progress) -> Outcome:
    """Inactivate the ticked records, never one with a balance, stock, open documents or an active sub-customer."""
    with site.store.run_lock(), site.intuit() as intuit:
        work = _Work(site, intuit, Inactivations(site.store.directory), _ticked(ticked, INACTIVATE), progress)
        work.settle()
        opened = Usage()
        opened.add_open(open_documents(intuit))
        depths, children = _customers(work)
        # Sub-customers before their parents, so that a whole family can be ticked.
        for few in _slices(sorted(work.wanted, key=lambda key: depths.get(key, 0), reverse=True)):
            _inactivate(work, few, opened, children)
        known = work.log.all()
    gone = [way_back(known[key], REACTIVATE) for key in work.wanted if key in known]
    return _outcome(work, "prepare --apply", MADE_INACTIVE, gone, "to take it back, run: qbo-sync prepare --revert FILE")


def _customers(work: _Work) -> tuple[dict[Key, int], Counter[str]]:
    """How deep each active customer stands and how many sub-customers it has; who is a parent cannot be asked for."""
    if not any(kind is Kind.CUSTOMER for kind, _ in work.wanted):
        return {}, Counter()
    rows = work.intuit.query(QBO_ENTITY[Kind.CUSTOMER])
    entries = [cleanup.entry(Kind.CUSTOMER, row) for row in rows]
    return {e.key: e.path.count(":") for e in entries}, Counter(e.parent_id for e in entries if e.parent_id)


def _inactivate(work: _Work, few: Sequence[Key], opened: Usage, children: Counter[str]) -> None:
    def why_not(entry: Entry) -> str:
        child = entry.kind is Kind.CUSTOMER and children[entry.qbo_id] > 0
        return cleanup.holds(entry, opened.open.get(entry.key, Open())) or ("it has active sub-customers" if child else "")

    now, known = work.read(few), work.log.all()
    for key in few:
        entry = now.get(key)
        if entry is None and key in known:
            work.before.append(key)
        elif entry is None:
            work.told(key, "it is not active any more")
        else:
            refused = work.change(entry, {"Active": False}, why_not)
            if refused:
                work.log.forget([key])
            else:
                work.log.is_gone(*key)
                children[entry.parent_id] -= 1
            work.told(key, refused)


def prepare_revert(site: Site, ticked: Sequence[Mapping[str, str]], progress: Progress) -> Outcome:
    """Make the listed records active again, under the names they had."""
    with site.store.run_lock(), site.intuit() as intuit:
        work = _Work(site, intuit, Inactivations(site.store.directory), _ticked(ticked, REACTIVATE), progress)
        returning = [key for key, each in work.log.all().items() if each.state == RETURNING]
        work.settle()
        # Parents before their sub-customers.
        names = _own_names(work)
        for few in _slices(list(names)):
            _reactivate(work, few, names, returning)
    back = [
        {"kind": kind.value, "qbo_id": qbo_id, "name": names[kind, qbo_id], "result": "active again"}
        for kind, qbo_id in names
        if (kind, qbo_id) not in work.kept
    ]
    return _outcome(work, "prepare --revert", "Active again in QuickBooks Online", back, "run: qbo-sync prepare")


def _own_names(work: _Work) -> dict[Key, str]:
    """The names to go back to: those the journal kept; for records it does not know those in the file."""
    known = work.log.all()
    ordered = sorted(work.wanted, key=lambda key: work.wanted[key].count(":"))
    return {key: known[key].name if key in known else work.wanted[key].rpartition(":")[2] for key in ordered}


def _reactivate(work: _Work, few: Sequence[Key], names: Mapping[Key, str], returning: Sequence[Key]) -> None:
    hidden = work.read(few, "inactive")
    for key in few:
        entry = hidden.get(key)
        if entry is None and key in returning:
            work.before.append(key)
        elif entry is None:
            work.told(key, "it is active already")
        else:
            # Whether Intuit takes "(deleted)" off by itself is not documented, so the name is sent along.
            refused = work.change(entry, {"Active": True, _label(entry): names[key]}, lambda _: "")
            if refused:
                work.log.is_gone(*key)
            else:
                work.log.forget([key])
            work.told(key, refused)


def _label(entry: Entry) -> str:
    return "Name" if entry.kind is Kind.INVENTORY_ITEM else "DisplayName"


def _ticked(rows: Sequence[Mapping[str, str]], word: str) -> dict[Key, str]:
    """The records ticked with ``word``, each once, with the names in the file."""
    kinds = {kind.value: kind for kind in CLEANED}
    wanted = {(kinds[r["kind"]], r["qbo_id"]): r.get("name", "") for r in rows if r["decision"] == word and r["kind"] in kinds}
    if not wanted:
        raise UsageError(f"no row is ticked with '{word}'", next=f"write '{word}' into the column decision, then run this again")
    return wanted


def _slices(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (keys[at : at + _AT_A_TIME] for at in range(0, len(keys), _AT_A_TIME))


def _outcome(work: _Work, command: str, title: str, done: list[dict[str, Any]], next_step: str) -> Outcome:
    kept = [
        {"kind": kind.value, "qbo_id": qbo_id, "name": work.wanted[kind, qbo_id], "result": "kept", "reason": reason}
        for (kind, qbo_id), reason in work.kept.items()
    ]
    answer = work.site.answer(command, summary={"changed": len(work.changed), "before": len(work.before), "kept": len(kept)})
    answer.items = [{"id": r["qbo_id"], "kind": r["kind"], "qbo": r["name"], "result": r["result"]} for r in done]
    answer.items += [
        {"id": r["qbo_id"], "kind": r["kind"], "qbo": r["name"], "result": "kept", "reason": r["reason"]} for r in kept
    ]
    answer.lines = [
        f"{r['kind'].replace('_', ' ')} '{r['name'] or r['qbo_id']}' stays as it is: {r['reason']}" for r in kept[:_NAMED]
    ]
    if len(kept) > _NAMED:
        answer.lines.append(f"… and {len(kept) - _NAMED} more in the report")
    answer.next = next_step if done else ""
    if kept:
        answer.outcome = "attention"
    tables = {title: done, "Stay as they are": kept}
    return Outcome(answer, tables={name: table for name, table in tables.items() if table}, has_report=True)
