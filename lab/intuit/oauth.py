"""The OAuth side over HTTP: discovery, consent page, token and revoke (fact 1)."""

from __future__ import annotations

import base64
import binascii
import html
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lab.intuit import headers, identity
from lab.intuit.grants import ACCOUNTING, SCOPES, App, GrantError
from lab.intuit.state import Lab

ASKED = ("client_id", "response_type", "scope", "redirect_uri", "state")

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""
FORM = """<p><strong>{app}</strong> asks to read and write the accounting data of your company.</p>
<form method="post" action="/connect/oauth2">
{hidden}
<p><label for="realm">Company</label>
<select id="realm" name="realm">{companies}</select></p>
<p><button type="submit" name="decision" value="allow">Connect</button>
<button type="submit" name="decision" value="deny">No, thanks</button></p>
</form>
"""


class ConsentError(Exception):
    """A consent request that must not be answered by a redirect; shown to the person instead."""


def base_url(lab: Lab, request: Request) -> str:
    """The address under which clients reach this server."""
    return lab.public_url or str(request.base_url).rstrip("/")


async def discovery(request: Request) -> Response:
    """The discovery document, with this server's own endpoints (recorded keys and order)."""
    base = base_url(request.app.state.lab, request)
    return JSONResponse(
        {
            "issuer": f"{base}/op/v1",
            "authorization_endpoint": f"{base}/connect/oauth2",
            "token_endpoint": f"{base}/oauth2/v1/tokens/bearer",
            "userinfo_endpoint": f"{base}/v1/openid_connect/userinfo",
            "revocation_endpoint": f"{base}/v2/oauth2/tokens/revoke",
            "jwks_uri": f"{base}/op/v1/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile", "address", "phone"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "claims_supported": ["aud", "exp", "iat", "iss", "realmid", "sub"],
        }
    )


async def consent(request: Request) -> Response:
    """The page on which a person lets an app in (GET) and what follows from the choice (POST)."""
    lab: Lab = request.app.state.lab
    form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
    asked = {**request.query_params, **form}
    try:
        app = _checked_app(lab, asked)
        if error := _refusal(asked):
            return _back(asked, error=error)
        if request.method == "GET":
            return _page("Connect your company", _form(lab, app, asked))
        return _decide(lab, app, asked)
    except ConsentError as error:
        return _page("Sorry, this app can't be connected", f"<p>{html.escape(str(error))}</p>", status=400)


def _checked_app(lab: Lab, asked: dict[str, str]) -> App:
    app = lab.grants.apps.get(asked.get("client_id", ""))
    if app is None:
        raise ConsentError("The client_id is not that of a known app.")
    # Exact string match; a query part is never registered.
    if asked.get("redirect_uri", "") not in app.redirect_uris:
        raise ConsentError("The redirect_uri query parameter value is invalid. It must equal one that is registered for the app.")
    if not asked.get("state"):
        raise ConsentError("The state query parameter is missing.")
    return app


def _refusal(asked: dict[str, str]) -> str:
    if asked.get("response_type") != "code":
        return "unsupported_response_type"
    scopes = set(asked.get("scope", "").split())
    return "" if ACCOUNTING in scopes and scopes <= SCOPES else "invalid_scope"


def _form(lab: Lab, app: App, asked: dict[str, str]) -> str:
    hidden = "\n".join(f'<input type="hidden" name="{name}" value="{html.escape(asked[name])}">' for name in ASKED)
    companies = "".join(
        f'<option value="{html.escape(realm)}">{html.escape(company.name)}</option>' for realm, company in lab.companies.items()
    )
    return FORM.format(app=html.escape(app.name), hidden=hidden, companies=companies)


def _decide(lab: Lab, app: App, asked: dict[str, str]) -> Response:
    decision = asked.get("decision")
    if decision == "deny":
        return _back(asked, error="access_denied")
    if decision != "allow":
        raise ConsentError("The decision must be allow or deny.")
    realm = asked.get("realm", "")
    if realm not in lab.companies:
        raise ConsentError("That company is not one of yours.")
    code = lab.grants.authorize(app, realm, asked["redirect_uri"], frozenset(asked["scope"].split()))
    return _back(asked, code=code, realmId=realm)


def _back(asked: dict[str, str], **answer: str) -> Response:
    query = urlencode({**answer, "state": asked["state"]})
    return RedirectResponse(f"{asked['redirect_uri']}?{query}", status_code=302)


