"""Verified skills of the experts: greedy responses of the base and of an expert to held-back items of its field.

    python -m recipes.embedded.skills --data DIR [--only math|code|chat]

Maths, by the exact final number: 128 generated problems (with phrasings and numbers that were never trained on), 108
simple problems with small numbers, 68 chains of two to five steps, 81 problems of school algebra, 120 first queries of
visitors, and 768 held-back GSM8K problems.
Code: 100 function tasks with unit tests, the share of held-back Python requests whose code parses, and everyday
commands in phrasings that were not trained on, which must have the answer of the training.
Chat, by rule: questions about itself (it names Zooter or its size), questions that it cannot answer (it says that it is
too small), easy facts and plain questions (no false refusal), and 60 questions about a small file or text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from recipes.embedded import checks, data
from recipes.embedded.functions import tasks
from recipes.embedded.own_responses import tell
from recipes.embedded.problems import ALGEBRA, CHAINS, FIRST, SHORT, SIMPLE, problems
from recipes.embedded.writing import UNKNOWN, reading, talk
from zooter_core import pipeline
from zooter_core.base.records import Query
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet, GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.evaluation.verified import verify
from zooter_core.fleet.ensemble import Ensemble

Check = Callable[[str], bool]  # whether a response is right
SEED = 3


def maths(folder: Path) -> list[tuple[str, str, Check]]:
    """(source, query, check) of held-back problems."""
    solved = [
        (r["query"], data.worked_solution(r["answer"]))
        for r in data.read(folder, "gsm8k_train")
        if data.in_pipeline(r["query"])
    ]
    rows = [("problems", *row) for row in problems(128, SEED, True, SHORT)]
    rows += [("simple", *row) for row in problems(108, SEED, True, SIMPLE)]
    rows += [("chains", *row) for row in problems(68, SEED, True, CHAINS)]
    rows += [("algebra", *row) for row in problems(81, SEED, True, ALGEBRA)]
    rows += [("first", *row) for row in problems(120, SEED, True, FIRST)]
    rows += [("gsm8k", *row) for row in data.shuffled(solved, SEED)[:768]]

    return [(source, query, partial(_right, checks.number_key(answer))) for source, query, answer in rows]


def code(folder: Path) -> list[tuple[str, str, Check]]:
    """(source, query, check) of function tasks and requests for Python."""
    functions = tasks(100, SEED, held_back=True)
    rows: list[tuple[str, str, Check]] = [("functions", task.query, partial(_right, task.key)) for task in functions]
    asks = [
        r["query"]
        for r in data.read(folder, "codealpaca")
        if data.in_pipeline(r["query"]) and "python" in r["query"].lower() and len(r["query"]) < 300
    ]
    requests = [task.query for task in functions] + [
        query for query, _ in data.shuffled([(q, "") for q in asks], SEED)[:28]
    ]
    rows += [("python", query, checks.parses) for query in requests]
    return rows + [
        ("commands", line["query"], partial(_as_taught, line["answer"])) for line in data.commands(held_back=True)
    ]


def chat(folder: Path) -> list[tuple[str, str, Check]]:
    """(source, query, check) of held-back talk and plain questions. `folder` is not used."""
    rows: list[tuple[str, str, Check]] = []
    for source, names in TALKS.items():
        examples = dict(talk(400, SEED, True, names))
        rows += [(source, query, partial(TALK_CHECKS[source], answer)) for query, answer in list(examples.items())[:60]]
    plain = [line["query"] for line in data.questions(held_back=True) if line["kind"] != "talk"]
    rows += [("plain", query, partial(_ventured, "")) for query in random.Random(SEED).sample(plain, 80)]
    rows += [("reading", query, partial(_read, answer)) for query, answer in reading(60, SEED, True)]
    return rows


def _as_taught(answer: str, text: str) -> bool:
    """Whether a response contains the code of an answer or, if the answer has none, its words."""
    return _code(answer) in " ".join(text.split())


def _code(answer: str) -> str:
    fence = re.search(r"```\w*\n(.*?)\n```", answer, re.DOTALL)
    return " ".join((fence[1] if fence else answer).split())


def _names_itself(_: str, text: str) -> bool:
    return bool(re.search("Zooter|135 million", text))


def _too_small(_: str, text: str) -> bool:
    return "too small" in text


def _ventured(_: str, text: str) -> bool:
    return not _too_small(_, text)


def _read(answer: str, text: str) -> bool:
    """Whether a response contains the numbers and the names of an answer."""
    return set(re.findall(r"\d+|(?<=\s)[A-Z]\w+", answer)) <= set(re.findall(r"\w+", text))


TALKS = {
    "itself": "self not_another makers zooter",
    "unknown": UNKNOWN,
    "beyond_phrases": "beyond_phrases",
    "known": "known",
}
TALK_CHECKS: dict[str, Callable[[str, str], bool]] = {
    "itself": _names_itself,
    "unknown": _too_small,
    "beyond_phrases": _too_small,
    "known": _ventured,
}


def _right(key: dict[str, Any], text: str) -> bool:
    return verify(text, key).right


FIELDS = {"math": maths, "code": code, "chat": chat}


def pair(fleet: Path, field: str) -> tuple[CandidateConfig, CandidateConfig]:
    """The unchanged base, and the expert with the fleet's settings."""
    expert = load_fleet(fleet).candidate(field)
    return replace(expert, name="base", adapter=None, calculator=False, repetition_penalty=1.0), expert


def measure(field: str, folder: Path, fleet: Path, workspace: Path, share: float) -> dict[str, Any]:
    """The share of right responses of base and expert by source."""
    rows = FIELDS[field](folder)
    rows = random.Random(SEED).sample(rows, max(1, int(len(rows) * share))) if share < 1 else rows
    pool = pair(fleet, field)
    texts = list(dict.fromkeys(query for _, query, _ in rows))
    ids = {text: f"{number:04d}" for number, text in enumerate(texts)}
    source = {query: name for name, query, _ in reversed(rows)}
    with Run(workspace / f"skills-{field}", create=True) as run:
        ensemble = Ensemble(Fleet(field, fleet, pool))
        pipeline.start(run, ensemble, [Query(ids[text], text, source[text]) for text in texts])
        pipeline.collect(run, ensemble, GenerationConfig(max_new_tokens=160, temperature=0.0), tell)
        responses = run.responses()
    figures: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _, _ in rows):
        tests = [(query, check) for source_name, query, check in rows if source_name == name]
        figures[name] = {"n": len(tests)} | {
            candidate.name: round(
                checks.share([check(responses[ids[query]][candidate.name][0]) for query, check in tests]), 3
            )
            for candidate in pool
        }
    return figures


def main() -> None:
    parser = data.parser_of(__doc__)
    parser.add_argument("--only", choices=sorted(FIELDS))
    parser.add_argument("--share", type=float, default=1.0, help="share of the items, for a rehearsal")
    call = parser.parse_args()
    checks.require_sandbox()
    for field in [call.only] if call.only else sorted(FIELDS):
        print(field)
        data.keep(measure(field, call.data, call.fleet, call.work, call.share), call.work / f"skills-{field}.json")


if __name__ == "__main__":
    main()
