"""Certificates that were bought: what can be served is put in order, what cannot is refused with the reason."""

from __future__ import annotations

import itertools

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from edge_certified import DAY, NAME, NOW, Certified, certify
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.edge import brought
from qbo_sync.errors import UsageError


def check(roots: Certified, *contents: bytes, password: bytes | None = None, name: str = NAME) -> brought.Brought:
    return brought.check(name, contents, password, roots.pem, NOW)


def test_files_in_any_order_become_one_chain_in_the_right_order(root: Certified, middle: Certified, leaf: Certified) -> None:
    for contents in itertools.permutations([leaf.pem, middle.pem, root.pem, leaf.key_pem]):
        found = check(root, *contents)
        assert found.fullchain == leaf.pem + middle.pem
        assert found.key == leaf.key_pem
    assert check(root, b"".join(contents)).fullchain == leaf.pem + middle.pem
    assert found.days_left(NOW) == 60


@pytest.mark.parametrize("password", [None, b"a password"])
def test_a_pfx_is_taken_as_it_is(root: Certified, middle: Certified, leaf: Certified, password: bytes | None) -> None:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pfx = pkcs12.serialize_key_and_certificates(b"x", leaf.key, leaf.certificate, [middle.certificate], hidden)
    found = check(root, pfx, password=password)
    assert (found.fullchain, found.key) == (leaf.pem + middle.pem, leaf.key_pem)


def test_a_key_with_a_password_is_opened(root: Certified, middle: Certified, leaf: Certified) -> None:
    key = leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
    )
    assert check(root, leaf.pem, middle.pem, key, password=b"pw").key == leaf.key_pem
    with pytest.raises(UsageError, match="cannot be read"):
        check(root, leaf.pem, middle.pem, key, password=b"wrong")


def test_what_cannot_be_served_is_refused_by_name(root: Certified, middle: Certified, leaf: Certified) -> None:
    old = certify(NAME, middle, names=(NAME,), begin=NOW - 90 * DAY, end=NOW - DAY)
    early = certify(NAME, middle, names=(NAME,), begin=NOW + DAY)
    other = certify("www.example.com", middle, names=("www.example.com",))
    client = certify(NAME, middle, names=(NAME,), client=True)
    alone = certify(NAME, names=(NAME,))
    for contents, words in {
        (leaf.pem, middle.pem): "there is no private key",
        (leaf.pem, middle.pem, other.key_pem): "the key belongs to none of the 2 certificates",
        (leaf.pem, leaf.key_pem): "the chain is not complete.*CN=An Intermediate",
        (other.pem, middle.pem, other.key_pem): f"names www.example.com, not {NAME}",
        (old.pem, middle.pem, old.key_pem): "ran out on",
        (early.pem, middle.pem, early.key_pem): "good only from",
        (client.pem, middle.pem, client.key_pem): "not for web servers",
        (alone.pem, alone.key_pem): "nobody who is trusted has signed it",
        (b"\x30\x82nothing", leaf.key_pem): "cannot be read",
    }.items():
        with pytest.raises(UsageError, match=r"nothing was changed[\s\S]*" + words) as refused:
            check(root, *contents)
        assert refused.value.next
        assert b"PRIVATE KEY" not in str(refused.value).encode()


def test_one_that_the_key_was_not_lost_with_is_found_among_several(root: Certified, middle: Certified, leaf: Certified) -> None:
    """Last year's certificate in the same bundle does no harm."""
    last_year = certify(NAME, middle, names=(NAME,), begin=NOW - 400 * DAY, end=NOW - 35 * DAY)
    assert check(root, last_year.pem, leaf.pem, middle.pem, leaf.key_pem).fullchain == leaf.pem + middle.pem


def test_a_wildcard_covers_one_label(root: Certified, middle: Certified) -> None:
    wild = certify("*", middle, names=("*.example.com",))
    contents = (wild.pem, middle.pem, wild.key_pem)
    assert check(root, *contents).issuer == "CN=An Intermediate"
    for name in ("example.com", "a.qbo.example.com"):
        with pytest.raises(UsageError, match="names"):
            check(root, *contents, name=name)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.just(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            st.just(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ),
        max_size=3,
    )
)
def test_whatever_the_files_hold_the_answer_is_a_refusal(contents: list[bytes]) -> None:
    with pytest.raises(UsageError, match="nothing was changed"):
        brought.check(NAME, contents, None, b"", NOW)
