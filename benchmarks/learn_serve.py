"""A model breaks behind the endpoint: python benchmarks/learn_serve.py [--requests 1500] [--only crowd]

`zooter serve --learn` answers scripted clients with a copy of the embedded fleet, and `zooter learn` runs in a separate
process. Halfway, the mix of skills changes and `code` is replaced by a server that answers nonsense. `crowd` shows the
share of evident queries that are routed correctly in each window, and that `zooter learn rollback` restores the first
router bit by bit. After each window, the clients wait until everything is judged, so that the figures do not depend on
the speed of the machine. `promotion` shows what it costs the endpoint to load another router.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from servers import Server, free_port, started, stub_server

from zooter_core.base.jsonl import read_records
from zooter_core.base.paths import EMBEDDED_FLEET, ROOT
from zooter_core.config.edit import change_candidate, set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.deciding import SamplingPlan
from zooter_core.learn.refit import write_router
from zooter_core.method.partial_rewards import Linear

EVIDENT = ("evident_queries", "more_evident_queries", "terse_queries", "opening_queries")  # in tests/data
EXPERTS = {
    "math": ("arithmetic", "word-problems", "algebra"),
    "code": ("programming", "sql-and-shell", "debugging"),
    "writer": ("story", "verse", "letters"),
    "chat": ("facts", "advice"),
}  # of the skills in models/starter and tests/data/skill_queries.jsonl
BEFORE = {"math": 0.3, "code": 0.15, "writer": 0.25, "chat": 0.3}
AFTER = {"math": 0.15, "code": 0.45, "writer": 0.25, "chat": 0.15}
EVIDENT_SHARE = 0.6  # the share of evident requests; the others have a skill, but no evident expert
BROKEN = "code"
WINDOW = 50
TOKENS = 16
CLIENTS = 3
SAMPLING = SamplingPlan(0.05, 1.0)  # of queries that all models answer, and that two answer if routers differ
PROMOTIONS = 3
Question = tuple[str, str, bool]  # a query, its expert, and whether that is evident
# `zooter learn`, but with one turn per second and a share of pairs. Arguments: the fleet, the data, both shares.
LEARNER = """
import sys
from pathlib import Path
from zooter_core.cli.learn import take_turns
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.deciding import SamplingPlan
from zooter_core.learn.judging import LearnSettings
fleet, data, share, pairs = sys.argv[1:]
take_turns(load_fleet(Path(fleet)), Path(data), LearnSettings(SamplingPlan(float(share), float(pairs))), every=1.0)
"""


@dataclass
class Answer:
    """The outcome of a request, as its client sees it."""

    expert: str
    evident: bool
    model: str
    first: float
    broken: bool = False  # whether `code` answers nonsense

    @property
    def right(self) -> bool:
        """Whether the expert answered or, if the expert is broken, another model."""
        return self.model != BROKEN if self.broken and self.expert == BROKEN else self.model == self.expert


def queries() -> dict[bool, dict[str, list[str]]]:
    """Evident queries and others, by expert."""
    every: dict[bool, dict[str, list[str]]] = {kind: {name: [] for name in EXPERTS} for kind in (True, False)}
    for file in EVIDENT:
        for line in read_records(ROOT / "tests" / "data" / f"{file}.jsonl"):
            every[True][line["candidate"]].append(line["query"])
    for line in read_records(ROOT / "models" / "starter" / "queries.jsonl"):
        for name, skills in EXPERTS.items():
            if line["dataset"] in skills:
                every[False][name].append(line["query"])
    return every


def crowd(count: int, dice: random.Random) -> list[Question]:
    """The requests in their order. A query is repeated only after all other queries of its expert."""
    every, decks, questions = queries(), {}, []
    for number in range(count):
        mix = BEFORE if number < count // 2 else AFTER
        expert = dice.choices(list(mix), list(mix.values()))[0]
        kind = (dice.random() < EVIDENT_SHARE, expert)
        if not decks.get(kind):
            decks[kind] = dice.sample(every[kind[0]][expert], len(every[kind[0]][expert]))
        questions.append((decks[kind].pop(), expert, kind[0]))
    return questions


@dataclass
class Place:
    """A copy of the embedded fleet with its endpoint and its learner."""

    fleet: Path
    data: Path
    endpoint: Server
    broken: bool = False
    learner: subprocess.Popen[str] | None = None
    news: list[str] = field(default_factory=list)

    def ask(self, question: Question) -> Answer:
        """Send one request. Return its outcome."""
        query, expert, evident = question
        body = {"model": "auto", "stream": True, "max_tokens": TOKENS, "messages": [{"role": "user", "content": query}]}
        connection, begun, first, model = http.client.HTTPConnection("127.0.0.1", self.endpoint.port), 0.0, 0.0, ""
        begun = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            sys.exit(f"the endpoint answers {response.status}: {response.read()[:500]!r}")
        for line in response:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if not first and event.get("choices") and event["choices"][0]["delta"].get("content"):
                    first, model = time.perf_counter() - begun, event["model"]
        connection.close()
        return Answer(expert, evident, model, first, self.broken)

    def ask_all(self, questions: Sequence[Question]) -> list[Answer]:
        """Send several requests, a few at a time. Return the outcomes of those that were answered."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            return [one for one in pool.map(self.ask, questions) if one.model]  # "" without a word

    def break_code(self, stub: str) -> None:
        """Replace `code` with a server that answers nonsense, and let the endpoint reload the fleet."""
        keys = {"backend": "openai", "model": "stub", "base_url": stub, "adapter": None}
        change_candidate(self.fleet, BROKEN, keys)
        self.endpoint.process.send_signal(signal.SIGHUP)
        while self.ask(("Write a Python function that adds two numbers.", BROKEN, False)).model != BROKEN:
            time.sleep(1)
        time.sleep(5)
        self.broken = True

    def listen(self) -> None:
        """Store the learner's output until it ends."""
        assert self.learner is not None
        assert self.learner.stdout is not None
        for line in self.learner.stdout:
            self.news.append(line.strip())

    def caught_up(self) -> list[str]:
        """Wait until the learner has judged everything. Return its output until then."""
        assert self.learner is not None
        time.sleep(1)  # until the endpoint has stored finished requests
        before, place, idle = _router(self), len(self.news), 0
        while idle < 2:  # the first of two turns may have begun earlier
            if self.learner.poll() is not None:
                sys.exit("the learner has ended")
            for line in self.news[place:]:
                place += 1
                if "decisions judged" in line:
                    idle = idle + 1 if line.startswith("0 ") else 0
            time.sleep(0.1)
        if _router(self) != before:
            time.sleep(8)  # the endpoint looks for another router every 5 s
        news, self.news[:place] = self.news[:place], []
        return news


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Serve a copy of the embedded fleet, with a learner."""
    fleet, data, port = folder / "fleet", folder / "data", free_port()
    shutil.copytree(EMBEDDED_FLEET, fleet)
    set_table(fleet, "generation", {"max_new_tokens": TOKENS, "temperature": 0.3})
    set_table(fleet, "learn", {"answers": True})
    zooter = [sys.executable, "-u", "-m", "zooter_core.cli"]
    served = ["--fleet", str(fleet), "--data", str(data), "--port", str(port)]
    with started([*zooter, "serve", "--learn", *served], port) as endpoint:
        site = Place(fleet, data, endpoint)
        site.ask(("Hello", "chat", False))
        call = [sys.executable, "-u", "-c", LEARNER, fleet, data, str(SAMPLING.share), str(SAMPLING.pairs)]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # as `zooter learn` sets it
        site.learner = subprocess.Popen(call, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=site.listen, daemon=True).start()
        try:
            yield site
        finally:
            site.learner.send_signal(signal.SIGCONT)
            site.learner.terminate()
            site.learner.wait()


def hashes(folder: Path) -> dict[str, str]:
    """The hash of each file in a folder and its subfolders."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def show_crowd(count: int, seed: int) -> None:
    questions = crowd(count, random.Random(seed))
    print(f"{count} requests, {len({query for query, _, _ in questions})} of them distinct, of {TOKENS} tokens")
    print("| requests | evident | right | code queries answered by the broken code | router | calls |", flush=True)
    print("|---|---|---|---|---|---|", flush=True)
    answers: list[Answer] = []
    with tempfile.TemporaryDirectory() as folder, stub_server(TOKENS, 0) as stub, place(Path(folder)) as site:
        first, routers = (site.fleet / "fleet.toml").read_bytes(), hashes(site.fleet / "router")
        for begin in range(0, count, WINDOW):
            if begin <= count // 2 < begin + WINDOW:
                site.break_code(stub.url)
                first = (site.fleet / "fleet.toml").read_bytes().replace(_router(site).encode(), b"router")
            before = _router(site)
            window = site.ask_all(questions[begin : begin + WINDOW])
            answers += window
            news = site.caught_up()
            calls = sum(int(line.split(", ")[1].split()[0]) for line in news if "answers asked for" in line)
            to_broken = [a.model == BROKEN for a in window if a.broken and a.expert == BROKEN]
            shown = f"{sum(to_broken)} of {len(to_broken)}" if to_broken else ""
            evident = [answer.right for answer in window if answer.evident]
            print(
                f"| {begin + 1} to {begin + len(window)} | {len(evident)} | {np.mean(evident):.0%} | {shown} | "
                f"{before} | {calls} |",
                flush=True,
            )
            notes = dict.fromkeys(line for line in news if "judged" not in line)
            print("; ".join(notes), file=sys.stderr, flush=True)
        summary(answers, count)
        rolled_back(site, first, routers)


