"""The routes of the endpoint."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from zooter_core import __version__
from zooter_core.errors import ZooterError
from zooter_core.serve import schemas
from zooter_core.serve.access import RequireKey, key_of, restricted, visible_models
from zooter_core.serve.admission import Admission
from zooter_core.serve.chat import answer_chat
from zooter_core.serve.chat_request import read_body, read_chat, too_large
from zooter_core.serve.decision_log import DecisionLog
from zooter_core.serve.errors import SERVER, ApiError
from zooter_core.serve.exchange import METADATA_HEADER, METADATA_ON, Exchange
from zooter_core.serve.feedback import keep_feedback, read_feedback
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.keys import KeyRing
from zooter_core.serve.metrics import Metrics
from zooter_core.serve.operations import add_operations, reload
from zooter_core.serve.passthrough import answer_embeddings, answer_responses
from zooter_core.serve.reply import Observer, Out, Reply
from zooter_core.serve.route_api import route_only
from zooter_core.serve.settings import ServeSettings
from zooter_core.serve.traces import Traces, wanted
from zooter_core.serve.usage import usage_of

SESSION_HEADER = "x-session-id"
ANSWERING = (400, 401, 403, 404, 413, 429, 502, 503, 504)  # statuses of errors on the routes where candidates answer
Handler = Callable[[Gateway, dict[str, Any], Exchange, Out], Awaitable[None]]


class Server:
    """What the routes share.

    Attributes:
        gateway: the fleet that answers now. A request keeps the one that it began with.
        admission: how much is let in.
        keys: the API keys; None where none are required.
        metrics: what has happened so far.
        observers: called with every exchange that has ended.
        reloading: held while a fleet is loaded anew.
        progress: called with a message before work that takes long.
        failure: why the fleet could not be opened.
    """

    gateway: Gateway

    def __init__(
        self,
        settings: ServeSettings,
        observers: Sequence[Observer] = (),
        progress: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.settings, self.progress, self.metrics = settings, progress, Metrics()
        self.observers: list[Observer] = [self.metrics, *observers]
        self.reloading = asyncio.Lock()
        self.failure: ZooterError | None = None
        self.admission = Admission(lambda: self.gateway.fleet.serve)
        self.keys = KeyRing(settings.keys) if settings.keys else None

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[None]:
        """Open the fleet and the decision log while the app runs. SIGHUP loads the fleet anew."""
        try:
            log, traces = self._open_log(), Traces() if wanted() else None
            self.gateway = await Gateway.open(self.settings.fleet, progress=self.progress)
        except ZooterError as problem:
            self.failure = problem
            raise SystemExit(problem.exit_code) from None  # uvicorn would log a traceback
        self.observers = [observer for observer in (log, traces) if observer] + self.observers
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup)
        try:
            yield
        finally:
            await self.gateway.close()
            log.close()
            if traces:
                await asyncio.to_thread(traces.close)

    def _open_log(self) -> DecisionLog:
        try:
            return DecisionLog(self.settings.data, self.settings.log_prompts)
        except OSError as problem:
            next_step = "Fix its permissions, or give another folder with --data."
            raise ZooterError(
                f"a folder for the decision log at {self.settings.data}", str(problem), next_step
            ) from None

    def _on_hangup(self) -> None:
        async def load() -> None:
            with suppress(ZooterError):  # which is logged
                await reload(self)

        self._reload = asyncio.create_task(load())  # the loop itself holds no task

    async def body(self, request: Request) -> dict[str, Any]:
        """The JSON object in a request's body.

        Raises:
            ApiError: it is none or too large, or the limit of requests a minute is reached.
        """
        self.admission.count(key_of(request))
        most, size, parts = self.settings.most_bytes, 0, []
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise too_large(most)
            parts.append(part)
        return read_body(b"".join(parts))

    def reply(self, request: Request, handle: Handler) -> Reply:
        """The answer that `handle` writes, given the body."""
        wants_metadata = request.headers.get(METADATA_HEADER, "").lower() == METADATA_ON
        key = key_of(request)
        exchange = Exchange(request.url.path, wants_metadata, key=key.name if key else None)
        exchange.traceparent = request.headers.get("traceparent")

        async def run(out: Out) -> None:
            with self.admission.admitted(key):
                body = restricted(await self.body(request), key)
                async with self.admission.place(), self.gateway.used() as gateway:
                    await _in_time(handle(gateway, body, exchange, out), gateway.fleet.serve.deadline_seconds)

        def spend(ended: Exchange) -> None:
            usage = usage_of(ended)
            self.admission.spend(key, usage.prompt + usage.answer)

        return Reply(exchange, run, [spend, *self.observers])


async def _in_time(answer: Awaitable[None], seconds: float) -> None:
    """Wait for an answer until its deadline.

    Raises:
        ApiError: it takes longer.
    """
    try:
        async with asyncio.timeout(seconds):
            await answer
    except TimeoutError:
        message = f"The answer took longer than {seconds:g} s."
        raise ApiError(504, message, "deadline_exceeded", kind=SERVER) from None


def build_app(server: Server) -> FastAPI:
    """The app of a server."""
    app = FastAPI(
        title="Zooter",
        version=__version__,
        description="An OpenAI-compatible endpoint that routes each request to one of several models.",
        lifespan=server.running,
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    _add_answers(app, server)
    _add_lookups(app, server)
    add_operations(app, server)
    if server.keys is not None:
        app.add_middleware(RequireKey, keys=server.keys)
    return app


def _add_answers(app: FastAPI, server: Server) -> None:
    """The routes on which candidates answer."""

    @app.post(
        "/v1/chat/completions",
        openapi_extra=schemas.body(schemas.CHAT),
        responses=schemas.answers(*ANSWERING),
    )
    async def chat_completions(request: Request) -> Reply:
        async def handle(gateway: Gateway, body: dict[str, Any], exchange: Exchange, out: Out) -> None:
            chat = read_chat(body, request.headers.get(SESSION_HEADER))
            await answer_chat(gateway, chat, exchange, out)

        return server.reply(request, handle)

    @app.post(
        "/v1/responses",
        openapi_extra=schemas.body(schemas.RESPONSES),
        responses=schemas.answers(*ANSWERING),
    )
    async def responses(request: Request) -> Reply:
        async def handle(gateway: Gateway, body: dict[str, Any], exchange: Exchange, out: Out) -> None:
            session = request.headers.get(SESSION_HEADER)
            await answer_responses(gateway, body, session, exchange, out)

        return server.reply(request, handle)

    @app.post(
        "/v1/embeddings",
        openapi_extra=schemas.body(schemas.EMBEDDINGS),
        responses=schemas.answers(*ANSWERING),
    )
    async def embeddings(request: Request) -> Reply:
        async def handle(gateway: Gateway, body: dict[str, Any], exchange: Exchange, out: Out) -> None:
            await answer_embeddings(gateway, body, exchange, out)

        return server.reply(request, handle)


def _add_lookups(app: FastAPI, server: Server) -> None:
    """The routes that answer without a candidate."""

    @app.post("/v1/route", openapi_extra=schemas.body(schemas.ROUTE), responses=schemas.answers(400, 401, 413, 429))
    async def route(request: Request) -> JSONResponse:
        session = request.headers.get(SESSION_HEADER)
        body = restricted(await server.body(request), key_of(request))
        async with server.gateway.used() as gateway:
            return JSONResponse(await route_only(gateway, body, session))

    @app.post(
        "/v1/feedback", openapi_extra=schemas.body(schemas.FEEDBACK), responses=schemas.answers(400, 401, 413, 429)
    )
    async def feedback(request: Request) -> JSONResponse:
        record = read_feedback(await server.body(request))
        try:
            await asyncio.to_thread(keep_feedback, server.settings.data, record)
        except (ZooterError, OSError) as problem:
            raise ApiError(500, "The feedback was not stored.", "not_stored", kind=SERVER) from problem
        return JSONResponse({"object": "feedback", "request_id": record["request_id"], "stored": True})

    @app.get("/v1/models")
    async def models(request: Request) -> JSONResponse:
        names = visible_models(server.gateway.models, key_of(request))
        entries = [model_shape(server.gateway, name) for name in names]
        return JSONResponse({"object": "list", "data": entries})

    @app.get("/v1/models/{model:path}", responses=schemas.answers(404))
    async def model(request: Request, model: str) -> JSONResponse:
        if model not in visible_models(server.gateway.models, key_of(request)):
            raise ApiError(404, f"The model {model!r} does not exist here.", "model_not_found", "model")
        return JSONResponse(model_shape(server.gateway, model))


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


async def _api_error(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, ApiError)
    return JSONResponse(problem.shape, problem.status, dict(problem.headers))


async def _http_error(request: Request, problem: Exception) -> JSONResponse:
    """What Starlette raises: an unknown path, a wrong method."""
    assert isinstance(problem, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(problem.status_code)
    error = ApiError(problem.status_code, f"{request.method} {request.url.path}: {problem.detail}.", code)
    return JSONResponse(error.shape, error.status, dict(problem.headers or {}))
