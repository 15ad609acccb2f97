"""The routes of the endpoint, and the bodies in its OpenAPI description.

The description has what Zooter reads of a body. Further fields go on to the candidate's server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from zooter_core import __version__
from zooter_core.base.errors import ZooterError
from zooter_core.base.hosts import HostGate, names_of_this_machine
from zooter_core.base.strict_json import dump_json
from zooter_core.config.serve import RMR
from zooter_core.serve.access import GuardGate, RequireKey, check_content_type, get_key, visible_models
from zooter_core.serve.chat import answer_chat
from zooter_core.serve.chat_request import LONGEST_NAME, ROLES
from zooter_core.serve.errors import SERVER, ApiError, error_reply
from zooter_core.serve.exchange import GONE, Reply
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.metrics import CONTENT_TYPE
from zooter_core.serve.other_routes import (
    MOST_CONVERSATIONS,
    MOST_DOCUMENTS,
    answer_count,
    answer_embeddings,
    answer_rerank,
    answer_responses,
    answer_route,
    stored_response,
)
from zooter_core.serve.server import Handler, Server
from zooter_core.serve.storage import LONGEST_COMMENT, LONGEST_ID, VERDICTS, keep_feedback, read_feedback

Schema = dict[str, Any]


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items, **limits}


def _optional(kind: str, **limits: Any) -> Schema:
    return {"type": [kind, "null"], **limits}


def _either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


TEXT: Schema = {"type": "string"}
NAME = TEXT | {"minLength": 1, "maxLength": LONGEST_NAME}
MODEL = NAME | {"examples": ["auto"]}
CONTENT = _either(TEXT, {"type": "null"}, _list({"type": "object"}))
CHAT_MESSAGES = _list(_object("role", role={"enum": list(ROLES)}, content=CONTENT), minItems=1)
ROUTING_SCHEMAS = {
    "models": _optional("array", items=TEXT, description="The candidates that may answer."),
    "willingness_to_pay": _optional("number", minimum=0, description="Dollars for a 10% better answer."),
    "session_id": _optional("string", maxLength=LONGEST_NAME),
    "prompt_cache_key": _optional("string", maxLength=LONGEST_NAME),
}
CHAT_BODY = _object(
    "model",
    "messages",
    model=MODEL,
    messages=CHAT_MESSAGES,
    stream=_optional("boolean"),
    stream_options=_optional("object"),
    tools=_optional("array"),
    **ROUTING_SCHEMAS,
)
BLOCKS = _either(TEXT, _list({"type": "object"}, minItems=1))
TURNS = _list(_object("role", "content", role={"enum": ["user", "assistant"]}, content=BLOCKS), minItems=1)
COUNTED = {
    "model": MODEL,
    "messages": TURNS,
    "system": BLOCKS,
    "tools": _list(_object("name", "input_schema", name=TEXT, input_schema={"type": "object"})),
    "tool_choice": _object("type", type={"enum": ["auto", "any", "none", "tool"]}, name=TEXT),
    "thinking": _object("type", type=TEXT, budget_tokens={"type": "integer", "minimum": 1}),
    "metadata": _object(user_id=_optional("string")),
}
COUNT_BODY = _object("model", "messages", **COUNTED)
MESSAGES_BODY = _object(
    *("model", "messages", "max_tokens"),
    **COUNTED,
    max_tokens={"type": "integer", "minimum": 1},
    stop_sequences=_list(TEXT),
    stream=_optional("boolean"),
    **ROUTING_SCHEMAS,
)
INPUT = _either(TEXT, _list({"type": "object"}, minItems=1))
RESPONSES_BODY = _object("model", "input", model=MODEL, input=INPUT, stream=_optional("boolean"), **ROUTING_SCHEMAS)
EMBEDDINGS_BODY = _object("model", "input", model=NAME)
RERANK_BODY = _object(
    "query",
    "documents",
    model={"enum": [RMR, None]},
    query=TEXT | {"pattern": r"\S"},
    documents=_list(_either(TEXT, _object("text", text=TEXT)), minItems=1, maxItems=MOST_DOCUMENTS),
    top_n=_optional("integer", minimum=1),
    return_documents=_optional("boolean"),
)
CONVERSATIONS = _list(CHAT_MESSAGES, minItems=1, maxItems=MOST_CONVERSATIONS)
ROUTE_BODY = _object(
    model=_either(MODEL, {"type": "null"}), messages=CHAT_MESSAGES, conversations=CONVERSATIONS, **ROUTING_SCHEMAS
) | _either({"required": ["messages"]}, {"required": ["conversations"]})
FEEDBACK_BODY = _object(
    "request_id",
    request_id=TEXT | {"minLength": 1, "maxLength": LONGEST_ID},
    verdict={"enum": [*VERDICTS, None]},
    score=_optional("number", minimum=-1e30, maximum=1e30),
    comment=_optional("string", maxLength=LONGEST_COMMENT),
)
FAULT = _object(
    "message",
    "type",
    message=TEXT,
    type=_optional("string"),
    param=_optional("string"),
    code={"type": ["string", "integer", "null"]},
)
ERROR = _either(_object("error", error=FAULT), _object("type", "error", type={"enum": ["error"]}, error=FAULT))
EXPOSED = (
    "x-request-id",
    "x-model-router-selected-model",
    "x-zooter-probability",
    "x-zooter-attempts",
    "retry-after",
    "request-id",
)
ANSWER_ERRORS = (400, 401, 403, 404, 413, 415, 429, 502, 503, 504)  # statuses of the errors of ANSWERS
ANSWERS: dict[str, tuple[Handler, dict[str, Any]]] = {  # what answers a path, and the schema of its body
    "chat/completions": (answer_chat, CHAT_BODY),
    "messages": (answer_chat, MESSAGES_BODY),
    "messages/count_tokens": (answer_count, COUNT_BODY),
    "responses": (answer_responses, RESPONSES_BODY),
    "embeddings": (answer_embeddings, EMBEDDINGS_BODY),
    "rerank": (answer_rerank, RERANK_BODY),
    "route": (answer_route, ROUTE_BODY),
}


class HeadAsGet:
    """Answers HEAD as GET; uvicorn leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def build_app(server: Server) -> FastAPI:
    """The app of a server."""
    app = FastAPI(
        title="Zooter",
        version=__version__,
        description="An OpenAI-compatible endpoint that routes each request to one of several models.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    _add_answers(app, server)
    _add_lookups(app, server)
    _add_operations(app, server)
    if server.keys is not None:
        app.add_middleware(RequireKey, keys=server.keys)
    settings = server.settings
    if settings.allowed_origins:
        # Before the keys, since a browser asks without one whether a page may send it.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=EXPOSED,
        )
    hosts = names_of_this_machine(settings.host) | set(settings.allowed_hosts)
    gate = HostGate("zooter serve", hosts, frozenset(settings.allowed_origins))
    app.add_middleware(GuardGate, gate=gate)
    app.add_middleware(HeadAsGet)
    return app


