"""python-quickbooks with intuit-oauth, unmodified, against the running look-alike.

Set here: the address of the discovery document takes the place of the environment's name (``AuthClient`` loads whatever address
stands there); a subclass of ``QuickBooks`` names the API's host in ``api_url_v3``; oauthlib's own switch allows plain http on
this machine. Everything else is the client's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from intuitlib.client import AuthClient
from intuitlib.enums import Scopes
from intuitlib.exceptions import AuthClientError
from quickbooks import QuickBooks
from quickbooks.batch import batch_create, batch_update
from quickbooks.cdc import change_data_capture
from quickbooks.exceptions import AuthorizationException, ObjectNotFoundException, QuickbooksException
from quickbooks.objects import CompanyInfo, Customer, Item, Vendor

from tests.bench import reading, site
from tests.contract.conftest import CLIENT, REDIRECT

if TYPE_CHECKING:
    from tests.contract.conftest import Caller


def auth_client(intuit: Caller, **given: Any) -> AuthClient:
    return AuthClient(*CLIENT, REDIRECT, f"{intuit.url}/.well-known/openid_configuration", **given)


def quickbooks(intuit: Caller, auth: AuthClient, realm: str) -> QuickBooks:
    class Elsewhere(QuickBooks):  # type: ignore[misc]
        api_url_v3 = f"{intuit.url}/v3"

    return Elsewhere(auth_client=auth, company_id=realm, minorversion=75)


def consent(auth: AuthClient, scopes: list[Scopes], intuit: Caller) -> dict[str, str]:
    """Agree on the consent page; what the app's callback receives."""
    address = auth.get_authorization_url(scopes)
    asked = dict(parse_qsl(urlsplit(address).query))
    form = {**asked, "decision": "allow", "realm": intuit.grant["realmId"]}
    answer = intuit.http.post(address.partition("?")[0], data=form, allow_redirects=False, timeout=30)
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


@pytest.fixture(autouse=True)
def _loopback_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.fixture
def auth(intuit: Caller) -> Iterator[AuthClient]:
    with auth_client(intuit) as client:
        yield client


@pytest.fixture
def qb(intuit: Caller) -> Iterator[QuickBooks]:
    """A connected client."""
    tokens = {name: intuit.grant[name] for name in ("access_token", "refresh_token")}
    with auth_client(intuit, **tokens) as auth:
        client = quickbooks(intuit, auth, intuit.grant["realmId"])
        with client.session:
            yield client


def test_connect_read_refresh_and_revoke(auth: AuthClient, intuit: Caller) -> None:
    back = consent(auth, [Scopes.ACCOUNTING], intuit)
    assert back["state"] == auth.state_token
    auth.get_bearer_token(back["code"], realm_id=back["realmId"])
    client = quickbooks(intuit, auth, back["realmId"])
    with client.session:
        assert CompanyInfo.get(back["realmId"], qb=client).CompanyName
        intuit.lab("clock", {"advance_s": 3601})
        with pytest.raises(AuthorizationException):
            CompanyInfo.get(back["realmId"], qb=client)
    before = auth.access_token
    auth.refresh()
    assert auth.access_token != before
    renewed = quickbooks(intuit, auth, back["realmId"])
    with renewed.session:
        assert CompanyInfo.get(back["realmId"], qb=renewed).CompanyName
        assert auth.revoke() is True
        with pytest.raises(AuthorizationException):
            CompanyInfo.get(back["realmId"], qb=renewed)
    with pytest.raises(AuthClientError) as error:
        auth.refresh()
    assert error.value.status_code == 400


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_signing_in_with_openid(auth: AuthClient, intuit: Caller) -> None:
    """The client keeps an id_token only when it could verify it with the key at ``jwks_uri``."""
    back = consent(auth, [Scopes.ACCOUNTING, Scopes.OPENID, Scopes.EMAIL], intuit)
    auth.get_bearer_token(back["code"], realm_id=back["realmId"])
    assert auth.id_token
    assert auth.get_user_info().json()["email"] == "bookkeeper@example.com"


