"""P06: DNSSEC. A zone whose signatures do not hold is gone for every resolver that checks, and for the CA."""

from __future__ import annotations

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.DS import DS

from qbo_sync.edge import authoritative
from qbo_sync.edge.authoritative import NoReply, Server
from qbo_sync.edge.preflight.model import Check, check

_REMEDY = (
    "have the DNS provider sign the zone anew, and compare the DS record at the registrar with the key in use; "
    "a zone that is not signed any more must have no DS record"
)


def dnssec(zone: str, resolver: str, servers: tuple[Server, ...]) -> Check:
    """P06: the resolver's answer with checking and without it; then DS, keys and signatures, whatever the resolver checks."""
    try:
        plain, unchecked = (_resolver_says(zone, "SOA", resolver, checking=checking) for checking in (True, False))
        if plain.rcode() == dns.rcode.SERVFAIL and unchecked.rcode() == dns.rcode.NOERROR:
            return check("P06", "error", f"the resolver finds {zone} only when it does not check DNSSEC", _REMEDY)
        delegated = _rrset(_resolver_says(zone, "DS", resolver, checking=False), zone, dns.rdatatype.DS)
    except (NoReply, dns.exception.DNSException, OSError) as error:
        return check("P06", "info", f"the resolver cannot be asked: {error}", "name another one (preflight_resolver)")
    if delegated is None:
        return check("P06", "ok", f"{zone} is not signed")
    problem = _broken(zone, delegated, servers)
    if problem:
        return check("P06", "error", problem, _REMEDY)
    return check("P06", "ok", f"{zone} is signed, and the signatures hold")


def _resolver_says(name: str, rdtype: str, resolver: str, *, checking: bool) -> dns.message.Message:
    at = authoritative.resolver_at(resolver)
    query = dns.message.make_query(name, rdtype, use_edns=0, want_dnssec=True, payload=authoritative.UDP_PAYLOAD)
    if not checking:
        query.flags |= dns.flags.CD
    return dns.query.udp_with_fallback(query, str(at.nameservers[0]), timeout=authoritative.QUERY_TIMEOUT_S, port=at.port)[0]


def _broken(zone: str, delegated: dns.rrset.RRset, servers: tuple[Server, ...]) -> str:
    """What is wrong with the chain from the parent's DS to the zone's SOA at the first server, or an empty text."""
    origin = dns.name.from_text(zone)
    try:
        keys, by = _signed(servers[0], zone, "DNSKEY")
        start, start_by = _signed(servers[0], zone, "SOA")
    except NoReply as reason:
        return f"{servers[0]}: {reason}"
    if keys is None:
        return f"the parent zone has a DS record for {zone}, and the zone has no key"
    known = [key for key in keys if any(_fits(origin, key, ds) for ds in delegated)]
    if not known:
        return f"none of the keys of {zone} is the one that the parent's DS record names"
    trusted = dns.rrset.from_rdata(origin, keys.ttl, *known)
    for what, rrset, signatures, anchor in (("keys", keys, by, trusted), ("SOA", start, start_by, keys)):
        if rrset is None or signatures is None:
            return f"the {what} of {zone} carries no signature"
        try:
            dns.dnssec.validate(rrset, signatures, {origin: anchor})
        except dns.exception.DNSException as error:
            return f"the signature of the {what} of {zone} does not hold: {error or type(error).__name__}"
    return ""


def _fits(origin: dns.name.Name, key: dns.rdata.Rdata, ds: DS) -> bool:
    try:
        return bool(dns.dnssec.make_ds(origin, key, ds.digest_type, validating=True) == ds)
    except dns.exception.UnsupportedAlgorithm:
        return False


def _signed(server: Server, zone: str, rdtype: str) -> tuple[dns.rrset.RRset | None, dns.rrset.RRset | None]:
    """The zone's own records of a type and the signatures over them."""
    wanted = dns.rdatatype.from_text(rdtype)
    message = authoritative.ask(server, zone, rdtype, dnssec=True)
    return _rrset(message, zone, wanted), _rrset(message, zone, dns.rdatatype.RRSIG, wanted)


def _rrset(
    message: dns.message.Message, name: str, rdtype: dns.rdatatype.RdataType, covers: dns.rdatatype.RdataType = dns.rdatatype.NONE
) -> dns.rrset.RRset | None:
    return message.get_rrset(message.answer, dns.name.from_text(name), dns.rdataclass.IN, rdtype, covers)
