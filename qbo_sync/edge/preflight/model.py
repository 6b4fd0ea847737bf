"""What a check is, and the catalogue of all of them (``docs/checks.md`` is made from it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from qbo_sync.edge.dns import Provider
from qbo_sync.edge.router import PORTS
from qbo_sync.edge.router.job import Shown

Severity = Literal["fatal", "error", "warn", "info", "ok"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

TTL = 3600


@dataclass(frozen=True)
class Kind:
    """One entry of the catalogue: what is looked at, how, and the worst that can be said of it."""

    title: str
    how: str
    worst: Severity
    remedy: str


CATALOGUE: Mapping[str, Kind] = {
    "P01": Kind(
        "the name can be a public web address",
        "its letters, and the list of public suffixes",
        "fatal",
        "use a name of its own below the company's public domain: `qbo.mycompany.com`",
    ),
    "P02": Kind(
        "the domain is delegated",
        "the name servers that the parent zone gives, against those the zone itself names",
        "fatal",
        "make the registrar's name servers equal to the DNS provider's",
    ),
    "P03": Kind(
        "every name server answers, and the same",
        "each server's SOA over TCP, and its A, AAAA and CAA over UDP",
        "error",
        "mend the server that is named or take it out of the delegation; or wait until the zone has reached it",
    ),
    "P04": Kind(
        "the domain is delegated to this DNS provider",
        "the zone's name servers and status in the provider's account, against the delegation",
        "fatal",
        "set the provider's name servers at the registrar, or name the provider that really has the zone",
    ),
    "P05": Kind(
        "the name is free, or ours",
        "A, CNAME and wildcard at the name, on every name server; whose record it is, by the provider's own word",
        "error",
        "choose another name, or let the kit replace what is there with `dns_record_adopt: true`",
    ),
    "P06": Kind(
        "DNSSEC is whole, where the zone has it",
        "the resolver's answer with and without checking; DS of the parent, keys and signatures of the zone",
        "error",
        "have the DNS provider sign the zone anew, and the registrar's DS record made from the key that is used now, or removed",
    ),
    "P07": Kind(
        "the CA may issue for the name",
        "the closest CAA set, also behind a CNAME: issuer, method and account",
        "fatal",
        "add the CA to the CAA records with the line that is printed",
    ),
    "P08": Kind(
        "no IPv6 address leads elsewhere",
        "AAAA at the name, on every name server",
        "error",
        "remove the AAAA record; a CA tries IPv6 first, and nothing here forwards it",
    ),
    "P09": Kind(
        "the external address is public",
        "the ranges that the internet cannot reach",
        "fatal",
        "give the site's public IPv4 address; where the provider shares one among customers, order one",
    ),
    "P10": Kind(
        "the external address is the router's own",
        "the router's own word on its address towards the internet, or the address that an echo outside has seen",
        "error",
        "set `site_address` to the address that is printed, or name the right router",
    ),
    "P11": Kind(
        "no other router stands before the site's",
        "the router's own address, or the first hops of the way out: carrier-grade NAT and a second private network",
        "fatal",
        "order a public address, take another line, or let a tunnel or a small server outside lead in; "
        "for the certificate alone DNS-01 is enough",
    ),
    "P12": Kind(
        "no proxy stands before the name",
        "the record in the provider's account, and whose addresses the name servers give",
        "error",
        "switch the record's proxy off (grey cloud)",
    ),
    "P13": Kind(
        "the TTL is the guide's",
        "the A record's TTL on every name server",
        "warn",
        "nothing: the kit sets it; until then the world may keep the old record as long as the old TTL says",
    ),
    "P14": Kind(
        "the ports are free for nginx and open, and it answers challenges",
        "who listens on the edge host; ufw, if it is on; a file of a random name, laid where challenges go while it is fetched",
        "fatal",
        "move the other program to another port or machine, or take another edge host",
    ),
    "P15": Kind(
        "a challenge is not sent elsewhere",
        "from outside, redirects followed as Let's Encrypt does: ten at most, ports 80 and 443, names only",
        "error",
        "leave `/.well-known/acme-challenge/` out of every redirect and log-in",
    ),
    "P16": Kind(
        "the router forwards to the edge host",
        "the edge host's address in the local network, and, where the router can be asked, its rules and port_forward's plan",
        "error",
        "the step port_forward makes the rule; somebody else's at the port has to go first, or `port_forward_take_over: true`",
    ),
    "P17": Kind(
        "the secure address works from inside too",
        "from the edge host to the external address, port 443",
        "warn",
        "switch on NAT loopback (hairpin) in the router, or make the name lead to the edge host in the company's own DNS",
    ),
    "P18": Kind(
        "the CA can reach port 80",
        "an order at the CA's staging directory, its challenge answered with nothing: `unauthorized` means that it came through",
        "fatal",
        "forward port 80 to the edge host, and see that no firewall of the provider's is in the way",
    ),
    "P19": Kind(
        "port 443 leads to the edge host from outside",
        "the certificate that the observer is shown, against the one the edge host shows itself",
        "error",
        "forward port 443 to the edge host; a rule that leads to another machine has to be moved",
    ),
    "P20": Kind(
        "the clock is right",
        "the control node's against the CA's, and the edge host's against the control node's: 60 s warns, 300 s stops",
        "fatal",
        "switch on time synchronisation (systemd-timesyncd or chrony)",
    ),
    "P21": Kind(
        "the CA can be reached",
        "the ACME directory itself, through the proxy of the environment if there is one",
        "fatal",
        "let this machine out to the CA's address on port 443",
    ),
    "P22": Kind(
        "the CA's limits leave room",
        "the record of failures and certificates on the edge host; the last one of each limit is never spent",
        "error",
        "mend the cause of the failures first, then wait until the time that is printed",
    ),
    "P23": Kind(
        "a certificate is there already",
        "the names and the end of the one that certbot keeps",
        "info",
        "nothing: a valid one is not asked for again, unless the name is to be proved in another way",
    ),
    "P24": Kind(
        "the DNS provider lets the kit change the zone",
        "the zone and its permissions, with the token",
        "fatal",
        "make a token that may read the zone and edit its DNS records",
    ),
    "P25": Kind(
        "no HSTS of the company's domain forbids plain http yet",
        "Strict-Transport-Security of the domains above the name, and top-level domains that browsers know as https only",
        "warn",
        "nothing to mend: people see the page only once the certificate is there",
    ),
    "H01": Kind("there is room", "free space under /opt and /var on the edge host", "fatal", "make room or enlarge the disk"),
}


@dataclass(frozen=True)
class Check:
    """The result of one check: what was looked at, how bad it is, what was seen, and how to mend it.

    ``mended_by`` names the later step of the kit that sets it right: then it is missing, but no reason to stop before that step.
    """

    id: str
    title: str
    severity: Severity
    seen: str = ""
    remedy: str = ""
    mended_by: str = ""

    @property
    def stops(self) -> bool:
        """Whether the switch must not go on."""
        return self.severity in ("fatal", "error") and not self.mended_by


def check(id: str, severity: Severity, seen: str, remedy: str = "", *, mended_by: str = "", title: str = "") -> Check:
    """A result under its title from the catalogue, or a closer one."""
    return Check(id, title or CATALOGUE[id].title, severity, seen, remedy, mended_by)


@dataclass(frozen=True)
class Inputs:
    """What the checks look at; whatever is empty is left out.

    ``resolver`` is empty for the system's; ``nameservers`` is empty for those of the delegation. ``adopt`` says that a record in
    the way may be replaced, ``site`` is the name in the mark of the site's own records. ``challenge`` is the ACME method that
    will be used, ``ports`` are those that shall lead to the edge host. ``provider`` is the DNS provider's account. ``brought``
    says that the certificate was bought and no ACME CA is asked.
    ``wan_address`` is the router's own address towards the internet, ``forwards`` what it shows; ``unasked`` is why it could not
    be asked, ``ask_next`` what to do about that. ``host`` and ``outside`` are what :mod:`qbo_sync.edge.looks.host` saw on the
    edge host and from the observer. ``staging`` is the CA's directory for rehearsals, ``account_key`` the file that keeps the key
    of the account there. ``limits`` are the CA's, ``failures`` and ``certificates``, where they are not the known ones;
    ``fallbacks`` are the other CAs that certificate may ask: directory and CA file of each.
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
    site: str = ""
    ports: tuple[int, ...] = PORTS
    challenge: str = "http-01"
    brought: bool = False
    provider: Provider | None = None
    wan_address: str = ""
    forwards: Shown | None = None
    unasked: str = ""
    ask_next: str = ""
    host: Mapping[str, Any] = field(default_factory=dict)
    outside: Mapping[str, Any] = field(default_factory=dict)
    staging: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    fallbacks: tuple[tuple[str, str], ...] = ()
    account_key: Path | None = None

    @property
    def over_http(self) -> bool:
        """Whether the CA will ask at port 80."""
        return self.challenge == "http-01" and not self.brought
