"""P02, P03, P05, P08, P13: what the zone's own name servers say."""

from __future__ import annotations

from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.name
import dns.rdatatype
import dns.resolver

from qbo_sync.edge import authoritative
from qbo_sync.edge.authoritative import Answer, Server
from qbo_sync.edge.preflight.model import Check, Inputs, check
from qbo_sync.errors import KitError


def delegation(zone: str, resolver: str, nameservers: Sequence[str], servers: Sequence[Server]) -> Check:
    """P02: the parent zone delegates to the servers that the zone itself names."""
    if nameservers:
        return check("P02", "info", f"servers given by hand: {', '.join(nameservers)}", "leave them out to have this checked")
    own = {server.name.lower() for server in servers}
    try:
        at_parent = _parents_word(zone, resolver)
    except (KitError, authoritative.NoReply, dns.exception.DNSException) as error:
        seen = f"{', '.join(sorted(own))}; the parent zone could not be asked: {error}"
        return check("P02", "info", seen, "compare them with the registrar's page by hand")
    if at_parent == own:
        return check("P02", "ok", ", ".join(sorted(own)))
    seen = f"the parent zone names {', '.join(sorted(at_parent)) or 'none'}; the zone itself {', '.join(sorted(own))}"
    return check(
        "P02", "warn" if at_parent & own else "fatal", seen, "make the registrar's name servers equal to the DNS provider's"
    )


def _parents_word(zone: str, resolver: str) -> set[str]:
    """The name servers that the zone above gives for ``zone``."""
    above = dns.resolver.zone_for_name(dns.name.from_text(zone).parent(), resolver=authoritative.resolver_at(resolver))
    parents = authoritative.servers(above.to_text(), resolver=resolver)
    message = authoritative.ask(parents[0], zone, "NS")
    wanted = dns.name.from_text(zone)
    return {
        record.target.to_text(omit_final_dot=True).lower()
        for rrset in (*message.answer, *message.authority)
        if rrset.rdtype == dns.rdatatype.NS and rrset.name == wanted
        for record in rrset
    }


def same_everywhere(zone: str, fqdn: str, servers: Sequence[Server]) -> Check:
    """P03: every authoritative server answers over UDP and TCP, and all of them tell the same."""
    told: dict[str, dict[str, str]] = {}
    problems = []
    for server in servers:
        try:
            told[str(server)] = _all_it_says(server, zone, fqdn)
        except authoritative.NoReply as reason:
            problems.append(f"{server}: {reason}")
    problems += [f"{server}: not authoritative for {zone}" for server, says in told.items() if not says["SOA"]]
    if problems:
        return check("P03", "error", "; ".join(problems), "mend that name server or take it out of the delegation")
    differing = [rdtype for rdtype in ("A", "AAAA", "CAA") if len({says[rdtype] for says in told.values()}) > 1]
    if differing:
        seen = "; ".join(f"{server}: {rdtype} {says[rdtype] or 'none'}" for rdtype in differing for server, says in told.items())
        return check("P03", "error", seen, "wait for the zone to reach every server, or mend the transfer between them")
    if len({says["SOA"] for says in told.values()}) > 1:
        seen = "; ".join(f"{server}: serial {says['SOA']}" for server, says in told.items())
        return check("P03", "warn", seen, "a change is still on its way; look again in some minutes")
    return check("P03", "ok", ", ".join(told))


def _all_it_says(server: Server, zone: str, fqdn: str) -> dict[str, str]:
    soa = authoritative.ask(server, zone, "SOA", tcp=True)
    serials = [r[0].serial for r in soa.answer if r.rdtype == dns.rdatatype.SOA] if soa.flags & dns.flags.AA else []
    says = {"SOA": str(serials[0]) if serials else ""}
    for rdtype in ("A", "AAAA", "CAA"):
        answer = authoritative.ask(server, fqdn, rdtype).answer
        says[rdtype] = ", ".join(sorted(record.to_text() for rrset in answer for record in rrset))
    return says


def free_name(inputs: Inputs, servers: Sequence[Server], said: Sequence[Answer]) -> Check:
    """P05: nothing of somebody else stands at the name."""
    fqdn = inputs.fqdn
    cname = next((answer.problem for answer in said if "CNAME" in answer.problem), "")
    stray = authoritative.answers(servers, f"qbokit-nobody-has-this-name.{inputs.zone}")
    wildcard = any(answer.addresses or "CNAME" in answer.problem for answer in stray)
    if wildcard and [(a.addresses, a.problem) for a in said] == [(a.addresses, a.problem) for a in stray]:
        return check("P05", "info", f"{fqdn} is covered by a wildcard record", "the A record of its own will take precedence")
    adopt = "set dns_record_adopt: true to let the kit replace it, or choose another name"
    if cname:
        return check("P05", "warn" if inputs.adopt else "error", f"{fqdn} {cname}", f"remove the CNAME, or {adopt}")
    there = sorted({address for answer in said for address in answer.addresses})
    if not there:
        return check("P05", "ok", f"no record at {fqdn}")
    if there == [inputs.address]:
        return check("P05", "ok", f"{fqdn} is {inputs.address} already")
    seen = f"{fqdn} is {', '.join(there)}"
    return check("P05", "warn", seen, f"a record that the kit made is changed; for any other {adopt}")


def no_ipv6(fqdn: str, servers: Sequence[Server]) -> Check:
    """P08: no AAAA record, since CAs and browsers try IPv6 first and nothing here forwards it."""
    found: set[str] = set()
    for server in servers:
        try:
            answer = authoritative.ask(server, fqdn, "AAAA").answer
        except authoritative.NoReply:
            continue  # P03 reports a silent server.
        found |= {record.to_text() for rrset in answer if rrset.rdtype == dns.rdatatype.AAAA for record in rrset}
    if not found:
        return check("P08", "ok", f"no AAAA record at {fqdn}")
    return check(
        "P08",
        "error",
        f"{fqdn} AAAA {', '.join(sorted(found))}",
        "remove the AAAA record (or switch the provider's proxy off)",
    )


def time_to_live(said: Sequence[Answer], ttl: int) -> Check:
    """P13: the TTL the guide asks for; after a change resolvers keep the old record as long as its TTL was."""
    seen = sorted({answer.ttl for answer in said if answer.ttl is not None})
    if not seen or seen == [ttl]:
        return check("P13", "ok", f"TTL {seen[0]}" if seen else "no A record yet")
    return check(
        "P13",
        "warn",
        f"TTL {', '.join(map(str, seen))}",
        f"after a change allow {max(seen)} seconds until everybody sees it",
    )


def leads_to(inputs: Inputs) -> bool:
    """Whether every name server gives the site's address, and it alone, for the name."""
    try:
        servers = authoritative.servers(inputs.zone, resolver=inputs.resolver, nameservers=inputs.nameservers)
    except KitError:
        return False
    return all(answer.agrees(inputs.address, None) for answer in authoritative.answers(servers, inputs.fqdn))
