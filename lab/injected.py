"""Faults on demand, for every look-alike: rules that say which request gets which fault."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

# What every look-alike's rules may ask; what else one knows of a request (its entity, its method) it names itself.
CONDITIONS = ("nth", "share", "times", "path")


@dataclass
class Rule:
    """``when`` conditions that must all hold for a request to get ``fault``.

    ``path`` is a part of the request's path, other words are what they name, in any letter case; ``nth`` (1-based) counts the
    requests that these let through; ``share`` (0 to 1) is drawn from a fixed seed; ``times`` limits how often. ``amount`` is a
    number that belongs to the fault: how many seconds it takes, say.
    """

    when: Mapping[str, Any]
    fault: str
    amount: float
    seen: int = 0
    fired: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def matches(self, path: str, **request: str) -> bool:
        """Count this request and say whether it gets the fault."""
        when = self.when
        if when.get("path", "") not in path:
            return False
        if any(str(when[name]).lower() != value.lower() for name, value in request.items() if name in when):
            return False
        self.seen += 1
        if "nth" in when and self.seen != when["nth"]:
            return False
        if "share" in when and self.random.random() >= when["share"]:
            return False
        if self.fired >= when.get("times", self.fired + 1):
            return False
        self.fired += 1
        return True


@dataclass(frozen=True)
class Rules:
    """What one look-alike's rules may say: its faults with the number each has unless a rule gives another, and what it knows."""

    faults: Mapping[str, float]
    also: tuple[str, ...]
    amount: str
    path: str = ""

    def parse(self, document: Any) -> list[Rule]:
        """The rules of a ``POST /lab/faults``. Raises ``ValueError`` for what nobody knows."""
        if not isinstance(document, list) or not all(isinstance(rule, dict) for rule in document):
            raise ValueError("a list of rules is expected")
        return [self._rule(rule) for rule in document]

    def _rule(self, document: Mapping[str, Any]) -> Rule:
        fault, when = str(document.get("fault")), document.get("when", {})
        _known("field", document, ("when", "fault", self.amount))
        _known("fault", [fault], self.faults)
        _known("condition", when, (*CONDITIONS, *self.also))
        return Rule({"path": self.path, **when}, fault, float(document.get(self.amount, self.faults[fault])))


def _known(what: str, given: Collection[str], known: Collection[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"unknown {what} {', '.join(unknown)}; known: {', '.join(known)}")
