"""What certbot prints about a failure, told in plain words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.edge.certificate import problems

LISTED = """Some challenges have failed.
Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Identifier: qbo.example.com
  Type:   {type}
  Detail: {detail}
"""


@pytest.mark.parametrize(
    ("type_", "detail", "meaning"),
    [
        ("connection", "Fetching http://x: Timeout during connect", "could not reach port 80"),
        ("dns", "DNS problem: NXDOMAIN looking up A", "could not look the name up"),
        ("unauthorized", "Invalid response from http://x: 404", "but not this host"),
        ("tls", "Fetching https://x: remote error: tls: handshake failure", "TLS"),
        ("incorrectResponse", "The key authorization file is not the one expected", "not this order's answer"),
    ],
)
def test_a_failed_challenge_is_the_sites_own_and_counts(type_: str, detail: str, meaning: str) -> None:
    found = problems.explain(LISTED.format(type=type_, detail=detail))
    assert (found.type, found.seen, found.counts, found.elsewhere, found.passing) == (type_, detail, True, False, False)
    assert meaning in found.meaning
    assert f"(ACME problem {type_})" in str(found)


@pytest.mark.parametrize("type_", ["malformed", "userActionRequired", "somethingNew", "urn:ietf:params:acme:error:somethingNew"])
def test_a_failed_challenge_counts_whatever_its_type(type_: str) -> None:
    """certbot prints ``Type:`` of failed challenges only, and the CA counts each of them: a fifth would lock the name out."""
    found = problems.explain(LISTED.format(type=type_, detail="no idea"))
    assert (found.type, found.seen) == (type_.rpartition(":")[2], "no idea")
    assert (found.counts, found.elsewhere, found.passing) == (True, False, False)
    assert "did not pass" in found.meaning


@pytest.mark.parametrize("type_", ["serverInternal", "rateLimited", "badNonce"])
def test_a_failed_challenge_counts_when_the_ca_is_to_blame_too(type_: str) -> None:
    """What else is known of the type stays: another CA may well issue."""
    found = problems.explain(LISTED.format(type=type_, detail="x"))
    assert (found.counts, found.elsewhere) == (True, True)


def test_a_failed_renewal_is_told_by_its_own_line() -> None:
    """certbot says a good deal around it."""
    text = (
        "Processing /etc/letsencrypt/renewal/x.conf\nFailed to renew certificate x with error: "
        "urn:ietf:params:acme:error:rateLimited :: too many, retry after 2027-01-02 03:04:05 UTC\nAll renewals failed.\n"
    )
    found = problems.explain(text)
    assert (found.type, found.seen.partition(" ::")[0]) == ("rateLimited", "urn:ietf:params:acme:error:rateLimited")


def test_another_ca_may_issue_where_a_caa_record_forbids_this_one() -> None:
    found = problems.explain(LISTED.format(type="caa", detail="CAA record prevents issuance"))
    assert (found.elsewhere, found.counts, found.passing) == (True, True, False)


def test_a_limit_is_told_with_the_cas_own_date() -> None:
    text = "An unexpected error occurred:\nurn:ietf:params:acme:error:rateLimited :: retry after 2027-01-02 03:04:05 UTC\n"
    found = problems.explain(text)
    assert (found.type, found.elsewhere, found.passing) == ("rateLimited", True, False)
    assert found.until == datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    assert "2027-01-02 03:04:05" in found.seen
    assert "wait" in found.next


@pytest.mark.parametrize(
    ("text", "type_", "elsewhere"),
    [
        (
            "An unexpected error occurred:\nrequests.exceptions.ConnectionError: HTTPSConnectionPool(host='ca')\n",
            "unreachable",
            True,
        ),
        ("OSError: [Errno 28] No space left on device: '/etc/letsencrypt/x'", "disk", False),
        ("Error determining zone_id: 9109 Invalid access token. Please confirm", "plugin", False),
        ("urn:ietf:params:acme:error:badNonce :: JWS has an invalid anti-replay nonce", "badNonce", True),
        ("whatever else", "unknown", True),
    ],
)
def test_it_is_known_whose_fault_it_is(text: str, type_: str, elsewhere: bool) -> None:
    found = problems.explain(text)
    assert (found.type, found.elsewhere, found.counts) == (type_, elsewhere, False)


@given(st.one_of(st.text(), st.from_regex(r"urn:ietf:params:acme:error:rateLimited retry after \d{4}-\d\d-\d\d \d\d:\d\d:\d\d")))
def test_whatever_certbot_prints_there_is_a_next_step(text: str) -> None:
    found = problems.explain(text)
    assert found.meaning
    assert found.next
    assert found.until >= 0