def summary(answers: Sequence[Answer], count: int) -> None:
    """Print how far the share of right answers falls, and the requests until the latest 50 are as good as before."""
    halves = np.array([answer.broken for answer in answers])
    evident = np.array([answer.evident for answer in answers])
    right = np.array([answer.right for answer in answers])
    level = right[~halves & evident].mean()
    begin = int(np.argmax(halves))
    print(f"before: {level:.1%} of {(~halves & evident).sum()} evident queries go right")
    for first in range(begin, len(answers), 100):
        rows = slice(first, first + 100)
        print(f"{first - begin + 1} to {first - begin + 100} after the break: {right[rows][evident[rows]].mean():.1%}")
    for end in range(begin + 50, len(answers) + 1, 10):
        rows = slice(end - 50, end)
        if right[rows][evident[rows]].mean() >= level - 0.05:
            print(f"the latest 50 are as good as before, by 5 points, {end - begin} requests after the break")
            return
    print(f"not as good as before within {len(answers) - begin} requests")


def rolled_back(site: Place, first: bytes, routers: dict[str, str]) -> None:
    """Roll back to the first router, and compare every byte."""
    zooter = [sys.executable, "-m", "zooter_core.cli", "learn", "rollback", "--fleet", str(site.fleet)]
    assert site.learner is not None
    site.learner.terminate()
    site.learner.wait()
    steps = 0
    while _router(site) != "router" and not subprocess.run(zooter, cwd=ROOT, check=False).returncode:
        steps += 1
    same = (site.fleet / "fleet.toml").read_bytes() == first, hashes(site.fleet / "router") == routers
    print(f"{steps} times `zooter learn rollback`: fleet.toml {_same(same[0])}, the files of router/ {_same(same[1])}")


