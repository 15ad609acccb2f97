"""The embedded fleet's tags, on queries that this project labelled by reading, before they were tagged."""

from __future__ import annotations

import json
from pathlib import Path

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import charts

ROOT = Path(__file__).resolve().parents[2]
LEAST = 0.85
SUMS = [  # as people type them first; none is in the vocabulary
    *("What is 6 times 7?", "3 plus 3", "What is 3 plus 3?", "2+2=?", "how much is 9 times 9", "What's 15 minus 8?"),
    *("subtract 6 from 20", "7 x 8 = ?", "compute 19 + 23", "twelve times twelve", "1+1", "What is 81/9", "double 16"),
    *("what is 10 times 10 plus 5", "14+28"),
]


def test_shown_tags_can_be_trusted(embedded: Ensemble, figures: list[str]) -> None:
    """Nothing was tuned on these 200 queries; recipes/embedded/tag_queries.jsonl has the others."""
    text = (ROOT / "tests" / "data" / "tag_queries.jsonl").read_text(encoding="utf-8")
    labelled = [json.loads(line) for line in text.splitlines()]
    assert len(labelled) == 200
    assert {tag for line in labelled for tag in line["tags"]} <= set(embedded.tagger.names)
    shown = embedded.tagger.tag([line["query"] for line in labelled])
    right = [[tag.name in line["tags"] for tag in tags] for line, tags in zip(labelled, shown, strict=True)]
    share = sum(map(sum, right)) / sum(map(len, right))
    queries = sum(map(any, right)) / len(labelled)
    figures.append(f"{share:.1%} of the shown tags are right; {queries:.1%} of 200 queries show a right one")
    assert share >= LEAST
    assert queries >= LEAST


def test_a_plain_sum_is_no_equation_and_no_fraction(embedded: Ensemble) -> None:
    shown = [charts.shown_tags(tags)[:1] for tags in embedded.tagger.tag(SUMS)]
    assert [(query, tags) for query, tags in zip(SUMS, shown, strict=True) if tags not in ([], ["arithmetic"])] == []
    assert shown.count(["arithmetic"]) > len(SUMS) / 2
