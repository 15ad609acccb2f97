"""Requests that the demo's server refuses, and the security headers of its responses.

Model text is made harmless where it is drawn (text.py). The headers are a second line of defence: even if something
slips through, the browser loads nothing from another host and no other site can show the page in a frame.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zooter_core.base.hosts import Gate

INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


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
        headers: added to every response.
    """

    app: ASGIApp
    gate: Gate
    headers: dict[str, str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        refusal = self.gate.refusal(scope)
        answer = PlainTextResponse(f"{refusal[1]}\n", refusal[0]) if refusal else self.app
        await answer(scope, receive, send_with_headers)
