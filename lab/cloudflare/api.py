"""The API under ``/client/v4``."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.cloudflare.errors import ApiError, no_record, no_route, not_permitted, token_not_verified, unknown_token
from lab.cloudflare.nameserver import PublishError
from lab.cloudflare.records import Record, check_neighbours, made_from
from lab.cloudflare.state import Lab, Zone
from lab.cloudflare.tokens import Token, authenticate

PREFIX = "/client/v4"
_ID = re.compile(r"[0-9a-f]{32}")
_FREE_PLAN = {
    "id": "0" * 32,
    "name": "Free Website",
    "price": 0,
    "currency": "USD",
    "frequency": "",
    "is_subscribed": False,
    "can_subscribe": False,
    "legacy_id": "free",
    "legacy_discount": False,
    "externally_managed": False,
}

Handler = Callable[[Request, Lab, Token], Awaitable[Response]]


def _endpoint(handler: Handler, unknown: Callable[[], ApiError] = unknown_token) -> Callable[[Request], Awaitable[Response]]:
    """What every call has in common: the token, the limit, and the error envelope."""

    async def endpoint(request: Request) -> Response:
        lab: Lab = request.app.state.lab
        try:
            token = authenticate(request, lab.tokens, unknown)
            lab.meter(token.value)
            return await handler(request, lab, token)
        except ApiError as error:
            return JSONResponse(error.envelope(), error.status, error.headers)
        except PublishError as error:
            # Cloudflare has no such answer; a lab whose name server is not there must not look well.
            body = {"result": None, "success": False, "errors": [{"code": 1000, "message": f"lab: {error}"}], "messages": []}
            return JSONResponse(body, 500)

    return endpoint


def _answer(result: Any) -> Response:
    return JSONResponse({"result": result, "success": True, "errors": [], "messages": []})


def _page(request: Request, found: list[dict[str, Any]], per_page: int, least_pages: int) -> Response:
    """One page of a list; past the end it is empty. A list without entries has ``least_pages`` pages."""
    try:
        page = max(1, int(float(request.query_params.get("page", "1"))))
        per_page = max(1, int(float(request.query_params.get("per_page", str(per_page)))))
    except ValueError:
        raise ApiError(400, 1001, "Invalid page or per_page") from None
    chosen = found[(page - 1) * per_page : page * per_page]
    info = {
        "page": page,
        "per_page": per_page,
        "total_pages": max(least_pages, -(-len(found) // per_page)),
        "count": len(chosen),
        "total_count": len(found),
    }
    return JSONResponse({"result": chosen, "result_info": info, "success": True, "errors": [], "messages": []})


def _zone_document(zone: Zone, token: Token) -> dict[str, Any]:
    return {
        "id": zone.id,
        "name": zone.name,
        "status": zone.status,
        "paused": False,
        "type": "full",
        "development_mode": 0,
        "name_servers": list(zone.name_servers),
        "original_name_servers": None,
        "original_registrar": None,
        "original_dnshost": None,
        "modified_on": zone.created_on,
        "created_on": zone.created_on,
        "activated_on": zone.created_on if zone.status == "active" else None,
        "vanity_name_servers": [],
        "vanity_name_servers_ips": None,
        "meta": {"step": 4, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": False},
        "owner": {"id": None, "type": "user", "email": None},
        "account": {"id": "0" * 31 + "1", "name": "Lab's Account"},
        "tenant": {"id": None, "name": None},
        "tenant_unit": {"id": None},
        "permissions": token.permissions,
        "plan": _FREE_PLAN,
    }


def _zone(request: Request, lab: Lab, token: Token, error: ApiError) -> Zone:
    """The zone a path names; ``error`` when it isn't there for this token (the two can't be told apart)."""
    wanted = request.path_params["zone_id"]
    if not _ID.fullmatch(wanted):
        raise no_route(request.url.path.removeprefix(PREFIX))
    found = next((zone for zone in lab.zones.values() if zone.id == wanted and token.sees(zone.name)), None)
    if found is None:
        raise error
    return found


def _zone_to_change(request: Request, lab: Lab, token: Token) -> Zone:
    zone = _zone(request, lab, token, not_permitted())
    if not token.edit:
        raise not_permitted()
    return zone


def _record(request: Request, zone: Zone) -> Record:
    wanted = request.path_params["record_id"]
    if not _ID.fullmatch(wanted):
        raise no_route(request.url.path.removeprefix(PREFIX))
    if wanted not in zone.records:
        raise no_record()
    return zone.records[wanted]


async def _body(request: Request) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, 9207, "Request body is invalid.")
    return body


async def verify(request: Request, lab: Lab, token: Token) -> Response:
    """Whether a token is good."""
    message = {"code": 10000, "message": "This API Token is valid and active", "type": None}
    return JSONResponse({"result": {"id": token.id, "status": "active"}, "success": True, "errors": [], "messages": [message]})


async def zones(request: Request, lab: Lab, token: Token) -> Response:
    """The zones the token may see; an unknown name gives an empty list, no error."""
    name, status = request.query_params.get("name"), request.query_params.get("status")
    seen = [
        _zone_document(zone, token)
        for zone in sorted(lab.zones.values(), key=lambda zone: zone.name)
        if token.sees(zone.name) and name in (None, zone.name) and status in (None, zone.status)
    ]
    return _page(request, seen, 20, 0)


async def zone(request: Request, lab: Lab, token: Token) -> Response:
    """One zone."""
    found = _zone(request, lab, token, ApiError(403, 9109, "Unauthorized to access requested resource"))
    return _answer(_zone_document(found, token))


_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "": str.__eq__,
    ".exact": str.__eq__,
    ".contains": str.__contains__,
    ".startswith": str.startswith,
    ".endswith": str.endswith,
}


def _matches(record: Record, query: Mapping[str, str]) -> bool:
    values = {"name": record.name, "content": record.content.lower(), "comment": (record.comment or "").lower()}
    if query.get("type", record.type).upper() != record.type:
        return False
    return all(
        compare(value, query[name + suffix].lower())
        for name, value in values.items()
        for suffix, compare in _COMPARE.items()
        if name + suffix in query
    )


async def records(request: Request, lab: Lab, token: Token) -> Response:
    """The zone's records, filtered; by type, name and age, the newest first (recorded so)."""
    zone = _zone(request, lab, token, not_permitted())
    found = [r for r in reversed(zone.records.values()) if _matches(r, request.query_params)]
    found.sort(key=lambda r: (r.type, r.name))
    return _page(request, [r.document() for r in found], 100, 1)


