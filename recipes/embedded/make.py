"""The whole recipe of the embedded fleet, in order; started again it goes on where it was stopped.

    python -m recipes.embedded.make --data DIR

Each step is a command of its own as well; its progress is printed, its figures and checkpoints lie in runs/embedded.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

FLEET = Path("models/embedded")


def steps(data: Path, work: Path) -> list[tuple[Path, list[str]]]:
    """(what a finished step leaves, its command) in order."""

    def of(module: str, *rest: str) -> list[str]:
        return [sys.executable, "-m", f"recipes.embedded.{module}", *rest, "--data", str(data)]

    queries, run, scores = work / "queries.jsonl", work / "run", str(work / "scores.jsonl")
    zooter = [sys.executable, "-m", "zooter_core.cli"]
    pipeline = ["run", "--queries", str(queries), "--out", str(run), "--scores", scores]
    return [
        *((work / "experts" / f"{name}.json", of("experts", name)) for name in ("math", "code", "writer", "chat")),
        (work / "skills-math.json", of("skills")),
        (work / "reward-general.json", of("reward", "general")),
        (work / "own.done", of("own")),
        (work / "reward-own.json", of("reward", "own")),
        (work / "reward-accuracy.json", of("reward", "accuracy")),
        (queries, of("queries", "--out", str(queries))),
        (run / "report.json", [*zooter, *pipeline, "--samples", "3", "--max-new-tokens", "112"]),
        (work / "figures.json", of("figures", "--run", str(run))),
        (work / "sweep.done", [*zooter, "sweep", "--scores", scores]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/embedded"))
    call = parser.parse_args()
    for done, command in steps(call.data, call.work):
        shown = " ".join(["python", *command[1:]])
        if done.exists():
            print(f"done before: {shown}", flush=True)
            continue
        print(f"now: {shown}", flush=True)
        start = time.monotonic()
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(f"stopped at: {shown} (exit {code}). Start the recipe again; it goes on from there.")
        done.touch()
        print(f"{(time.monotonic() - start) / 60:.1f} minutes", flush=True)
    shutil.copytree(call.work / "run" / "router", FLEET / "router", dirs_exist_ok=True)
    shutil.copy(call.work / "run" / "report.json", FLEET / "report.json")


if __name__ == "__main__":
    main()
