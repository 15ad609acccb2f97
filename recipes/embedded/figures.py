"""Quality figures of the embedded fleet from a finished run of the pipeline, and verified outcomes as scores.

python -m recipes.embedded.figures --data DIR
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recipes.embedded import checks, data
from recipes.embedded.functions import tasks
from recipes.embedded.own_responses import ENCODER, JudgedQuery, outcome, overlap
from recipes.embedded.queries import SOURCES, solved
from recipes.embedded.writing import pieces
from zooter_core.base.records import Query
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.data.run_folder import REPORT, REWARDS
from zooter_core.data.runs import Run
from zooter_core.data.scores import Scores, score_line
from zooter_core.router.encoder import Encoder

FIELDS = {
    "math": ("problems", "simple", "algebra", "gsm8k"),
    "code": ("functions", "snippets", "codealpaca", "human_eval"),
    "writer": ("writing", "short_pieces"),
    "chat": ("questions",),
}


def judged_queries(folder: Path, queries: list[Query]) -> dict[str, JudgedQuery]:
    """Query id -> query with references and tests, for the queries that have them."""
    functions = {task.query: task for task in tasks(SOURCES["functions"], 2, held_back=True)}
    answers = {query: answer for examples in solved(0).values() for query, answer in examples}
    answers |= {r["query"]: data.worked_solution(r["answer"]) for r in data.read(folder, "gsm8k_train")}
    answers |= dict(pieces(SOURCES["writing"], 2, held_back=True))
    for lines in (data.short_pieces(held_back=True), data.questions(held_back=True)):
        answers |= {line["query"]: line["answer"] for line in lines}
    answers |= {query: data.python_fence(task.solution) for query, task in functions.items()}
    return {
        query.id: JudgedQuery(query, (answers[query.text],), functions.get(query.text))
        for query in queries
        if query.text in answers and query.dataset in {source for field in FIELDS.values() for source in field}
    }


def wins(scores: Scores) -> dict[str, Any]:
    """The share of queries on which each candidate has the highest mean reward: of all, and of each expert's field."""
    best = scores.scores.argmax(axis=1)
    names = np.array(scores.datasets)
    figures: dict[str, Any] = {"all": {c: round(float((best == n).mean()), 3) for n, c in enumerate(scores.candidates)}}
    for expert, sources in FIELDS.items():
        rows = np.isin(names, sources)
        figures[expert] = {
            "n": int(rows.sum()),
            "best": round(float((best[rows] == scores.candidates.index(expert)).mean()), 3),
            "mean_reward": dict(
                zip(scores.candidates, scores.scores[rows].mean(axis=0).round(3).tolist(), strict=True)
            ),
        }
    return figures


def agreement(
    rewards: Mapping[str, Any], judged_by_id: Mapping[str, JudgedQuery], texts: Mapping[str, Any]
) -> dict[str, Any]:
    """How often a right response has a higher reward than a wrong response to the same query."""
    agreements: dict[str, list[bool]] = {}
    for id, row in judged_by_id.items():
        judged = [
            (outcome(row, text), reward)
            for name, samples in texts[id].items()
            for text, reward in zip(samples, rewards[id][name], strict=True)
        ]
        for (a, x), (b, y) in itertools.combinations(judged, 2):
            if a is not None and a != b:
                agreements.setdefault(row.query.dataset or "", []).append((x > y) == a)
    everything = [value for values in agreements.values() for value in values]
    return {
        name: {"pairs": len(v), "agree": round(float(np.mean(v)), 3)}
        for name, v in {**agreements, "all": everything}.items()
    }


def outcomes(judged_by_id: Mapping[str, JudgedQuery], texts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Lines of a score file: the share of right responses, for queries whose responses can all be verified."""
    for id, row in judged_by_id.items():
        judged = {name: [outcome(row, text) for text in samples] for name, samples in texts[id].items()}
        if all(right is not None for rights in judged.values() for right in rights):
            yield score_line(
                row.query, {name: checks.share([right is True for right in rights]) for name, rights in judged.items()}
            )


def length_correlation(
    rewards: Mapping[str, Any], texts: Mapping[str, Any], queries: list[Query], pool: tuple[str, ...]
) -> dict[str, Any]:
    """Correlation of reward and length in each field: over all responses, and within each candidate's."""
    figures: dict[str, Any] = {}
    for field, sources in FIELDS.items():
        ids = [query.id for query in queries if query.dataset in sources]
        pairs = {
            name: np.array([(len(t), r) for id in ids for t, r in zip(texts[id][name], rewards[id][name], strict=True)])
            for name in pool
        }
        inside = [np.corrcoef(values.T)[0, 1] for values in pairs.values()]
        overall = np.corrcoef(np.concatenate(list(pairs.values())).T)[0, 1]
        figures[field] = {"all": round(float(overall), 3), "inside_a_candidate": round(float(np.nanmean(inside)), 3)}
    return figures


def closeness(judged_by_id: Mapping[str, JudgedQuery], texts: Mapping[str, Any]) -> dict[str, Any]:
    """Mean closeness of each candidate's responses to the references by field: cosine plus shared words, 0 to 2."""
    encoder = Encoder(ENCODER)
    figures: dict[str, dict[str, float]] = {}
    for field in ("writer", "chat"):
        rows = [row for row in judged_by_id.values() if row.query.dataset in FIELDS[field]]
        references = encoder.sentence(encoder.embed_all([row.references[0] for row in rows]))
        for name in next(iter(texts.values())):
            firsts = [texts[row.query.id][name][0] for row in rows]
            vectors = encoder.sentence(encoder.embed_all(firsts))
            near = (vectors * references).sum(axis=1)
            near += [overlap(text, row.references) for text, row in zip(firsts, rows, strict=True)]
            figures.setdefault(field, {})[name] = round(float(near.mean()), 3)
    return figures


def figures(folder: Path, run_folder: Path) -> dict[str, Any]:
    with Run(run_folder) as run:
        scores, texts, judged_by_id = run.scores(), run.responses(), judged_queries(folder, run.queries())
        rewards = {record["id"]: record["samples"] for record in run.records(REWARDS)}
        lines = [dump_json(line, ensure_ascii=False) + "\n" for line in outcomes(judged_by_id, texts)]
        (run_folder.parent / "outcomes.jsonl").write_text("".join(lines), encoding="utf-8")
        report = parse_json((run_folder / REPORT).read_text()) if run.is_finished("distill") else {}
    figures = {
        "wins": wins(scores),
        "agreement": agreement(rewards, judged_by_id, texts),
        "length_correlation": length_correlation(rewards, texts, list(scores.queries), scores.candidates),
        "closeness": closeness(judged_by_id, texts),
    }
    if "held_back" in report:
        held_back = report["held_back"]
        mean = held_back["mean"]
        gap = mean["oracle"] - mean["best_single"]
        figures["router"] = {
            "n": held_back["n"],
            "regret": mean["regret"],
            "regret_best_single": mean["regret_best_single"],
            "best_single": held_back["average"]["best_single"]["candidate"],
            "minus_best_single": held_back["interval"]["chosen_minus_best_single"],
            "gap_closed": (mean["chosen"] - mean["best_single"]) / gap if gap else 0.0,
        }
    return figures


def main() -> None:
    call = data.parser_of(__doc__).parse_args()
    checks.require_sandbox()
    data.keep(figures(call.data, call.work / "run"), call.work / "figures.json")


if __name__ == "__main__":
    main()
