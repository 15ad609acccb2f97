"""The queries on which the embedded fleet's router is distilled; no expert or reward model was trained on them.

    python -m recipes.embedded.queries --data DIR

Half come from this project's generators (held-back phrasings, numbers and topics), half from the data sets.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.embedded import data
from recipes.embedded.apart import apart, queries_of_tests
from recipes.embedded.functions import tasks
from recipes.embedded.problems import ALGEBRA, CHAINS, SHORT, SIMPLE, problems
from recipes.embedded.writing import BEYOND, VERSE, pieces, talk
from zooter_core.base.strict_json import dump_json
from zooter_core.data.scores import score_line
from zooter_core.router.neighbours import Neighbours

MOST_CHARACTERS = 500
# Queries per source, further queries of some sources, and the sources that were written for this project.
SOURCES: dict[str, int] = data.SETTINGS["queries"]["sources"]
FURTHER: dict[str, int] = data.SETTINGS["queries"]["further"]
OWN_LIMITS = f"self not_another makers skills zooter languages small_talk common_phrases foreign {BEYOND}"
OF_PROJECT: list[str] = data.SETTINGS["queries"]["of_project"]


def solved(seed: int) -> dict[str, list[data.Example]]:
    """Held-back problems with their worked answers, by source."""
    templates_of = {"problems": (*SHORT, *CHAINS), "simple": SIMPLE, "algebra": ALGEBRA}
    return {source: problems(SOURCES[source], seed + 2, True, templates) for source, templates in templates_of.items()}


def of_project(seed: int) -> dict[str, list[str]]:
    """Queries from the project's generators, on the side that no expert is trained on, by source."""
    return {
        **{source: [query for query, _ in examples] for source, examples in solved(seed).items()},
        "functions": [task.query for task in tasks(SOURCES["functions"], seed + 2, held_back=True)],
        "snippets": [line["query"] for line in data.snippets(held_back=True)],
        "writing": [query for query, _ in pieces(SOURCES["writing"], seed + 2, held_back=True)],
        "short_pieces": [line["query"] for line in data.short_pieces(held_back=True)],
        "questions": [line["query"] for line in data.questions(held_back=True)],
        "verse": [query for query, _ in pieces(SOURCES["verse"], seed + 2, True, VERSE)],
        **data.terse(),
        "talk": [
            query for query, _ in apart(talk(4 * SOURCES["talk"], seed + 2, True, OWN_LIMITS), queries_of_tests())
        ],
    }


def of_data_sets(folder: Path) -> dict[str, list[str]]:
    """The queries of the mixed data set that are reserved for the pipeline, by source, without very long ones."""
    texts: dict[str, list[str]] = {}
    for record in data.read(folder, "divinstruct_mini"):
        if data.in_pipeline(record["query"]) and len(record["query"]) <= MOST_CHARACTERS:
            texts.setdefault(record["source"], []).append(record["query"])
    return texts


def sample(folder: Path, share: float, seed: int) -> list[dict[str, str]]:
    """The queries of every source, in a fixed order."""
    dice, again = random.Random(seed), random.Random(seed + 1)
    texts_of = of_data_sets(folder) | of_project(seed)
    lines = []
    for source, most in SOURCES.items():
        texts = list(dict.fromkeys(texts_of[source]))
        chosen = dice.sample(texts, min(len(texts), max(1, int(most * share))))
        picked = set(chosen)
        others = [text for text in texts if text not in picked]
        chosen += again.sample(others, min(len(others), int(FURTHER.get(source, 0) * share)))
        lines += [{"id": f"{source}-{n:03d}", "query": text, "dataset": source} for n, text in enumerate(chosen)]
    return lines


def learned_scores(fleet: Path, lines: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Lines of a score file: the mean rewards of the router's training queries, which the fleet's router stores.

    Args:
        lines: all queries of the recipe, as from `sample`, for their texts: the router stores only some of them.
    """
    neighbours = Neighbours.load(fleet / "router")
    if neighbours is None:
        raise SystemExit(f"{fleet} has no router that keeps its training queries.")
    texts = {line["id"]: line["query"] for line in lines}
    for query, rewards in zip(neighbours.queries, neighbours.rewards.tolist(), strict=True):
        text = texts.get(query.id)
        if text is None or (query.text or text) != text:
            raise SystemExit(f"The router of {fleet} learned from other queries than these data sets give.")
        yield score_line(replace(query, text=text), dict(zip(neighbours.candidates, rewards, strict=True)))


def main() -> None:
    parser = data.parser_of(__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="share of the queries of each source, for a rehearsal")
    parser.add_argument(
        "--learned",
        action="store_true",
        help="also write the rewards that the fleet's router keeps, and the other queries",
    )
    call = parser.parse_args()
    lines = sample(call.data, call.share, 0)
    out = call.work / "queries.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(dump_json(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} queries in {out}")
    if call.learned:
        rows = list(learned_scores(call.fleet, lines))
        learned = {row["id"] for row in rows}
        others = [line for line in lines if line["id"] not in learned]
        for name, records in (("learned.jsonl", rows), ("held_back.jsonl", others)):
            text = "".join(dump_json(record, ensure_ascii=False) + "\n" for record in records)
            (call.work / name).write_text(text, encoding="utf-8")
        print(f"{len(rows)} with rewards in {call.work / 'learned.jsonl'}, {len(others)} others in held_back.jsonl")


if __name__ == "__main__":
    main()
