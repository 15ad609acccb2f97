"""Trains the reward model on terse requests: responses of writer and chat, ordered by form and closeness.

    python -m recipes.embedded.terse --data DIR

The script continues the fleet's reward model and keeps the mean of the weights before and after. It collects responses
to training requests that are reduced to a few words, except requests that resemble a query of tests/data. A step
continues where it was stopped.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.embedded import data, own_responses, reward
from recipes.embedded.apart import queries_of_tests, resembles_a_test
from recipes.embedded.form import form, terse_pieces, terse_questions
from recipes.embedded.own_responses import Answer, JudgedQuery
from recipes.embedded.pairs import Pair, mismatched, pairs_of
from zooter_core import pipeline
from zooter_core.base.records import Query
from zooter_core.config.fleet import Fleet, GenerationConfig, load_fleet
from zooter_core.data.run_folder import RESPONSES
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.router.encoder import Encoder

SEED = 10
CANDIDATES = ("chat", "writer")
FORM = 1.2  # the quality of a response that passes all checks of the request's form
APART = {"terse_pieces": 0.25, "terse_questions": 0.1}  # the smallest difference in quality of a pair
UNEVEN = 3.0  # the largest ratio of pairs that prefer the longer and the shorter response, as own_responses.UNEVEN
MOST = 6  # pairs per query
MORE = 500  # pairs against a response to another query
OFF = 130  # pairs of a piece and small talk, and the same number of an answer and a piece


def queries(share: float) -> list[JudgedQuery]:
    """Training requests for a piece and training questions, each reduced to a few words, with their reference."""
    tests = queries_of_tests()
    rows = [("terse_pieces", example) for example in terse_pieces(160, SEED)[: int(130 * share)]]
    rows += [("terse_questions", example) for example in terse_questions(120, SEED)[: int(64 * share)]]
    return [
        JudgedQuery(Query(f"t{number:04d}", query, field), (reference,))
        for number, (field, (query, reference)) in enumerate(rows)
        if not resembles_a_test(query, tests)
    ]


def collect(rows: Sequence[JudgedQuery], fleet: Path, folder: Path) -> None:
    """Collect one response of chat and one of writer to each query."""
    candidates = tuple(c for c in load_fleet(fleet).candidates if c.name in CANDIDATES)
    ensemble = Ensemble(Fleet("experts", fleet, candidates))
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, [row.query for row in rows])
        generation = GenerationConfig(max_new_tokens=112, temperature=0.7, seed=SEED)
        pipeline.collect(run, ensemble, generation, own_responses.tell, 1)


def answers_to(row: JudgedQuery, responses: Sequence[dict], encoder: Encoder) -> list[Answer]:
    """The responses by quality, best first: closeness to the reference and, for a piece, its form."""
    answers = own_responses.judge(row, responses, encoder)
    if row.query.dataset == "terse_pieces":
        answers = [replace(a, quality=a.quality + FORM * form(row.query.text, a.text)) for a in answers]
    return sorted(answers, key=lambda answer: -answer.quality)


def fleet_pairs(rows: Sequence[JudgedQuery], folder: Path, dice: random.Random) -> dict[str, list[Pair]]:
    """Pairs of a better and a worse response, of a reference and a response, and of the best response and one to
    another query."""
    encoder = Encoder(own_responses.ENCODER)
    records: dict[str, list[dict]] = {}
    with Run(folder) as run:
        for record in run.records(RESPONSES):
            records.setdefault(record["id"], []).append(record)
    pairs: dict[str, list[Pair]] = {}
    for row in rows:
        query, field = row.query.text, row.query.dataset or ""
        answers, field_pairs = answers_to(row, records[row.query.id], encoder), pairs.setdefault(field, [])
        apart = [(a, b) for a, b in itertools.combinations(answers, 2) if a.quality - b.quality >= APART[field]]
        field_pairs += [(query, a.text, b.text) for a, b in dice.sample(apart, min(MOST, len(apart)))]
        field_pairs.append((query, row.references[0], dice.choice(answers).text))
        others = [r for r in rows if r.query.dataset == field and r is not row]
        other = records[dice.choice(others).query.id] if others else []
        same = [response["text"] for response in other if response["candidate"] == answers[0].candidate]
        field_pairs += [(query, answers[0].text, text) for text in same[:1]]
    return {field: own_responses.balanced(field_pairs, dice, UNEVEN) for field, field_pairs in pairs.items()}


def more_mismatched(folder: Path, count: int, dice: random.Random) -> list[Pair]:
    """Pairs of a response and one to another query: bare code, and long and short answers to AlpacaEval's queries."""
    code = [(r["query"], r["response"]) for r in data.read(folder, "codealpaca")]
    prose = [
        (r["query"], r["responses"][model])
        for r in data.read(folder, "alpaca_eval")
        for model in ("gpt4", "text_davinci_003", "claude-2")
        if r["responses"].get(model)
    ]
    code, prose = ([e for e in examples if not data.in_pipeline(e[0])] for examples in (code, prose))
    dice.shuffle(code)
    dice.shuffle(prose)
    of_both = code[-int(0.08 * count) :] + prose[-int(0.08 * count) :]
    parts = (code[: int(0.45 * count)], prose[: int(0.4 * count)], of_both)
    return [pair for examples in parts for pair in mismatched(examples, dice)]


def misplaced(count: int, dice: random.Random) -> list[Pair]:
    """Pairs of a piece of writing and small talk, and of an answer and a piece of writing."""
    tests = queries_of_tests()
    pieces = [e for e in terse_pieces(513, 3) if not resembles_a_test(e[0], tests)][:240]
    answers = [e for e in terse_questions(400, 3) if not resembles_a_test(e[0], tests)][:count]
    talk = [line["answer"] for line in data.questions(held_back=False) if line["kind"] in ("talk", "advice")]
    pairs = [(query, piece, dice.choice(talk)) for query, piece in pieces[:count]]
    return pairs + [(query, answer, dice.choice(pieces)[1]) for query, answer in answers]


def train(folder: Path, fleet: Path, workspace: Path, share: float) -> dict[str, Any]:
    """Continue the fleet's reward model, and keep the mean of its weights before and after."""
    rows, dice = queries(share), random.Random(SEED)
    collect(rows, fleet, workspace / "own-terse")
    kinds = pairs_of(folder, False, reward.part(reward.PAIRS["terse"], share), SEED + 21)
    kinds["more_mismatched"] = more_mismatched(folder, max(50, int(MORE * share)), dice)
    kinds |= fleet_pairs(rows, workspace / "own-terse", dice)
    kinds["misplaced"] = misplaced(max(2, int(OFF * share)), dice)
    start = reward.saved_before(fleet / "reward", workspace / "reward-before-terse")
    reward.fit(start, reward.together(kinds), workspace / "reward-terse", 5e-5, SEED)
    reward.save_mean(start, workspace / "reward-terse" / "model", workspace / "reward-terse" / "mean")
    reward.save_difference(workspace / "reward-terse" / "mean", fleet / "reward")
    return reward.counted(kinds)


def main() -> None:
    parser = data.parser_of(__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="share of the queries and pairs, for a rehearsal")
    call = parser.parse_args()
    data.keep(train(call.data, call.fleet, call.work, call.share), call.work / "reward-terse.json")


if __name__ == "__main__":
    main()
