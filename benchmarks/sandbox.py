"""HumanEval's reference solutions in the sandbox: python benchmarks/sandbox.py human_eval.jsonl.gz

Runs each problem with its solution as a function body, as a complete function, and without a body. Prints how many
pass (all, all and none are expected), and the milliseconds per run.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from pathlib import Path

from zooter_core.evaluation.sandbox import runner
from zooter_core.evaluation.suites.keyed import HumanEval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    call = parser.parse_args()
    suite = HumanEval()
    problems = suite.read([call.file])
    with (gzip.open if call.file.suffix == ".gz" else open)(call.file, "rt", encoding="utf-8") as lines:
        solutions = [json.loads(line)["canonical_solution"] for line in lines]
    kinds = {
        "body": solutions,
        "complete function": [p.key["tests"]["prompt"] + text for p, text in zip(problems, solutions, strict=True)],
        "no body": ["" for _ in problems],
    }
    print(f"sandbox: {runner.missing() or 'yes'}")
    for kind, texts in kinds.items():
        passed, times = 0.0, []
        for problem, text in zip(problems, texts, strict=True):
            begun = time.perf_counter()
            passed += sum(suite.score([(problem, (text,))]))
            times.append(1000 * (time.perf_counter() - begun))
        low, middle, high = statistics.quantiles(times, n=4)
        print(f"{kind}: {passed:.0f} of {len(problems)} pass; {middle:.0f} ms ({low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
