"""The embedded fleet's answers on transformers, on llama.cpp, and on the library alone: python benchmarks/generation.py

Measures one greedy answer of 64 tokens, one with a repetition penalty, four candidates at once, and `--queries`
requests to one candidate, as `zooter run` sends them. The three engines take turns in every round, so that each meets
the same load. The figures are the best round of each, and the median of the ratios within rounds. CPU seconds include
the process of llama.cpp.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from servers import cpu_seconds, family

from recipes.embedded.experts import base_folder
from zooter_core.backends import Backend, Request, backend
from zooter_core.backends.gguf.adapters import gguf_adapter
from zooter_core.backends.gguf.engine import WAITING
from zooter_core.backends.gguf.header import read_header
from zooter_core.base.cores import free_cores
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.records import Message
from zooter_core.base.weights import gguf_file, quiet_libraries
from zooter_core.config.candidates import GGUF, TRANSFORMERS
from zooter_core.config.fleet import Fleet, GenerationConfig, load_fleet

QUERY = "Describe a walk through a market in the morning."
GREEDY = GenerationConfig(max_new_tokens=64, temperature=0.0)
ALONE = "code"  # the candidate that answers alone: it has neither a calculator nor a repetition penalty
LIBRARY = "library"
PENALTY = "chat"  # has a repetition penalty, for which llama.cpp is asked in steps; `Library` applies none
Generate = Callable[[], tuple[int, float]]  # tokens, and seconds to the first one


@dataclass
class Series:
    """The measurements of one kind of work on one engine."""

    speeds: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # tokens per CPU second

    def add(self, generate: Generate) -> None:
        before, begun = cpu_seconds(family()), time.perf_counter()
        tokens, first = generate()
        seconds = time.perf_counter() - begun
        self.speeds.append(tokens / seconds)
        self.firsts.append(first)
        self.cpu.append(tokens / max(cpu_seconds(family()) - before, 1e-3))


def answers(engine: Backend, fleet: Fleet, names: list[str], queries: list[str]) -> tuple[int, float]:
    """Let all candidates answer all queries. Return the tokens, and the seconds to the first one."""
    requests = [Request(fleet.candidate(name), (Message("user", text),)) for text in queries for name in names]
    pieces = engine.stream(requests, GREEDY, threading.Event())
    responses = [piece.response for piece in pieces if piece.response]
    assert not any(response.error for response in responses)
    return sum(r.tokens for r in responses), min(r.first_token_seconds or 0.0 for r in responses)


class Library:
    """xllamacpp called in this process, with the settings of the backend gguf."""

    def __init__(self, fleet: Fleet) -> None:
        import xllamacpp

        model = gguf_file(fleet.candidates[0].model)
        header = read_header(model)
        params: Any = xllamacpp.CommonParams()
        params.model.path, params.verbosity, params.warmup, params.fit_params = str(model), 0, False, False
        params.lora_adapters = [
            xllamacpp.CommonAdapterLoraInfo(str(gguf_adapter(str(entry.adapter), header, entry.name)), 1.0)
            for entry in fleet.candidates
        ]
        params.lora_init_without_apply = True
        params.n_ctx, params.n_parallel, params.kv_unified, params.cache_idle_slots = 8192, 8, True, False
        params.n_batch = params.n_ubatch = 128
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = free_cores()
        params.hostnames = [f"/tmp/zooter-benchmark-{os.getpid()}.sock"]
        self.pool, self.server = fleet.pool, xllamacpp.Server(params)

    def answers(self, names: list[str], queries: list[str]) -> tuple[int, float]:
        """Like the function `answers`, with a thread per request."""
        counts, firsts, begun = [], [], time.perf_counter()

        def ask(name: str, query: str) -> None:
            def take(event: dict[str, Any]) -> None:
                if len(firsts) <= len(counts):
                    firsts.append(time.perf_counter() - begun)
                if "timings" in event:
                    counts.append(event["timings"]["predicted_n"])

            lora = [{"id": number, "scale": float(other == name)} for number, other in enumerate(self.pool)]
            body = {"messages": [{"role": "user", "content": query}], "max_tokens": 64, "temperature": 0, "lora": lora}
            self.server.handle_chat_completions({**body, "stream": True}, take)

        threads = [threading.Thread(target=ask, args=(name, text)) for text in queries for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts), min(firsts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=0, help="requests of one call to one candidate; 0 leaves it out")
    call = parser.parse_args()
    quiet_libraries()
    fleet = load_fleet(EMBEDDED_FLEET)
    engines = {name: backend(name) for name in (TRANSFORMERS, GGUF)}
    models = {TRANSFORMERS: str(base_folder()), GGUF: fleet.candidates[0].model}
    fleets = {
        name: replace(fleet, candidates=tuple(replace(c, backend=name, model=models[name]) for c in fleet.candidates))
        for name in engines
    }
    many = [f"{QUERY[:-1]} number {number}." for number in range(call.queries)]
    series: dict[tuple[str, str], Series] = {}
    runs: dict[str, Callable[[list[str], list[str]], tuple[int, float]]] = {}
    for name, engine in engines.items():
        engine.expect(fleets[name].candidates)
        engine.load(fleets[name].candidates[0])
        runs[name] = partial(answers, engine, fleets[name])
    os.environ |= WAITING  # PyTorch, which has read it, keeps its own
    runs[LIBRARY] = Library(fleet).answers
    kinds = {
        "one answer": ([ALONE], [QUERY]),
        "with penalty": ([PENALTY], [QUERY]),
        "four at once": (list(fleet.pool), [QUERY]),
    }
    if many:
        kinds[f"{len(many)} queries"] = ([ALONE], many)
    for number in range(call.rounds + 1):
        for kind, (names, queries) in list(kinds.items())[: None if number else 1]:
            for name, run in runs.items():
                measured = Series() if number == 0 else series.setdefault((kind, name), Series())  # the first warms up
                measured.add(partial(run, names, queries))
    for kind in kinds:
        for name in runs:
            it = series[kind, name]
            pairs = [zip(it.speeds, series[kind, other].speeds, strict=True) for other in (TRANSFORMERS, LIBRARY)]
            ratios = [statistics.median(speed / other for speed, other in pair) for pair in pairs]
            print(
                f"{kind:12}  {name:12}  best {max(it.speeds):4.0f} tokens/s, {max(it.cpu):3.0f} per CPU second, "
                f"first token {min(it.firsts):.2f} s, {ratios[0]:.1f} times transformers, {ratios[1]:.2f} the library"
            )
    engines[GGUF].spare()
    os._exit(0)  # the library's threads would wait for each other


if __name__ == "__main__":
    main()
