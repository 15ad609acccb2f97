"""The endpoint under load: the latency that it adds to an answer, and its throughput, compared with LiteLLM's proxy.

A stub server sends every answer at a fixed rate of tokens over real HTTP. The same requests go to it directly, through
`zooter serve` (which routes them among four candidates on the stub, with the embedded fleet's router) and, with
`--litellm BIN`, through LiteLLM's proxy with one fixed model, in turns. Latencies are added latencies: a quantile
through the proxy minus the same quantile of direct requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from servers import Server, free_port, started, stub_server

from zooter_core.base.paths import EMBEDDED_FLEET

CANDIDATES = ("chat", "math", "code", "writer")
TOPICS = ("the sea", "a list in Python", "12 + 30 apples", "a toast", "SQL joins", "rain", "a square root", "cats")
VERBS = ("Write a short text about", "Explain to a child", "What should everybody know about", "Give three facts about")
FLEET = 'name = "stub"\n[router]\npath = "{}"\nruntime = "{}"\n'
CANDIDATE = """
[[candidate]]
name = "{}"
backend = "openai"
model = "stub"
base_url = "{}"
parallel = 100000
rest_seconds = 0
"""
LITELLM = """
model_list:
  - model_name: auto
    litellm_params: {{model: openai/stub, api_base: "{}", api_key: none}}
litellm_settings: {{telemetry: false}}
"""
QUANTILES = (50, 95, 99)
TOKENS, RATE = 32, 32  # tokens of an answer, and tokens per second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--seconds", type=float, default=20, help="of each target at each number of clients")
    parser.add_argument("--rounds", type=int, default=2, help="turns of the targets; --seconds are split among them")
    runtimes = ("auto", "onnx")
    parser.add_argument("--runtime", choices=runtimes, nargs="+", default=["auto"], help="of [router]; a server each")
    parser.add_argument("--litellm", metavar="BIN", help="LiteLLM's program, from an environment of its own")
    options = parser.parse_args()
    with ExitStack() as stack:
        stub = stack.enter_context(stub_server(TOKENS, RATE))
        targets = {"direct": stub}
        for runtime in options.runtime:
            targets[f"zooter/{runtime}"] = stack.enter_context(zooter(stub.url, runtime))
        if options.litellm:
            targets["litellm"] = stack.enter_context(litellm(options.litellm, stub.url))
        rows: list[dict[str, object]] = []
        for clients in options.clients:
            rows += measure(targets, clients, options)
            if clients != options.clients[-1]:
                print(table(rows), file=sys.stderr)  # so that finished rows are shown if the script is stopped
    print(table(rows))


@dataclass
class Load:
    """The measurements of clients: seconds to the first token and to the end of each answer."""

    first: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def measure(targets: dict[str, Server], clients: int, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """A row per target, for one number of clients."""
    loads = {name: Load() for name in targets}
    memory = {}
    for number in range(options.rounds):
        for name, target in targets.items():
            print(f"{clients} clients, round {number + 1}: {name}", file=sys.stderr)
            cpu = target.cpu_seconds
            asyncio.run(load(target.port, clients, options.seconds / options.rounds, TOKENS / RATE, loads[name]))
            loads[name].cpu_seconds += target.cpu_seconds - cpu
            memory.setdefault(name, target.megabytes)
    direct = loads["direct"]
    for name, result in loads.items():
        row: dict[str, object] = {"target": name, "clients": clients, "requests": len(result.total)}
        row |= {"errors": result.errors, "per_second": len(result.total) / result.seconds}
        row |= {"cpu_ms_a_request": 1000 * result.cpu_seconds / max(len(result.total), 1)}
        for kind in ("first", "total"):
            for quantile in QUANTILES:
                value = np.percentile(getattr(result, kind) or [np.nan], quantile)
                base = 0.0 if name == "direct" else np.percentile(getattr(direct, kind), quantile)
                row[f"{kind}_p{quantile}_ms"] = round(1000 * float(value - base), 2)
        row |= {"megabytes": targets[name].megabytes, "growth": targets[name].megabytes / memory[name] - 1}
        row["ready_seconds"] = targets[name].ready_seconds
        yield row


async def load(port: int, clients: int, seconds: float, pause: float, result: Load, key: str = "none") -> None:
    """Let clients send one request after the other for some time, each over its own connection.

    Args:
        pause: seconds during which the clients start.
        key: their API key.
    """
    begun = time.perf_counter()
    until = begun + seconds

    async def client(number: int) -> None:
        texts = random.Random(f"{port} {number} {begun}")
        await asyncio.sleep(texts.random() * pause)  # so that requests do not come all at once
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            sent = time.perf_counter()
            status, data, first = b"", b"", 0.0
            try:
                writer.write(request(texts, key))
                status = await reader.readline()
                await reader.readuntil(b"\r\n\r\n")
                while not data.endswith(b"0\r\n\r\n"):
                    part = await reader.read(65536)
                    if not part:
                        break
                    data += part
                    if not first and b'"content":" word' in data:
                        first = time.perf_counter()
            except (OSError, asyncio.IncompleteReadError):  # the server has closed the connection
                first = 0.0
            if b"200" not in status or b"[DONE]" not in data or not first:
                result.errors += 1
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                continue
            result.first.append(first - sent)
            result.total.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    result.seconds += time.perf_counter() - begun


def request(texts: random.Random, key: str) -> bytes:
    """A request that has not been sent before."""
    text = f"{texts.choice(VERBS)} {texts.choice(TOPICS)}, number {texts.randrange(10**9)}."
    body = json.dumps({"model": "auto", "stream": True, "messages": [{"role": "user", "content": text}]}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return (head + f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


@contextmanager
def zooter(stub: str, runtime: str, *options: str, hedge_seconds: float = 0) -> Iterator[Server]:
    """`zooter serve` for four candidates on the stub, with further options of the command."""
    with tempfile.TemporaryDirectory() as folder:
        text = FLEET.format(EMBEDDED_FLEET / "router", runtime) + "".join(CANDIDATE.format(n, stub) for n in CANDIDATES)
        (Path(folder) / "fleet.toml").write_text(f"{text}\n[serve]\nhedge_seconds = {hedge_seconds}\n")
        port = free_port()
        command = [sys.executable, "-m", "zooter_core.cli", "serve", "--fleet", folder, "--port", str(port)]
        with started([*command, *options], port) as target:
            yield target


@contextmanager
def litellm(program: str, stub: str) -> Iterator[Server]:
    """LiteLLM's proxy with one model on the stub."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(LITELLM.format(stub))
        port = free_port()
        command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        settings = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        settings["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"  # Zooter has no keys here, either
        with started(command, port, **settings) as target:
            yield target


def table(rows: Sequence[dict[str, object]]) -> str:
    """The rows as a table, with the most important columns."""
    columns = ["clients", "target", "requests", "errors", "per_second", "cpu_ms_a_request"]
    columns += [f"{kind}_p{quantile}_ms" for kind in ("first", "total") for quantile in QUANTILES]
    columns += ["megabytes", "growth", "ready_seconds"]
    cells = [columns, *([f"{v:.3g}" if isinstance(v := row[c], float) else str(v) for c in columns] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


if __name__ == "__main__":
    main()
