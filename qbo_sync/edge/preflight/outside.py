"""P18: whether the CA reaches port 80 of the site, asked of the CA itself.

An order is made at the CA's directory for rehearsals and its challenge is answered although nothing was laid out. Whatever the CA
then says is worth more than any look of ours: ``unauthorized`` means that its question came through and something answered;
every other problem is the one a real order would meet. The trick is letsdebug's. It costs one of 200 failures an hour of the
staging environment, and no certificate.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from acme import challenges, client, errors, messages
from acme.crypto_util import make_csr
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from qbo_sync.edge.preflight.model import Check, Severity, check

PATIENCE_S, INTERVAL_S = 60.0, 0.5
_PREFIX = "urn:ietf:params:acme:error:"


@dataclass(frozen=True)
class Verdict:
    """The CA's problem type, without its prefix, and its own words; ``valid`` when it needed no challenge."""

    problem: str
    detail: str


def reachable(
    fqdn: str, directory: str, ca_file: str = "", account_key: Path | None = None, *, forwarded_later: bool = True
) -> Check:
    """P18 as a check; never raises for what the CA or the network does. ``forwarded_later``: port_forward sees to port 80."""
    try:
        verdict = probe(fqdn, directory, ca_file, account_key)
    except (errors.Error, messages.Error, requests.RequestException, OSError, ValueError) as error:
        return check("P18", "warn", f"the CA's rehearsal could not be asked: {error}", "look at P21; the real order tells")
    return judged(verdict, forwarded_later=forwarded_later)


def judged(verdict: Verdict, *, forwarded_later: bool = True) -> Check:
    """What a verdict means."""
    seen = f"{verdict.problem}: {verdict.detail}" if verdict.detail else verdict.problem
    if verdict.problem in ("unauthorized", "valid"):
        return check("P18", "ok", f"the CA came through ({seen})")
    severity, remedy, mended_by = _MEANING.get(verdict.problem, _UNKNOWN)
    return check("P18", severity, seen, remedy, mended_by=mended_by if forwarded_later else "")


_MEANING: dict[str, tuple[Severity, str, str]] = {
    "connection": (
        "fatal",
        "forward port 80 to the edge host; if it is forwarded, the provider blocks the port or shares the address among its "
        "customers (P11): then a tunnel, another line, or DNS-01",
        "port_forward",
    ),
    "dns": ("fatal", "the CA cannot look the name up: mend the name servers, DNSSEC (P06) or the delegation (P02, P03)", ""),
    "caa": ("fatal", "a CAA record forbids this CA: add it (P07)", ""),
    "rejectedIdentifier": ("fatal", "the CA issues no certificate for this name at all: take another one", ""),
    "rateLimited": ("warn", "the rehearsal's own limit is used up, which says nothing of the site: wait an hour", ""),
}
_UNKNOWN: tuple[Severity, str, str] = ("error", "see what the CA says; its status page tells of troubles of its own", "")


def probe(fqdn: str, directory: str, ca_file: str = "", account_key: Path | None = None) -> Verdict:
    """Make the order, answer its challenge, return what the CA says of it. Raises ``acme``'s and ``requests``' errors."""
    key = JWKEC(key=_account_key(account_key))
    net = client.ClientNetwork(key, alg=ES256, verify_ssl=ca_file or True, user_agent="qbo-kit", timeout=20)  # type: ignore[arg-type]
    try:
        acme = client.ClientV2(client.ClientV2.get_directory(directory, net), net)
        _sign_in(acme)
        order = acme.new_order(make_csr(_pem(ec.generate_private_key(ec.SECP256R1())), [fqdn]))
        return _judge(acme, key, order.authorizations[0])
    except messages.Error as error:
        return Verdict(_short(error.typ), str(error.detail or ""))
    finally:
        net.session.close()


def _sign_in(acme: client.ClientV2) -> None:
    try:
        acme.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
    except errors.ConflictError as known:
        acme.net.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())


def _judge(acme: client.ClientV2, key: JWKEC, authorization: Any) -> Verdict:
    http01 = [one for one in authorization.body.challenges if isinstance(one.chall, challenges.HTTP01)]
    if authorization.body.status == messages.STATUS_VALID or not http01:
        return Verdict("valid", "" if http01 else "the CA asks for no HTTP-01")
    acme.answer_challenge(http01[0], http01[0].response(key))
    deadline = time.monotonic() + PATIENCE_S
    while authorization.body.status == messages.STATUS_PENDING and time.monotonic() < deadline:
        time.sleep(INTERVAL_S)
        authorization, _ = acme.poll(authorization)
    failed = [one.error for one in authorization.body.challenges if one.error is not None]
    if not failed:
        return Verdict("valid" if authorization.body.status == messages.STATUS_VALID else "noVerdict", "")
    return Verdict(_short(failed[0].typ), str(failed[0].detail or ""))


def _short(problem: str | None) -> str:
    return (problem or "unknown").removeprefix(_PREFIX)


def _account_key(path: Path | None) -> ec.EllipticCurvePrivateKey:
    """The key kept in ``path``, made there (0600) when there is none: a CA allows few new accounts for an address."""
    if path is None:
        return ec.generate_private_key(ec.SECP256R1())
    if path.is_file():
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path} holds no EC key")
        return loaded
    key = ec.generate_private_key(ec.SECP256R1())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(_pem(key))
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
