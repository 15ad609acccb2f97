"""Hostile clients and servers beside honest ones: how long honest clients wait for the first token, and how the attacks
end.

A stub server answers behind `zooter serve` with API keys. Honest clients send one request after the other, in turns
alone and beside the same number of hostile clients, which have a separate process and key and make one attack after
the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from servers import Server, stub_server

from serve import RATE, TOKENS, Load, load, zooter
from zooter_core.serve.bodies import MOST_CONVERSATIONS
from zooter_core.serve.keys import Key, add_key

ATTACK_SECONDS = 15.0  # after which a client gives up an attack that the server does not end
PAUSE_SECONDS = 0.2  # between two attacks of one client
HEALTH_SECONDS = 0.5  # between two requests of /health
CHAT = "/v1/chat/completions"
ALONE, BESIDE = "alone", "beside hostile clients"  # kinds of turns
NESTED = b"[" * (30 << 20)
Attack = Callable[["Connection"], Awaitable[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20, help="of each kind")
    parser.add_argument("--seconds", type=float, default=600, help="beside hostile clients; a fifth of it alone")
    parser.add_argument("--rounds", type=int, default=4, help="turns, among which --seconds are split")
    parser.add_argument("--attack", nargs=2, metavar=("PORT", "KEY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        print(json.dumps(asyncio.run(attack(options))))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = folder / "keys.json"
        keys = [add_key(file, Key(name, "", 0.0)) for name in ("honest", "hostile")]
        stub = stack.enter_context(stub_server(TOKENS, RATE))
        target = stack.enter_context(zooter(stub.url, "auto", "--keys", str(file), "--data", str(folder / "data")))
        measure(target, stub, keys, options)


@dataclass
class Turns:
    """The measurements of one kind of turns: of honest clients, of /health, and processor time by process."""

    load: Load = field(default_factory=Load)
    health: list[float] = field(default_factory=list)
    cpu_seconds: Counter[str] = field(default_factory=Counter)

    def row(self) -> dict[str, float]:
        """The figures; processor time in cores."""
        first, seconds = self.load.first, self.load.seconds
        return {
            "requests": len(first),
            "errors": self.load.errors,
            **{f"first_p{q}_ms": 1000 * float(np.percentile(first, q)) for q in (50, 95, 99)},
            **{f"health_p{q}_ms": 1000 * float(np.percentile(self.health, q)) for q in (50, 95, 100)},
            **{f"{name}_cores": used / seconds for name, used in self.cpu_seconds.items()},
        }


def measure(target: Server, stub: Server, keys: Sequence[str], options: argparse.Namespace) -> None:
    """Run honest clients alone and beside hostile ones, in turns. Print the figures of both, and the outcomes."""
    turns = {ALONE: Turns(), BESIDE: Turns()}
    outcomes: Counter[str] = Counter()
    megabytes = [target.megabytes]

    def cpu() -> Counter[str]:
        times = os.times()
        honest_seconds, hostile_seconds = times.user + times.system, times.children_user + times.children_system
        return Counter(
            endpoint=target.cpu_seconds, stub=stub.cpu_seconds, honest=honest_seconds, hostile=hostile_seconds
        )

    for number in range(options.rounds):
        for name, turn in turns.items():
            print(f"round {number + 1}: honest clients {name}", file=sys.stderr)
            seconds, before = options.seconds / options.rounds * (1 if name == BESIDE else 0.2), cpu()
            attacker = start_attacks(target.port, keys[1], seconds, options.clients) if name == BESIDE else None
            asyncio.run(honest(target.port, options.clients, seconds, turn.load, keys[0], turn.health))
            if attacker:
                outcomes += Counter(json.loads(attacker.communicate(timeout=ATTACK_SECONDS * 4)[0]))
            turn.cpu_seconds.update(cpu())
            turn.cpu_seconds.subtract(before)
            megabytes.append(target.megabytes)
    rows = {name: turn.row() for name, turn in turns.items()}
    for name, row in rows.items():
        print(f"{name}: " + ", ".join(f"{figure} {value:.4g}" for figure, value in row.items()))
    print(f"first token, p95: {rows[BESIDE]['first_p95_ms'] / rows[ALONE]['first_p95_ms']:.2f} times as late")
    print("megabytes: " + " ".join(f"{size:.0f}" for size in megabytes))
    for outcome, count in sorted(outcomes.items()):
        print(f"{outcome}  {count}")


async def honest(port: int, clients: int, seconds: float, result: Load, key: str, health: list[float]) -> None:
    """Run honest clients for some time, and request /health at intervals."""

    async def look() -> None:
        while True:
            began = time.perf_counter()
            with suppress(OSError):
                async with asyncio.timeout(ATTACK_SECONDS):
                    await Connection(port, "").exchange("GET", "/health")
            health.append(time.perf_counter() - began)
            await asyncio.sleep(HEALTH_SECONDS)

    looking = asyncio.create_task(look())
    await load(port, clients, seconds, TOKENS / RATE, result, key)
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking


def start_attacks(port: int, key: str, seconds: float, clients: int) -> subprocess.Popen[str]:
    """Start the hostile clients in a separate process."""
    command = [sys.executable, __file__, "--attack", str(port), key]
    command += ["--seconds", str(seconds), "--clients", str(clients)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def attack(options: argparse.Namespace) -> dict[str, int]:
    """Run the attacks of all hostile clients. Return how often each outcome occurred."""
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # connections that the server ends
    port, key = int(options.attack[0]), options.attack[1]
    until = time.perf_counter() + options.seconds
    outcomes: Counter[str] = Counter()

    async def client(number: int) -> None:
        order = random.Random(number)
        while time.perf_counter() < until:
            name = order.choice(list(ATTACKS))
            connection = Connection(port, key)
            try:
                async with asyncio.timeout(ATTACK_SECONDS):
                    outcome = await ATTACKS[name](connection)
            except TimeoutError:
                outcome = f"given up after {ATTACK_SECONDS:g} s"
            except (OSError, asyncio.IncompleteReadError):
                outcome = "closed"
            finally:
                connection.close()
            outcomes[f"{name}: {outcome}"] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*map(client, range(options.clients)))
    return dict(outcomes)


class Connection:
    """One connection of a client that may violate HTTP."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 16)
        return reader, self.writer

    def head(self, method: str, path: str, **headers: object) -> bytes:
        """The first lines of a request; `host=...` replaces a header."""
        lines = {"Host": "localhost", "Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        lines |= {name.replace("_", "-").title(): str(value) for name, value in headers.items()}
        return "".join([f"{method} {path} HTTP/1.1\r\n", *(f"{k}: {v}\r\n" for k, v in lines.items())]).encode()

    async def exchange(self, method: str, path: str, body: bytes = b"", **headers: object) -> str:
        """Send a request. Return the status of the answer."""
        reader, writer = await self.open()
        writer.write(self.head(method, path, content_length=len(body), **headers) + b"\r\n" + body)
        return await status(reader)

    def close(self) -> None:
        if self.writer:
            self.writer.transport.abort()


async def status(reader: asyncio.StreamReader) -> str:
    """The status of an answer; `closed` if there is none."""
    line = await reader.readline()
    return line.split(b" ")[1].decode() if line else "closed"


def chat(text: object, **more: object) -> bytes:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}], **more}).encode()


