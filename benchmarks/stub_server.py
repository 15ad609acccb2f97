"""The stub of `servers.py`: python stub_server.py PORT TOKENS RATE [SHARE SECONDS] answers at a fixed rate of tokens.

A SHARE of the requests waits SECONDS before its first token. Images are refused as by llama.cpp's server. The answer to
LONG has enough tokens to fill every buffer on the way, and the answer to FLOOD never ends.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any

LONG, LONG_TOKENS, LONG_AT_ONCE = b"Write without end", 100_000, 100
FLOOD = b"Flood with "  # followed by "comments", "empty events" or "tokens"
REFUSAL = b'{"error":{"code":500,"message":"image input is not supported","type":"server_error"}}'


def chunked(data: bytes) -> bytes:
    """A chunk of a body in HTTP's chunked encoding."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    """A chunk with one event."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    shape: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "stub"}
    return chunked(b"data: " + json.dumps(shape | {"choices": [choice]}, separators=(",", ":")).encode() + b"\n\n")


FLOODS = {
    b"comments": chunked(b": alive\n\n" * 1000),
    b"empty": event({"role": "assistant", "content": ""}) * 100,
    b"tokens": event({"content": " x"}) * 100,
}


def main(port: int, tokens: int, rate: float, share: float = 0, seconds: float = 0) -> None:
    """Answer every request with the same tokens; `rate` is in tokens per second, 0 sends all at once."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = [event({"role": "assistant", "content": ""}), *[event({"content": " word"})] * tokens]
    end = event({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"

    dice = random.Random(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                headers = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = headers.partition(b"content-length:")[2].split(b"\r\n")[0]
                if not length:  # a request of the list of models, which does not exist
                    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    continue
                body = await reader.readexactly(int(length))
                if b'"image_url"' in body:
                    size = f"Content-Type: application/json\r\nContent-Length: {len(REFUSAL)}\r\n\r\n"
                    writer.write(b"HTTP/1.1 500 Internal Server Error\r\n" + size.encode() + REFUSAL)
                    continue
                if FLOOD in body:
                    writer.write(head)
                    while True:
                        writer.write(next(flood for name, flood in FLOODS.items() if FLOOD + name in body))
                        await writer.drain()
                if LONG in body:
                    writer.write(head + parts[0])
                    for _ in range(0, LONG_TOKENS, LONG_AT_ONCE):
                        writer.write(parts[1] * LONG_AT_ONCE)
                        await writer.drain()  # sending all at once would delay other answers
                    writer.write(end)
                    continue
                if dice.random() < share:
                    await asyncio.sleep(seconds)
                writer.write(head + parts[0])
                for part in parts[1:] if rate else ():
                    await asyncio.sleep(1 / rate)
                    writer.write(part)
                writer.write(end if rate else b"".join(parts[1:]) + end)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", port, backlog=1024) as server:
            await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
