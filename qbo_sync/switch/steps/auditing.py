"""Step 3, first half: the Audit Report, accepting a finding by name, and adding the missing taxes on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from qbo_sync.errors import UsageError
from qbo_sync.miracle import Miracle
from qbo_sync.switch import audit as rules
from qbo_sync.switch import limits
from qbo_sync.switch.audit.taxes import in_miracle, say
from qbo_sync.switch.model import Answer, Finding, TaxCode, TaxComponent
from qbo_sync.switch.names import normal
from qbo_sync.switch.steps.listing import finding_items, listed
from qbo_sync.switch.steps.site import Outcome, Site
from qbo_sync.switch.store import Reading, new_id


def audit(site: Site, *, since_last: bool = False) -> Outcome:
    """Compare both sides and report. Writes to neither.

    With ``since_last`` only what changed since the last look is read from QuickBooks, and only findings that are new or different
    are listed; counts and outcome stay those of everything.
    """
    before = site.store.newest_reading()
    with site.intuit() as intuit, site.miracle() as miracle:
        sides, findings = site.look(intuit, miracle, only_changes=since_last)
    site.store.save_reading("audit", sides.company.read_at, findings)
    shown = _changed(findings, before) if since_last and before else findings
    answer = site.answer("audit", summary=rules.counts(findings), items=finding_items(shown))
    judge(answer, findings)
    withdrawn = site.store.withdrawn()
    answer.lines = [f"{f.id}: {withdrawn[f.id].said()}" for f in shown if f.id in withdrawn and not f.accepted]
    if since_last and before:
        gone = {f.id for f in before.findings} - {f.id for f in findings}
        answer.lines += [
            f"since {before.read_at:%Y-%m-%d %H:%M} UTC: {len(shown)} findings are new or different, {len(gone)} are gone"
        ]
    return Outcome(answer, findings=shown, rows=listed(sides.rows), title=sides.company.name, has_report=True)


def _changed(findings: Sequence[Finding], before: Reading) -> list[Finding]:
    known = {(f.id, f.qbo, f.miracle, f.accepted) for f in before.findings}
    return [f for f in findings if (f.id, f.qbo, f.miracle, f.accepted) not in known]


def judge(answer: Answer, findings: Sequence[Finding]) -> None:
    """Set the outcome and the next step from what stands."""
    standing = rules.counts(list(findings))
    if standing["blocker"]:
        answer.outcome = "blocked"
        answer.next = "correct what is listed under 'Must be corrected', then run: qbo-sync audit"
    elif standing["warning"]:
        answer.outcome = "attention"
        answer.next = "read the warnings, then run: qbo-sync plan"
    else:
        answer.next = "run: qbo-sync plan"


def accept(site: Site, reasons: Mapping[str, str]) -> Outcome:
    """Live with findings of the last audit, by id and with a reason, which every later report shows. All of them or none."""
    reading = site.store.newest_reading()
    known = {f.id: f for f in reading.findings} if reading else {}
    for finding_id, reason in reasons.items():
        if finding_id not in known:
            raise UsageError(
                f"the last audit has no finding '{finding_id}'; nothing was accepted",
                seen=f"it has {len(known)} findings" if known else "there was no audit yet",
                next="run qbo-sync audit and take the id from its report",
            )
        if not reason.strip():
            raise UsageError("a finding is accepted with a reason", next="add --reason 'why this is all right'")
    for finding_id, reason in reasons.items():
        site.store.accept(finding_id, reason.strip())
    assert reading is not None  # noqa: S101 - known is empty without it
    accepted = site.store.accepted()
    findings = [replace(f, accepted=accepted.get(f.id, "")) for f in reading.findings]
    site.store.save_reading("accept", reading.read_at, findings)
    answer = site.answer("audit", summary=rules.counts(findings), items=finding_items([f for f in findings if f.id in reasons]))
    judge(answer, findings)
    answer.lines = [f"accepted: {each} ({known[each].title}): {reason.strip()}" for each, reason in reasons.items()]
    return Outcome(answer)


def withdraw(site: Site, finding_id: str, reason: str, person: str) -> Outcome:
    """Take an acceptance back: the finding counts again at once, in the last audit and in every later one."""
    accepted = site.store.accepted()
    if finding_id not in accepted:
        raise UsageError(
            f"the finding '{finding_id}' is not accepted; nothing was changed",
            seen=f"accepted are: {', '.join(sorted(accepted)[:5]) or 'none'}",
            next="take the id from the audit's report, where it stands among the accepted ones",
        )
    if not reason.strip():
        raise UsageError("an acceptance is taken back with a reason", next="add --reason 'why this is not all right any more'")
    site.store.withdraw(finding_id, reason.strip(), person)
    reading = site.store.newest_reading()
    findings = [replace(f, accepted="") if f.id == finding_id else f for f in reading.findings] if reading else []
    if reading:
        site.store.save_reading("withdraw", reading.read_at, findings)
    answer = site.answer(
        "audit", summary=rules.counts(findings), items=finding_items([f for f in findings if f.id == finding_id])
    )
    judge(answer, findings)
    answer.lines = [f"{finding_id}: {site.store.withdrawn()[finding_id].said()}"]
    return Outcome(answer)


def fix(site: Site, *, confirmed: bool) -> Outcome:
    """Add the taxes that Miracle Service lacks, on sales and on purchases. Without ``confirmed`` only lists them."""
    with site.intuit() as intuit, site.miracle() as miracle:
        sides, findings = site.look(intuit, miracle)
        wanted = _lacking(sides, findings)
        answer = site.answer("audit fix", summary={"tax_code": {"missing": len(wanted), "written": 0}})
        answer.items = [{"id": tax.code.id, "kind": "tax_code", "qbo": tax.said(), "result": "to add"} for tax in wanted]
        answer.lines = [f"  + {tax.said()}" for tax in wanted]
        if not wanted:
            answer.next = "nothing to add; run: qbo-sync audit"
        elif not confirmed:
            answer.outcome = "attention"
            answer.next = "to add these to Miracle Service, run: qbo-sync audit fix --yes"
        else:
            if sides.books.taxes:
                there = len(sides.books.taxes)
                limits.refuse(
                    site.settings.limits, len(wanted), there, "taxes would be added, as a share of those that are there"
                )
            _add(site, miracle, wanted)
            answer.summary["tax_code"]["written"] = len(wanted)
            answer.items = [{**item, "result": "added"} for item in answer.items]
            answer.next = "run: qbo-sync audit"
    return Outcome(answer, title=sides.company.name)


@dataclass(frozen=True)
class _Lacking:
    """A tax to add: the whole code, or only the purchase rates of the code with that id."""

    code: TaxCode
    miracle_id: str = ""
    purchase: tuple[TaxComponent, ...] = ()

    def said(self) -> str:
        parts = [] if self.miracle_id or not self.code.components else [say(self.code.name, self.code.components)]
        parts += [f"on purchases {say(self.code.name, self.purchase)}"] if self.purchase else []
        return "; ".join(parts)


def _lacking(sides: rules.Sides, findings: Sequence[Finding]) -> list[_Lacking]:
    """Whole codes first. Purchase rates come along where the profile has a place for them."""
    sales, purchase = ({normal(f.name) for f in findings if f.rule == rule} for rule in ("TAX-001", "TAX-017"))
    wanted = []
    for code in sides.company.taxes:
        name = normal(code.name)
        there = in_miracle(sides, code.name)
        if code.active and (name in sales or (name in purchase and (there is not None or not code.components))):
            rates = code.purchase if sides.books.purchase_taxes else ()
            wanted.append(_Lacking(code, there.id if there else "", rates))
    return wanted


def _add(site: Site, miracle: Miracle, wanted: Sequence[_Lacking]) -> None:
    with site.store.run_lock():
        run = miracle.begin_run(new_id(), "audit fix", "")
        with run.chunk() as chunk:
            for tax in wanted:
                code = {"qbo_id": tax.code.id, "name": tax.code.name, "description": tax.code.description, "active": True}
                if tax.miracle_id:
                    chunk.add_purchase_rates(code, tax.miracle_id, _rates(tax.purchase))
                else:
                    chunk.add_tax_code(code, _rates(tax.code.components), _rates(tax.purchase))
        run.finish()


def _rates(components: Sequence[TaxComponent]) -> list[dict[str, object]]:
    return [{"name": c.name, "rate": Decimal(c.rate), "agency": c.agency, "compound": c.compound} for c in components]
