"""Pairs of a better and a worse response from data sets, for the reward model's first stage."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from recipes.embedded import data, functions
from recipes.embedded.problems import problems
from recipes.embedded.writing import BEYOND, pieces, talk

Pair = tuple[str, str, str]  # (query, chosen, rejected)
LIKE_LENGTH = 0.8  # lengths are similar if the shorter response has at least this share of the longer one's characters
SHORT = 200  # characters of a query
# FLASK has no judgements, but its models of the first group are certainly stronger than those of the second.
STRONGER = ("gpt4", "claude_v1", "chatgpt")
WEAKER = ("alpaca_13b", "tulu_7b", "tulu_13b", "vicuna_13b", "davinci_003")


def preferences(folder: Path, held_back: bool) -> dict[str, list[Pair]]:
    """GPT-4's preferences: `like` for similar lengths, or else `longer` or `shorter` for the chosen response."""
    kinds: dict[str, list[Pair]] = {"like": [], "longer": [], "shorter": []}
    for name in ("rm_pairs_alpaca_cross", "rm_pairs_alpaca_eval"):
        for r in data.read(folder, name):
            if data.in_pipeline(r["query"]) != held_back:
                continue
            shorter, longer = sorted((len(r["chosen"]), len(r["rejected"])))
            kind = "longer" if len(r["chosen"]) > len(r["rejected"]) else "shorter"
            kinds["like" if shorter >= LIKE_LENGTH * longer else kind].append((r["query"], r["chosen"], r["rejected"]))
    return kinds


def stronger(folder: Path, held_back: bool) -> list[Pair]:
    """A strong model's response against one of similar length by a much weaker model."""
    pairs = []
    for r in data.read(folder, "flask"):
        if data.in_pipeline(r["query"]) != held_back:
            continue
        groups = ([r["responses"].get(name, "") for name in names] for names in (STRONGER, WEAKER))
        for better, worse in itertools.product(*groups):
            if min(len(better), len(worse)) >= LIKE_LENGTH * max(len(better), len(worse), 1):
                pairs.append((r["query"], better, worse))
    return pairs


def flask(folder: Path, held_back: bool, model: str) -> list[data.Example]:
    """A model's answers to FLASK's queries, half of which are passages, problems and code of over 200 characters."""
    return [
        (r["query"], r["responses"][model])
        for r in data.read(folder, "flask")
        if data.in_pipeline(r["query"]) == held_back and r["responses"].get(model)
    ]


def mismatched(examples: Sequence[data.Example], dice: random.Random) -> Iterator[Pair]:
    """A response against a response to another query of the same field."""
    others = list(examples)
    dice.shuffle(others)
    for (query, response), (other_query, other) in zip(examples, others, strict=True):
        if query != other_query:
            yield query, response, other


def broken(examples: Sequence[data.Example], dice: random.Random) -> Iterator[Pair]:
    """A response against a copy that is cut off, loops or has shuffled words."""
    for query, response in examples:
        words = response.split(" ")
        if len(words) < 8:
            continue
        cut = " ".join(words[: max(2, len(words) // dice.randint(3, 6))])
        loop = " ".join((words[: dice.randint(4, 12)] * 40)[: len(words)])
        mixed = " ".join(dice.sample(words, len(words)))
        yield query, response, dice.choice((cut, loop, mixed))


def wrong_numbers(examples: Sequence[data.Example], dice: random.Random) -> Iterator[Pair]:
    """A worked solution against one whose last numbers are wrong."""
    for query, response in examples:
        numbers = list(re.finditer(r"\d+", response))
        if not numbers:
            continue
        value = numbers[-1].group()
        wrong = str(abs(int(value) + dice.choice((-10, -3, -2, -1, 1, 2, 3, 10))))
        if wrong == value:
            continue
        yield query, response, re.sub(rf"\b{value}\b", wrong, response)


def written(held_back: bool, seed: int) -> list[list[data.Example]]:
    """Examples written for this project by field: problems, functions, snippets, pieces, plain questions."""
    tasks = functions.tasks(400, seed, held_back)
    lines = (data.snippets(held_back), data.short_pieces(held_back), data.questions(held_back))
    return [
        problems(400, seed, held_back),
        [(task.query, data.python_fence(task.solution)) for task in tasks],
        pieces(400, seed, held_back),
        *([(line["query"], line["answer"]) for line in rows] for rows in lines),
    ]


def pairs_of(folder: Path, held_back: bool, count: dict[str, int], seed: int) -> dict[str, list[Pair]]:
    """At most `count[kind]` pairs of each kind, all from one side of the split.

    `mismatched` uses responses of the data sets, `elsewhere` responses written for this project. `refused` has answers
    to its plain questions against the reply that the model is too small to know. `flask_short` and `flask_long` have
    answers to FLASK's queries (held back: only GPT-4's). `human_eval` has its solutions against those of other tasks;
    no training uses it, but three of its tasks are also in FLASK, on the training side.
    """
    dice = random.Random(seed)
    math = [(r["query"], data.worked_solution(r["answer"])) for r in data.read(folder, "gsm8k_train")]
    code = [(r["query"], r["response"]) for r in data.read(folder, "codealpaca")]
    prose = [
        (r["query"], r["responses"]["gpt-3.5-turbo-1106"])
        for r in data.read(folder, "alpaca_eval")
        if r["responses"].get("gpt-3.5-turbo-1106")
    ]
    side = [[e for e in examples if data.in_pipeline(e[0]) == held_back] for examples in (math, code, prose)]
    samples = [dice.sample(examples, min(len(examples), 600)) for examples in side]
    varied = [example for examples in samples for example in examples]
    kinds = preferences(folder, held_back) | {
        "stronger": stronger(folder, held_back),
        "mismatched": [pair for examples in samples for pair in mismatched(examples, dice)],
        "broken": list(broken(varied, dice)),
        "wrong_number": list(wrong_numbers(side[0], dice)),
    }
    if "elsewhere" in count:
        kinds["elsewhere"] = [pair for examples in written(held_back, seed) for pair in mismatched(examples, dice)]
    if "refused" in count:
        refusals = [text for _, text in talk(400, seed, held_back, BEYOND)]
        plain = [line for line in data.questions(held_back) if line["kind"] != "talk"]
        kinds["refused"] = [(line["query"], line["answer"], dice.choice(refusals)) for line in plain]
    if "flask_short" in count:
        answers = [flask(folder, held_back, name) for name in (("gpt4",) if held_back else (*STRONGER, *WEAKER))]
        pairs = [pair for examples in answers for pair in mismatched(examples, dice)]
        kinds["flask_short"] = [pair for pair in pairs if len(pair[0]) < SHORT]
        kinds["flask_long"] = [pair for pair in pairs if len(pair[0]) >= SHORT]
    if "human_eval" in count:
        solutions = [(r["query"], r["canonical_solution"]) for r in data.read(folder, "human_eval")]
        kinds["human_eval"] = list(mismatched(solutions, dice))
    return {kind: dice.sample(kinds[kind], min(len(kinds[kind]), most)) for kind, most in count.items()}