async def page_of_another_site(connection: Connection) -> str:
    return await connection.exchange(
        "POST", CHAT, chat("Hi"), content_type="text/plain", origin="https://evil.example"
    )  # fmt: skip


async def rebound_name(connection: Connection) -> str:
    return await connection.exchange("GET", "/v1/models", host="evil.example")


async def wrong_key(connection: Connection) -> str:
    return await connection.exchange("POST", CHAT, chat("Hi"), authorization="Bearer zk-hostile-wrong")


async def endless_headers(connection: Connection) -> str:
    return await flood(connection, b"", (f"X-{number}: {'a' * 1000}\r\n".encode() for number in range(60_000)))


async def long_header(connection: Connection) -> str:
    return await flood(connection, b"X-Long: ", [b"a" * (1 << 20)] * 79)


async def flood(connection: Connection, first: bytes, parts: Iterable[bytes]) -> str:
    """Send headers until the server ends the connection."""
    reader, writer = await connection.open()
    writer.write(connection.head("POST", CHAT) + first)
    answer = asyncio.ensure_future(status(reader))
    for part in parts:
        writer.write(part)
        await writer.drain()
        if answer.done():
            break
    return await answer


async def slow_headers(connection: Connection) -> str:
    reader, writer = await connection.open()
    return await drip(reader, writer, connection.head("POST", CHAT))


