"""Who signed in: OpenID Connect's id_token, the key it is signed with, and what userinfo tells (facts 1.1 and 1.2)."""

from __future__ import annotations

import base64
import json
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SCOPES = frozenset({"openid", "profile", "email", "phone", "address"})
KEY_ID = "lab-intuit-1"
LIFE_S = 3600
# The one person of the lab; invented.
PERSON = "7d1c0f6a-1b52-4e0b-9a57-2f3c5e8b1a90"
TOLD: dict[str, dict[str, Any]] = {
    "email": {"email": "bookkeeper@example.com", "emailVerified": True},
    "profile": {"givenName": "Lab", "familyName": "Bookkeeper"},
    "phone": {"phoneNumber": "+1 5555550100", "phoneNumberVerified": False},
    "address": {
        "address": {
            "streetAddress": "410 Foundry Road",
            "locality": "Port Amber",
            "region": "CA",
            "postalCode": "94011",
            "country": "US",
        }
    },
}


def userinfo(scopes: frozenset[str]) -> dict[str, Any]:
    """What an app with these scopes is told of the person."""
    told: dict[str, Any] = {"sub": PERSON}
    for scope in sorted(scopes & TOLD.keys()):
        told |= TOLD[scope]
    return told


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """Signs id_tokens with a key that is made when first needed and lives as long as the look-alike."""

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> dict[str, Any]:
        """The public key, as the document at ``jwks_uri``."""
        public = self._key.public_key().public_numbers()
        modulus = public.n.to_bytes((public.n.bit_length() + 7) // 8)
        exponent = public.e.to_bytes(3)
        key = {"kty": "RSA", "e": _base64url(exponent), "use": "sig", "kid": KEY_ID, "alg": "RS256", "n": _base64url(modulus)}
        return {"keys": [key]}

    def id_token(self, issuer: str, client_id: str, realm: str, signed_in: float, now: float) -> str:
        """The signed statement of who signed in to which company; times are seconds since the epoch."""
        claims = {
            "sub": PERSON,
            "aud": [client_id],
            "realmid": realm,
            "auth_time": int(signed_in),
            "iss": issuer,
            "exp": int(now) + LIFE_S,
            "iat": int(now),
        }
        parts = ({"kid": KEY_ID, "alg": "RS256"}, claims)
        signed = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
        return f"{signed}.{_base64url(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"
