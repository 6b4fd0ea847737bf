"""The audit: what does not match between QuickBooks Online and Miracle Service, found before anything is written.

A rule is a small pure function over both readings. Its id never changes its meaning; findings are named by rule and subject
(``TAX-001/California``), so a person can accept one by name and the next audit still knows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from qbo_sync.switch.audit import items, lists, names, purchase_taxes, settings, taxes, terms
from qbo_sync.switch.audit.rule import Hit, Rule, Sides, some
from qbo_sync.switch.model import TITLE, Finding, Kind, Severity, counts

RULES: tuple[Rule, ...] = tuple(
    rule for module in (settings, taxes, purchase_taxes, terms, items, lists, names) for rule in module.RULES
)

MANY = 20

_ORDER = {severity: position for position, severity in enumerate(Severity)}


def audit(sides: Sides, accepted: Mapping[str, str]) -> list[Finding]:
    """All findings, blockers first. ``accepted``: finding id → the reason a person gave for living with it."""
    with sides.in_memory():
        found = [
            Finding(
                id=f"{rule.id}/{hit.subject}",
                rule=rule.id,
                severity=rule.severity,
                title=rule.title,
                kind=hit.kind,
                name=hit.name,
                qbo=hit.qbo,
                miracle=hit.miracle,
                remedy=hit.remedy or rule.remedy,
                where=rule.where,
                accepted=accepted.get(f"{rule.id}/{hit.subject}", ""),
            )
            for rule in RULES
            for hit in gathered(rule, sides)
        ]
    return sorted(found, key=lambda f: (_ORDER[f.severity], f.rule, f.id))


def gathered(rule: Rule, sides: Sides) -> Iterator[Hit]:
    """A rule's hits; where nothing needs to be done and there are many of a kind, one that names the first of them."""
    by_kind: dict[str, list[Hit]] = defaultdict(list)
    for hit in rule.check(sides):
        by_kind[hit.kind].append(hit)
    for kind, hits in by_kind.items():
        if rule.severity is Severity.INFO and len(hits) > MANY:
            yield Hit(
                kind, kind, TITLE[Kind(kind)] if kind in TITLE else kind, f"{len(hits)} times: {some(hit.name for hit in hits)}"
            )
        else:
            yield from hits


def blockers(findings: list[Finding]) -> list[Finding]:
    """The findings that stop the import and the export."""
    return [f for f in findings if f.severity is Severity.BLOCKER and not f.accepted]


__all__ = ["RULES", "Rule", "Sides", "audit", "blockers", "counts"]
