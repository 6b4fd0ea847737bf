"""An order, and only one that has a chance: rehearsed at first, within the budget, from the CAs in their order."""

from __future__ import annotations

import http.client
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from qbo_sync.edge import budget
from qbo_sync.edge.certificate import certbot, problems, stable
from qbo_sync.edge.certificate.settings import Authority, Settings

# So often the first CA may fail before another one is taken, while the certificate is still good.
PATIENCE = 3
# What a rehearsal tells of the CA itself: it would not issue for this name. Whatever else is not the site's fault is a trouble of
# the rehearsal alone.
WILL_NOT = ("caa", "rejectedIdentifier")


@dataclass(frozen=True)
class Outcome:
    """What came of it: ``directory`` is the CA that issued or refused; ``problem`` is None when all is well.

    ``asked``: whether a CA was asked for anything but the time of renewal.
    """

    asked: bool
    directory: str = ""
    problem: problems.Problem | None = None


def obtain(settings: Settings, *, force: bool = False, earlier: int = 0) -> Outcome:
    """Order from the first CA; from the next one where the cause is the CA and not the site.

    Without ``force`` certbot decides whether it is due; ``asked`` is false when it is not. A first certificate is rehearsed, if
    the rehearsal can be held: a CA's staging that is down keeps nobody from a certificate.
    ``earlier``: failures in a row before this one. While a valid certificate is kept, another CA is taken only from the third.
    """
    if settings.challenge.kind == "http" and (wrong := probe(settings.name, Path(settings.challenge.webroot))):
        return Outcome(True, "", problems.of("local", wrong))
    kept = valid(settings)
    refusals: list[problems.Problem] = []
    authorities = settings.authorities
    if settings.rehearsal and not kept and (refusal := _one(settings, settings.rehearsal, rehearse=True)):
        if refusal.type in WILL_NOT:
            refusals, authorities = [refusal], authorities[1:]
        if not refusal.elsewhere or not authorities:
            return Outcome(True, settings.rehearsal.directory, refusal)
    for authority in authorities:
        before = stable.laid(settings.lineage)
        refusal = _one(settings, authority, force=force)
        if not refusal:
            return Outcome(before != stable.laid(settings.lineage), authority.directory)
        if refusal.type == "budget" and not force and kept and time.time() < kept.due_at:
            return Outcome(False)  # nothing is due, so nothing has to be asked for
        refusals.append(refusal)
        if not refusal.elsewhere or (kept and earlier < PATIENCE - 1):
            break
    return Outcome(True, settings.authorities[0].directory, _together(refusals))


def _together(refusals: list[problems.Problem]) -> problems.Problem:
    """One problem out of those of several CAs: the first one's, with the words of all."""
    first, *others = refusals
    if not others:
        return first
    return replace(
        first,
        seen="; the other CA: ".join(one.seen for one in refusals),
        elsewhere=all(one.elsewhere for one in refusals),
        passing=all(one.passing for one in refusals),
        until=min(one.until for one in refusals),
    )


def valid(settings: Settings) -> stable.Certificate | None:
    """The certificate that is kept, if it names the address and has not run out."""
    der = stable.laid(settings.lineage)
    try:
        found = stable.describe(der) if der else None
    except ValueError:
        return None
    return found if found and settings.name in found.names and found.not_after > time.time() else None


def _one(settings: Settings, authority: Authority, *, rehearse: bool = False, force: bool = False) -> problems.Problem | None:
    """One CA, if the budget has something left for it; the record is kept. What went wrong, or nothing."""
    names, path = [settings.name], settings.budget_file
    limits = budget.Limits(*settings.limits) if settings.limits else None
    left = budget.left(_record(path), authority.directory, names, now=time.time(), limits=limits)
    if not left.allowed:
        return _spent(left)
    before = stable.laid(settings.lineage)
    refusal = certbot.run(settings, authority, rehearse=rehearse, force=force)
    if refusal is None:
        if stable.laid(settings.lineage) != before:
            budget.issued(authority.directory, names, path=path)
        return None
    if refusal.counts:
        budget.failed(authority.directory, settings.name, refusal.type, path=path)
    if refusal.until:
        budget.refused(authority.directory, refusal.until, path=path)
    return refusal


def _record(path: Path) -> budget.Record:
    """The budget's record. A damaged one must not stop a renewal: it is moved aside and counting begins anew."""
    try:
        return budget.read(path)
    except ValueError:
        path.replace(path.with_suffix(".damaged"))
        return budget.read(path)


def _spent(left: budget.Left) -> problems.Problem:
    """The budget's refusal. Failed validations are the site's: every CA would meet them."""
    again = datetime.fromtimestamp(left.again_at, UTC).isoformat(timespec="minutes")
    refusal = problems.of("budget", f"{left.reason}; free again at {again}", until=left.again_at)
    if "failed validations" in left.reason:
        return refusal
    return replace(refusal, elsewhere=True, next="wait: it is tried again by itself")


def probe(name: str, webroot: Path) -> str:
    """Lay a random file where challenges go and fetch it through nginx; what went wrong, or nothing."""
    folder = webroot / ".well-known" / "acme-challenge"
    token, content = f"qbo-kit-{secrets.token_hex(8)}", secrets.token_hex(16)
    path = folder / token
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="ascii")
        path.chmod(0o644)
        for part in (folder, folder.parent):
            part.chmod(0o755)
        connection.request("GET", f"/.well-known/acme-challenge/{token}", headers={"Host": name})
        answer = connection.getresponse()
        body = answer.read(1000).decode("ascii", "replace")
    except OSError as error:
        return f"no answer on 127.0.0.1 port 80: {error}"
    finally:
        connection.close()
        path.unlink(missing_ok=True)
    return "" if (answer.status, body) == (200, content) else f"status {answer.status} instead of the file"
