"""What a request must pass before it is answered: host names, origins, API keys, limits for its body, and the limits
of its key and of the endpoint (`Admission`).

Parsed JSON can take thirty times the memory of its text, and no other thread runs while it is parsed. Values are
therefore counted in the raw bytes before parsing, and large bodies are counted and parsed in a thread.

Every scope is an HTTP request: uvicorn runs without WebSockets and lifespan events (run.py).
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from zooter_core.backends.endpoint.health import Places
from zooter_core.base.errors import MOST_FOREIGN, listed, shortened
from zooter_core.base.hosts import HostGate
from zooter_core.base.strict_json import parse_json
from zooter_core.config.serve import VIRTUAL, ServeConfig
from zooter_core.serve.bodies import RoutedBody, check
from zooter_core.serve.errors import ApiError, bad_request, error_reply
from zooter_core.serve.keys import Key, KeyRing

LOG = logging.getLogger("zooter.serve")
HEALTH = "/health"  # answered without a key and under any host name
OPEN = (HEALTH, "/ready")  # answered without a key
ADMIN = "/admin/"
ROUTED_ELSEWHERE = {  # server -> fields by which a client could choose a model, a provider or an address there
    "OpenRouter": ("models", "provider", "route", "preset", "plugins", "transforms"),
    "LiteLLM": (
        *("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks", "model_list"),
        *("model_group", "model_info", "specific_deployment", "router_settings_override", "user_config", "tags"),
        *("custom_llm_provider", "litellm_params", "api_base", "base_url", "api_key", "organization", "extra_body"),
        *("extra_headers", "headers"),
    ),
    "AssemblyAI": ("fallback_config",),
    "Vercel": ("providerOptions",),
    "Not Diamond": ("llm_providers",),
}
NOT_FORWARDED = {name for names in ROUTED_ELSEWHERE.values() for name in names}  # if the key is limited to some models
FORM_TYPES = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
LARGE = 256 << 10  # bytes; larger bodies are parsed in a thread
MOST_DEPTH = 100  # of nested arrays and objects
MOST_ITEMS = 300_000  # in all arrays and objects; OpenAI takes as many tokens for embeddings
MINUTE = 60.0
MOST_BODIES = 64  # read at the same time per key; the key's other requests wait
BUSY_SECONDS = 1  # Retry-After if there is no place for a request
QUEUE_SECONDS = 60.0  # how long a request waits for a place


class GuardGate:
    """Refuses requests under foreign host names and from pages of other origins. Handles HEAD as GET."""

    def __init__(self, app: ASGIApp, gate: HostGate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # uvicorn omits the body
        if scope["path"] != HEALTH and (refusal := self._gate.refusal(scope)):
            status, reason = refusal
            error = ApiError(status, reason, "foreign_page" if status == 403 else "no_host")
            await _refuse(error, scope, receive, send)
        else:
            await self._app(scope, receive, send)


def check_content_type(headers: Headers) -> None:
    """Refuse a body that a page of another site can send without a preflight (the Fetch standard's simple requests).

    Raises:
        ApiError: the content type is missing, or is one that HTML forms use.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if kind in FORM_TYPES and (kind or has_body):
        sent = f"not {shortened(kind, 80)}" if kind else "which is missing"
        message = f"The header `Content-Type: application/json` is required, {sent} (curl: --json instead of -d)."
        raise ApiError(415, message, "unsupported_media_type")


class RequireKey:
    """Refuses requests without a valid key. Routes get the key with `get_key`."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, text = scope["path"], _sent_key(Headers(scope=scope))
        key = self._keys.find(text) if text else None
        if path not in OPEN and (refusal := _refusal(path, text, key)):
            await _refuse(refusal, scope, receive, send)
            return
        scope.setdefault("state", {})["key"] = key
        await self._app(scope, receive, send)


async def _refuse(refusal: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    client = scope["client"][0] if scope.get("client") else "unknown"
    LOG.warning("%s refused from %s: %s", _logged(scope["path"]), _logged(client), refusal.code)
    await error_reply(scope["path"], refusal)(scope, receive, send)


def _logged(text: str) -> str:
    """A client's text for the log: short, on one line, without control characters."""
    return ascii(shortened(text, MOST_FOREIGN))[1:-1]


def get_key(connection: HTTPConnection) -> Key | None:
    """A request's key; None if no keys are required."""
    return connection.scope.get("state", {}).get("key")


def _sent_key(headers: Headers) -> str:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    return headers.get("api-key") or headers.get("x-api-key", "")  # Azure's and Anthropic's clients


def _refusal(path: str, text: str, key: Key | None) -> ApiError | None:
    if key is None:
        missing = "An API key is required, as in `Authorization: Bearer zk-...`."
        message = "This API key is not valid." if text else missing
        return ApiError(401, message, "invalid_api_key", headers={"www-authenticate": "Bearer"})
    if path.startswith(ADMIN) and not key.admin:
        return ApiError(403, f"The key {key.name} is not an admin key.", "not_admin")
    return None


def restricted(body: dict[str, Any], key: Key | None, pool: Collection[str]) -> dict[str, Any]:
    """The body reduced to what the key allows: with fewer `models`, and without fields by which a server would route.

    Args:
        pool: the candidates that are served; a key may also name candidates that have left the fleet.

    Raises:
        ApiError: the body asks only for models that the key may not use, or a field for the router is invalid.
    """
    if key is None or key.models is None:
        return body
    model, wanted = body.get("model"), check(RoutedBody, body).models or ()
    body = {name: value for name, value in body.items() if name not in NOT_FORWARDED}
    if isinstance(model, str) and model not in VIRTUAL:
        if model not in key.models:
            raise _not_allowed(key, key.models)
        return body
    served, names = [name for name in key.models if name in pool], [name for name in wanted if name not in VIRTUAL]
    allowed = [name for name in served if name in names or not names]
    if not allowed:
        raise _not_allowed(key, key.models, "" if served else ", which the fleet does not have")
    return {**body, "models": allowed}


def visible_models(models: Mapping[str, str], key: Key | None) -> list[str]:
    """The names of the models that a key may use."""
    return [name for name in models if key is None or key.models is None or name in (*VIRTUAL, *key.models)]


def _not_allowed(key: Key, models: tuple[str, ...], more: str = "") -> ApiError:
    message = f"The key {key.name} may use only {listed(models)}{more}."
    return ApiError(403, message, "model_not_allowed", "model")


async def read_body(request: Request, admission: Admission, most_bytes: int) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises:
        ApiError: the body is not a JSON object or is too large, or a limit per minute is reached.
    """
    check_content_type(request.headers)
    key = get_key(request)
    admission.count(key)
    async with admission.reading(key):
        raw = bytearray()
        async for part in request.stream():
            if len(raw) + len(part) > most_bytes:
                raise ApiError(413, f"The body has more than {most_bytes:,} bytes.", "request_too_large")
            raw += part
        return await asyncio.to_thread(parsed, raw) if len(raw) > LARGE else parsed(raw)


def parsed(raw: bytes | bytearray) -> dict[str, Any]:
    """The JSON object in a body. Raises as `read_body`."""
    try:
        check_structure(raw)
        body = parse_json(raw.decode("utf-8-sig"))  # in another encoding, `check_structure` would miscount
    except ValueError as problem:
        reason = "it is not UTF-8" if isinstance(problem, UnicodeDecodeError) else str(problem)[:200]
        raise bad_request(f"The body is not valid JSON ({reason}).", code="invalid_json") from None
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.", code="invalid_json")
    return body


def check_structure(raw: bytes | bytearray) -> None:
    """Refuse JSON that is nested too deeply or has too many items. Invalid JSON may pass.

    Raises:
        ApiError: a limit is exceeded.
    """
    opening = raw.count(b"[") + raw.count(b"{")
    if opening <= MOST_DEPTH and opening + raw.count(b",") <= MOST_ITEMS:
        return  # below the limits even if none of these bytes is in a string
    bare = bytes(raw).replace(rb"\\", b"").replace(rb"\"", b"")  # every remaining quote begins or ends a string
    parts = bare.split(b'"', 4 * MOST_ITEMS)  # an object's item has at most two strings
    outside = b"".join(parts[::2])
    if len(parts) > 4 * MOST_ITEMS or sum(map(outside.count, (b"[", b"{", b","))) > MOST_ITEMS:
        raise bad_request(f"The body has more than {MOST_ITEMS:,} values.", code="invalid_json")
    depth = 0
    for bracket in re.findall(rb"[\[{\]}]", outside):
        depth += 1 if bracket in b"[{" else -1
        if depth > MOST_DEPTH:
            raise bad_request(f"The body is nested more than {MOST_DEPTH} levels deep.", code="invalid_json")


@dataclass
class Allowance:
    """A token bucket that holds a minute's worth. It may be overdrawn, and then has to refill."""

    used: float = 0.0
    at: float = -math.inf

    def wait(self, per_minute: float, now: float) -> float:
        """Seconds until one unit is available."""
        self.used = max(0.0, self.used - max(0.0, now - self.at) * per_minute / MINUTE)
        self.at = now
        over = self.used + 1 - per_minute
        return max(0.0, over * MINUTE / per_minute)


@dataclass
class Use:
    """What one key uses; without keys, what all requests use together."""

    requests: Allowance = field(default_factory=Allowance)
    tokens: Allowance = field(default_factory=Allowance)
    concurrent: int = 0
    bodies: Places = field(default_factory=lambda: Places(lambda: MOST_BODIES))


class Admission:
    """Applies the limits. Used by one event loop."""

    def __init__(self, limits: Callable[[], ServeConfig], clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._by_key: defaultdict[str, Use] = defaultdict(Use)
        self._places = Places(lambda: limits().concurrent)

    @property
    def running(self) -> int:
        return self._places.taken

    @property
    def waiting(self) -> int:
        return self._places.waiting

    def count(self, key: Key | None) -> None:
        """Count a request.

        Raises:
            ApiError: a limit per minute is reached.
        """
        if key is None:
            return
        use, now = self._use(key), self._clock()
        checks = [(use.requests, key.requests_per_minute, "requests"), (use.tokens, key.tokens_per_minute, "tokens")]
        for allowance, per_minute, what in checks:
            if per_minute and (seconds := allowance.wait(per_minute, now)) > 0:
                message = f"The key {key.name} has reached its limit of {what} per minute ({per_minute:,})."
                raise _later(429, message, "rate_limit_exceeded", seconds)
        use.requests.used += 1

    def spend(self, key: Key | None, tokens: int) -> None:
        """Count the tokens of a request that has ended."""
        self._use(key).tokens.used += tokens

    def reading(self, key: Key | None) -> Places:
        """Places for requests whose bodies are being read. They do not count as places of `place`."""
        return self._use(key).bodies

    @asynccontextmanager
    async def place(self, key: Key | None) -> AsyncIterator[None]:
        """Hold a place for a request, from the end of its body to the end of its answer. First come, first served.

        Raises:
            ApiError: the queue is full, or no place became free in time.
        """
        limits, use, here = self._limits(), self._use(key), self.running + self.waiting
        if here >= limits.concurrent + limits.queue:
            raise _later(503, f"{here:,} requests are already running or waiting.", "queue_full", BUSY_SECONDS)
        if key and key.concurrent and use.concurrent >= key.concurrent:
            message = f"The key {key.name} has reached its limit of concurrent requests ({key.concurrent:,})."
            raise _later(429, message, "rate_limit_exceeded", BUSY_SECONDS)
        use.concurrent += 1
        try:
            try:
                async with asyncio.timeout(QUEUE_SECONDS):
                    await self._places.enter()
            except TimeoutError:
                message = f"No place became free within {QUEUE_SECONDS:g} s."
                raise _later(503, message, "queue_timeout", BUSY_SECONDS) from None
            try:
                yield
            finally:
                self._places.leave()
        finally:
            use.concurrent -= 1

    def _use(self, key: Key | None) -> Use:
        return self._by_key[key.name if key else ""]


def _later(status: int, message: str, code: str, seconds: float) -> ApiError:
    kind = "rate_limit_error" if status == 429 else None
    headers = {"retry-after": str(max(1, math.ceil(seconds)))}
    return ApiError(status, f"{message} Try again later.", code, kind=kind, headers=headers)
