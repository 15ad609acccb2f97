"""The HTTP client of one endpoint. It sends nothing but the request, and reads no more than an answer can be long."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import openai

from zooter_core.backends.http.faults import SEE_LOG, AnswerError
from zooter_core.config.endpoint import EndpointConfig

# The official client adds facts about this machine, and headers from OPENAI_... variables, to every request. A user's
# server has no business with either.
ALLOWED_HEADERS = ("host", "accept", "connection", "content-type", "content-length", "user-agent", "transfer-encoding")
NO_KEY = "none"
LONGEST_LINE = 1 << 22  # bytes


def client_of(config: EndpointConfig, key: str | None) -> openai.AsyncOpenAI:
    """Return the official client for an endpoint, without its retries and redirects.

    The client uses a proxy that the environment names, except for this machine.
    """

    async def before(request: httpx2.Request) -> None:
        allowed = (*ALLOWED_HEADERS, "authorization") if key else ALLOWED_HEADERS
        for name in [name for name in request.headers if name.lower() not in allowed]:
            del request.headers[name]
        request.headers["accept-encoding"] = "identity"

    async def after(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            next_step = "Switch off compression on the server."
            raise AnswerError("the server sent a compressed answer without being asked to", next_step)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = BoundedStream(response.stream, config.most_bytes)

    http = httpx2.AsyncClient(
        follow_redirects=False,
        trust_env=not config.local,
        timeout=httpx2.Timeout(None, connect=config.connect_seconds),
        event_hooks={"request": [before], "response": [after]},
    )
    return openai.AsyncOpenAI(
        base_url=config.base_url,
        api_key=key or NO_KEY,
        max_retries=0,
        timeout=httpx2.Timeout(None, connect=config.connect_seconds),
        http_client=http,
    )


class BoundedStream(httpx2.AsyncByteStream):
    """The bytes of a response, up to a limit, also of a line, which the official client copies with each part."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream, self._most = stream, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, line = 0, 0
        async for part in self._stream:
            size += len(part)
            end = part.rfind(b"\n")
            line = line + len(part) if end < 0 else len(part) - end - 1
            if line > LONGEST_LINE:
                raise AnswerError(f"a line of the stream has more than {LONGEST_LINE:,} bytes", SEE_LOG)
            if size > self._most:
                raise AnswerError(f"the answer has more than {self._most:,} bytes", SEE_LOG)
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