def test_lists_queries_and_counts(qb: QuickBooks, intuit: Caller) -> None:
    active = {row["Id"]: row for row in intuit.lab("entities/Customer") if row["Active"]}
    seen: list[Customer] = []
    while page := Customer.all(order_by="Id", start_position=len(seen) + 1, max_results=40, qb=qb):
        seen += page
    assert [each.Id for each in seen] == sorted(active, key=int)
    assert {each.Id: each.DisplayName for each in seen} == {row_id: row["DisplayName"] for row_id, row in active.items()}
    assert Customer.count(qb=qb) == len(active)
    name = next(row["DisplayName"] for row in active.values() if "'" in row["DisplayName"])
    assert [each.DisplayName for each in Customer.filter(DisplayName=name, Active=True, qb=qb)] == [name]
    assert Customer.count("Active = false", qb=qb) == len(intuit.lab("entities/Customer")) - len(active)
    chosen = sorted(active)[:3]
    assert sorted(each.Id for each in Customer.choose(chosen, field="Id", qb=qb)) == chosen
    (item,) = Item.all(max_results=1, qb=qb)
    assert Item.get(item.Id, qb=qb).Name == item.Name


def test_create_update_and_refusals(qb: QuickBooks, intuit: Caller) -> None:
    vendor = Vendor()
    vendor.DisplayName = "Quist & Sons' Supply"
    made = vendor.save(qb=qb)
    assert (made.SyncToken, made.PrintOnCheckName) == ("0", "Quist & Sons' Supply")
    made.AcctNum = "A-17"
    assert made.save(qb=qb).SyncToken == "1"
    with pytest.raises(QuickbooksException) as stale:
        made.save(qb=qb)
    assert stale.value.error_code == 5010
    with pytest.raises(QuickbooksException) as taken:
        vendor.Id = None
        vendor.save(qb=qb)
    assert taken.value.error_code == 6240
    with pytest.raises(ObjectNotFoundException):
        Vendor.get("999999", qb=qb)


def test_a_sparse_update_keeps_the_rest(qb: QuickBooks, intuit: Caller) -> None:
    row = next(row for row in intuit.rows("Customer") if "PrimaryPhone" in row)
    change = Customer()
    change.Id, change.SyncToken, change.sparse, change.Notes = row["Id"], row["SyncToken"], True, "Call first"
    # The class sets a few properties of its own for a new customer; they are no part of this change.
    for name in ("DisplayName", "Taxable", "Active", "Job", "BillWithParent", "Balance", "BalanceWithJobs"):
        setattr(change, name, row.get(name))
    new = change.save(qb=qb)
    assert (new.Notes, new.PrimaryPhone.FreeFormNumber) == ("Call first", row["PrimaryPhone"]["FreeFormNumber"])


def test_batches(qb: QuickBooks) -> None:
    vendors = []
    for name in ("Batch One", "Batch Two", "Batch One"):
        vendor = Vendor()
        vendor.DisplayName = name
        vendors.append(vendor)
    answer = batch_create(vendors, qb=qb)
    assert [each.DisplayName for each in answer.successes] == ["Batch One", "Batch Two"]
    (fault,) = answer.faults
    assert fault.Error[0].code == "6240"
    for vendor in answer.successes:
        vendor.AcctNum = "B-1"
    assert [each.SyncToken for each in batch_update(answer.successes, qb=qb).successes] == ["1", "1"]


def test_change_data_capture(qb: QuickBooks, intuit: Caller) -> None:
    intuit.lab("clock", {"advance_s": 60})
    since = intuit.get("preferences").json()["time"]
    intuit.lab("clock", {"advance_s": 60})
    vendor = Vendor()
    vendor.DisplayName = "Changed Supply"
    made = vendor.save(qb=qb)
    changed = change_data_capture([Vendor, Customer], since, qb=qb)
    assert [each.Id for each in changed.Vendor._object_list] == [made.Id]
    assert not hasattr(changed, "Customer")


def test_the_kits_client_reads_the_same_rows_in_fewer_requests() -> None:
    """The two readers that `./kit bench intuit` puts side by side, each in a process of its own."""
    with site.connected("--limits", "off") as bench:
        kit, peer = (reading.measured(who, bench) for who in ("ours", "peer"))
    assert kit.rows == peer.rows > 200
    assert kit.used["requests"] < peer.used["requests"]
