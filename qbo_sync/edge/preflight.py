"""The checks before the switch, and the Summary Checklist of the guide.

Every check is a small function that returns a :class:`Check`; the numbers are those of facts/edge.md 2.2. Nothing is changed and
nothing is read but what :class:`Inputs` names. ``fatal`` and ``error`` stop a run, ``warn`` and ``info`` don't.
"""

from __future__ import annotations

import email.utils
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import dns.exception
import dns.flags
import dns.name
import dns.rdatatype
import dns.resolver
import requests
from publicsuffixlist import PublicSuffixList

from qbo_sync.edge import addresses, authoritative
from qbo_sync.edge.authoritative import Answer, Server
from qbo_sync.edge.dns import TAG, Provider, Record, Zone, tidy
from qbo_sync.errors import KitError

Severity = Literal["fatal", "error", "warn", "info", "ok"]

TTL = 3600
ACME_TIMEOUT_S = 15
SKEW_WARN_S, SKEW_FATAL_S = 60, 300
# The CAA name of the CA when its directory doesn't tell (RFC 8555 `caaIdentities`).
CA_IDENTITY = "letsencrypt.org"

# Names no public CA certifies and no resolver outside finds (RFC 6761, 6762, 8375, 9476; ICANN's `internal`).
_LOCAL = ("local", "localhost", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa", "test", "invalid", "onion")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


@dataclass(frozen=True)
class Check:
    """The result of one check: what was looked at, how bad it is, what was seen, and how to mend it."""

    id: str
    title: str
    severity: Severity
    seen: str = ""
    remedy: str = ""

    @property
    def stops(self) -> bool:
        """Whether the switch must not go on."""
        return self.severity in ("fatal", "error")


@dataclass(frozen=True)
class Inputs:
    """What the checks look at. ``resolver`` is empty for the system's; ``nameservers`` is empty for those of the delegation.

    ``acme_directory`` is empty to leave out what concerns the CA; ``adopt`` says that a record in the way may be replaced.
    ``provider`` is missing to leave out what the DNS provider's account tells; ``wan_address`` is the router's own address
    towards the internet, empty when it can't be asked.
    """

    fqdn: str
    zone: str
    address: str
    lan_address: str = ""
    resolver: str = ""
    nameservers: tuple[str, ...] = ()
    acme_directory: str = ""
    acme_ca_file: str = ""
    ttl: int = TTL
    adopt: bool = False
    provider: Provider | None = None
    wan_address: str = ""


def run(inputs: Inputs) -> list[Check]:
    """Every check, in the order of their numbers. Bad names end it early: there is nothing to ask the DNS for."""
    checks = [name_syntax(inputs.fqdn, inputs.zone), public_address(inputs.address)]
    if inputs.lan_address:
        checks.append(lan_address(inputs.lan_address, inputs.address))
    if inputs.wan_address:
        checks += [own_address(inputs.address, inputs.wan_address), one_router(inputs.wan_address)]
    if not checks[0].stops:
        checks += _dns_checks(inputs)
    if inputs.acme_directory:
        checks += _ca_checks(inputs, ask_caa=not checks[0].stops)
    return sorted(checks, key=lambda check: check.id)


def _dns_checks(inputs: Inputs) -> list[Check]:
    try:
        servers = authoritative.servers(inputs.zone, resolver=inputs.resolver, nameservers=inputs.nameservers)
    except KitError as error:
        return [Check("P02", _P02, "fatal", f"{error.what}: {error.seen}", error.next), *_provider_checks(inputs, (), ())]
    said = authoritative.answers(servers, inputs.fqdn)
    return [
        delegation(inputs.zone, inputs.resolver, inputs.nameservers, servers),
        same_everywhere(inputs.zone, inputs.fqdn, servers),
        free_name(inputs, servers, said),
        no_ipv6(inputs.fqdn, servers),
        time_to_live(said, inputs.ttl),
        *_provider_checks(inputs, servers, said),
    ]


def _provider_checks(inputs: Inputs, servers: Sequence[Server], said: Sequence[Answer]) -> list[Check]:
    """P24, P04 and P12, as far as there is something to ask."""
    records: tuple[Record, ...] = ()
    checks = []
    if inputs.provider is not None:
        try:
            zone = inputs.provider.zone_for(inputs.fqdn, inputs.zone)
            records = inputs.provider.snapshot(zone, inputs.fqdn).records
        except KitError as error:
            severity: Severity = "error" if error.retry else "fatal"
            return [
                Check("P24", _P24, severity, f"{error.what}: {error.seen}".rstrip(": "), error.next),
                dns_only(inputs, (), said),
            ]
        delegated = () if inputs.nameservers else tuple(server.name for server in servers)
        by_hand = "a person makes the record" if inputs.provider.by_hand else f"{zone.name} may be changed"
        checks = [Check("P24", _P24, "ok", by_hand), right_provider(zone, delegated)]
    return [*checks, dns_only(inputs, records, said)]


def _ca_checks(inputs: Inputs, *, ask_caa: bool) -> list[Check]:
    reachable, clock, identities = ca_directory(inputs.acme_directory, inputs.acme_ca_file)
    if not ask_caa:
        return [reachable, clock]
    return [reachable, clock, caa(inputs.fqdn, inputs.resolver, identities)]


def name_syntax(fqdn: str, zone: str) -> Check:
    """P01: a host name that a public CA can certify, below the company's own domain."""
    title = "the name can be a public web address"
    labels = fqdn.split(".")
    wrong = next((label for label in labels if not _LABEL.fullmatch(label)), None)
    if wrong is not None or len(fqdn) > 253:
        seen = f"{fqdn!r}: the part {wrong!r} is not allowed" if wrong is not None else f"{fqdn}: longer than 253 characters"
        return Check(
            "P01", title, "fatal", seen, "use letters, digits and hyphens, in lower case; other scripts in their xn-- form"
        )
    local = next((suffix for suffix in _LOCAL if fqdn == suffix or fqdn.endswith("." + suffix)), None)
    if local:
        return Check(
            "P01", title, "fatal", f"{fqdn}: .{local} is for local networks", "use a name below the company's public domain"
        )
    registered = PublicSuffixList(accept_unknown=False, only_icann=True).privatesuffix(fqdn)
    if not registered:
        return Check("P01", title, "fatal", f"{fqdn} is not below a registered domain", "use a name such as qbo.mycompany.com")
    if fqdn != zone and not fqdn.endswith("." + zone):
        return Check("P01", title, "fatal", f"{fqdn} is not in the zone {zone}", "mend the name or the zone")
    if zone != registered and not zone.endswith("." + registered):
        return Check("P01", title, "fatal", f"{zone} is nobody's own domain; {registered} is", f"set the zone to {registered}")
    if fqdn == zone:
        return Check(
            "P01",
            title,
            "warn",
            f"{fqdn} is the domain itself",
            "use a name of its own, so that the company's web site stays as it is",
        )
    return Check("P01", title, "ok", f"{fqdn} in {zone}")


def public_address(address: str) -> Check:
    """P09: the A record's value can be reached from the internet."""
    title = "the external address is public"
    reason = addresses.why_not_public(address)
    if not reason:
        return Check("P09", title, "ok", address)
    remedy = "give the site's public IPv4 address (a web page such as the router's status page shows it)"
    if "carrier" in reason:
        remedy = "order a public IPv4 address from the internet provider; without one nothing can be forwarded"
    return Check("P09", title, "fatal", f"{address or '(empty)'}: {reason}", remedy)


def lan_address(address: str, external: str) -> Check:
    """P16, the part that needs no router: the edge host's address is one a router can forward to."""
    title = "the router can forward to the edge host"
    reason = addresses.why_not_lan(address)
    if reason:
        return Check("P16", title, "error", f"{address}: {reason}", "give the edge host's fixed address in the local network")
    if address == external:
        return Check("P16", title, "info", f"{address} is the external address itself", "no forwarding is needed then")
    return Check("P16", title, "ok", address)


def own_address(address: str, wan_address: str) -> Check:
    """P10: the A record's value is the address that the router has."""
    title = "the external address is the router's own"
    if addresses.why_not_public(wan_address):
        return Check(
            "P10", title, "info", f"the router has {wan_address}, see P11", "compare it with the internet provider's papers"
        )
    if wan_address == address:
        return Check("P10", title, "ok", address)
    seen = f"the router has {wan_address}, the site says {address or 'nothing'}"
    return Check("P10", title, "error", seen, f"set site_address to {wan_address}, or name the router that has {address}")


def one_router(wan_address: str) -> Check:
    """P11: the router stands on the internet itself, not behind the provider's or another router's translation."""
    title = "no other router stands before the site's"
    reason = addresses.why_not_public(wan_address)
    if not reason:
        return Check("P11", title, "ok", f"the router has {wan_address}")
    seen = f"the router's address towards the internet is {wan_address}: {reason}"
    if "carrier" in reason:
        return Check(
            "P11",
            title,
            "fatal",
            seen,
            "order a public IPv4 address from the internet provider, take another line, or have a tunnel or a small server "
            "outside forward the two ports; no setting of this router can",
        )
    remedy = "forward ports 80 and 443 in the router before it too, or have that one work as a plain modem (bridge mode)"
    return Check("P11", title, "warn", seen, remedy)


_P02 = "the domain is delegated"
_P24 = "the DNS provider lets the kit change the zone"


def right_provider(zone: Zone, delegated: Sequence[str]) -> Check:
    """P04: the registrar delegates to the provider at which the record is made. ``delegated`` is empty when it wasn't asked."""
    title = "the domain is delegated to this DNS provider"
    theirs, real = {tidy(name) for name in zone.name_servers}, {tidy(name) for name in delegated}
    remedy = (
        f"set the name servers of {zone.name} at the registrar to {', '.join(zone.name_servers)}, or edit the record elsewhere"
    )
    if zone.status != "active":
        return Check("P04", title, "fatal", f"the provider calls the zone {zone.status!r}", remedy)
    if not theirs or not real:
        return Check("P04", title, "ok", f"the zone is {zone.status}")
    seen = f"delegated to {', '.join(sorted(real))}; the provider's are {', '.join(sorted(theirs))}"
    if theirs == real:
        return Check("P04", title, "ok", ", ".join(sorted(real)))
    return Check("P04", title, "warn" if theirs & real else "fatal", seen, remedy)


def dns_only(inputs: Inputs, records: Sequence[Record], said: Sequence[Answer]) -> Check:
    """P12: no proxy of the DNS provider stands before the site; it would answer with its own certificate and hide ours."""
    title = "no proxy stands before the name"
    proxied = [record for record in records if record.proxied]
    ours = proxied and all(record.comment.startswith(TAG) for record in proxied)
    if proxied:
        severity: Severity = "warn" if ours or inputs.adopt else "error"
        remedy = (
            "switch the record's proxy off (grey cloud), or set dns_record_adopt: true; the kit's own records are mended by it"
        )
        return Check("P12", title, severity, "; ".join(map(str, proxied)), remedy)
    theirs = sorted({address for answer in said for address in answer.addresses if addresses.is_cloudflare(address)})
    if theirs and inputs.address not in theirs:
        remedy = "switch the record's proxy off at Cloudflare (grey cloud)"
        return Check(
            "P12", title, "warn" if inputs.adopt else "error", f"{', '.join(theirs)} are Cloudflare's own addresses", remedy
        )
    return Check("P12", title, "ok", "none seen")


def delegation(zone: str, resolver: str, nameservers: Sequence[str], servers: Sequence[Server]) -> Check:
    """P02: the parent zone delegates to the servers that the zone itself names."""
    if nameservers:
        return Check(
            "P02", _P02, "info", f"servers given by hand: {', '.join(nameservers)}", "leave them out to have this checked"
        )
    own = {server.name.lower() for server in servers}
    try:
        at_parent = _parents_word(zone, resolver)
    except (KitError, authoritative.NoReply, dns.exception.DNSException) as error:
        seen = f"{', '.join(sorted(own))}; the parent zone could not be asked: {error}"
        return Check("P02", _P02, "info", seen, "compare them with the registrar's page by hand")
    if at_parent == own:
        return Check("P02", _P02, "ok", ", ".join(sorted(own)))
    seen = f"the parent zone names {', '.join(sorted(at_parent)) or 'none'}; the zone itself {', '.join(sorted(own))}"
    return Check(
        "P02", _P02, "warn" if at_parent & own else "fatal", seen, "make the registrar's name servers equal to the DNS provider's"
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
    title = "every name server answers, and the same"
    told: dict[str, dict[str, str]] = {}
    problems = []
    for server in servers:
        try:
            told[str(server)] = _all_it_says(server, zone, fqdn)
        except authoritative.NoReply as reason:
            problems.append(f"{server}: {reason}")
    problems += [f"{server}: not authoritative for {zone}" for server, says in told.items() if not says["SOA"]]
    if problems:
        return Check("P03", title, "error", "; ".join(problems), "mend that name server or take it out of the delegation")
    differing = [rdtype for rdtype in ("A", "AAAA", "CAA") if len({says[rdtype] for says in told.values()}) > 1]
    if differing:
        seen = "; ".join(f"{server}: {rdtype} {says[rdtype] or 'none'}" for rdtype in differing for server, says in told.items())
        return Check("P03", title, "error", seen, "wait for the zone to reach every server, or mend the transfer between them")
    if len({says["SOA"] for says in told.values()}) > 1:
        seen = "; ".join(f"{server}: serial {says['SOA']}" for server, says in told.items())
        return Check("P03", title, "warn", seen, "a change is still on its way; look again in some minutes")
    return Check("P03", title, "ok", ", ".join(told))


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
    title = "the name is free, or ours"
    fqdn = inputs.fqdn
    cname = next((answer.problem for answer in said if "CNAME" in answer.problem), "")
    stray = authoritative.answers(servers, f"qbokit-nobody-has-this-name.{inputs.zone}")
    wildcard = any(answer.addresses or "CNAME" in answer.problem for answer in stray)
    if wildcard and [(a.addresses, a.problem) for a in said] == [(a.addresses, a.problem) for a in stray]:
        return Check(
            "P05", title, "info", f"{fqdn} is covered by a wildcard record", "the A record of its own will take precedence"
        )
    adopt = "set dns_record_adopt: true to let the kit replace it, or choose another name"
    if cname:
        return Check("P05", title, "warn" if inputs.adopt else "error", f"{fqdn} {cname}", f"remove the CNAME, or {adopt}")
    there = sorted({address for answer in said for address in answer.addresses})
    if not there:
        return Check("P05", title, "ok", f"no record at {fqdn}")
    if there == [inputs.address]:
        return Check("P05", title, "ok", f"{fqdn} is {inputs.address} already")
    seen = f"{fqdn} is {', '.join(there)}"
    return Check("P05", title, "warn", seen, f"a record that the kit made is changed; for any other {adopt}")


def no_ipv6(fqdn: str, servers: Sequence[Server]) -> Check:
    """P08: no AAAA record, since CAs and browsers try IPv6 first and nothing here forwards it."""
    title = "no IPv6 address leads elsewhere"
    found: set[str] = set()
    for server in servers:
        try:
            answer = authoritative.ask(server, fqdn, "AAAA").answer
        except authoritative.NoReply:
            continue  # P03 reports a silent server.
        found |= {record.to_text() for rrset in answer if rrset.rdtype == dns.rdatatype.AAAA for record in rrset}
    if not found:
        return Check("P08", title, "ok", f"no AAAA record at {fqdn}")
    return Check(
        "P08",
        title,
        "error",
        f"{fqdn} AAAA {', '.join(sorted(found))}",
        "remove the AAAA record (or switch the provider's proxy off)",
    )


def time_to_live(said: Sequence[Answer], ttl: int) -> Check:
    """P13: the TTL the guide asks for; after a change resolvers keep the old record as long as its TTL was."""
    title = f"the TTL is {ttl}"
    seen = sorted({answer.ttl for answer in said if answer.ttl is not None})
    if not seen or seen == [ttl]:
        return Check("P13", title, "ok", f"TTL {seen[0]}" if seen else "no A record yet")
    return Check(
        "P13",
        title,
        "warn",
        f"TTL {', '.join(map(str, seen))}",
        f"after a change allow {max(seen)} seconds until everybody sees it",
    )


def caa(fqdn: str, resolver: str, identities: Iterable[str]) -> Check:
    """P07: no CAA record forbids the CA (RFC 8659: the closest set at or above the name counts; RFC 8657: parameters).

    The climb ends at the registered domain; no public suffix has CAA records.
    """
    title = "the CA may issue for the name"
    suffix = PublicSuffixList(only_icann=True).publicsuffix(fqdn)
    labels = fqdn.removesuffix("." + (suffix or "")).split(".")
    try:
        for owner in (".".join([*labels[i:], suffix or ""]) for i in range(len(labels))):
            found = authoritative.look_up(owner, "CAA", resolver)
            if found:
                records = [(r.flags, r.tag.decode("ascii").lower(), r.value.decode("utf-8", "replace")) for r in found]
                return _judge_caa(title, owner, records, tuple(identities))
    except KitError as error:
        return Check(
            "P07",
            title,
            "fatal",
            f"{error.what}: {error.seen}",
            "a CA refuses while it cannot look up CAA records; mend the zone",
        )
    return Check("P07", title, "ok", "no CAA record, any CA may")


def _judge_caa(title: str, owner: str, records: list[tuple[int, str, str]], identities: tuple[str, ...]) -> Check:
    seen = f"{owner}: " + "; ".join(f'{flags} {tag} "{value}"' for flags, tag, value in sorted(records))
    reason, bound = caa_verdict(records, identities)
    if reason:
        return Check("P07", title, "fatal", f"{seen} ({reason})", f'add the record `{owner} CAA 0 issue "{identities[0]}"`')
    if bound:
        return Check("P07", title, "warn", seen, "the record allows one ACME account only; see that certbot uses it")
    return Check("P07", title, "ok", seen)


def caa_verdict(records: Iterable[tuple[int, str, str]], identities: Iterable[str]) -> tuple[str, bool]:
    """Why this CAA set ``(flags, tag, value)`` forbids issuing by HTTP-01, or an empty text; and whether it names an account."""
    records = list(records)
    known = {"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"}
    strange = [tag for flags, tag, _ in records if flags & 128 and tag not in known]
    if strange:
        return f"a critical property {strange[0]!r} that CAs do not know", False
    issue = [_caa_value(value) for _, tag, value in records if tag == "issue"]
    if not issue:
        return "", False
    ours = [parameters for domain, parameters in issue if domain in {i.lower() for i in identities}]
    if not ours:
        return "another CA is named", False
    by_http = [p for p in ours if "validationmethods" not in p or "http-01" in p["validationmethods"].split(",")]
    if not by_http:
        return "the HTTP-01 challenge is not among the allowed methods", False
    return "", all("accounturi" in p for p in by_http)


def _caa_value(value: str) -> tuple[str, dict[str, str]]:
    domain, *rest = (part.strip() for part in value.split(";"))
    parameters = {key.strip().lower(): val.strip() for key, _, val in (part.partition("=") for part in rest) if key.strip()}
    return domain.lower(), parameters


def ca_directory(url: str, ca_file: str = "") -> tuple[Check, Check, tuple[str, ...]]:
    """P21 and P20: the ACME directory answers, and its clock agrees with ours; and the CA's names for CAA."""
    title = "the CA can be reached"
    before = time.time()
    try:
        answer = requests.get(url, timeout=ACME_TIMEOUT_S, verify=ca_file or True, headers={"Accept": "application/json"})
    except (requests.RequestException, OSError) as error:
        return _ca_unreachable(title, url, error), _no_clock(), (CA_IDENTITY,)
    clock = clock_skew(answer.headers.get("Date", ""), (before + time.time()) / 2)
    try:
        directory = answer.json() if answer.ok else None
    except requests.JSONDecodeError:
        directory = None
    if not isinstance(directory, dict) or "newOrder" not in directory:
        seen = f"{url} answers HTTP {answer.status_code}, which is no ACME directory"
        return Check("P21", title, "fatal", seen, "check acme_directory"), clock, (CA_IDENTITY,)
    meta = directory.get("meta") or {}
    offers = [word for word, there in (("renewalInfo", "renewalInfo" in directory), ("profiles", "profiles" in meta)) if there]
    seen = url + (f" ({', '.join(offers)})" if offers else "")
    identities = tuple(str(i) for i in meta.get("caaIdentities") or ()) or (CA_IDENTITY,)
    return Check("P21", title, "ok", seen), clock, identities


def _ca_unreachable(title: str, url: str, error: Exception) -> Check:
    proxies = [name for name in ("HTTPS_PROXY", "https_proxy") if os.environ.get(name)]
    through = f" (through the proxy in {proxies[0]})" if proxies else ""
    if isinstance(error, requests.exceptions.SSLError):
        remedy = "name the file with the CA server's own root (acme_ca_file), or mend this machine's clock and CA certificates"
    elif not isinstance(error, requests.RequestException):
        remedy = "name an existing file with the CA server's root (acme_ca_file)"
    else:
        remedy = f"let this machine out to {urlsplit(url).hostname} on TCP port {urlsplit(url).port or 443}"
    return Check("P21", title, "fatal", f"{error}{through}", remedy)


def clock_skew(date_header: str, local: float) -> Check:
    """P20: the local time in seconds since 1970 against an HTTP ``Date``."""
    try:
        remote = email.utils.parsedate_to_datetime(date_header).timestamp()
    except ValueError:
        return _no_clock()
    skew = local - remote
    seen = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the CA's clock"
    remedy = "switch on time synchronisation (systemd-timesyncd or chrony)"
    if abs(skew) > SKEW_FATAL_S:
        return Check("P20", _P20, "fatal", seen, remedy)
    return Check("P20", _P20, "warn", seen, remedy) if abs(skew) > SKEW_WARN_S else Check("P20", _P20, "ok", seen)


_P20 = "the clock is right"


def _no_clock() -> Check:
    return Check("P20", _P20, "info", "the CA tells no time to compare with", "compare the clock by hand")


@dataclass(frozen=True)
class Tick:
    """One line of the Summary Checklist: done or not, what that rests on, and who does what when it isn't."""

    id: str
    title: str
    done: bool
    seen: str
    who: str = ""
    remedy: str = ""


def checklist(
    *, migrated_from_desktop: bool | None, vendor_contacted: bool | None, results: Mapping[str, Mapping[str, Any]]
) -> list[Tick]:
    """The guide's four ticks. A person answers two (``None``: nobody did yet); the others rest on the steps' last results.

    ``results`` are the site's steps as :func:`qbo_sync.edge.state.read` gives them.
    """
    return [
        _asked(
            "desktop",
            "QuickBooks Desktop is migrated to QuickBooks Online",
            migrated_from_desktop,
            who="the company and its QuickBooks advisor",
            remedy="finish the migration; then set preflight_checklist.migrated_from_desktop: true",
        ),
        _asked(
            "vendor",
            "Miracle Service knows and will change the accounting connection",
            vendor_contacted,
            who="the company",
            remedy="ask the Miracle Service account representative for Technical Support's service; then set "
            "preflight_checklist.vendor_contacted: true",
        ),
        _proved("https", "The secure HTTPS sub-domain is there", results, "verify", "run prerequisites.yml, then verify.yml"),
        _proved("ports", "Ports 80 and 443 are forwarded", results, "port_forward", "run prerequisites.yml"),
    ]


def _asked(id: str, title: str, answer: bool | None, *, who: str, remedy: str) -> Tick:
    if answer:
        return Tick(id, title, True, "said by a person")
    return Tick(id, title, False, "said not to be done" if answer is False else "nobody has said so yet", who, remedy)


def _proved(id: str, title: str, results: Mapping[str, Mapping[str, Any]], step: str, remedy: str) -> Tick:
    result = results.get(step)
    if result is None:
        return Tick(id, title, False, f"the step {step} has not run", "an IT professional", remedy)
    at = f"{step}: {result.get('state')}" + (f", {result['at']}" if "at" in result else "")
    if result.get("state") == "done":
        return Tick(id, title, True, at)
    who = (result.get("waiting_for") or {}).get("who", "an IT professional")
    return Tick(id, title, False, at, who, result.get("next") or remedy)
