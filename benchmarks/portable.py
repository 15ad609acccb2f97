"""The embedded router's export against the router on PyTorch: the same choices, speed, a cold start, memory.

    python benchmarks/portable.py [--queries FILE] [--most N]

Everything is compared within one run; times of processes are processor seconds, the least of a few rounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from zooter_core.base.paths import EMBEDDED_FLEET, ROOT
from zooter_core.data.scores import read_queries
from zooter_core.fleet.exports import make_export
from zooter_core.router.encoder import Encoders
from zooter_core.router.router import Router

QUERIES = ROOT / "tests" / "data" / "more_evident_queries.jsonl"
ROUTE = "Ana has 35 stickers, gives 8 of them to Ben and then finds 12 more. How many stickers does Ana have now?"
# What any router on ONNX Runtime has to do: the libraries, and the graph.
LEAST = """
import os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime, tokenizers
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
onnxruntime.InferenceSession({graph!r}, options, providers=["CPUExecutionProvider"])
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=Path, default=QUERIES, help="JSON lines with `query`; .gz too")
    parser.add_argument("--most", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    call = parser.parse_args()
    place = make_export(EMBEDDED_FLEET / "router", print)
    assert place is not None, "pip install 'zooter[onnx]'"
    torch.set_num_threads(1)
    routers = {
        "torch": Router.load(EMBEDDED_FLEET / "router", Encoders()),
        "exported": Router.load(place),
    }
    texts = [query.text for query in read_queries(call.queries)][: call.most]
    compare(routers["torch"], routers["exported"], texts)
    speeds(routers, call.rounds)
    starts(place, call.rounds)


def compare(exact: Router, exported: Router, texts: list[str]) -> None:
    one, other = exact.probabilities(texts), exported.probabilities(texts)
    same = (one.argmax(axis=1) == other.argmax(axis=1)).sum()
    print(
        f"{same} of {len(texts)} choices are the same; probabilities differ by at most {np.abs(one - other).max():.1e}"
    )


def speeds(routers: dict[str, Router], rounds: int) -> None:
    """One query of about 30 tokens at a time; every query differs, so that none is remembered."""
    seconds: dict[str, list[float]] = {name: [] for name in routers}
    for number in range(20 * rounds):
        for name, router in routers.items():
            start = time.thread_time()
            router.route([f"{ROUTE} {number}"])
            seconds[name].append(time.thread_time() - start)
    medians = {name: float(np.median(rows)) for name, rows in seconds.items()}
    tokens = routers["exported"].encoder.count([f"{ROUTE} 0"])[0]
    for name, median in medians.items():
        print(f"a query of {tokens} tokens, {name}: {median * 1000:.1f} ms ({median / medians['torch']:.2f} of torch)")


def starts(place: Path, rounds: int) -> None:
    calls = {
        "the libraries and the graph": LEAST.format(graph=str(place / "router.onnx")),
        "Router.load and one query": f"from zooter_core import Router; Router.load({str(place)!r}).route([{ROUTE!r}])",
        "zooter route": f"from zooter_core.cli.main import main; main(['route', '--json', {ROUTE!r}])",
    }
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, code in calls.items():
            costs[name].append(cost(code))
    least = {name: np.min(rows, axis=0) for name, rows in costs.items()}
    for name, (seconds, megabytes) in least.items():
        share = seconds / least["the libraries and the graph"][0]
        print(f"{name}: {seconds:.2f} processor seconds ({share:.2f} times the first), {megabytes:.0f} MB at most")


def cost(code: str) -> tuple[float, float]:
    """Processor seconds and most resident megabytes of a Python process, which Linux counts from its start."""
    code += "\nimport sys; print(open('/proc/self/status').read(), file=sys.stderr)"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    before = os.times()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    after = os.times()
    most = next(line for line in ended.stderr.splitlines() if line.startswith("VmHWM"))
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, int(most.split()[1]) / 1e3


if __name__ == "__main__":
    main()
