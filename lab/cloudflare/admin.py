"""The admin interface under ``/lab/``: counters, reset, clock, faults, and what only Cloudflare itself could do to a zone."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.cloudflare.nameserver import PublishError
from lab.cloudflare.state import RULES, Lab, Zone


def _lab(request: Request) -> Lab:
    lab: Lab = request.app.state.lab
    return lab


async def _json(request: Request) -> Any:
    body = await request.body()
    return json.loads(body) if body else {}


async def stats(request: Request) -> Response:
    """Counters since the start or the last reset, and the number of records now."""
    lab = _lab(request)
    return JSONResponse(
        {
            "requests": lab.counts["requests"],
            "throttled": lab.counts["throttled"],
            "faults": lab.counts["faults"],
            "writes": lab.counts["writes"],
            "records": sum(len(zone.records) for zone in lab.zones.values()),
            "dns_updates": lab.name_server.updates if lab.name_server else 0,
        }
    )


async def reset(request: Request) -> Response:
    """Records (in the name server too), counters, faults and clock as at the start."""
    try:
        await _lab(request).reset()
    except PublishError as error:
        return JSONResponse({"error": str(error)}, 500)
    return JSONResponse({})


async def clock(request: Request) -> Response:
    """Move the clock: ``{"advance_s": N}``."""
    lab = _lab(request)
    lab.offset_s += float((await _json(request))["advance_s"])
    return JSONResponse({"offset_s": lab.offset_s})


async def faults(request: Request) -> Response:
    """Replace the rules for faults on demand; an empty list ends them."""
    try:
        _lab(request).faults = RULES.parse(await _json(request))
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 400)
    return JSONResponse({})


async def zone(request: Request) -> Response:
    """Make a zone or change it: ``{"name": NAME, "status": "active|pending|moved"?, "name_servers": [NAME…]?}``."""
    lab, document = _lab(request), await _json(request)
    name = str(document.get("name", "")).lower()
    if not name:
        return JSONResponse({"error": "a zone needs a name"}, 400)
    zone = lab.zones.setdefault(name, Zone(name, created_on=lab.now()))
    zone.status = document.get("status", zone.status)
    zone.name_servers = tuple(document.get("name_servers", zone.name_servers))
    return JSONResponse({"id": zone.id})


ROUTES = [
    Route("/lab/stats", stats),
    Route("/lab/reset", reset, methods=["POST"]),
    Route("/lab/clock", clock, methods=["POST"]),
    Route("/lab/faults", faults, methods=["POST"]),
    Route("/lab/zones", zone, methods=["POST"]),
]
