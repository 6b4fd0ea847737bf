"""P20, P21, P22: the CA, its clock, and what its limits leave."""

from __future__ import annotations

import email.utils
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import requests

from qbo_sync.edge import budget
from qbo_sync.edge.preflight.model import Check, check

ACME_TIMEOUT_S = 15
SKEW_WARN_S, SKEW_FATAL_S = 60, 300
LETS_ENCRYPT = "letsencrypt.org"


def identities_of(url: str) -> tuple[str, ...]:
    """The CA's name in CAA records when its directory doesn't tell (RFC 8555 ``caaIdentities``); known of Let's Encrypt only."""
    return (LETS_ENCRYPT,) if f".{urlsplit(url).hostname}".endswith(f".{LETS_ENCRYPT}") else ()


def directory(url: str, ca_file: str = "") -> tuple[Check, Check, tuple[str, ...]]:
    """P21 and P20: the ACME directory answers, and its clock agrees with ours; and the CA's names for CAA, empty when unknown."""
    before = time.time()
    try:
        answer = requests.get(url, timeout=ACME_TIMEOUT_S, verify=ca_file or True, headers={"Accept": "application/json"})
    except (requests.RequestException, OSError) as error:
        return _ca_unreachable(url, error), _no_clock(), identities_of(url)
    clock = clock_skew(answer.headers.get("Date", ""), (before + time.time()) / 2)
    try:
        offered = answer.json() if answer.ok else None
    except requests.JSONDecodeError:
        offered = None
    if not isinstance(offered, dict) or "newOrder" not in offered:
        seen = f"{url} answers HTTP {answer.status_code}, which is no ACME directory"
        return check("P21", "fatal", seen, "check acme_directory"), clock, identities_of(url)
    meta = offered.get("meta") or {}
    offers = [word for word, there in (("renewalInfo", "renewalInfo" in offered), ("profiles", "profiles" in meta)) if there]
    seen = url + (f" ({', '.join(offers)})" if offers else "")
    identities = tuple(str(i) for i in meta.get("caaIdentities") or ()) or identities_of(url)
    return check("P21", "ok", seen), clock, identities


def _ca_unreachable(url: str, error: Exception) -> Check:
    proxies = [name for name in ("HTTPS_PROXY", "https_proxy") if os.environ.get(name)]
    through = f" (through the proxy in {proxies[0]})" if proxies else ""
    if isinstance(error, requests.exceptions.SSLError):
        remedy = "name the file with the CA server's own root (acme_ca_file), or mend this machine's clock and CA certificates"
    elif not isinstance(error, requests.RequestException):
        remedy = "name an existing file with the CA server's root (acme_ca_file)"
    else:
        remedy = f"let this machine out to {urlsplit(url).hostname} on TCP port {urlsplit(url).port or 443}"
    return check("P21", "fatal", f"{error}{through}", remedy)


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
        return check("P20", "fatal", seen, remedy)
    return check("P20", "warn", seen, remedy) if abs(skew) > SKEW_WARN_S else check("P20", "ok", seen)


def _no_clock() -> Check:
    return check("P20", "info", "the CA tells no time to compare with", "compare the clock by hand")


def limits(
    record: str,
    url: str,
    fqdn: str,
    now: float | None = None,
    *,
    given: Mapping[str, int] | None = None,
    others: Sequence[str] = (),
) -> Check:
    """P22: what the edge host's own record of failures and certificates leaves of the CA's limits.

    ``given`` are the site's own limits; ``others`` the CAs that are asked when the first one may not be.
    """
    now = time.time() if now is None else now
    try:
        kept = budget.parse(record)
        left, *further = (
            budget.left(kept, one, [fqdn], now=now, limits=replace(budget.limits_of(one), **(given or {})))
            for one in (url, *others)
        )
    except ValueError as error:
        remedy = f"move {budget.PATH} on the edge host away; the CA still counts, so wait an hour before the next order"
        return check("P22", "warn", f"the record cannot be read: {error}", remedy)
    seen = f"{left.failures} more failures this hour, {left.certificates} more certificates this week"
    if left.allowed:
        return check("P22", "ok", seen)
    # Failed validations are the site's: every CA would meet them.
    if "failed validations" not in left.reason and any(one.allowed for one in further):
        return check("P22", "warn", left.reason, "nothing: certificate_fallbacks has another CA asked meanwhile")
    again = datetime.fromtimestamp(left.again_at, UTC).isoformat(timespec="minutes")
    return check("P22", "error", left.reason, f"mend the cause, then run this again after {again}; the last try is kept for then")
