"""The Summary Checklist of the guide: two ticks that a person gives, and two that the kit has proved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qbo_sync.edge import state

STEP = "checklist"
_HTTPS, _PORTS = "The secure HTTPS sub-domain is there", "Ports 80 and 443 are forwarded"


@dataclass(frozen=True)
class Tick:
    """One line of the Summary Checklist: done or not, what that rests on, and who does what when it isn't."""

    id: str
    title: str
    done: bool
    seen: str
    who: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Question:
    """A tick that only a person can give."""

    title: str
    ask: str
    who: str
    remedy: str


QUESTIONS: Mapping[str, Question] = {
    "desktop": Question(
        "QuickBooks Desktop is migrated to QuickBooks Online",
        "Has your QuickBooks advisor migrated QuickBooks Desktop to QuickBooks Online?",
        "the company and its QuickBooks advisor",
        "finish the migration, then say so",
    ),
    "vendor": Question(
        "Miracle Service knows and will change the accounting connection",
        "Have you asked your Miracle Service account representative for the Technical Support service?",
        "the company",
        "ask the Miracle Service account representative for Technical Support's service, then say so",
    ),
}


def remember(path: Path, site: str, said: Mapping[str, bool | None], *, write: bool = True) -> dict[str, dict[str, Any]]:
    """What a person has said of each question, ``{"answer", "at"}`` by its name; kept in ``path`` with the site's steps.

    ``said`` are new answers; ``None`` leaves the old one. Raises :class:`~qbo_sync.errors.KitError` for a damaged file.
    """
    kept: dict[str, dict[str, Any]] = dict(state.read(path).get(site, {}).get(STEP, {}).get("seen", {}))
    new = {name: answer for name, answer in said.items() if answer is not None and kept.get(name, {}).get("answer") != answer}
    if not new:
        return kept
    kept |= {name: {"answer": answer, "at": state.now()} for name, answer in new.items()}
    if write:
        state.record(path, site, STEP, state.result(changed=True, seen=kept))
    return kept


def checklist(answers: Mapping[str, Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]) -> list[Tick]:
    """The guide's four ticks. ``answers`` are a person's (:func:`remember`); the others rest on the steps' last results.

    ``results`` are the site's steps as :func:`qbo_sync.edge.state.read` gives them.
    """
    return [
        *asked(answers),
        _proved("https", _HTTPS, results, "verify", "run prerequisites.yml, then verify.yml"),
        _proved("ports", _PORTS, results, "port_forward", "run prerequisites.yml"),
    ]


def seen_on_host(host: Mapping[str, Any], fqdn: str) -> list[Tick]:
    """The other two ticks as far as the edge host sees them itself, from the facts of :mod:`~qbo_sync.edge.looks.host`."""
    shown = host["shown"].get("sha256", "")
    lineage = host["certificate"]
    covered = bool(lineage) and lineage["names"] == [fqdn] and lineage["days_left"] >= 0
    back = bool(shown) and host["hairpin"].get("sha256") == shown
    told = f"nginx shows a certificate, {lineage['days_left']} days left" if lineage else "there is no certificate"
    who, look = "an IT professional", "verify.yml proves it from outside; prerequisites.yml makes it"
    led = (
        "the external address leads here" if back else "from inside it cannot be told: the external address does not answer here"
    )
    https = Tick("https", _HTTPS, covered and bool(shown), told if shown else "nginx shows no certificate", who, look)
    return [https, Tick("ports", _PORTS, back, led, who, look)]


def asked(answers: Mapping[str, Mapping[str, Any]]) -> list[Tick]:
    """The ticks that a person gives."""
    return [_asked(name, question, answers.get(name)) for name, question in QUESTIONS.items()]


def _asked(id: str, question: Question, answer: Mapping[str, Any] | None) -> Tick:
    if answer and answer["answer"]:
        return Tick(id, question.title, True, f"said by a person, {answer['at'][:10]}")
    seen = f"said not to be done, {answer['at'][:10]}" if answer else "nobody has said so yet"
    return Tick(id, question.title, False, seen, question.who, question.remedy)


def _proved(id: str, title: str, results: Mapping[str, Mapping[str, Any]], step: str, remedy: str) -> Tick:
    result = results.get(step)
    if result is None:
        return Tick(id, title, False, f"the step {step} has not run", "an IT professional", remedy)
    at = f"{step}: {result.get('state')}" + (f", {result['at']}" if "at" in result else "")
    if result.get("state") == "done":
        return Tick(id, title, True, at)
    who = (result.get("waiting_for") or {}).get("who", "an IT professional")
    return Tick(id, title, False, at, who, result.get("next") or remedy)
