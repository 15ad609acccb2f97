"""Collecting from several endpoints at once: four scripted servers with latencies of 50, 100, 200 and 400 ms.

    python benchmarks/collecting.py [--queries 120] [--parallel 4]

Each server runs in its own process and answers after its latency. Prints the seconds of each endpoint collected alone,
of all of them together, and the ratio of all together to the slowest alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from zooter_core import pipeline
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.ensemble import Ensemble
from zooter_core.records import Query

LATENCIES = (0.05, 0.1, 0.2, 0.4)
EVENTS = (
    {"choices": [{"index": 0, "delta": {"content": "An answer."}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
)
BODY = (
    b"".join(b"data: " + json.dumps({"id": "1", **event}).encode() + b"\n\n" for event in EVENTS) + b"data: [DONE]\n\n"
)
MODELS = json.dumps({"object": "list", "data": [{"id": "scripted"}]}).encode()
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n"
CANDIDATE = """
[[candidate]]
name = "{name}"
backend = "openai"
model = "scripted"
base_url = "http://127.0.0.1:{port}/v1"
parallel = {parallel}
"""


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float) -> None:
    """The requests of one connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths:
                await reader.readexactly(int(lengths[0].split(b":")[1]))
                await asyncio.sleep(latency)
            kind, body = ("text/event-stream", BODY) if lengths else ("application/json", MODELS)
            writer.write(HEAD.format(kind, len(body)).encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve(latency: float, port: Connection) -> None:
    """A scripted server. Its port goes through the connection."""

    async def run() -> None:
        server = await asyncio.start_server(lambda r, w: answer(r, w, latency), "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def collect(ports: dict[str, int], queries: list[Query], parallel: int) -> tuple[float, float]:
    """Seconds, and CPU seconds, of collecting from these endpoints."""
    with tempfile.TemporaryDirectory() as folder:
        entries = (CANDIDATE.format(name=name, port=port, parallel=parallel) for name, port in ports.items())
        (Path(folder) / "fleet.toml").write_text('name = "scripted"\n' + "".join(entries))
        ensemble = Ensemble(load_fleet(Path(folder)))
        with Run(Path(folder) / "run", create=True) as run:
            pipeline.start(run, ensemble, queries)
            started, cpu = time.perf_counter(), time.process_time()
            pipeline.collect(run, ensemble, GenerationConfig(max_new_tokens=16))
            return time.perf_counter() - started, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=120)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--latencies", type=float, nargs="+", default=LATENCIES, help="seconds, one per endpoint")
    options = parser.parse_args()
    queries = [Query(str(n), f"What is {n} + {n}?") for n in range(options.queries)]
    servers, ports = [], {}
    try:
        for latency in options.latencies:
            ours, theirs = multiprocessing.Pipe()
            servers.append(multiprocessing.Process(target=serve, args=(latency, theirs), daemon=True))
            servers[-1].start()
            ports[f"{1000 * latency:g} ms"] = ours.recv()
        collect(ports, queries[:4], options.parallel)  # imports
        alone = {name: collect({name: port}, queries, options.parallel) for name, port in ports.items()}
        together = collect(ports, queries, options.parallel)
    finally:
        for server in servers:
            server.terminate()
    slowest = max(seconds for seconds, _ in alone.values())
    shape = {name: {"seconds": round(s, 2), "cpu_seconds": round(cpu, 2)} for name, (s, cpu) in alone.items()}
    shape["together"] = {"seconds": round(together[0], 2), "cpu_seconds": round(together[1], 2)}
    print(json.dumps({**shape, "ratio": round(together[0] / slowest, 3)}, indent=2))


if __name__ == "__main__":
    main()