async def slow_body(connection: Connection) -> str:
    reader, writer = await connection.open()
    writer.write(connection.head("POST", CHAT, content_length=10_000) + b"\r\n")
    return await drip(reader, writer, chat("Hi " * 3000))


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> str:
    """Send a byte at a time, slowly, until the server answers."""
    answer = asyncio.ensure_future(status(reader))
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.wait([answer], timeout=0.5)
        if answer.done():
            break
    return await answer


async def nested_arrays(connection: Connection) -> str:
    return await connection.exchange("POST", CHAT, NESTED)


async def many_texts(connection: Connection) -> str:
    """Send a request with the largest number of texts to route, and do not wait for the answer."""
    texts = [
        [{"role": "user", "content": f"{random.random()} {'many words ' * 90}"}] for _ in range(MOST_CONVERSATIONS)
    ]
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            return await connection.exchange("POST", "/v1/route", json.dumps({"conversations": texts}).encode())
    return "left"


async def never_reads(connection: Connection) -> str:
    """Request a stream of 25 MB, and do not read it until the server ends it."""
    _, writer = await connection.open()
    body = chat("Write without end", stream=True)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(connection.head("POST", CHAT, content_length=len(body)) + b"\r\n" + body)
    while not writer.is_closing():
        await asyncio.sleep(1)
        writer.write(b"\r\n")  # fails once the server has closed
        await writer.drain()
    return "closed"


async def leaves(connection: Connection) -> str:
    reader, writer = await connection.open()
    body = chat(f"Tell me about {random.random()}", stream=True)
    writer.write(connection.head("POST", CHAT, content_length=len(body)) + b"\r\n" + body)
    await reader.readline()
    return "left"


async def image(connection: Connection) -> str:
    """Send an image that no candidate can read."""
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png;,"}}]
    return await connection.exchange("POST", CHAT, chat(parts))


async def flood_of_comments(connection: Connection) -> str:
    return await flooded(connection, "comments")


async def flood_of_empty_events(connection: Connection) -> str:
    return await flooded(connection, "empty events")


async def flood_of_tokens(connection: Connection) -> str:
    return await flooded(connection, "tokens")


async def flooded(connection: Connection, what: str) -> str:
    """Read the answer of a server that never stops sending, until the endpoint ends it."""
    reader, writer = await connection.open()
    body = chat(f"Flood with {what}", stream=True)
    writer.write(connection.head("POST", CHAT, content_length=len(body)) + b"\r\n" + body)
    answer = await status(reader)
    while await reader.read(1 << 16):
        pass
    return answer


async def long_path(connection: Connection) -> str:
    return await connection.exchange("GET", "/v1/models/%1b%5b2J" + "a" * 60_000)


async def not_http(connection: Connection) -> str:
    reader, writer = await connection.open()
    writer.write(random.randbytes(1000) + b"\r\n\r\n")
    return await status(reader)


ATTACKS: dict[str, Attack] = {
    function.__name__: function
    for function in (
        *(page_of_another_site, rebound_name, wrong_key, endless_headers, long_header, slow_headers, slow_body),
        *(nested_arrays, many_texts, never_reads, leaves, image, long_path, not_http),
        *(flood_of_comments, flood_of_empty_events, flood_of_tokens),
    )
}


if __name__ == "__main__":
    main()
