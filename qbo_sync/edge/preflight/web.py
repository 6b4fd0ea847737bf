"""P15, P17, P19, P25: what answers at the address, from the facts that :mod:`~qbo_sync.edge.looks.host` saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from qbo_sync.edge.preflight.machine import valid_certificate
from qbo_sync.edge.preflight.model import Check, Inputs, check
from qbo_sync.edge.router import PORTS

# What the built-in web pages of routers call themselves (letsdebug's list): then the port is not forwarded at all.
ROUTER_PAGES = ("micro_httpd", "cisco-ios", "lancom", "zte mini web", "rompager", "mini_httpd", "goahead")
# Top-level domains that browsers know as https only (hstspreload.org).
HTTPS_ONLY = frozenset(
    (
        "app",
        "bank",
        "boo",
        "channel",
        "dad",
        "day",
        "dev",
        "esq",
        "foo",
        "ing",
        "insurance",
        "meme",
        "mov",
        "new",
        "nexus",
        "page",
        "phd",
        "prof",
        "rsvp",
        "zip",
    )
)


def checks(inputs: Inputs) -> Iterator[Check]:
    """What can be told from the facts that are there."""
    serves = inputs.host.get("ports", {}).get("443") == ["nginx"]
    if inputs.outside:
        if inputs.over_http:
            yield no_detour(inputs.fqdn, inputs.outside["http"], reached=serves, forwarded_later=80 in inputs.ports)
        yield leads_here(inputs.outside, inputs.host.get("shown", {}), inputs.ports)
        yield hsts(inputs.fqdn, inputs.outside["hsts"], covered=valid_certificate(inputs.host, inputs.fqdn))
    if serves:
        yield hairpin(inputs.host["hairpin"], inputs.host["shown"])


def no_detour(fqdn: str, seen: Mapping[str, Any], *, reached: bool, forwarded_later: bool = True) -> Check:
    """P15: a challenge's address ends at this name, on port 80 or 443. ``forwarded_later`` is whether port_forward sees to 80."""
    trail = [f"{step['url']} ({step['status']})" for step in seen["trail"]]
    if not trail:
        told = f"nothing answers on port 80 yet ({seen['problem']})"
        if not reached:
            return check("P15", "ok", told)
        return check("P15", "error", told, "see P16 and P18", mended_by="port_forward" if forwarded_later else "")
    if len(trail) == 1 and not seen["problem"]:
        return check("P15", "ok", "it is answered without a redirect")
    later = "port_forward" if forwarded_later and not reached else ""
    remedy = "leave /.well-known/acme-challenge/ out of that redirect, on the machine that answers port 80 now"
    told = " -> ".join([*trail, seen["problem"]] if seen["problem"] else trail)
    last = urlsplit(seen["trail"][-1]["url"])
    if seen["problem"]:
        return check("P15", "error", told, remedy, mended_by=later)
    if last.hostname != fqdn:
        return check("P15", "error", f"{told}: another host", remedy, mended_by=later)
    if seen["trail"][-1]["status"] in (401, 403):
        return check("P15", "error", f"{told}: a log-in", remedy, mended_by=later)
    return check("P15", "info", told, "the CA follows that; a challenge without redirects is safer")


def leads_here(outside: Mapping[str, Any], shown: Mapping[str, Any], ports: Sequence[int] = PORTS) -> Check:
    """P19: who answers on port 443, and on 80 where that is wanted, is the edge host's nginx."""
    tls, trail = outside["tls"], outside["http"]["trail"]
    server = trail[0]["server"] if trail else ""
    if 80 in ports and any(page in server.lower() for page in ROUTER_PAGES):
        told = f"the router's own page answers on port 80 ({server})"
        remedy = "port 80 is not forwarded, or the router's remote access from the internet is on: switch that off"
        return check("P19", "error", told, remedy, mended_by="port_forward")
    if not shown.get("sha256"):
        if tls.get("sha256"):
            told = "another machine answers on port 443 already" + (f" ({server})" if server else "")
            return check("P19", "error", told, "its forward has to be moved to the edge host", mended_by="port_forward")
        return check("P19", "ok", "nothing answers yet, as it should")
    if tls.get("sha256") == shown["sha256"]:
        return check("P19", "ok", "the edge host's certificate is shown")
    told = f"nothing is shown: {tls['problem']}" if "problem" in tls else "another certificate is shown than the edge host's"
    return check("P19", "error", told, "forward port 443 to the edge host; look at P16", mended_by="port_forward")


def hairpin(back: Mapping[str, Any], shown: Mapping[str, Any]) -> Check:
    """P17: the way from inside to the external address and back. What fails here says nothing about the outside."""
    if back.get("sha256") and back["sha256"] == shown.get("sha256"):
        return check("P17", "ok", "the external address answers inside too")
    told = f"the external address does not answer inside: {back.get('problem', 'another certificate is shown')}"
    remedy = "switch on NAT loopback (hairpin) in the router, or let the company's own DNS give the edge host's local address"
    return check("P17", "warn", told, f"{remedy}. From outside it may work all the same")


def hsts(fqdn: str, sent: Mapping[str, str], *, covered: bool) -> Check:
    """P25: browsers that have seen the company's domain may refuse the name until it has a certificate."""
    strict = [f"{domain}: {header}" for domain, header in sent.items() if "includesubdomains" in header.lower()]
    if fqdn.rpartition(".")[2] in HTTPS_ONLY:
        strict.append(f"browsers know .{fqdn.rpartition('.')[2]} as https only")
    if not strict:
        return check("P25", "ok", "none that covers the name")
    if covered:
        return check("P25", "info", "; ".join(strict), "the certificate is there; it must not lapse")
    remedy = "nothing to mend, but nobody sees the page before the certificate is there, and there is no way back to plain http"
    return check("P25", "warn", "; ".join(strict), remedy)