def _page(title: str, body: str, status: int = 200) -> Response:
    # Intuit refuses to be framed; browsers also must not keep the page.
    page = PAGE.format(title=html.escape(title), body=body)
    kept = {"Content-Security-Policy": "frame-ancestors 'none'", "Cache-Control": "no-store"}
    return HTMLResponse(page, status_code=status, headers=kept)


async def token(request: Request) -> Response:
    """Exchange of a code, or refresh."""
    lab: Lab = request.app.state.lab
    hard = request.headers.get("x-include-refresh-token-hard-expires-in", "").lower() == "true"
    try:
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise GrantError("invalid_request")
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        app = _client(lab, request, form)
        match form.get("grant_type"):
            case "authorization_code":
                grant, access = lab.grants.exchange(app, _needed(form, "code"), _needed(form, "redirect_uri"))
            case "refresh_token":
                grant, access = lab.grants.renew(app, _needed(form, "refresh_token"), hard_expiry=hard)
            case None | "":
                raise GrantError("invalid_request")
            case _:
                raise GrantError("unsupported_grant_type")
    except GrantError as error:
        return JSONResponse(error.body(), status_code=error.status, headers=headers.tokens())
    answer = lab.grants.answer(grant, access, hard_expiry=hard)
    if "openid" in grant.scopes:
        issuer = f"{base_url(lab, request)}/op/v1"
        answer["id_token"] = lab.signer.id_token(issuer, app.client_id, grant.realm, grant.since, lab.clock.seconds())
    return JSONResponse(answer, headers=headers.tokens())


async def jwks(request: Request) -> Response:
    """The key with which id_tokens are signed."""
    return JSONResponse(request.app.state.lab.signer.jwks())


async def userinfo(request: Request) -> Response:
    """Who the person behind an access token is; only for grants with the scope ``openid`` (the refusals are guessed)."""
    lab: Lab = request.app.state.lab
    _, _, token = request.headers.get("authorization", "").partition(" ")
    grant = lab.grants.holder(token)
    if grant is None:
        return JSONResponse({"error": "invalid_token"}, 401, {"Www-Authenticate": 'Bearer error="invalid_token"'})
    if "openid" not in grant.scopes:
        return JSONResponse({"error": "insufficient_scope"}, 403, {"Www-Authenticate": 'Bearer error="insufficient_scope"'})
    return JSONResponse(identity.userinfo(grant.scopes), headers={"Cache-Control": "no-store"})


async def revoke(request: Request) -> Response:
    """End a grant; the token comes as JSON, as Intuit documents it, or as a form, as RFC 7009 has it."""
    lab: Lab = request.app.state.lab
    try:
        document = _document(await request.body(), request.headers.get("content-type", ""))
        lab.grants.revoke(_client(lab, request, document), _needed(document, "token"))
    except GrantError as error:
        return JSONResponse(error.body(), status_code=error.status, headers=headers.tokens())
    return Response(status_code=200, headers={"Cache-Control": "no-cache, no-store"})


def _document(body: bytes, content_type: str) -> dict[str, Any]:
    if not content_type.startswith("application/json"):
        return dict(parse_qsl(body.decode()))
    try:
        document = json.loads(body)
    except ValueError:
        raise GrantError("invalid_request") from None
    return document if isinstance(document, dict) else {}


def _needed(form: dict[str, Any], name: str) -> str:
    if not form.get(name):
        raise GrantError("invalid_request")
    return str(form[name])


def _client(lab: Lab, request: Request, form: dict[str, Any]) -> App:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return lab.grants.authenticate(str(form.get("client_id", "")), str(form.get("client_secret", "")))
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise GrantError("invalid_client", status=401) from None
    return lab.grants.authenticate(client_id, secret)


ROUTES = [
    Route("/.well-known/openid_configuration", discovery),
    Route("/.well-known/openid_sandbox_configuration", discovery),
    Route("/connect/oauth2", consent, methods=["GET", "POST"]),
    Route("/oauth2/v1/tokens/bearer", token, methods=["POST"]),
    Route("/v2/oauth2/tokens/revoke", revoke, methods=["POST"]),
    Route("/op/v1/jwks", jwks),
    Route("/v1/openid_connect/userinfo", userinfo),
]
