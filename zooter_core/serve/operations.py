"""The routes for those who run the endpoint: is it ready, how is it doing, load the fleet anew."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from zooter_core.errors import ZooterError
from zooter_core.serve import schemas
from zooter_core.serve.access import key_of
from zooter_core.serve.errors import SERVER, ApiError
from zooter_core.serve.metrics import CONTENT_TYPE
from zooter_core.serve.server import Server


def add_operations(app: FastAPI, server: Server) -> None:
    """Add the routes to an app."""

    @app.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/ready", responses={503: {"description": "No candidate can be asked."}})
    async def ready(request: Request) -> JSONResponse:
        states = {name: breaker.state for name, breaker in server.gateway.breakers.items()}
        good = (
            not states or any(state != "open" for state in states.values()) or len(states) < len(server.gateway.targets)
        )
        shape: dict[str, object] = {"status": "ready" if good else "unavailable"}
        if server.keys is None or key_of(request):
            shape |= {"fleet": server.gateway.fleet.name, "breakers": states}
        return JSONResponse(shape, 200 if good else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        page = server.metrics.page(server.admission, server.gateway.breakers)
        return Response(page, media_type=CONTENT_TYPE)

    @app.post("/admin/reload", responses=schemas.answers(401, 403, 409))
    async def admin_reload() -> JSONResponse:
        try:
            gateway = await server.reload()
        except ZooterError as problem:
            message = f"The new fleet does not load, so the old one stays. {problem}"
            raise ApiError(409, message, "fleet_not_loaded", kind=SERVER) from None
        return JSONResponse({"status": "reloaded", "fleet": gateway.fleet.name, "candidates": list(gateway.fleet.pool)})
