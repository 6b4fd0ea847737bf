"""The accounting API over HTTP: query, read, write, batch, change data capture (facts 2.1 to 2.9)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lab.intuit import faults, headers, query, select, taxservice, uploads, writes
from lab.intuit.clock import answer_time, pacific, parse_time
from lab.intuit.company import Company
from lab.intuit.faults import ServiceFault
from lab.intuit.grants import Grant
from lab.intuit.schema import BY_LOWER, Entity
from lab.intuit.state import Lab

MAX_BATCH = 30
MAX_CDC = 1000


@dataclass
class Call:
    """One admitted request."""

    lab: Lab
    company: Company
    request: Request
    path: list[str]
    body: bytes
    client_id: str

    @property
    def parameters(self) -> dict[str, str]:
        """The query part of the address."""
        return dict(self.request.query_params)


def _gateway(status: int, body: Any, **more: str) -> Response:
    kept = headers.gateway()
    if isinstance(body, str):
        return Response(body, status, {**kept, **more}, media_type="application/xml")
    return Response(msgspec.json.encode(body), status, {**kept, **more, "Content-Type": "application/json"})


async def endpoint(request: Request) -> Response:
    """Let a request in, or not, and answer it."""
    lab: Lab = request.app.state.lab
    realm, path = request.path_params["realm"], request.path_params["path"].rstrip("/").split("/")
    grant = _admitted(lab, request, realm, path)
    if isinstance(grant, Response):
        return grant
    call = Call(lab, lab.companies[realm], request, path, await request.body(), grant.client_id)
    try:
        status, body = 200, _replayed(call)
    except ServiceFault as fault:
        status, body = fault.status, msgspec.json.encode(fault.body(lab.clock))
    kind = "application/json;charset=utf-8" if status == 200 else "application/json"
    return Response(body, status, {**headers.service(), "Content-Type": kind})


def _admitted(lab: Lab, request: Request, realm: str, path: list[str]) -> Grant | Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return _gateway(401, faults.general_authentication_xml(lab.clock))
    grant = lab.grants.holder(token)
    if grant is None:
        body = faults.gateway(401, "3200", "AuthenticationFailed", lab.clock, detail="Token expired: <hidden>")
        return _gateway(401, body, **{"Www-Authenticate": 'Bearer realm="Intuit", error="invalid_token"'})
    if grant.realm != realm:
        # Another company of this environment, or one that is not of this environment at all.
        name = "AuthorizationFailed" if realm in lab.companies else "ApplicationAuthorizationFailed"
        return _gateway(403, faults.gateway(403, "3100", name, lab.clock))
    reads = request.method == "GET" or path[0] in ("query", "batch")
    passes = lab.limits.admit(
        realm, grant.client_id, batch=path[0] == "batch", under_way=lab.under_way[realm], at=request.scope["arrived"]
    )
    if not passes or (reads and not lab.limits.admit_read(grant.client_id)):
        lab.stats.throttled += 1
        return _gateway(429, faults.throttled().body(lab.clock))
    return grant


def _replayed(call: Call) -> bytes:
    """Answer a request; a write whose ``requestid`` was seen before gets its first answer again (fact 2.1)."""
    request_id = call.parameters.get("requestid", "")
    if call.request.method != "POST" or not request_id or call.path[0] == "query":
        return _answer(call)
    if len(request_id) > (36 if call.path[0] == "batch" else 50):
        raise ServiceFault("2130", "Invalid requestId", f"requestId {request_id} is too long")
    key = (call.company.realm, request_id)
    digest = hashlib.sha256("/".join(call.path).encode() + call.body).digest()
    if key not in call.lab.replays:
        call.lab.replays[key] = digest, _answer(call)
    held, answer = call.lab.replays[key]
    if held != digest:
        raise ServiceFault("600", "Duplicate requestId", f"requestId {request_id} was used for another request")
    return answer


def _answer(call: Call) -> bytes:
    method = call.request.method
    match call.path:
        case ["query"]:
            return _query(call, call.body.decode(errors="replace") if method == "POST" else call.parameters.get("query", ""))
        case ["companyinfo", _] | ["preferences"] if method == "GET":
            return _single(call, BY_LOWER[call.path[0]])
        case ["batch"] if method == "POST":
            return _batch(call)
        case ["cdc"] if method == "GET":
            return _cdc(call)
        case ["upload"] if method == "POST":
            return _upload(call)
        case ["taxservice", "taxcode"] if method == "POST":
            return msgspec.json.encode(taxservice.create(call.company, _decode(call.body), call.lab.clock))
        case [name] if name in BY_LOWER and method == "POST":
            return _write(call, BY_LOWER[name])
        case [name] if name in BY_LOWER:
            raise faults.unsupported(f"No resource method found for {method}, return 405 with Allow header")
        case [name, row_id] if name in BY_LOWER and method == "GET":
            return _read(call, BY_LOWER[name], row_id)
    relative = f"/v3/company/{call.company.realm}/{'/'.join(call.path)}"
    raise faults.unsupported(f"Could not find resource for relative : {relative} of full path: {call.request.url}")


def _envelope(call: Call, name: str, value: bytes) -> bytes:
    return b'{"%s":%s,"time":"%s"}' % (name.encode(), value, answer_time(call.lab.clock.now()).encode())


def _select(call: Call, text: str) -> bytes:
    try:
        today = pacific(call.lab.clock.now()).date().isoformat()
        answer = select.run(query.parse(text, today), call.company)
    except query.QueryParserError as error:
        raise faults.query_error("4000", str(error)) from None
    except query.QueryValidationError as error:
        raise faults.query_error("4001", str(error)) from None
    call.lab.stats.rows += len(answer.rows)
    return answer.body()


def _meter(call: Call, queries: int = 1) -> None:
    call.lab.limits.count_read(call.client_id)
    call.lab.stats.metered += 1
    call.lab.stats.metered_by_query += queries


def _query(call: Call, text: str) -> bytes:
    answer = _select(call, text)
    _meter(call)
    return _envelope(call, "QueryResponse", answer)


def _single(call: Call, entity: Entity) -> bytes:
    for raw in call.company[entity.name].rows.values():
        _meter(call)
        call.lab.stats.rows += 1
        return _envelope(call, entity.name, raw)
    raise faults.object_not_found()


def _read(call: Call, entity: Entity, row_id: str) -> bytes:
    if not row_id.isdigit() and row_id not in entity.pseudo_ids:
        raise faults.invalid_id(row_id)
    raw = call.company[entity.name].raw(row_id)
    if raw is None:
        raise faults.object_not_found()
    _meter(call)
    call.lab.stats.rows += 1
    return _envelope(call, entity.name, raw)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise ServiceFault("2010", "Request has invalid or unsupported property", "Property Name:the body is not JSON") from None


def _write(call: Call, entity: Entity) -> bytes:
    # Payments and sales receipts are voided by an update that includes it (documented), invoices by an operation.
    operation = "void" if call.parameters.get("include") == "void" else call.parameters.get("operation", "update")
    return _envelope(call, entity.name, _written(call, entity, operation, _decode(call.body)))


def _written(call: Call, entity: Entity, operation: str, sent: dict[str, Any]) -> bytes:
    answer = writes.write(call.company, entity, operation, sent, call.lab.clock)
    what = {"delete": "Delete", "void": "Void"}.get(operation, "Update" if "Id" in sent else "Create")
    call.lab.webhooks.changed(call.company.realm, entity.name, msgspec.json.decode(answer)["Id"], what)
    return answer


def _batch(call: Call) -> bytes:
    items = _decode(call.body).get("BatchItemRequest") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise faults.unknown_property("BatchItemRequest", "BatchItemRequest", [])
    if not items:
        raise ServiceFault("400", "MalformedRequest", "Batch Request is Empty")
    if len(items) > MAX_BATCH:
        raise ServiceFault("1040", "Too many batch items", f"The batch holds {len(items)} items; at most {MAX_BATCH} are allowed")
    answers = b",".join(_batch_item(call, item) for item in items)
    queries = sum("Query" in item for item in items)
    if queries:
        _meter(call, queries)
    return _envelope(call, "BatchItemResponse", b"[" + answers + b"]")


def _batch_item(call: Call, item: dict[str, Any]) -> bytes:
    try:
        name, value = _batch_answer(call, item)
    except ServiceFault as fault:
        name, value = "Fault", msgspec.json.encode(fault.fault())
    return b'{"%s":%s,"bId":%s}' % (name.encode(), value, msgspec.json.encode(item.get("bId", "")))


def _batch_answer(call: Call, item: dict[str, Any]) -> tuple[str, bytes]:
    if "Query" in item:
        return "QueryResponse", _select(call, str(item["Query"]))
    for name, row in item.items():
        if name.lower() in BY_LOWER and isinstance(row, dict):
            entity = BY_LOWER[name.lower()]
            return entity.name, _written(call, entity, str(item.get("operation", "update")), row)
    raise faults.unsupported("of a batch item without an entity")


def _upload(call: Call) -> bytes:
    """Files that are kept with records; each has its own answer in one of 200 (recorded)."""
    answers = []
    for part in uploads.parts(call.request.headers.get("content-type", ""), call.body):
        try:
            answer = {"Attachable": uploads.attach(call.company, part, call.lab.clock)}
        except ServiceFault as fault:
            answer = {"Fault": fault.fault()}
        answers.append(answer)
    return _envelope(call, "AttachableResponse", msgspec.json.encode(answers))


def _cdc(call: Call) -> bytes:
    names = [name.strip() for name in call.parameters.get("entities", "").split(",") if name.strip()]
    try:
        since = parse_time(call.parameters.get("changedSince", ""))
    except ValueError:
        raise faults.required("changedSince") from None
    groups = []
    for name in names:
        entity = BY_LOWER.get(name.lower())
        if entity is None or not entity.in_cdc:
            raise faults.unsupported(f"Change data capture of {name}")
        groups.append(_changed(call, entity, since.timestamp()))
    _meter(call)
    return _envelope(call, "CDCResponse", b'[{"QueryResponse":[' + b",".join(groups) + b"]}]")


def _changed(call: Call, entity: Entity, since: float) -> bytes:
    table = call.company[entity.name]
    newest = sorted((table.updated(number), number) for number in table.rows if table.updated(number) >= since)
    rows = [table.rows[number] for _, number in newest[:MAX_CDC]]
    stubs = [
        msgspec.json.encode(stub)
        for name, stub in call.company.deleted
        if name == entity.name and parse_time(stub["MetaData"]["LastUpdatedTime"]).timestamp() >= since
    ]
    page = [*rows, *stubs][:MAX_CDC]
    call.lab.stats.rows += len(page)
    return select.Answer(entity.name, None, page, 1).body()


ROUTES = [Route("/v3/company/{realm}/{path:path}", endpoint, methods=["GET", "POST", "PUT", "DELETE"])]
