"""Requests that the demo's server refuses, and the security headers of its responses.

Model text is made harmless where it is drawn (text.py). The headers are a second line of defence: even if something
slips through, the browser loads nothing from another host and no other site can show the page in a frame. The list of
hosts prevents DNS rebinding: a site whose name is made to point at this machine is refused by that name.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zooter_core.hosts import Host, host_name, parse_host, same_origin

INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
NO_HOST = "Zooter expects one Host header with a host name and, where needed, a port.\n"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def content_security_policy(page: str, embed_from: Iterable[str] = ()) -> str:
    """The policy for an HTML page. It allows the page's inline scripts by their hashes.

    Args:
        page: the HTML.
        embed_from: origins whose pages may show the demo in a frame.
    """
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in INLINE.findall(page)]
    directives = {
        "default-src": ["'self'"],
        "script-src": ["'self'", *(f"'sha256-{value}'" for value in hashes)],
        "style-src": ["'self'", "'unsafe-inline'"],  # Streamlit sets styles on its elements
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'", "data:"],
        "media-src": ["'self'", "data:", "blob:"],
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'self'", *embed_from],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def security_headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-DNS-Prefetch-Control": "off",  # otherwise the browser looks up link hosts before anybody clicks
    }


async def internal_error(request: Request, problem: Exception, headers: dict[str, str]) -> PlainTextResponse:
    """The response to a request that raised. Starlette sends it past all middleware."""
    return PlainTextResponse("Internal Server Error", status_code=500, headers=headers)


@dataclass(frozen=True)
class Guard:
    """ASGI middleware: refuses foreign hosts and origins, and adds the headers.

    Attributes:
        hosts: the names under which the server answers, as `host_name` spells them.
        headers: added to every response.
    """

    app: ASGIApp
    hosts: frozenset[str]
    headers: dict[str, str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        problem = self.problem(scope)
        # Without a valid Host a request is malformed (RFC 9112, 3.2); h11 refuses some of them before they come here.
        status = 400 if problem == NO_HOST else 403
        answer = PlainTextResponse(problem, status_code=status) if problem else self.app
        await answer(scope, receive, send_with_headers)

    def problem(self, scope: Scope) -> str | None:
        """Why a request is refused; None if it is not."""
        headers = Headers(scope=scope)
        written = headers.getlist("host")
        host = parse_host(written[0]) if len(written) == 1 else None
        if host is None:
            return NO_HOST
        if host.name not in self.hosts and host.name != _local_address(scope):
            return (
                f"Zooter does not answer under the host name {host.name}.\n"
                f"If that name is yours, start the demo with: zooter demo --allow-host {host.name}\n"
            )
        return _problem_of_origin(scope, headers.getlist("origin"), host)


def _problem_of_origin(scope: Scope, origins: list[str], host: Host) -> str | None:
    """Why an origin is refused. Browsers send one with each websocket and each request that changes something."""
    websocket = scope["type"] == "websocket"
    if not websocket and (scope["method"] in SAFE_METHODS or not origins):
        return None
    if len(origins) == 1 and same_origin(origins[0], str(host)):
        return None
    return "Zooter takes connections and uploads from its own pages only: Origin and Host must name the same server.\n"


def _local_address(scope: Scope) -> str | None:
    """This machine's address that received the request. DNS rebinding cannot fake a bare address."""
    server = scope.get("server")
    return host_name(server[0]) if server else None
