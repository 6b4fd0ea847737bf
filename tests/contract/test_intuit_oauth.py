"""The look-alike's OAuth over real HTTP, from the consent page to the dead grant."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from tests.contract.conftest import CLIENT, REDIRECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

    from tests.contract.conftest import Caller

DAY_S = 86_400
ASKED = {
    "client_id": CLIENT[0],
    "response_type": "code",
    "scope": "com.intuit.quickbooks.accounting",
    "redirect_uri": REDIRECT,
    "state": 'se"cret & <state>',
}


class Form(HTMLParser):
    """What a browser would send for the one form of a page, and the text that a person sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given["action"]
        elif tag == "input":
            self.fields[given["name"]] = given["value"]
        elif tag == "option":
            self.fields.setdefault("realm", given["value"])
        elif tag == "button":
            self.buttons.append(given["value"])

    def handle_data(self, data: str) -> None:
        self.text += data


def consent_page(intuit: Caller, **changed: str) -> requests.Response:
    return intuit.http.get(f"{intuit.url}/connect/oauth2", params={**ASKED, **changed}, allow_redirects=False, timeout=30)


def decide(intuit: Caller, decision: str) -> dict[str, str]:
    """Fill in the consent form as a person would and give what the app's callback receives."""
    form = Form(consent_page(intuit).text)
    answer = intuit.http.post(
        intuit.url + form.action, data={**form.fields, "decision": decision}, allow_redirects=False, timeout=30
    )
    assert answer.status_code == 302
    address, _, query = answer.headers["Location"].partition("?")
    assert address == REDIRECT
    return {name: value for name, (value,) in parse_qs(query).items()}


def exchange(intuit: Caller, code: str, redirect_uri: str = REDIRECT) -> requests.Response:
    return intuit.token(grant_type="authorization_code", code=code, redirect_uri=redirect_uri)


def renew(intuit: Caller, value: str) -> requests.Response:
    return intuit.token(grant_type="refresh_token", refresh_token=value)


def assert_error(answer: requests.Response, error: str, status: int = 400) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert "no-store" in answer.headers["Cache-Control"]


def test_discovery_names_this_server_as_the_caller_reached_it(intuit: Caller) -> None:
    answer = intuit.http.get(f"{intuit.url}/.well-known/openid_configuration", headers={"Host": "intuit.example.com"}, timeout=30)
    assert answer.json()["token_endpoint"] == "http://intuit.example.com/oauth2/v1/tokens/bearer"


def test_discovery_names_the_public_address_when_one_is_given(start: Callable[..., Caller]) -> None:
    intuit = start("--public-url", "https://intuit.example.com/")
    document = intuit.http.get(f"{intuit.url}/.well-known/openid_sandbox_configuration", timeout=30).json()
    assert document["authorization_endpoint"] == "https://intuit.example.com/connect/oauth2"


def test_the_consent_page_shows_app_and_company_and_a_plain_form(intuit: Caller) -> None:
    page = consent_page(intuit)
    form = Form(page.text)
    info = intuit.get(f"companyinfo/{intuit.grant['realmId']}").json()["CompanyInfo"]
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "Miracle Service" in form.text
    assert info["CompanyName"] in form.text
    assert form.buttons == ["allow", "deny"]
    assert form.fields == {**ASKED, "realm": intuit.grant["realmId"]}
    assert "<script" not in page.text


def test_consent_gives_a_code_that_is_good_once(intuit: Caller) -> None:
    seen = decide(intuit, "allow")
    assert seen["state"] == ASKED["state"]
    assert seen["realmId"] == intuit.grant["realmId"]
    answer = exchange(intuit, seen["code"])
    assert answer.status_code == 200
    assert "realmId" not in answer.json()
    intuit.grant |= answer.json()
    assert intuit.get("preferences").status_code == 200
    assert_error(exchange(intuit, seen["code"]), "invalid_grant")


def test_refusal_comes_back_as_access_denied(intuit: Caller) -> None:
    assert decide(intuit, "deny") == {"error": "access_denied", "state": ASKED["state"]}


def test_a_code_lives_ten_minutes(intuit: Caller) -> None:
    code = decide(intuit, "allow")["code"]
    intuit.lab("clock", {"advance_s": 601})
    assert_error(exchange(intuit, code), "invalid_grant")


