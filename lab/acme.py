"""What Pebble lacks, put in front of it: renewal information, profiles, limits, CAA, and a CA that is down.

``python -m lab.acme --upstream https://ca:14000 [--ca-file F] [--host] [--port] [--tls-cert F --tls-key F]``. Everything is
handed on to the real CA under the visitor's own ``Host``, so the addresses it hands out lead here again. What stands in its way
is chosen under ``/lab/`` and **says that it is the shim's**, in the problem's detail: a CA's own judgement it is not.

``POST /lab/ari``
    ``{"start", "end", "retry_after_s"}`` (ISO 8601): the directory offers RFC 9773, for any certificate; ``{}`` ends it.
``POST /lab/profiles``
    ``{NAME: TEXT}``: profiles that the directory offers.
``POST /lab/fault``
    ``{"fault": NAME, "retry_after_s"?}``; ``{}`` ends it. ``down`` (503 to everything), ``internal`` (new orders), ``limited``
    (new orders; Let's Encrypt's words and Retry-After), ``caa`` (at the end of the order).
``GET /lab/stats``
    ``{"requests", "orders", "profiles": [as asked], "ari"}``
``POST /lab/reset``
    All of it as at the start.
"""

from __future__ import annotations

import argparse
import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from lab import serving

# Pebble's own paths.
DIRECTORY, NEW_ORDER, FINALIZE = "/dir", "/order-plz", "/finalize-order/"
# Headers that belong to one connection, or that starlette writes itself.
OWN = {"connection", "content-length", "date", "transfer-encoding"}
FAULTS = ("down", "internal", "limited", "caa")


@dataclass
class Shim:
    """What is added, what is in the way, and what was asked."""

    client: httpx.AsyncClient
    ari: dict[str, Any] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)
    fault: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As at the start."""
        self.ari, self.profiles, self.fault = {}, {}, {}
        self.stats = {"requests": 0, "orders": 0, "profiles": [], "ari": 0}


async def ask(request: Request) -> Response:
    """Hand a request on, or say what stands in its way."""
    shim: Shim = request.app.state.shim
    shim.stats["requests"] += 1
    path, body = request.url.path, await request.body()
    if path == NEW_ORDER:
        shim.stats["orders"] += 1
        shim.stats["profiles"].append(_payload(body).get("profile", ""))
    if refusal := _in_the_way(shim, path):
        return refusal
    if path.startswith("/ari/"):
        return _window(shim)
    headers = {name: value for name, value in request.headers.items() if name not in OWN}
    answer = await shim.client.request(request.method, path, content=body, headers=headers)
    content = answer.content
    if path == DIRECTORY and answer.status_code == 200:
        content = _directory(shim, json.loads(content), f"https://{request.headers['host']}")
    # Pebble sends several Link headers; a dict would keep one.
    made = Response(content, answer.status_code)
    made.raw_headers += [(k.lower(), v) for k, v in answer.headers.raw if k.decode().lower() not in OWN]
    return made


def _directory(shim: Shim, content: dict[str, Any], base: str) -> bytes:
    if shim.ari:
        content["renewalInfo"] = f"{base}/ari"
    if shim.profiles:
        content.setdefault("meta", {})["profiles"] = shim.profiles
    return json.dumps(content).encode()


def _window(shim: Shim) -> Response:
    shim.stats["ari"] += 1
    window = {"suggestedWindow": {"start": shim.ari["start"], "end": shim.ari["end"]}}
    return JSONResponse(window, headers={"Retry-After": str(shim.ari.get("retry_after_s", 21600))})


def _in_the_way(shim: Shim, path: str) -> Response | None:
    fault, wait = shim.fault.get("fault"), int(shim.fault.get("retry_after_s", 3600))
    if fault == "down":
        return Response("the shim plays a CA that is down", 503)
    if fault == "internal" and path == NEW_ORDER:
        return _problem(500, "serverInternal", "the shim plays a CA with a fault of its own")
    if fault == "limited" and path == NEW_ORDER:
        again = datetime.now(UTC) + timedelta(seconds=wait)
        detail = f"too many certificates already issued (says the shim), retry after {again:%Y-%m-%d %H:%M:%S} UTC"
        return _problem(429, "rateLimited", detail, {"Retry-After": str(wait)})
    if fault == "caa" and path.startswith(FINALIZE):
        return _problem(403, "caa", "CAA record prevents issuance (says the shim; Pebble does not look)")
    return None


def _problem(status: int, kind: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    content = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status}
    return Response(json.dumps(content), status, headers, "application/problem+json")


def _payload(body: bytes) -> dict[str, Any]:
    """What the signed request says; empty when it can't be read."""
    try:
        text = json.loads(body)["payload"]
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


async def _set(request: Request) -> Response:
    """Choose what is added or in the way."""
    shim: Shim = request.app.state.shim
    name, given = request.path_params["name"], await request.json()
    if name == "fault" and given and given.get("fault") not in FAULTS:
        return JSONResponse({"error": f"no fault {given.get('fault')}", "faults": FAULTS}, 400)
    setattr(shim, name, given)
    return JSONResponse(given)


async def _stats(request: Request) -> Response:
    return JSONResponse(request.app.state.shim.stats)


async def _reset(request: Request) -> Response:
    request.app.state.shim.reset()
    return JSONResponse({})


def make_app(upstream: str, ca_file: str | None) -> Starlette:
    """The shim in front of this CA."""
    everything = ["GET", "HEAD", "POST"]
    app = Starlette(
        routes=[
            Route("/lab/stats", _stats),
            Route("/lab/reset", _reset, methods=["POST"]),
            Route("/lab/{name:str}", _set, methods=["POST"]),
            Route("/{path:path}", ask, methods=everything),
        ]
    )
    app.state.shim = Shim(httpx.AsyncClient(base_url=upstream, verify=ca_file or True, timeout=30))
    return app


def main() -> None:
    """The command line."""
    made = serving.parser("acme", 14001, "What Pebble lacks, put in front of it.")
    made.add_argument("--upstream", required=True, help="the CA's address, up to its paths")
    made.add_argument("--ca-file", help="what its certificate is trusted by")

    def application(arguments: argparse.Namespace) -> tuple[ASGIApp, str]:
        return make_app(arguments.upstream, arguments.ca_file), f" in front of {arguments.upstream}"

    serving.run("acme", made, application)


if __name__ == "__main__":
    main()
