"""P01: the name."""

from __future__ import annotations

import re

from publicsuffixlist import PublicSuffixList

from qbo_sync.edge.preflight.model import Check, check

# Names no public CA certifies and no resolver outside finds (RFC 6761, 6762, 8375, 9476; ICANN's `internal`).
_LOCAL = ("local", "localhost", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa", "test", "invalid", "onion")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def name_syntax(fqdn: str, zone: str) -> Check:
    """P01: a host name that a public CA can certify, below the company's own domain."""
    labels = fqdn.split(".")
    wrong = next((label for label in labels if not _LABEL.fullmatch(label)), None)
    if wrong is not None or len(fqdn) > 253:
        seen = f"{fqdn!r}: the part {wrong!r} is not allowed" if wrong is not None else f"{fqdn}: longer than 253 characters"
        return check("P01", "fatal", seen, "use letters, digits and hyphens, in lower case; other scripts in their xn-- form")
    local = next((suffix for suffix in _LOCAL if fqdn == suffix or fqdn.endswith("." + suffix)), None)
    if local:
        return check("P01", "fatal", f"{fqdn}: .{local} is for local networks", "use a name below the company's public domain")
    registered = PublicSuffixList(accept_unknown=False, only_icann=True).privatesuffix(fqdn)
    if not registered:
        return check("P01", "fatal", f"{fqdn} is not below a registered domain", "use a name such as qbo.mycompany.com")
    if fqdn != zone and not fqdn.endswith("." + zone):
        return check("P01", "fatal", f"{fqdn} is not in the zone {zone}", "mend the name or the zone")
    if zone != registered and not zone.endswith("." + registered):
        return check("P01", "fatal", f"{zone} is nobody's own domain; {registered} is", f"set the zone to {registered}")
    if fqdn == zone:
        return check(
            "P01",
            "warn",
            f"{fqdn} is the domain itself",
            "use a name of its own, so that the company's web site stays as it is",
        )
    return check("P01", "ok", f"{fqdn} in {zone}")
