"""The HTTP client of one endpoint: nothing but the request goes out, and no more than an answer's size comes in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import openai

from zooter_core.backends.http.faults import AnswerError
from zooter_core.config.endpoint import EndpointConfig

# The official client adds facts about this machine, and headers that OPENAI_... variables name, to every request. A
# server of the user's own has no business with either.
SENT = ("host", "accept", "connection", "content-type", "content-length", "user-agent", "transfer-encoding")
BYTES_A_CHARACTER = 400  # a token of three letters comes in an event of some 250 bytes, of which half may be names
LEAST_BYTES = 1 << 20
NO_KEY = "none"


def client_of(config: EndpointConfig, key: str | None) -> openai.AsyncOpenAI:
    """The official client for an endpoint, without retries and redirects of its own.

    A proxy that the environment names is used, but never for this machine itself.
    """
    most = LEAST_BYTES + BYTES_A_CHARACTER * config.most_characters

    async def before(request: httpx2.Request) -> None:
        kept = (*SENT, "authorization") if key else SENT
        for name in [name for name in request.headers if name.lower() not in kept]:
            del request.headers[name]
        request.headers["accept-encoding"] = "identity"

    async def after(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise AnswerError("a compressed answer, which was not asked for", "Switch the server's compression off.")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = Bounded(response.stream, most)

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


class Bounded(httpx2.AsyncByteStream):
    """A response's bytes, up to a most."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream, self._most = stream, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        come = 0
        async for part in self._stream:
            come += len(part)
            if come > self._most:
                raise AnswerError(f"more than {self._most:,} bytes in one answer", "See the server's log.")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