def _add_answers(app: FastAPI, server: Server) -> None:
    """The routes on which candidates answer, or the router or the reward model works."""

    def make_reply(handle: Handler) -> Callable[[Request], Awaitable[Reply]]:
        async def reply(request: Request) -> Reply:
            return server.reply(request, handle)

        return reply

    for path, (handle, schema) in ANSWERS.items():
        body, errors, name = _body(schema), _errors(*ANSWER_ERRORS), path.replace("/", "_")
        app.post(f"/v1/{path}", name=name, openapi_extra=body, responses=errors)(make_reply(handle))


def _add_lookups(app: FastAPI, server: Server) -> None:
    """The routes that answer without a candidate."""

    @app.post(
        "/v1/feedback",
        openapi_extra=_body(FEEDBACK_BODY),
        responses=_errors(400, 401, 403, 404, 413, 415, 429, 503),
    )
    async def feedback(request: Request) -> JSONResponse:
        key = get_key(request)
        name = key.name if key else None
        body = await server.body(request)
        with server.admission.admitted(key):
            record = read_feedback(body) | {"key": name}
        server.ids.check(record["request_id"], name)
        try:
            await asyncio.to_thread(keep_feedback, server.settings.data, record)
        except (ZooterError, OSError) as problem:
            raise ApiError(500, "The feedback was not stored.", "not_stored") from problem
        if server.traffic:
            server.traffic.add_feedback(record)
        return JSONResponse({"object": "feedback", "request_id": record["request_id"], "stored": True})

    @app.get("/v1/responses/{response_id}", responses=_errors(401, 404, 429, 502, 503, 504))
    async def response(request: Request, response_id: str) -> Response:
        key = get_key(request)
        server.admission.count(key)
        async with server.admitted(key) as gateway:
            shape = await stored_response(gateway, server.traffic, response_id, key.name if key else None)
        return Response(dump_json(shape), media_type="application/json")

    @app.get("/v1/models")
    async def models(request: Request) -> JSONResponse:
        names = visible_models(server.gateway.models, get_key(request))
        entries = [model_shape(server.gateway, name) for name in names]
        return JSONResponse({"object": "list", "data": entries})

    @app.get("/v1/models/{model:path}", responses=_errors(404))
    async def model(request: Request, model: str) -> JSONResponse:
        if model not in visible_models(server.gateway.models, get_key(request)):
            raise ApiError(404, f"The model {model!r} does not exist here.", "model_not_found", "model")
        return JSONResponse(model_shape(server.gateway, model))


