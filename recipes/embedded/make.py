"""Runs the complete recipe of the embedded fleet. If it is stopped and started again, it continues.

    python -m recipes.embedded.make --data DIR [--fleet models/embedded]
    python -m recipes.embedded.make --data DIR --rehearse

Each step is also a separate command. Figures and checkpoints are written to runs/embedded. A rehearsal runs every step
with a fiftieth of the work, on a copy of the fleet in runs/rehearsal.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from recipes.embedded.data import FLEET
from recipes.embedded.experts import TURNS
from recipes.embedded.own_responses import PER_FIELD
from recipes.embedded.queries import OF_PROJECT
from zooter_core.base.jsonl import read_records
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.data.run_folder import QUERIES
from zooter_core.router.neighbours import RECORDS

REHEARSAL = 0.02
Step = tuple[Path, list[str]]  # (a file that exists once the step is finished, its command)


def steps(data: Path, fleet: Path, workspace: Path, share: float) -> list[Step]:
    """The recipe's steps in order, with a share of their work."""
    queries, run, scores = workspace / "queries.jsonl", workspace / "run", str(workspace / "scores.jsonl")
    places, sweep = ["--data", str(data), "--fleet", str(fleet), "--work", str(workspace)], workspace / "sweep.json"
    part, per_field = ["--share", str(share)], ["--each", str(max(4, int(PER_FIELD * share)))]

    def of(module: str, *rest: str) -> list[str]:
        return [sys.executable, "-m", f"recipes.embedded.{module}", *rest, *places]

    def zooter(command: str, *rest: str) -> list[str]:
        return [sys.executable, "-m", "zooter_core.cli", command, "--fleet", str(fleet), *rest]

    def expert(name: str, turn: int, tokens: int) -> Step:
        done = workspace / "experts" / f"{name}-{turn}.json"
        return done, of("experts", name, "--turn", str(turn), "--tokens", str(int(tokens * share)))

    kind = ["--router-kind", "zooter", "--router-set", "members=8"]
    files = ["--queries", str(queries), "--out", str(run), "--scores", scores, *kind]
    part_of = shlex.quote(f"{sweep}.partial")
    swept = zooter("evaluate", "--sweep", "tau=1", "normalise=none", "--scores", scores, "--json")
    return [
        *(expert(name, n, turn.tokens) for name, turns in TURNS.items() for n, turn in enumerate(turns, 1)),
        (workspace / "skills-math.json", of("skills", *part)),
        (workspace / "reward-general.json", of("reward", "general", *part)),
        (workspace / "own.done", of("own_responses", *per_field)),
        (workspace / "reward-own.json", of("reward", "own", *per_field, *part)),
        (workspace / "reward-terse.json", of("terse", *part)),
        (workspace / "reward-accuracy.json", of("reward", "accuracy", *part)),
        (queries, of("queries", *part)),
        (
            run / "report.json",
            zooter("run", *files, "--samples", "3", "--max-new-tokens", "112", "--temperature", "0.7"),
        ),
        (workspace / "figures.json", of("figures")),
        (sweep, ["sh", "-c", f"{shlex.join(swept)} > {part_of} && mv {part_of} {shlex.quote(str(sweep))}"]),
    ]


def publish(run: Path, fleet: Path) -> None:
    """Copy router and report into the fleet, with the texts of the queries that were written for this project."""
    shutil.copytree(run / "router", fleet / "router", dirs_exist_ok=True)
    shutil.copy(run / "report.json", fleet / "report.json")
    path = fleet / "router" / RECORDS
    shape = parse_json(path.read_text(encoding="utf-8"))
    texts = {record["id"]: record["text"] for record in read_records(run / QUERIES)}
    for record in shape["queries"]:
        if record["dataset"] in OF_PROJECT:
            record["text"] = texts[record["id"]]
    path.write_text(dump_json(shape, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fleet", type=Path, default=FLEET, help="fleet whose weights are trained again")
    parser.add_argument("--work", type=Path, help="(default: runs/embedded, or runs/rehearsal)")
    parser.add_argument("--rehearse", action="store_true", help="a fiftieth of the work, on a copy of the fleet")
    call = parser.parse_args()
    workspace = call.work or Path("runs/rehearsal" if call.rehearse else "runs/embedded")
    fleet = workspace / "fleet" if call.rehearse else call.fleet
    if call.rehearse:
        shutil.copytree(call.fleet, fleet, dirs_exist_ok=True)
    for done, command in steps(call.data, fleet, workspace, REHEARSAL if call.rehearse else 1.0):
        shown = " ".join(["python", *command[1:]] if command[0] == sys.executable else command)
        if done.exists():
            print(f"done before: {shown}", flush=True)
            continue
        print(f"now: {shown}", flush=True)
        start = time.monotonic()
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(f"stopped at: {shown} (exit {code}). Start the recipe again; it continues there.")
        done.touch()
        print(f"{(time.monotonic() - start) / 60:.1f} minutes", flush=True)
    publish(workspace / "run", fleet)
    shutil.copy(workspace / "sweep.json", fleet / "sweep.json")


if __name__ == "__main__":
    main()