def test_a_code_is_bound_to_its_redirect_uri(intuit: Caller) -> None:
    assert_error(exchange(intuit, decide(intuit, "allow")["code"], REDIRECT + "/"), "invalid_grant")


@pytest.mark.parametrize("uri", ["https://qbo.example.com/qbo/callback/", REDIRECT + "?x=1", "https://evil.example.com/", ""])
def test_an_unregistered_redirect_uri_gets_a_page_and_never_a_redirect(uri: str, intuit: Caller) -> None:
    answer = consent_page(intuit, redirect_uri=uri)
    assert answer.status_code == 400
    assert "redirect_uri" in answer.text
    assert Form(answer.text).buttons == []


@pytest.mark.parametrize(
    ("changed", "text"),
    [({"client_id": "stranger"}, "client_id"), ({"state": ""}, "state"), ({"decision": "perhaps"}, "decision")],
)
def test_other_unusable_requests_get_a_page(changed: dict[str, str], text: str, intuit: Caller) -> None:
    answer = intuit.http.post(f"{intuit.url}/connect/oauth2", data={**ASKED, "realm": "1", **changed}, timeout=30)
    assert (answer.status_code, text in answer.text) == (400, True)


def test_consent_for_a_company_that_is_not_there_gets_a_page(intuit: Caller) -> None:
    answer = intuit.http.post(f"{intuit.url}/connect/oauth2", data={**ASKED, "decision": "allow", "realm": "1"}, timeout=30)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("changed", "error"),
    [({"scope": "openid everything"}, "invalid_scope"), ({"response_type": "token"}, "unsupported_response_type")],
)
def test_wrong_wishes_come_back_as_errors(changed: dict[str, str], error: str, intuit: Caller) -> None:
    answer = consent_page(intuit, **changed)
    assert answer.status_code == 302
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["error"] == [error]


def test_an_access_token_lives_an_hour(intuit: Caller) -> None:
    intuit.lab("clock", {"advance_s": 3590})
    assert intuit.get("preferences").status_code == 200
    intuit.lab("clock", {"advance_s": 20})
    assert intuit.get("preferences").status_code == 401
    intuit.grant |= renew(intuit, intuit.grant["refresh_token"]).json()
    assert intuit.get("preferences").status_code == 200


def test_the_refresh_value_changes_after_a_day_and_the_former_dies(intuit: Caller) -> None:
    first = intuit.grant["refresh_token"]
    assert renew(intuit, first).json()["refresh_token"] == first
    intuit.lab("clock", {"advance_s": DAY_S})
    second = renew(intuit, first).json()["refresh_token"]
    assert second != first
    assert_error(renew(intuit, first), "invalid_grant")
    assert renew(intuit, second).json()["refresh_token"] == second


def test_with_strict_rotation_each_value_is_good_once(start: Callable[..., Caller]) -> None:
    intuit = start("--strict-rotation")
    first = intuit.grant["refresh_token"]
    second = renew(intuit, first).json()["refresh_token"]
    assert_error(renew(intuit, first), "invalid_grant")
    assert renew(intuit, second).status_code == 200
    assert intuit.lab("stats")["refreshes"] == 2


def test_what_is_used_again_can_end_the_whole_grant(start: Callable[..., Caller]) -> None:
    intuit = start("--strict-rotation", "--revoke-on-reuse")
    code = decide(intuit, "allow")["code"]
    intuit.grant |= exchange(intuit, code).json()
    assert_error(exchange(intuit, code), "invalid_grant")
    assert intuit.get("preferences").status_code == 401
    intuit.grant = intuit.lab("token", {})
    second = renew(intuit, intuit.grant["refresh_token"]).json()["refresh_token"]
    assert_error(renew(intuit, intuit.grant["refresh_token"]), "invalid_grant")
    assert_error(renew(intuit, second), "invalid_grant")


def test_every_token_answer_has_its_own_number(intuit: Caller) -> None:
    answers = [renew(intuit, value) for value in (intuit.grant["refresh_token"], "AB11never", "AB11never")]
    assert len({answer.headers["intuit_tid"] for answer in answers}) == 3


