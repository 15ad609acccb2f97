"""Time and memory of commands by the number of queries: python benchmarks/scale.py [--sizes 1000 6000 100000]

For each size, the script writes a synthetic score file and stores its embeddings (random directions around 40 topics,
so that there is something to learn). Then it runs `zooter distill --scores` on the file in a separate process, followed
by `evaluate` and `evaluate --sweep` if `--also` names them. `--label` measures the step `label` of a run instead, with
three tags per query. Printed are seconds, processor seconds, the peak memory of the process, and the slope: the factor
by which processor time grows from the previous size, divided by the factor of the number of queries.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from score_file import ENCODER

from zooter_core.base.files import remove

TOPICS, PART = 40, 10_000
SCRIPT = "from zooter_core.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
LABEL = """
import sys
from zooter_core import pipeline
from zooter_core.data.runs import Run
from zooter_core.method.labels import LabelConfig
with Run(sys.argv[2]) as run:
    pipeline.label(run, LabelConfig())
"""


def write(path: Path, queries: int, candidates: int) -> None:
    """Write a score file, and its vectors into the store."""
    from zooter_core.router.encoder import Encoder
    from zooter_core.router.vector_store import VectorStore

    model, dice = Encoder(ENCODER), np.random.default_rng(0)
    centres = dice.normal(size=(TOPICS, 2 * model.width))
    skills = dice.uniform(size=(TOPICS, candidates))
    store = VectorStore(model.identity, 2 * model.width)
    with path.open("w") as file:
        for first in range(0, queries, PART):
            many = min(PART, queries - first)
            topics = dice.integers(0, TOPICS, many)
            vectors = centres[topics] + dice.normal(size=(many, 2 * model.width))
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) / 2**0.5
            scores = (dice.random((many, candidates)) < skills[topics]).astype(int)
            texts = [f"query {first + row} about topic {topic}" for row, topic in enumerate(topics)]
            store.put(texts, vectors)
            for row, text in enumerate(texts):
                line = {"id": str(first + row), "query": text, "dataset": f"d{topics[row] % 5}"}
                file.write(json.dumps(line | {"scores": {f"m{c}": int(s) for c, s in enumerate(scores[row])}}) + "\n")


def write_run(folder: Path, queries: int, candidates: int) -> None:
    """Write a run whose steps score and tag are finished, with three tags per query."""
    from zooter_core.data.run_folder import QUERIES, RESPONSES, REWARDS, TAGS
    from zooter_core.data.runs import Run

    dice, pool = np.random.default_rng(0), [f"m{number}" for number in range(candidates)]
    with Run(folder, create=True) as run:
        run.begin("start", {"queries": queries, "pool": pool})
        run.begin("collect", {"samples": 1})
        with (
            (folder / QUERIES).open("w") as texts,
            (folder / REWARDS).open("w") as rewards,
            (folder / TAGS).open("w") as tags,
        ):
            for first in range(0, queries, PART):
                many = min(PART, queries - first)
                scores = dice.normal(size=(many, candidates)).round(4).tolist()
                names = dice.integers(0, 300, (many, 3)).tolist()
                for row, (values, codes) in enumerate(zip(scores, names, strict=True), first):
                    texts.write(f'{{"id": "{row}", "text": "query {row}", "dataset": "d{row % 5}", "tags": []}}\n')
                    means = ", ".join(f'"{name}": {value}' for name, value in zip(pool, values, strict=True))
                    single = ", ".join(f'"{name}": [{value}]' for name, value in zip(pool, values, strict=True))
                    rewards.write(f'{{"id": "{row}", "rewards": {{{means}}}, "samples": {{{single}}}}}\n')
                    of_query = ", ".join(f'{{"name": "tag {code}", "score": 0.9}}' for code in dict.fromkeys(codes))
                    tags.write(f'{{"id": "{row}", "tags": [{of_query}]}}\n')
        (folder / RESPONSES).touch()
        for step in ("start", "collect", "score", "tag"):
            run.finish(step)


def commands_of(call: argparse.Namespace, folder: Path, size: int) -> Iterator[list[str]]:
    """The commands to measure at a size. Their inputs are written first."""
    if call.label:
        write_run(folder / "run", size, call.candidates)
        yield ["label", str(folder / "run")]
        shutil.rmtree(folder / "run")
        return
    scores, router = str(folder / "scores.jsonl"), str(folder / "router")
    write(Path(scores), size, call.candidates)
    yield ["distill", "--scores", scores, "--encoder", ENCODER, "--out", router, "--router-kind", "zooter"]
    if "evaluate" in call.also:
        yield ["evaluate", "--router", router, "--scores", scores]
    if "sweep" in call.also:
        yield ["evaluate", "--scores", scores, "--sweep", "beta=0,0.5"]  # the fleet's encoder
    for name in ("scores.jsonl", "router"):
        remove(folder / name)


def measured(command: list[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds and megabytes of a process."""
    begun = time.perf_counter()
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    arguments = [sys.executable, "-c", LABEL if command[0] == "label" else SCRIPT, *command]
    pid = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=silent)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"failed with {status}")
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 6_000, 10_000, 100_000])
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--label", action="store_true")
    parser.add_argument("--also", nargs="+", choices=["evaluate", "sweep"], default=[])
    call = parser.parse_args()
    before: dict[str, tuple[int, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOOTER_CACHE"] = folder
        for size in call.sizes:
            for command in commands_of(call, Path(folder), size):
                seconds, processor, megabytes = measured(command)
                slope, name = "", command[0]
                if name in before:
                    slope = f"  slope {processor / before[name][1] / (size / before[name][0]):.2f}"
                figures = f"{seconds:7.1f} s  {processor:7.1f} s of processor  {megabytes:7,.0f} MB"
                print(f"{name:8} {size:>10,}: {figures}{slope}", flush=True)
                before[name] = size, processor


if __name__ == "__main__":
    main()
