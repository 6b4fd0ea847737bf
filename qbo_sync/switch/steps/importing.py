"""Step 3, second half: the plan, and the import that applies it and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from qbo_sync.errors import Blocked, KitError, UsageError
from qbo_sync.intuit import Intuit
from qbo_sync.miracle import Miracle, Run
from qbo_sync.switch import apply as applying
from qbo_sync.switch import audit as rules
from qbo_sync.switch import collector, limits
from qbo_sync.switch import plan as planning
from qbo_sync.switch.model import Answer, Decided, Decision, Finding, Kind, PlannedRow, Result
from qbo_sync.switch.plan import Plan
from qbo_sync.switch.signals import interrupted_between
from qbo_sync.switch.steps.listing import LISTED, LISTED_OF_EACH, listed, row_item
from qbo_sync.switch.steps.site import Outcome, Site
from qbo_sync.switch.store import new_id

Progress = Callable[[Kind, int], None]


def make_plan(
    site: Site, decisions: Sequence[Mapping[str, str]] = (), *, since_last: bool = False, decided_by: str = ""
) -> Outcome:
    """Read both sides and say what an import would do. Writes to neither.

    With ``since_last`` only what changed since the last look is read from QuickBooks. ``decided_by`` says where the
    ``decisions`` come from, for the reports.
    """
    site.store.decide(_decisions(decisions, decided_by))
    with site.intuit() as intuit, site.miracle() as miracle:
        plan, findings = _plan(site, intuit, miracle, only_changes=since_last)
    answer = site.answer("plan", summary=planning.summary(planning.results(plan.rows)))
    rows = listed(plan.rows)
    _describe(answer, plan, rows)
    if stop := rules.blockers(findings):
        answer.lines.append(f"{len(stop)} blockers stand in the audit; the import will be refused until they are corrected")
        answer.outcome = "attention"
        answer.next = "correct the blockers (qbo-sync audit shows them), then make a new plan"
    answer.items.insert(0, {"id": plan.id, "kind": "plan", "result": plan.hash})
    return Outcome(answer, rows=rows, title=plan.head.company, has_report=True)


def _decisions(rows: Sequence[Mapping[str, str]], by: str) -> dict[tuple[Kind, str], Decided]:
    decided = {}
    for row in rows:
        if row["decision"]:
            try:
                kind = Kind(row["kind"])
            except ValueError:
                raise UsageError(
                    f"the decisions file names an unknown kind: '{row['kind']}'", next=f"use one of {', '.join(Kind)}"
                ) from None
            # The file shows the candidate in miracle_id; it only counts together with the decision to link.
            target = row["miracle_id"] if row["decision"] == Decision.LINK else ""
            decided[kind, row["qbo_id"]] = Decided(Decision(row["decision"]), target, by)
    return decided


@collector.paused()
def _plan(site: Site, intuit: Intuit, miracle: Miracle, *, only_changes: bool = False) -> tuple[Plan, list[Finding]]:
    with site.store.new_plan() as shelf:
        sides, findings = site.look(intuit, miracle, only_changes=only_changes, shelf=shelf)
        plan = planning.build(new_id(), sides.company, sides.books, sides.rows)
        site.store.save_plan(plan)
    site.store.save_reading("plan", sides.company.read_at, findings)
    return plan, findings


def _describe(answer: Answer, plan: Plan, rows: Sequence[PlannedRow]) -> None:
    """Say what ``rows``, those of the plan that are listed, come to."""
    answer.items = [row_item(row) for row in rows if row.result is not Result.LINKED]
    if len(rows) < len(plan.rows):
        answer.lines.append(
            f"{len(plan.rows):,} records; the report lists the first {LISTED_OF_EACH:,} of each result, "
            f"and up to {LISTED:,} of those that need a person"
        )
    open_rows = sum(
        number for (_, result, _, decision), number in plan.rows.tally().items() if planning.is_undecided(result, decision)
    )
    if open_rows:
        answer.outcome = "attention"
        waits = "1 record waits" if open_rows == 1 else f"{open_rows:,} records wait"
        answer.next = f"{waits} for a decision: fill in the decisions file, then qbo-sync plan --decisions FILE"
    else:
        answer.next = "run: qbo-sync import"


def import_(
    site: Site, plan_id: str, *, replan: bool, progress: Progress, begin: Callable[[int], object] = lambda _: None
) -> Outcome:
    """Apply the plan. ``begin`` hears how many rows there are to write, ``progress`` how many were.

    Raises :class:`Blocked` while blockers stand or when either side has moved.
    """
    with site.store.run_lock(), site.miracle() as miracle:
        if replan:
            with site.intuit() as intuit:
                plan, _ = _plan(site, intuit, miracle)
        else:
            plan = _stored(site, plan_id)
        begin(sum(number for (_, _, action, _), number in plan.rows.tally().items() if action))
        return _apply(site, plan, miracle, progress)


def _stored(site: Site, plan_id: str) -> Plan:
    plan = site.store.plan(plan_id)
    if plan is None:
        raise Blocked(
            f"there is no plan {plan_id}".rstrip() + "; an import applies a plan and nothing else",
            next="run qbo-sync plan, look at its report, then run qbo-sync import",
        )
    if plan.head.realm != site.realm:
        raise Blocked(
            f"plan {plan.id} is for another QuickBooks company",
            seen=f"plan: {plan.head.realm}, connected: {site.realm or 'none'}",
            next="make a new plan: qbo-sync plan",
        )
    return plan


@collector.paused()
def _apply(site: Site, plan: Plan, miracle: Miracle, progress: Progress) -> Outcome:
    _refuse_blockers(site)
    done, run_id = applying.Applied(), ""
    if applying.something_to_do(plan, miracle):
        limits.refuse_many_gone(site.settings.limits, plan, miracle)
        with site.intuit() as intuit:
            strangers = applying.refuse_if_moved(plan, miracle, intuit)
        site.store.begin_plan(plan.id)
        run = miracle.begin_run(new_id(), "import", plan.id)
        try:
            with interrupted_between() as paused_here:
                done = applying.apply(
                    plan, miracle, run, site.settings.imports.chunk_rows, lambda kind, rows: paused_here(progress, kind, rows)
                )
        except BaseException as error:
            _end(run, "stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        run.finish()
        done.strangers, run_id = strangers, run.run_id
        site.store.save_import(run.run_id, sum(done.written.values()))
    rows = listed(plan.rows, lambda kind, qbo_ids: miracle.links_of(kind, qbo_ids, but=run_id))
    answer = site.answer("import", summary=planning.summary(_results_now(plan, done), done.written))
    _describe(answer, plan, rows)
    _say(answer, plan, done)
    return Outcome(answer, rows=rows, title=plan.head.company, has_report=True)


def _results_now(plan: Plan, done: applying.Applied) -> Counter[tuple[Kind, Result]]:
    """The plan's results before this import: rows that an earlier import settled are linked."""
    now: Counter[tuple[Kind, Result]] = Counter()
    to_write: Counter[tuple[Kind, Result]] = Counter()
    for (kind, result, action, _), number in plan.rows.tally().items():
        (to_write if action else now)[kind, result] += number
    now += done.begun
    for (kind, _), number in (to_write - done.begun).items():
        now[kind, Result.LINKED] += number
    return now