def test_a_refresh_moves_the_soft_expiry_also_when_the_value_stays(intuit: Caller) -> None:
    intuit.lab("clock", {"advance_s": DAY_S - 3600})
    renewed = renew(intuit, intuit.grant["refresh_token"]).json()
    assert renewed["refresh_token"] == intuit.grant["refresh_token"]
    assert renewed["x_refresh_token_expires_in"] == 8_726_400


def test_a_refresh_moves_the_soft_expiry_and_silence_ends_the_grant(intuit: Caller) -> None:
    intuit.lab("clock", {"advance_s": 100 * DAY_S})
    renewed = renew(intuit, intuit.grant["refresh_token"]).json()
    assert renewed["x_refresh_token_expires_in"] == 8_726_400
    intuit.lab("clock", {"advance_s": 8_726_401})
    assert_error(renew(intuit, renewed["refresh_token"]), "invalid_grant")


def test_five_years_end_every_grant_and_are_told_on_request(intuit: Caller) -> None:
    def ask(value: str) -> dict[str, Any]:
        answer = intuit.http.post(
            f"{intuit.url}/oauth2/v1/tokens/bearer",
            data={"grant_type": "refresh_token", "refresh_token": value},
            headers={"x-include-refresh-token-hard-expires-in": "true"},
            auth=CLIENT,
            timeout=30,
        )
        body: dict[str, Any] = answer.json()
        return body

    seen = ask(intuit.grant["refresh_token"])
    assert seen["x_refresh_token_hard_expires_in"] == pytest.approx(5 * 365 * DAY_S, abs=60)
    assert "x_refresh_token_hard_expires_in" not in renew(intuit, seen["refresh_token"]).json()
    for _ in range(18):
        intuit.lab("clock", {"advance_s": 100 * DAY_S})
        seen = ask(seen["refresh_token"])
    assert seen["x_refresh_token_expires_in"] == seen["x_refresh_token_hard_expires_in"] < 26 * DAY_S
    intuit.lab("clock", {"advance_s": 26 * DAY_S})
    assert ask(seen["refresh_token"])["error"] == "invalid_grant"


@pytest.mark.parametrize("name", ["refresh_token", "access_token"])
def test_revoking_either_token_ends_the_whole_grant(name: str, intuit: Caller) -> None:
    address = f"{intuit.url}/v2/oauth2/tokens/revoke"
    answer = intuit.http.post(address, json={"token": intuit.grant[name]}, auth=CLIENT, timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")
    assert intuit.get("preferences").status_code == 401
    assert_error(renew(intuit, intuit.grant["refresh_token"]), "invalid_grant")
    assert_error(intuit.http.post(address, json={"token": intuit.grant[name]}, auth=CLIENT, timeout=30), "invalid_grant")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_request"),
    ],
)
def test_malformed_token_calls(form: dict[str, str], error: str, intuit: Caller) -> None:
    assert_error(intuit.token(**form), error)


def test_a_token_call_must_be_a_form(intuit: Caller) -> None:
    answer = intuit.http.post(
        f"{intuit.url}/oauth2/v1/tokens/bearer", json={"grant_type": "refresh_token"}, auth=CLIENT, timeout=30
    )
    assert_error(answer, "invalid_request")


@pytest.mark.parametrize("keys", [(CLIENT[0], "wrong"), ("stranger", CLIENT[1]), None])
def test_wrong_keys_are_an_invalid_client(keys: tuple[str, str] | None, intuit: Caller) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": intuit.grant["refresh_token"]}
    answer = intuit.http.post(f"{intuit.url}/oauth2/v1/tokens/bearer", data=form, auth=keys, timeout=30)
    assert_error(answer, "invalid_client", 401)


def test_keys_may_also_come_in_the_form(intuit: Caller) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": intuit.grant["refresh_token"]}
    keys = {"client_id": CLIENT[0], "client_secret": CLIENT[1]}
    answer = intuit.http.post(f"{intuit.url}/oauth2/v1/tokens/bearer", data={**form, **keys}, timeout=30)
    assert answer.status_code == 200


# Who signed in ------------------------------------------------------------------------------------------------------------