def _same(same: bool) -> str:
    return "is the same" if same else "DIFFERS"


def _router(site: Place) -> str:
    config = load_fleet(site.fleet).router
    assert config is not None
    return Path(config.path).relative_to(site.fleet).as_posix()


def show_promotion(seed: int) -> None:
    """Send requests one after another, before and after the endpoint loads a router like those of `zooter learn`."""
    count = 100
    questions = crowd(count * (PROMOTIONS + 1), random.Random(seed))
    print("| routers taken | p50 to the first token | p95 | slowest | memory of the endpoint and its models |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as site:
        assert site.learner is not None
        site.learner.terminate()
        site.ask_all(questions[:WINDOW])
        for number in range(PROMOTIONS + 1):
            if number:
                set_table(site.fleet, "router", {"path": _random_router(site.fleet, number)})
            firsts = []
            for question in questions[number * count : (number + 1) * count]:
                firsts.append(1000 * site.ask(question).first)
                time.sleep(0.1)
            shown = " | ".join(f"{value:.0f} ms" for value in np.percentile(firsts, (50, 95, 100)))
            print(f"| {number} | {shown} | {site.endpoint.megabytes:.0f} MB |", flush=True)


def _random_router(fleet: Path, number: int) -> str:
    config = json.loads((fleet / "router" / "config.json").read_text(encoding="utf-8"))
    dice, pool = np.random.default_rng(number), config["candidates"]
    linear = Linear(dice.normal(size=(config["width"], len(pool))), np.zeros(len(pool)))
    folder = fleet / "routers" / f"{number:04}"
    folder.mkdir(parents=True)
    write_router(folder, linear, 1.0, pool, config["encoder"])
    return folder.relative_to(fleet).as_posix()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=1500)
    parts = ("crowd", "promotion")
    parser.add_argument("--only", choices=parts, nargs="+", default=parts)
    parser.add_argument("--seed", type=int, default=0)
    call = parser.parse_args()
    if "crowd" in call.only:
        show_crowd(call.requests, call.seed)
    if "promotion" in call.only:
        show_promotion(call.seed)


if __name__ == "__main__":
    main()