def _add_operations(app: FastAPI, server: Server) -> None:
    """The routes for those who run the endpoint: is it ready, how is it doing, load the fleet anew."""

    @app.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/ready", responses={503: {"description": "The router fails, or no candidate can be asked."}})
    async def ready(request: Request) -> JSONResponse:
        states = {name: breaker.state for name, breaker in server.gateway.breakers.items()}
        good = not states or "closed" in states.values() or len(states) < len(server.gateway.targets)
        failure = await server.gateway.router.failure()
        good = good and not failure
        shape: dict[str, object] = {"status": "ready" if good else "unavailable"}
        if failure:
            shape["reason"] = f"The router cannot route: {failure}."
        if server.keys is None or get_key(request):
            shape |= {"fleet": server.gateway.fleet.name, "breakers": states}
        return JSONResponse(shape, 200 if good else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        key = get_key(request)
        if key and not key.admin:
            page = server.metrics.page_for_key(key.name)
        else:
            page = server.metrics.page(server.admission, server.gateway.breakers)
        return Response(page, media_type=CONTENT_TYPE)

    @app.post("/admin/reload", responses=_errors(401, 403, 409, 415))
    async def admin_reload(request: Request) -> JSONResponse:
        check_content_type(request.headers)
        try:
            gateway = await server.reload()
        except ZooterError as problem:
            message = f"The new fleet does not load, so the old one stays. {problem}"
            raise ApiError(409, message, "fleet_not_loaded", kind=SERVER) from None
        return JSONResponse({"status": "reloaded", "fleet": gateway.fleet.name, "candidates": list(gateway.fleet.pool)})


def model_shape(gateway: Gateway, name: str) -> dict[str, Any]:
    """A model in the list of models."""
    shape: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": "zooter"}
    shape["description"] = gateway.models[name]
    if name in gateway.fleet.pool:
        candidate = gateway.fleet.candidate(name)
        shape["owned_by"] = candidate.endpoint.host if candidate.endpoint else "local"
        if candidate.context_tokens is not None:
            shape["context_length"] = candidate.context_tokens
    return shape


async def _gone(request: Request, problem: Exception) -> Response:
    """The client went away in the middle of its body: nobody reads this."""
    return Response(status_code=GONE)


async def _api_error(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, ApiError)
    return error_reply(request.url.path, problem)


async def _http_error(request: Request, problem: Exception) -> JSONResponse:
    """What Starlette raises: an unknown path, a wrong method."""
    assert isinstance(problem, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(problem.status_code)
    message = f"{request.method} {request.url.path}: {problem.detail}."
    error = ApiError(problem.status_code, message, code, headers=problem.headers or {})
    return error_reply(request.url.path, error)


def _body(schema: Schema) -> dict[str, Any]:
    """A route's request body for `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's errors for `responses`."""
    error = {"content": {"application/json": {"schema": ERROR}}}
    return {status: {"description": "An error in the API's shape.", **error} for status in statuses}
