"""An HTTP client for one server. It sends nothing besides the request, and limits how much it reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from zooter_core.backends.endpoint.faults import (
    EndpointError,
    connection_error,
    sent_error,
    sent_in,
    status_error,
    too_late,
)
from zooter_core.backends.endpoint.redaction import Redaction
from zooter_core.base.strict_json import dump_json, parse_json

EVENTS, JSON = "text/event-stream", "application/json"
MOST_ERROR = 1 << 16  # bytes that are read of a server's error
LONGEST_HEADER = 1 << 16  # bytes
MOST_BYTES = 1 << 28  # in an answer, by default


class Client:
    """Connections to one server, for one event loop. Redirects are not followed, so that no other server gets the key.

    Args:
        url: the base URL of every path.
        key_variable: the key's environment variable, for messages.
        local: whether the server is on this machine. If so, no proxy is used.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        key_variable: str | None,
        local: bool,
        connect_seconds: float,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.url, self.connect_seconds, self.most_bytes = url.rstrip("/"), connect_seconds, most_bytes
        self.redact = Redaction(key)
        self._key_variable = key_variable
        self._headers = {"Content-Type": JSON, "Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._proxy = None if local else _find_proxy(url)
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(
        self, method: str, path: str, body: Mapping[str, Any] | None, kind: str, seconds: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield a response with status 200. If the block does not read it to the end, the connection is closed.

        Args:
            path: a path below the base URL, or a full URL of the same server.
            seconds: timeout for the response's headers.

        Raises:
            EndpointError: there is no response with status 200, or the connection breaks while the block reads it.
        """
        response = None
        try:
            async with asyncio.timeout(seconds):
                response = await self._send(method, path, body, kind)
            if response.status != 200:
                raw = await self._read_start(response)
                raise status_error(response.status, response.headers, raw, self.redact, self._key_variable)
            await self._check_content_type(response, kind)
            yield response
        except (aiohttp.ClientError, OSError, UnicodeError) as problem:  # UnicodeError: an invalid host name
            if type(problem) is TimeoutError:
                raise too_late(seconds, "first token" if kind == EVENTS else "answer") from None
            raise connection_error(problem, self.connect_seconds, self.redact) from None
        finally:
            if response is not None:
                response.release() if response.content.at_eof() else response.close()

    async def fetch(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float) -> bytes:
        """The body of a response with status 200, with the key masked.

        Raises:
            EndpointError: there is no response with status 200, or it is too long or too late.
        """
        parts, size = [], 0
        try:
            async with asyncio.timeout(seconds), self.open(method, path, body, JSON, seconds) as response:
                while data := await response.content.readany():
                    parts.append(data)
                    size += len(data)
                    if size > self.most_bytes:
                        raise EndpointError(f"the answer has more than {self.most_bytes:,} bytes")
                    await asyncio.sleep(0)  # lets other tasks and the timeout run even if more data has arrived
        except TimeoutError:
            raise too_late(seconds) from None
        return self.redact.data(b"".join(parts))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None, kind: str) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(  # ignores the environment and keeps no cookies
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.connect_seconds),
                max_field_size=LONGEST_HEADER,
                skip_auto_headers=("User-Agent",),
            )
        url = path if path.startswith(("http://", "https://")) else self.url + path
        data = None if body is None else dump_json(body).encode()
        headers = {**self._headers, "Accept": kind}
        return await self._session.request(
            method, url, data=data, headers=headers, proxy=self._proxy, allow_redirects=False
        )

    async def _check_content_type(self, response: aiohttp.ClientResponse, kind: str) -> None:
        """Refuse a response whose content type is not the requested one."""
        if response.content_type == "text/html":
            next_step = "Fix base_url in fleet.toml; it usually ends in /v1."
            raise EndpointError("the server sent a web page instead of an answer", next_step)
        if response.content_type == JSON != kind:
            with suppress(ValueError):
                body = parse_json(await self._read_start(response))
                if isinstance(body, dict) and (error := sent_in(body)):
                    raise sent_error(error, self.redact)
            next_step = "Use a server that streams chat completions."
            raise EndpointError("the server sent a JSON document instead of a stream", next_step)

    async def _read_start(self, response: aiohttp.ClientResponse) -> bytes:
        """The beginning of a body, as far as it arrives within `connect_seconds`."""
        raw = b""
        try:
            async with asyncio.timeout(self.connect_seconds):
                while len(raw) < MOST_ERROR and (data := await response.content.readany()):
                    raw += data
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass
        return self.redact.data(raw[:MOST_ERROR])


def _find_proxy(url: str) -> str | None:
    """The proxy for a URL according to the environment; None if there is none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    if proxy_bypass(parts.netloc.rpartition("@")[2]) or not proxy.startswith(("http://", "https://")):
        return None
    return proxy