def test_openid_gives_an_id_token_that_its_key_proves_and_userinfo_tells_what_was_asked_for(intuit: Caller) -> None:
    plain = exchange(intuit, decide(intuit, "allow")["code"]).json()
    assert "id_token" not in plain
    scope = "com.intuit.quickbooks.accounting openid email"
    form = Form(consent_page(intuit, scope=scope).text)
    back = intuit.http.post(
        intuit.url + form.action, data={**form.fields, "decision": "allow"}, allow_redirects=False, timeout=30
    )
    code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
    token = exchange(intuit, code).json()
    discovery = intuit.http.get(f"{intuit.url}/.well-known/openid_configuration", timeout=30).json()
    keys = jwt.PyJWKSet.from_dict(intuit.http.get(discovery["jwks_uri"], timeout=30).json())
    key = keys[jwt.get_unverified_header(token["id_token"])["kid"]]
    claims = jwt.decode(token["id_token"], key, algorithms=["RS256"], audience=CLIENT[0], issuer=discovery["issuer"])
    assert claims["realmid"] == intuit.grant["realmId"]
    assert claims["exp"] - claims["iat"] == 3600
    told = {
        name: intuit.http.get(
            discovery["userinfo_endpoint"], headers={"Authorization": f"Bearer {each['access_token']}"}, timeout=30
        )
        for name, each in {"openid": token, "plain": plain, "nobody": {"access_token": "x"}}.items()
    }
    assert told["openid"].json() == {"sub": claims["sub"], "email": "bookkeeper@example.com", "emailVerified": True}
    assert [told[name].status_code for name in ("plain", "nobody")] == [403, 401]


def test_each_company_has_its_own_books_and_each_app_its_own_grants(start: Callable[..., Caller], tmp_path: Path) -> None:
    other = {"client_id": "other-app", "secret": "other-secret", "redirect_uris": ["https://other.example/cb"], "name": "Other"}
    (tmp_path / "app.json").write_text(json.dumps(other))
    intuit = start("--limits", "off", "--realm", "101", "--realm", "202", "--app", str(tmp_path / "app.json"))
    one, two = (intuit.lab("token", {"realm": realm, "client_id": "other-app"}) for realm in ("101", "202"))

    def names(realm: str, token: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        address = f"{intuit.url}/v3/company/{realm}/query"
        return intuit.http.get(address, params={"query": "select * from Customer"}, headers=headers, timeout=30)

    first, second = names("101", one["access_token"]), names("202", two["access_token"])
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["QueryResponse"] != second.json()["QueryResponse"]
    assert names("202", one["access_token"]).status_code == 403
    page = consent_page(intuit, client_id="other-app", redirect_uri="https://other.example/cb").text
    assert "Other" in Form(page).text
    assert page.count("<option") == 2
    assert_error(renew(intuit, one["refresh_token"]), "invalid_grant")
    form = {"grant_type": "refresh_token", "refresh_token": one["refresh_token"]}
    mine = intuit.http.post(f"{intuit.url}/oauth2/v1/tokens/bearer", data=form, auth=("other-app", "other-secret"), timeout=30)
    assert mine.status_code == 200


def test_a_grant_ends_after_a_hundred_days_unused_and_after_five_years_in_any_case(intuit: Caller) -> None:
    """In the last 30 days before the hard end, only an app that asks for that end moves the soft one."""
    unused, silent, asking = (intuit.lab("token", {})["refresh_token"] for _ in range(3))
    for days in [100] * 18:
        intuit.lab("clock", {"advance_s": days * DAY_S})
        told = renew(intuit, silent).json()
        silent = told["refresh_token"]
        answer = intuit.http.post(
            f"{intuit.url}/oauth2/v1/tokens/bearer",
            data={"grant_type": "refresh_token", "refresh_token": asking},
            headers={"x-include-refresh-token-hard-expires-in": "true"},
            auth=CLIENT,
            timeout=30,
        ).json()
        asking = answer["refresh_token"]
    assert_error(renew(intuit, unused), "invalid_grant")
    left = (5 * 365 - 1800) * DAY_S
    assert answer["x_refresh_token_expires_in"] == answer["x_refresh_token_hard_expires_in"] == pytest.approx(left, abs=60)
    assert told["x_refresh_token_expires_in"] == pytest.approx(DAY_S, abs=60)
    intuit.lab("clock", {"advance_s": 2 * DAY_S})
    assert_error(renew(intuit, silent), "invalid_grant")
    assert renew(intuit, asking).status_code == 200
    intuit.lab("clock", {"advance_s": 24 * DAY_S})
    assert_error(renew(intuit, asking), "invalid_grant")
