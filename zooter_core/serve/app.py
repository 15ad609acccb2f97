"""The routes of the endpoint, and their description at /openapi.json."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from zooter_core import __version__
from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.hosts import HostGate, names_of_this_machine
from zooter_core.base.jsonl import append_records
from zooter_core.base.strict_json import dump_json
from zooter_core.serve import bodies, other_routes
from zooter_core.serve.access import (
    OPEN,
    GuardGate,
    RequireKey,
    check_content_type,
    get_key,
    read_body,
    visible_models,
)
from zooter_core.serve.bodies import Body, FeedbackBody, check
from zooter_core.serve.chat import answer_chat
from zooter_core.serve.errors import SERVER, ApiError, error_reply
from zooter_core.serve.exchange import GONE
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.metrics import CONTENT_TYPE
from zooter_core.serve.reply import Handler, Reply
from zooter_core.serve.server import Server
from zooter_core.serve.storage import FEEDBACK

EXPOSED = (
    "x-request-id",
    "x-model-router-selected-model",
    "x-zooter-probability",
    "x-zooter-attempts",
    "retry-after",
    "request-id",
)
STATUSES = (400, 401, 403, 404, 409, 413, 415, 429, 502, 503, 504)
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": "An error in the API's shape.", "model": bodies.ErrorBody} for status in STATUSES
}
ANSWERS: dict[str, tuple[Handler, type[Body]]] = {  # path -> handler and body
    "/v1/chat/completions": (answer_chat, bodies.ChatBody),
    "/v1/messages": (answer_chat, bodies.MessagesBody),
    "/v1/messages/count_tokens": (other_routes.answer_count, bodies.CountBody),
    "/v1/responses": (other_routes.answer_responses, bodies.ResponsesBody),
    "/v1/embeddings": (other_routes.answer_embeddings, bodies.EmbeddingsBody),
    "/v1/rerank": (other_routes.answer_rerank, bodies.RerankBody),
    "/v2/rerank": (other_routes.answer_rerank, bodies.RerankBody),  # Cohere's ClientV2
    "/v1/route": (other_routes.answer_route, bodies.RouteBody),
}
SCHEMA = "#/components/schemas/{model}"  # refers to the schema of a body


class DescribedApp(FastAPI):
    """An app whose OpenAPI schema adds what FastAPI does not know: API keys, and bodies, which it does not parse."""

    def __init__(self, with_keys: bool, **options: Any) -> None:
        super().__init__(**options)
        self._with_keys = with_keys

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema:
            return self.openapi_schema
        kinds: list[type[Body]] = [FeedbackBody, *(body for _, body in ANSWERS.values())]
        _, schemas = models_json_schema([(kind, "validation") for kind in kinds], ref_template=SCHEMA)
        shape = super().openapi()
        shape["components"]["schemas"] |= schemas["$defs"]
        if self._with_keys:
            shape["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            shape["security"] = [{"key": []}]
            for path in OPEN:
                shape["paths"][path]["get"]["security"] = []
        return shape


def build_app(server: Server) -> FastAPI:
    app = DescribedApp(
        server.keys is not None,
        title="Zooter",
        version=__version__,
        description="An OpenAI-compatible endpoint that routes each request to one of several models.",
        responses=ERRORS,
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
        # Runs before RequireKey, since a browser's preflight request has no key.
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
    return app


def _add_answers(app: FastAPI, server: Server) -> None:
    """The routes that need candidates, the router or the reward model."""

    def make_reply(handle: Handler) -> Callable[[Request], Awaitable[Reply]]:
        async def reply(request: Request) -> Reply:
            return Reply(server, request, handle)

        return reply

    for path, (handle, body) in ANSWERS.items():
        app.post(path, name=path[4:].replace("/", "_"), openapi_extra=_body_schema(body))(make_reply(handle))


def _add_lookups(app: FastAPI, server: Server) -> None:
    """The routes that answer without a candidate."""

    @app.post("/v1/feedback", openapi_extra=_body_schema(FeedbackBody))
    async def feedback(request: Request) -> JSONResponse:
        key = get_key(request)
        name = key.name if key else None
        body = await read_body(request, server.admission, server.settings.most_bytes)
        feedback = check(FeedbackBody, body).model_dump(exclude_none=True)
        record = {"time": round(time.time(), 3), **feedback, "key": name}
        server.ids.check(record["request_id"], name)
        try:
            await asyncio.to_thread(append_records, server.settings.data / FEEDBACK, [record])
        except (ZooterError, OSError) as problem:
            raise ApiError(500, "The feedback was not stored.", "not_stored") from problem
        if server.traffic:
            server.traffic.add_feedback(record)
        return JSONResponse({"object": "feedback", "request_id": record["request_id"], "stored": True})

    @app.get("/v1/responses/{response_id}")
    async def response(request: Request, response_id: str) -> Response:
        key = get_key(request)
        server.admission.count(key)
        async with server.admission.place(key), server.gateway.used() as gateway:
            shape = await other_routes.stored_response(gateway, server.traffic, response_id, key.name if key else None)
        return Response(dump_json(shape), media_type="application/json")

    @app.get("/v1/models")
    async def models(request: Request) -> JSONResponse:
        names = visible_models(server.gateway.models, get_key(request))
        entries = [model_shape(server.gateway, name) for name in names]
        return JSONResponse({"object": "list", "data": entries})

    @app.get("/v1/models/{model:path}")
    async def model(request: Request, model: str) -> JSONResponse:
        if model not in visible_models(server.gateway.models, get_key(request)):
            raise ApiError(404, f"The model {model!r} does not exist here.", "model_not_found", "model")
        return JSONResponse(model_shape(server.gateway, model))


def _add_operations(app: FastAPI, server: Server) -> None:
    """The routes for operators: readiness, metrics, and reloading the fleet."""

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

    @app.get("/metrics", response_class=PlainTextResponse, responses={401: {"description": "No valid API key."}})
    async def metrics(request: Request) -> Response:
        key = get_key(request)
        if key and not key.admin:
            page = server.metrics.page_for_key(key.name)
        else:
            page = server.metrics.page(server.admission, server.gateway.breakers)
        return Response(page, media_type=CONTENT_TYPE)

    @app.post("/admin/reload")
    async def admin_reload(request: Request) -> JSONResponse:
        check_content_type(request.headers)
        try:
            gateway = await server.reload()
        except ZooterError as problem:
            message = f"The new fleet does not load, so the old one stays in use. {problem}"
            raise ApiError(409, message, "fleet_not_loaded", kind=SERVER) from None
        return JSONResponse({"status": "reloaded", "fleet": gateway.fleet.name, "candidates": list(gateway.fleet.pool)})


def model_shape(gateway: Gateway, name: str) -> dict[str, Any]:
    shape: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": "zooter"}
    shape["description"] = gateway.models[name]
    if name in gateway.fleet.pool:
        candidate = gateway.fleet.candidate(name)
        shape["owned_by"] = candidate.endpoint.host if candidate.endpoint else "local"
        if candidate.context_tokens is not None:
            shape["context_length"] = candidate.context_tokens
    return shape


async def _gone(request: Request, problem: Exception) -> Response:
    """The response if a client disconnects before the end of its body; nobody reads it."""
    return Response(status_code=GONE)


async def _api_error(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, ApiError)
    return error_reply(request.url.path, problem)


async def _http_error(request: Request, problem: Exception) -> JSONResponse:
    """The response to Starlette's own errors, such as an unknown path or a wrong method."""
    assert isinstance(problem, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(problem.status_code)
    path = request.url.path
    message = f"{request.method} {path}: {problem.detail}."
    if problem.status_code == 404:
        meant = next((route for route in (*ANSWERS, "/v1/models") if path.endswith(route[3:])), None)
        hint = f"It is {meant} here: check the client's base URL." if meant else f"Served here: {listed(ANSWERS)}."
        message = f"{message} {hint}"
    error = ApiError(problem.status_code, message, code, headers=problem.headers or {})
    return error_reply(path, error)


def _body_schema(body: type[Body]) -> dict[str, Any]:
    """The `openapi_extra` of a route with this body."""
    schema = {"$ref": SCHEMA.format(model=body.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
