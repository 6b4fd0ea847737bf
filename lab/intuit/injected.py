"""Faults on demand: rules that say which request gets which fault."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

# What a request can get in place of its answer, and what can befall it besides.
NAMES = ("401", "403", "429", "429_xml", "500", "503_html", "truncated", "closed", "wrong_content_type")
BESIDES = ("wrong_cluster", "slow_body", "moved")
KNOWN = NAMES + BESIDES
CONDITIONS = ("nth", "entity", "share", "path", "times")


@dataclass
class InjectedFault:
    """``when`` conditions that must all hold: ``nth`` request (1-based, of those the other conditions let through),
    ``entity``, ``share`` (0 to 1, drawn from a fixed seed), ``path`` (part of the request's path); ``times`` limits how often.
    ``seconds`` is how long ``slow_body`` takes.
    """

    when: dict[str, Any]
    fault: str
    seconds: float = 2.0
    seen: int = 0
    fired: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def matches(self, path: str, entity: str) -> bool:
        """Count this request and say whether it gets the fault."""
        when = self.when
        if when.get("path", "/v3/") not in path:
            return False
        if "entity" in when and when["entity"].lower() != entity.lower():
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


def parse_rules(document: Any) -> list[InjectedFault]:
    """The rules of a ``POST /lab/faults``. Raises ``ValueError`` for what nobody knows."""
    if not isinstance(document, list):
        raise ValueError("a list of rules is expected")
    rules = []
    for rule in document:
        when, fault = rule.get("when", {}), str(rule.get("fault"))
        if fault not in KNOWN:
            raise ValueError(f"unknown fault {fault}; known: {', '.join(KNOWN)}")
        if unknown := set(when) - set(CONDITIONS):
            raise ValueError(f"unknown condition {', '.join(sorted(unknown))}; known: {', '.join(CONDITIONS)}")
        rules.append(InjectedFault(when, fault, float(rule.get("seconds", InjectedFault.seconds))))
    return rules