async def create(request: Request, lab: Lab, token: Token) -> Response:
    """A new record."""
    zone = _zone_to_change(request, lab, token)
    body = await _body(request)
    async with lab.lock:
        record = made_from(body, zone.name, None, lab.record_now())
        return await _keep(lab, zone, record)


async def record(request: Request, lab: Lab, token: Token) -> Response:
    """One record."""
    return _answer(_record(request, _zone(request, lab, token, not_permitted())).document())


async def edit(request: Request, lab: Lab, token: Token) -> Response:
    """PATCH: what the body doesn't say stays."""
    zone = _zone_to_change(request, lab, token)
    body = await _body(request)
    async with lab.lock:
        return await _keep(lab, zone, made_from(body, zone.name, _record(request, zone), lab.record_now()))


async def overwrite(request: Request, lab: Lab, token: Token) -> Response:
    """PUT: what the body doesn't say, a comment for instance, is lost."""
    zone = _zone_to_change(request, lab, token)
    body = await _body(request)
    async with lab.lock:
        old = _record(request, zone)
        bare = Record(old.name, old.type, old.content, created_on=old.created_on, id=old.id)
        return await _keep(lab, zone, made_from(body, zone.name, bare, lab.record_now()))


async def delete(request: Request, lab: Lab, token: Token) -> Response:
    """A record goes."""
    zone = _zone_to_change(request, lab, token)
    async with lab.lock:
        gone = _record(request, zone)
        await lab.write(zone, {id: r for id, r in zone.records.items() if id != gone.id})
        lab.counts["writes"] += 1
    return _answer({"id": gone.id})


async def _keep(lab: Lab, zone: Zone, record: Record) -> Response:
    check_neighbours(record, [other for other in zone.records.values() if other.id != record.id])
    await lab.write(zone, {**zone.records, record.id: record})
    lab.counts["writes"] += 1
    return _answer(record.document())


async def unknown(request: Request, lab: Lab, token: Token) -> Response:
    """Any other path."""
    raise no_route(request.url.path.removeprefix(PREFIX))


_EVERY = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_RECORDS = PREFIX + "/zones/{zone_id}/dns_records"

ROUTES = [
    Route(PREFIX + "/user/tokens/verify", _endpoint(verify, token_not_verified)),
    Route(PREFIX + "/zones", _endpoint(zones)),
    Route(PREFIX + "/zones/{zone_id}", _endpoint(zone)),
    Route(_RECORDS, _endpoint(records)),
    Route(_RECORDS, _endpoint(create), methods=["POST"]),
    Route(_RECORDS + "/{record_id}", _endpoint(record)),
    Route(_RECORDS + "/{record_id}", _endpoint(edit), methods=["PATCH"]),
    Route(_RECORDS + "/{record_id}", _endpoint(overwrite), methods=["PUT"]),
    Route(_RECORDS + "/{record_id}", _endpoint(delete), methods=["DELETE"]),
    Route(PREFIX + "/{rest:path}", _endpoint(unknown), methods=_EVERY),
]
