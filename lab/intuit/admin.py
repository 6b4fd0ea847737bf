"""The admin interface under ``/lab/``: counters, clock, faults, data, grants without a browser."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.intuit.company import Company
from lab.intuit.grants import ACCOUNTING
from lab.intuit.injected import RULES
from lab.intuit.limits import sizes
from lab.intuit.load import merge_answer
from lab.intuit.schema import BY_LOWER
from lab.intuit.state import Lab
from lab.intuit.webhooks import FORMATS, Address


def _bad(text: str) -> Response:
    return JSONResponse({"error": text}, 400)


def _lab(request: Request) -> Lab:
    lab: Lab = request.app.state.lab
    return lab


def _company(request: Request) -> Company:
    """The company named by ``?realm=``, or the first one; 400 for a realm that is none of ours."""
    companies = _lab(request).companies
    realm = request.query_params.get("realm", next(iter(companies)))
    if realm not in companies:
        raise HTTPException(400, f"no company {realm}")
    return companies[realm]


async def _json(request: Request) -> Any:
    body = await request.body()
    return json.loads(body) if body else {}


async def stats(request: Request) -> Response:
    """Counters since the start or the last reset."""
    lab = _lab(request)
    seen = lab.stats
    return JSONResponse(
        {
            "requests": seen.requests,
            "metered": seen.metered,
            "metered_by_query": seen.metered_by_query,
            "throttled": seen.throttled,
            "rows": seen.rows,
            "refreshes": lab.grants.refreshes,
            "peak_in_flight": seen.peak_in_flight,
        }
    )


async def reset(request: Request) -> Response:
    """Data, clock, counters, faults and throttles as at the start; grants stay."""
    _lab(request).reset()
    return JSONResponse({})


async def clock(request: Request) -> Response:
    """Move the clock: ``{"advance_s": N}``."""
    lab = _lab(request)
    lab.clock.advance(float((await _json(request))["advance_s"]))
    lab.webhooks.wake()
    return JSONResponse({"offset_s": lab.clock.offset_s})


async def faults(request: Request) -> Response:
    """Replace the rules for faults on demand; an empty list ends them."""
    try:
        _lab(request).faults = RULES.parse(await _json(request))
    except ValueError as error:
        return _bad(str(error))
    return JSONResponse({})


async def limits(request: Request) -> Response:
    """GET: the size of every limit (0 is none) and what each app has read this month. POST: change some sizes."""
    lab = _lab(request)
    if request.method == "POST":
        try:
            lab.limits.sizes |= sizes(await _json(request))
        except ValueError as error:
            return _bad(str(error))
    read = {app: lab.limits.read_this_month(app) for app in lab.grants.apps}
    return JSONResponse({**lab.limits.sizes, "read_this_month": read})


async def latency(request: Request) -> Response:
    """GET: how long answers take on the way. POST: change it: ``{"latency_ms": N?, "jitter_ms": N?}``."""
    lab = _lab(request)
    if request.method == "POST":
        try:
            lab.latency = replace(lab.latency, **{name: float(value) for name, value in (await _json(request)).items()})
        except (TypeError, ValueError) as error:
            return _bad(f"latency_ms and jitter_ms, in milliseconds, are what can be set: {error}")
    return JSONResponse(asdict(lab.latency))


async def token(request: Request) -> Response:
    """A fresh grant: ``{"realm": ID?, "client_id": ID?, "scope": TEXT?}``; else the first company, the first app, accounting."""
    lab = _lab(request)
    asked = await _json(request)
    realm, client_id = asked.get("realm", next(iter(lab.companies))), asked.get("client_id", next(iter(lab.grants.apps)))
    if realm not in lab.companies or client_id not in lab.grants.apps:
        return _bad("no such realm or client_id")
    grant, access = lab.grants.grant(client_id, realm, frozenset(asked.get("scope", ACCOUNTING).split()))
    return JSONResponse({**lab.grants.answer(grant, access, hard_expiry=True), "realmId": realm})


async def entities(request: Request) -> Response:
    """GET: every row held of an entity, active and inactive. POST: put one row, or a list of rows, as they are."""
    entity = BY_LOWER.get(request.path_params["entity"].lower())
    if entity is None:
        return _bad(f"no entity {request.path_params['entity']}")
    table = _company(request)[entity.name]
    if request.method == "GET":
        return Response(b"[" + b",".join(table.rows.values()) + b"]", media_type="application/json")
    document = await _json(request)
    rows = document if isinstance(document, list) else [document]
    if not all(isinstance(row, dict) and isinstance(row.get("Id"), str) for row in rows):
        return _bad("each row needs an Id, as a string")
    for row in rows:
        table.put(row)
    return JSONResponse({"rows": len(rows)})


async def load(request: Request) -> Response:
    """Replace the company's books by recorded answers: one answer, or a list of them. A reset brings the former books back."""
    lab, old = _lab(request), _company(request)
    document = await _json(request)
    company = Company(old.realm)
    for answer in document if isinstance(document, list) else [document]:
        merge_answer(company, answer)
    lab.companies[old.realm] = company
    return JSONResponse({name: len(table.rows) for name, table in company.tables.items() if table.rows})


async def webhook(request: Request) -> Response:
    """GET: every delivery and its attempts. POST: send ``{"events": [{"name", "id", "operation", …}], "format": …}``."""
    webhooks = _lab(request).webhooks
    if request.method == "GET":
        return JSONResponse(webhooks.report())
    realm, asked = _company(request).realm, await _json(request)
    try:
        events = [
            webhooks.event(
                str(each.get("realm", realm)),
                each["name"],
                str(each["id"]),
                each["operation"],
                event_id=str(each.get("event_id", "")),
                deleted_id=str(each.get("deleted_id", "")),
            )
            for each in asked["events"]
        ]
        webhooks.send(events, asked.get("format", ""))
    except (KeyError, ValueError) as error:
        return _bad(f"not an event that can be sent: {error}")
    return JSONResponse({"events": [event.id for event in events]})


async def webhook_address(request: Request) -> Response:
    """Register where to tell changes: ``{"url", "verifier_token", "format"?, "ca_file"?}``; from then on every write is told."""
    asked = await _json(request)
    if set(asked) - {"url", "verifier_token", "format", "ca_file"} or not {"url", "verifier_token"} <= set(asked):
        return _bad("url and verifier_token are needed; format and ca_file may be given")
    if asked.get("format", FORMATS[0]) not in FORMATS:
        return _bad(f"format is one of {', '.join(FORMATS)}")
    _lab(request).webhooks.address = Address(**asked)
    return JSONResponse({})


ROUTES = [
    Route("/lab/stats", stats),
    Route("/lab/reset", reset, methods=["POST"]),
    Route("/lab/clock", clock, methods=["POST"]),
    Route("/lab/faults", faults, methods=["POST"]),
    Route("/lab/limits", limits, methods=["GET", "POST"]),
    Route("/lab/latency", latency, methods=["GET", "POST"]),
    Route("/lab/token", token, methods=["POST"]),
    Route("/lab/webhook", webhook, methods=["GET", "POST"]),
    Route("/lab/webhook/address", webhook_address, methods=["POST"]),
    Route("/lab/load", load, methods=["POST"]),
    Route("/lab/entities/{entity}", entities, methods=["GET", "POST"]),
]
