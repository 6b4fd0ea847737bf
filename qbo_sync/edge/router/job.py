"""One way to use any router: plan, and unless it is only a check, apply, prove, and take back what the router does not show.

A job and its outcome are plain JSON, because some routers are not reached from the process that wants them: OpenWrt and VyOS
through pyinfra in a process of its own, UPnP from the edge host.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from qbo_sync import errors
from qbo_sync.edge import addresses
from qbo_sync.edge.router import TAG, Foreign, Forward, Plan, Reading, RouterBackend, Settings, forwards
from qbo_sync.errors import Blocked, KitError, UsageError

# Jobs that only ask.
ASKS = ("asked", "looked")
STATES = ("present", "absent", "restored", *ASKS)
_KINDS = {kind.__name__: kind for kind in (errors.KitError, errors.UsageError, errors.Blocked, errors.Unreachable)}


@dataclass(frozen=True)
class Job:
    """What a site wants of its router. ``check``: only say what would change."""

    site: str
    provider: str
    address: str
    ports: tuple[int, ...]
    state: str = "present"
    external_address: str = ""
    take_over: bool = False
    check: bool = False
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        """Raise :class:`UsageError` for a state that is none: it must not pass for ``absent``."""
        if self.state not in STATES:
            raise UsageError("there is no such state of a forward", seen=self.state, next=f"use one of {', '.join(STATES)}")

    @classmethod
    def load(cls, document: Mapping[str, Any]) -> Job:
        """A job from JSON's own types."""
        return cls(**{**document, "ports": tuple(document["ports"]), "settings": Settings(**document.get("settings", {}))})

    def dump(self) -> dict[str, Any]:
        """The job in JSON's own types."""
        return asdict(self)


def perform(job: Job, router: RouterBackend) -> dict[str, Any]:
    """Do the job; the outcome in JSON's own types. Raises :class:`KitError`, having changed nothing or taken it back.

    The state ``asked`` changes nothing: the outcome is the router's own address towards the internet. So does ``looked``, for
    :func:`shown`.
    """
    if job.state == "asked":
        return {"changed": False, "wan_address": public_address(router)}
    if job.state == "looked":
        return _look(job, router)
    wanted = forwards(job.site, job.address, job.ports, job.external_address)
    wanted = wanted if job.state == "present" else ()
    plan = router.plan(job.site, wanted, take_over=job.take_over)
    stood = _standing(job, router) if plan.changed else []
    if plan.changed and not job.check:
        _write(router, plan)
    return {
        "changed": plan.changed,
        "stood": stood,
        "router": router.describe(),
        "text": plan.after,
        "left": len(plan.forwards),
        "forwards": [str(forward) for forward in plan.forwards],
        "given": list(plan.given),
        "taken": list(plan.taken),
        "attention": [*plan.warnings, *(_concerns(job, router) if wanted else ())],
        "diff": {"before": plan.before, "after": plan.after},
    }


@dataclass(frozen=True)
class Shown:
    """What the router forwards, and why the site's part would be refused there, with what to do about that."""

    reading: Reading
    refused: str = ""
    next: str = ""


def _look(job: Job, router: RouterBackend) -> dict[str, Any]:
    """The router's address, as far as it tells it, all that it forwards, and a refusal, in JSON's own types."""
    reading = router.read()
    foreign = [
        {**asdict(rule), "protos": sorted(rule.protos), "ports": [[ports.start, ports.stop] for ports in rule.ports]}
        for rule in reading.foreign
    ]
    return {
        "changed": False,
        "wan_address": _wan_address(router),
        "forwards": [asdict(f) for f in reading.forwards],
        "foreign": foreign,
        "refusal": _refusal(job, router),
    }


def _refusal(job: Job, router: RouterBackend) -> dict[str, str]:
    """Why the site's plan would be refused, seen by making it: each make has its own conditions. Empty when it would not be."""
    try:
        router.plan(job.site, forwards(job.site, job.address, job.ports), take_over=job.take_over)
    except Blocked as error:
        what = error.what.removesuffix("; nothing was changed")
        return {"refused": f"{what}: {error.seen}", "next": error.next}
    except UsageError:
        pass  # An address or a port that can't be is no matter of the router's.
    return {}


