"""What a CA's refusal means for a site, in words: the problem types of RFC 8555 section 6.7, and certbot's own troubles."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime


@dataclass(frozen=True)
class Kind:
    """One sort of problem.

    ``elsewhere``: another CA may well issue. ``passing``: it usually goes away by itself.
    ``counts``: the CA counts it as a failed validation.
    """

    meaning: str
    remedy: str
    elsewhere: bool = False
    passing: bool = False
    counts: bool = False


@dataclass(frozen=True)
class Problem:
    """One failure: ``type`` is the ACME problem type or one of ours, ``seen`` the other side's own words.

    ``until`` is the moment (seconds since 1970 UTC) before which the CA does not want to be asked again; 0 when it named none.
    """

    type: str
    meaning: str
    seen: str
    next: str
    elsewhere: bool = False
    passing: bool = False
    counts: bool = False
    until: float = 0.0

    def __str__(self) -> str:
        head = self.meaning if self.type in OURS else f"{self.meaning} (ACME problem {self.type})"
        return f"{head}.\n  seen: {self.seen}\n  next: {self.next}"


# Kinds that are not the CA's words but ours.
OURS = ("local", "budget", "disk", "plugin", "unreachable", "unknown")

KINDS = {
    "connection": Kind(
        "the CA could not reach port 80 of this address from the internet",
        "check that the router forwards port 80 to the edge host, that the A record holds the site's external address, that no "
        "firewall stands in the way, and that the line is not behind the provider's own NAT",
        counts=True,
    ),
    "dns": Kind(
        "the CA could not look the name up",
        "check the A record at the DNS provider, a stray AAAA record, and DNSSEC; then wait out the old record's TTL",
        counts=True,
    ),
    "unauthorized": Kind(
        "something answered the CA, but not this host",
        "check that the A record and the forward of port 80 lead to the edge host, not to the router's own page or the Windows "
        "server; delete an AAAA record that leads elsewhere; with a challenge over DNS, see that every name server of the zone "
        "shows the TXT record",
        counts=True,
    ),
    "tls": Kind(
        "the CA followed a redirect to https and found no TLS it could speak there",
        "see what answers on port 80 and sends the CA on to https (another web server, the router's own page): it has to answer "
        "the challenge path itself, without a redirect; the A record and the forward of port 80 must lead to the edge host",
        counts=True,
    ),
    "incorrectResponse": Kind(
        "the CA found an answer, but not this order's answer",
        "see that no other program answers challenges for this name (a second certbot, win-acme on the Windows server, a cache), "
        "and that port 80 leads to the edge host; with a challenge over DNS, delete old TXT records below _acme-challenge and "
        "see that every name server shows the new one",
        counts=True,
    ),
    "caa": Kind(
        "a CAA record forbids this CA to issue for the name",
        "add the CA to the zone's CAA records, or remove them",
        elsewhere=True,
        counts=True,
    ),
    "rateLimited": Kind(
        "the CA's limit for this name or account is used up",
        "wait until the time in the CA's answer; repeating before then only makes it longer",
        elsewhere=True,
    ),
    "rejectedIdentifier": Kind(
        "the CA does not issue for this name at all",
        "check the spelling of the name; a name under .local or of a blocked list can have no public certificate",
        elsewhere=True,
    ),
    "accountDoesNotExist": Kind(
        "the CA no longer knows the account kept on this host",
        "move /etc/letsencrypt/accounts aside, then run this again: a new account is made",
        elsewhere=True,
    ),
    "externalAccountRequired": Kind(
        "the CA wants an account that was made on its web page first",
        "set eab_kid and eab_hmac_key_file of this CA to what its page shows",
        elsewhere=True,
    ),
    "badNonce": Kind("the CA refused the request's one-time number", "nothing: it is tried again by itself", True, passing=True),
    "serverInternal": Kind(
        "the CA has a fault of its own", "look at the CA's status page; it is tried again by itself", True, passing=True
    ),
    "unreachable": Kind(
        "the CA's directory could not be read from this host",
        "check the address in certificate_acme_directory, that the host reaches it (port 443, the clock, a proxy), and for a "
        "private CA the file in certificate_acme_ca_file",
        elsewhere=True,
        passing=True,
    ),
    "local": Kind(
        "nginx on the host does not serve the challenge folder, so the CA was not asked",
        "run the role reverse_proxy with the same webroot first, and see that nginx runs",
    ),
    "budget": Kind(
        "the CA was not asked: one attempt more could lock the name out",
        "mend the cause of the earlier failures; it is tried again by itself",
    ),
    "disk": Kind(
        "the host's disk is full, so nothing could be written",
        "make room on the host (df -h; journalctl --vacuum-size=100M), then run qbo-kit-certificate renew --now",
    ),
    "plugin": Kind(
        "the DNS provider refused the record that the challenge needs",
        "check the token or key of certificate_dns and its rights for the zone, then run qbo-kit-certificate renew --now",
    ),
    "validation": Kind(
        "the name did not pass the CA's check, for a reason that this kit has no words for",
        "do what the CA's own words say (more of them at the end of /var/log/letsencrypt/letsencrypt.log on the host) before the "
        "next try: the CA counts each failure",
        counts=True,
    ),
    "unknown": Kind(
        "the CA, or certbot, refused",
        "read /var/log/letsencrypt/letsencrypt.log on the host; its last lines say more",
        elsewhere=True,
        passing=True,
    ),
}

# certbot prints it of failed challenges only.
_LISTED = re.compile(r"^\s*Type:\s*(?:\S+:)?(?P<type>\w+)", re.MULTILINE)
_NAMED = re.compile(r"urn:ietf:params:acme:error:(?P<type>\w+)")
_DETAIL = re.compile(
    r"^(?:\s*Detail:\s*|acme\.messages\.Error: |Failed to renew certificate \S+ with error: )(?P<detail>.+)$", re.MULTILINE
)
_RETRY = re.compile(r"retry after (?P<day>\d{4}-\d\d-\d\d)[ T](?P<time>\d\d:\d\d:\d\d)", re.IGNORECASE)
_SIGNS = (
    ("serverInternal", re.compile(r"<Response \[5\d\d\]>")),
    ("disk", re.compile(r"No space left on device|Errno 28|Disk quota exceeded")),
    ("plugin", re.compile(r"PluginError|Cloudflare API|zone_id|Received response from server: |DNS server", re.IGNORECASE)),
    (
        "unreachable",
        re.compile(r"requests\.exceptions|Max retries exceeded|An unexpected error occurred:.*(Connection|SSL)", re.DOTALL),
    ),
)


def explain(output: str) -> Problem:
    """What certbot's output about a failure comes to. Any text is understood somehow."""
    listed = _LISTED.search(output)
    kind = listed["type"] if listed else _kind_of(output)
    detail = _DETAIL.search(output)
    lines = [line.strip() for line in output.splitlines() if line.strip() and "Saving debug log" not in line]
    seen = detail["detail"].strip() if detail else " ".join(lines[:4])
    until = _until(output) if kind == "rateLimited" else 0.0
    if listed:  # a challenge that failed: the CA counts it, whatever it calls it
        return replace(of(kind, seen or "nothing", until=until, otherwise="validation"), counts=True)
    return of(kind, seen or "nothing", until=until)


def of(kind: str, seen: str, *, until: float = 0.0, otherwise: str = "unknown") -> Problem:
    """A problem of this kind; one that nobody knows is taken for ``otherwise`` and keeps its name."""
    known = KINDS.get(kind, KINDS[otherwise])
    return Problem(kind, known.meaning, seen, known.remedy, known.elsewhere, known.passing, known.counts, until)


def _kind_of(output: str) -> str:
    if named := _NAMED.search(output):
        return named["type"]
    return next((kind for kind, pattern in _SIGNS if pattern.search(output)), "unknown")


def _until(output: str) -> float:
    """The moment after "retry after", which Let's Encrypt writes in UTC; 0 when there is none or it is no date."""
    found = _RETRY.search(output)
    if not found:
        return 0.0
    try:
        return datetime.fromisoformat(f"{found['day']}T{found['time']}").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