def _end(run: Run, state: str) -> None:
    """Note how a run ended; where even that is refused (another run took over, no database) the first error matters more."""
    with suppress(KitError):
        run.finish(state)


def _refuse_blockers(site: Site) -> None:
    reading = site.store.newest_reading()
    if reading is None:
        raise Blocked("no audit was made yet; an import is refused without one", next="run: qbo-sync audit")
    accepted = site.store.accepted()
    stop = [f for f in rules.blockers(reading.findings) if f.id not in accepted]
    if stop:
        raise Blocked(
            f"{len(stop)} blockers stand; nothing was written",
            seen="; ".join(f"{f.id}: {f.title} ({f.name})" for f in stop[:5]),
            next="correct them and run qbo-sync audit, or accept one by name: qbo-sync audit --accept ID --reason TEXT",
        )


def _say(answer: Answer, plan: Plan, done: applying.Applied) -> None:
    written, linked = sum(done.written.values()), sum(done.linked.values())
    answer.lines.append(f"plan {plan.id}: {written} rows written, {linked} existing rows linked")
    for row, problem in done.refused:
        answer.outcome = "attention"
        answer.lines.append(f"not taken by the database: {row.kind.value} '{row.path}': {problem}")
        answer.items.append({**row_item(row), "result": "invalid", "reason": problem})
    if done.strangers:
        names = ", ".join(f"'{name}'" for _, name in done.strangers[:5])
        answer.lines.append(
            f"{len(done.strangers)} records came into QuickBooks Online after the plan and were left out: {names}"
        )
    if answer.outcome == "ok":
        answer.next = "run: qbo-sync review"