def shown(outcome: Mapping[str, Any]) -> Shown:
    """What the router forwards, from the outcome of a job with the state ``looked``."""
    foreign = (
        Foreign(**{**rule, "protos": frozenset(rule["protos"]), "ports": tuple(range(*ports) for ports in rule["ports"])})
        for rule in outcome["foreign"]
    )
    reading = Reading(tuple(Forward(**forward) for forward in outcome["forwards"]), tuple(foreign))
    return Shown(reading, **outcome["refusal"])


def _standing(job: Job, router: RouterBackend) -> list[dict[str, Any]]:
    """The site's own forwards as they are, in JSON's own types."""
    return [asdict(forward) for forward in sorted(router.read().forwards) if forward.tag == TAG + job.site]


def _write(router: RouterBackend, plan: Plan) -> None:
    try:
        router.apply(plan)
        router.verify(plan)
    except KitError as error:
        try:
            router.rollback(plan.undo)
        except KitError as second:
            error.seen = f"{error.seen}; putting back what was there failed too: {second.seen or second.what}"
        else:
            error.seen = f"{error.seen}; what was there before was put back".removeprefix("; ")
        raise


def _concerns(job: Job, router: RouterBackend) -> list[str]:
    """What a person should know although all went well: another router before this one, and who inside needs split DNS."""
    said = []
    seen = _wan_address(router)
    if job.external_address and seen and seen != job.external_address:
        reason = addresses.why_not_public(seen)
        said.append(
            f"the router's own address towards the internet is {seen}"
            + (
                f", {reason}: another router stands before it (forward the ports there too), or the provider shares an address"
                if reason
                else f", not {job.external_address}: compare it with the A record"
            )
        )
    hairpin = router.capabilities.hairpin and (job.settings.lan_network or job.provider not in ("vyos", "routeros"))
    if job.external_address and not hairpin:
        said.append(
            "people inside the office do not reach the external address through this router: let the office's own DNS answer the"
            f" secure address with {job.address} (split DNS)"
        )
    return said


def public_address(router: RouterBackend) -> str:
    """The router's own address towards the internet. Raises :class:`KitError` when it has none that the internet reaches."""
    found = router.wan_address() if router.capabilities.can_read_wan else ""
    if not found:
        raise KitError(
            "the router does not tell its external address",
            next="it may stand behind another router or carrier-grade NAT: run playbooks/preflight.yml with the "
            "address of its status page as site_address",
        )
    addresses.check_public(found)
    return found


def _wan_address(router: RouterBackend) -> str:
    """Empty when the router does not tell it: what is wanted of it stands already."""
    try:
        return router.wan_address() if router.capabilities.can_read_wan else ""
    except KitError:
        return ""


def serve(make: Callable[[Job], RouterBackend], done: Callable[[Job], None] = lambda _: None) -> int:
    """Do the job that stands on standard input; its outcome, or the error, is one JSON document on standard output."""
    try:
        job = Job.load(json.load(sys.stdin))
        answer = perform(job, make(job))
        done(job)
    except KitError as error:
        kind = next(name for name, known in reversed(_KINDS.items()) if isinstance(error, known))
        answer = {"error": {"kind": kind, "what": error.what, "seen": error.seen, "next": error.next}}
    json.dump(answer, sys.stdout)
    return 0


def outcome(said: str, words: str = "") -> dict[str, Any]:
    """What :func:`serve` printed elsewhere: the outcome, or its error raised here. ``words`` is what came on standard error."""
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError as error:
        raise KitError(
            "the program that sets the router did not end well",
            seen=(words or said).strip()[-400:] or "it said nothing",
            next="run the playbook again; if it stays so, this is a defect of the kit",
        ) from error
    if problem := answer.get("error"):
        raise _KINDS.get(problem["kind"], UsageError)(problem["what"], seen=problem["seen"], next=problem["next"])
    return answer
