"""The checks before the switch, P01 to P25 of facts/edge.md 2.2, and the Summary Checklist of the guide.

Every check is a small function that returns a :class:`Check`; :data:`CATALOGUE` says of each what it looks at and how. Nothing is
changed and nothing is read but what :class:`Inputs` names. ``fatal`` and ``error`` stop a run unless a later step of the kit
mends it; ``warn`` and ``info`` never do.

``look`` holds what is looked at on a host (facts, standard library only); everything else judges, on the control node or wherever
``qbo-sync doctor`` runs. ``outside`` asks the CA itself and needs the package ``acme`` (extra ``[control]``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import chain

from qbo_sync.edge import authoritative
from qbo_sync.edge.preflight import address, ca, machine, provider, records, router, web
from qbo_sync.edge.preflight.caa import caa
from qbo_sync.edge.preflight.checklist import Tick, checklist, remember
from qbo_sync.edge.preflight.dnssec import dnssec
from qbo_sync.edge.preflight.model import CATALOGUE, SEVERITIES, Check, Inputs, Severity, check
from qbo_sync.edge.preflight.names import name_syntax
from qbo_sync.errors import KitError

Look = Callable[[], Iterable[Check]]
Directory = tuple[Check, Check, tuple[str, ...]]

__all__ = ["CATALOGUE", "SEVERITIES", "Check", "Inputs", "Severity", "Tick", "checklist", "remember", "run"]


def run(inputs: Inputs) -> list[Check]:
    """Every check for which there is something to look at, in the order of their numbers. A bad name ends it early.

    They don't wait for each other: a name server or a resolver that is silent costs its time once, not for each question.
    """
    name = name_syntax(inputs.fqdn, inputs.zone)
    looks: list[Look] = [partial(address.checks, inputs), partial(_way_in, inputs), partial(web.checks, inputs)]
    if inputs.host:
        looks.append(partial(machine.checks, inputs))
    if inputs.acme_directory and not inputs.brought:
        looks.append(partial(_ca_checks, inputs, ask_caa=not name.stops))
    if not name.stops:
        looks += _dns_looks(inputs)
    with ThreadPoolExecutor(max_workers=len(looks)) as pool:
        checks = [name, *chain.from_iterable(pool.map(lambda look: list(look()), looks))]
    checks += _from_outside(inputs, checks)
    return sorted(checks, key=lambda one: (one.id[0] != "P", one.id))


def _way_in(inputs: Inputs) -> Iterator[Check]:
    if inputs.lan_address:
        yield router.lan_address(inputs.lan_address, inputs.address, inputs.host)
    if inputs.forwards is not None:
        yield router.forwarded(inputs.forwards, inputs.lan_address, inputs.ports)
    elif inputs.unasked:
        yield router.unasked(inputs.unasked, inputs.ask_next)


def _dns_looks(inputs: Inputs) -> list[Look]:
    """What is asked of the zone's own name servers, once these are known."""
    try:
        servers = authoritative.servers(inputs.zone, resolver=inputs.resolver, nameservers=inputs.nameservers)
    except KitError as error:
        lost = check("P02", "fatal", f"{error.what}: {error.seen}", error.next)
        # A resolver that checks signatures finds nothing at all of a zone whose signatures are broken: that is the reason to say.
        unsigned = partial(dnssec, inputs.zone, inputs.resolver, ())
        return [lambda: [lost], lambda: [one for one in [unsigned()] if one.stops], partial(provider.checks, inputs, (), ())]
    said = authoritative.answers(servers, inputs.fqdn)
    single: list[Callable[[], Check]] = [
        partial(records.delegation, inputs.zone, inputs.resolver, inputs.nameservers, servers),
        partial(records.same_everywhere, inputs.zone, inputs.fqdn, servers),
        partial(records.free_name, inputs, servers, said),
        partial(dnssec, inputs.zone, inputs.resolver, servers),
        partial(records.no_ipv6, inputs.fqdn, servers),
        partial(records.time_to_live, said, inputs.ttl),
    ]
    return [*(_one(look) for look in single), partial(provider.checks, inputs, servers, said)]


def _one(look: Callable[[], Check]) -> Look:
    return lambda: [look()]


def _ca_checks(inputs: Inputs, *, ask_caa: bool) -> Iterator[Check]:
    goes_on = machine.nothing_to_order(inputs)
    reachable, clock, identities = ca.directory(inputs.acme_directory, inputs.acme_ca_file)
    if reachable.stops and not goes_on:
        reachable, clock, identities = _another_ca(inputs.fallbacks, (reachable, clock, identities))
    yield from (_no_reason_to_stop(reachable) if goes_on else reachable, clock)
    if ask_caa:
        yield caa(inputs.fqdn, inputs.resolver, identities, method=inputs.challenge, accounts=inputs.host.get("accounts", ()))
    if inputs.host:
        issuer = inputs.host.get("acme_directory") or inputs.acme_directory
        others = [url for url, _ in inputs.fallbacks]
        room = ca.limits(inputs.host["budget"], issuer, inputs.fqdn, given=inputs.limits, others=others)
        yield _no_reason_to_stop(room) if goes_on else room


def _no_reason_to_stop(found: Check) -> Check:
    """The same, where nothing is ordered now: the certificate that is there outlives a CA's bad day."""
    if not found.stops:
        return found
    remedy = f"nothing now, the certificate that is there goes on; for its renewal: {found.remedy}"
    return replace(found, severity="warn", remedy=remedy)


def _another_ca(others: Iterable[tuple[str, str]], first: Directory) -> Directory:
    """The first of the other CAs that answers, in the place of one that does not; else the first, with what was tried."""
    tried = []
    for url, ca_file in others:
        there, clock, identities = ca.directory(url, ca_file)
        if not there.stops:
            remedy = f"nothing: certificate_fallbacks has {url} asked instead"
            return replace(first[0], severity="warn", remedy=remedy), clock, identities
        tried.append(there.seen)
    return replace(first[0], seen="; ".join([first[0].seen, *tried])), *first[1:]


def _from_outside(inputs: Inputs, checks: Sequence[Check]) -> Iterator[Check]:
    """P18, where it can tell something: the name leads to the site, and no certificate has proved already that it does."""
    if not inputs.staging or not inputs.over_http or find_spec("acme") is None:
        return
    proved = not machine.another_way(inputs.host.get("authenticator", ""), inputs)
    if proved and machine.valid_certificate(inputs.host, inputs.fqdn):
        yield check("P18", "ok", "not asked: the CA has come through already, there is a valid certificate")
    elif not records.leads_to(inputs):
        yield check(
            "P18", "info", f"not asked: {inputs.fqdn} does not lead to {inputs.address} yet", "run this again when it does"
        )
    elif any(one.stops and one.id in ("P01", "P02", "P09", "P21") for one in checks):
        yield check("P18", "info", "not asked while what stands above is missing", "mend that first")
    else:
        from qbo_sync.edge.preflight import outside

        yield outside.reachable(
            inputs.fqdn, inputs.staging, inputs.acme_ca_file, inputs.account_key, forwarded_later=80 in inputs.ports
        )
