"""P07: CAA."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from publicsuffixlist import PublicSuffixList

from qbo_sync.edge import authoritative
from qbo_sync.edge.preflight.model import Check, check
from qbo_sync.errors import KitError

ANOTHER = "another CA is named"


def caa(fqdn: str, resolver: str, identities: Iterable[str], *, method: str = "http-01", accounts: Collection[str] = ()) -> Check:
    """P07: no CAA record forbids the CA (RFC 8659: the closest set at or above the name counts; RFC 8657: parameters).

    The climb ends at the registered domain; no public suffix has CAA records. The resolver follows a CNAME, as the CA does.
    ``identities`` are the CA's own names, empty when they are not known.
    ``accounts`` are the addresses of our own ACME accounts; a staging account has another one than that of the real CA.
    """
    suffix = PublicSuffixList(only_icann=True).publicsuffix(fqdn) or ""
    labels = fqdn.removesuffix("." + suffix).split(".")
    try:
        for owner in (".".join([*labels[i:], suffix]) for i in range(len(labels))):
            found = authoritative.look_up(owner, "CAA", resolver)
            if found:
                records = [(r.flags, r.tag.decode("ascii").lower(), r.value.decode("utf-8", "replace")) for r in found]
                return _judged(owner, records, tuple(identities), method, accounts)
    except KitError as error:
        remedy = "a CA refuses while it cannot look up CAA records; mend the zone"
        return check("P07", "fatal", f"{error.what}: {error.seen}", remedy)
    return check("P07", "ok", "no CAA record, any CA may")


def _judged(
    owner: str, records: list[tuple[int, str, str]], identities: tuple[str, ...], method: str, accounts: Collection[str]
) -> Check:
    seen = f"{owner}: " + "; ".join(f'{flags} {tag} "{value}"' for flags, tag, value in sorted(records))
    reason, bound = caa_verdict(records, identities, method)
    if reason == ANOTHER and not identities:
        return check("P07", "warn", seen, "the CA does not tell its name for CAA; see on its pages that one of these is it")
    if reason and not identities:
        return check("P07", "fatal", f"{seen} ({reason})", "add the CA with the name that its pages give, or remove the record")
    if reason:
        return check("P07", "fatal", f"{seen} ({reason})", f'add the record `{owner} CAA 0 issue "{identities[0]}"`')
    if not bound or bound & set(accounts):
        return check("P07", "ok", seen)
    if not accounts:
        return check("P07", "warn", seen, "the record allows one ACME account only; see that certbot uses it")
    remedy = f"put the account of this edge host into the record: accounturi={sorted(accounts)[0]}"
    return check("P07", "fatal", f"{seen} (another ACME account)", remedy)


def caa_verdict(
    records: Iterable[tuple[int, str, str]], identities: Iterable[str], method: str = "http-01"
) -> tuple[str, frozenset[str]]:
    """Why this CAA set ``(flags, tag, value)`` forbids issuing, or an empty text; and the accounts it is bound to."""
    records = list(records)
    known = {"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"}
    strange = [tag for flags, tag, _ in records if flags & 128 and tag not in known]
    if strange:
        return f"a critical property {strange[0]!r} that CAs do not know", frozenset()
    issue = [_caa_value(value) for _, tag, value in records if tag == "issue"]
    if not issue:
        return "", frozenset()
    if not any(domain for domain, _ in issue):
        return "no CA may", frozenset()
    ours = [parameters for domain, parameters in issue if domain in {i.lower() for i in identities}]
    if not ours:
        return ANOTHER, frozenset()
    fitting = [p for p in ours if "validationmethods" not in p or method in p["validationmethods"].split(",")]
    if not fitting:
        return f"the {method.upper()} challenge is not among the allowed methods", frozenset()
    free = any("accounturi" not in p for p in fitting)
    return "", frozenset() if free else frozenset(p["accounturi"] for p in fitting)


def _caa_value(value: str) -> tuple[str, dict[str, str]]:
    domain, *rest = (part.strip() for part in value.split(";"))
    parameters = {key.strip().lower(): val.strip() for key, _, val in (part.partition("=") for part in rest) if key.strip()}
    return domain.lower(), parameters
