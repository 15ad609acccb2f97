"""Labels from a run's rewards and tags, and which queries are held back."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core import pipeline
from zooter_core.base.errors import ZooterError
from zooter_core.data.run_folder import LABELS, QUERIES, RESPONSES, REWARDS, TAGS
from zooter_core.data.runs import Run
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, held_back, lot

IDS = [f"q{number}" for number in range(12)]
DATASETS = ["all", "sums", "texts"] * 4
ASIDE = "q3"


def reward(number: int) -> dict[str, float]:
    return {"a": number / 10, "b": 1.0} if number % 5 else {"b": 1.0}  # every fifth lacks one


def run_of(folder, order) -> Run:
    """A run whose rewards and tags were written in this order of the queries."""
    run = Run(folder, create=True)
    run.begin("start", {"pool": ["a", "b"], "queries": len(IDS)})
    run.begin("collect", {"samples": 1})
    lines = [{"id": id, "text": id, "dataset": name, "tags": []} for id, name in zip(IDS, DATASETS, strict=True)]
    run.append(QUERIES, lines)
    for number in order:
        content = {"set_aside": "too long"} if IDS[number] == ASIDE else {"rewards": reward(number)}
        run.append(REWARDS, [{"id": IDS[number], **content}])
    for number in reversed(order):
        names = [f"t{n}" for n in range(number % 3)]
        run.append(TAGS, [{"id": IDS[number], "tags": [{"name": name, "score": 1.0} for name in names]}])
    run.append(RESPONSES, [])
    for step in ("start", "collect", "score", "tag"):
        run.finish(step)
    return run


def labels_of(run: Run, config: LabelConfig) -> list[dict]:
    pipeline.label(run, config)
    return list(run.records(LABELS))


@pytest.mark.parametrize("shuffled", [False, True])
def test_labels_have_the_order_of_the_queries_and_follow_from_scores_and_tags(tmp_path, shuffled):
    order = np.random.default_rng(0).permutation(len(IDS)).tolist() if shuffled else list(range(len(IDS)))
    config = LabelConfig(holdout=0.25, normalise="zscore", tau=0.5)
    with run_of(tmp_path / "run", order) as run:
        lines, scores = labels_of(run, config), run.scores()
        remaining = [id for id in IDS if id != ASIDE]
        assert [line["id"] for line in lines] == [query.id for query in scores.queries] == remaining
        lots = [lot(id, 0) for id in IDS]
        drawn = dict(zip(IDS, held_back(lots, DATASETS, 0.25), strict=True))
        assert [sum(drawn[id] for id in IDS[n::3]) for n in range(3)] == [1, 1, 1]  # whatever has rewards
        assert [line["fold"] == "held_back" for line in lines] == [drawn[line["id"]] for line in lines]
        learned = np.flatnonzero([not drawn[line["id"]] for line in lines])
        assert 0 < len(learned) < len(lines)
        expected = labels.label(scores.scores, scores.datasets, run.tags(), config, learned)
        for name, table in (("plain", expected.plain), ("enhanced", expected.enhanced)):
            assert np.array([line[name] for line in lines]).tolist() == table.tolist()


def test_a_run_whose_queries_are_all_set_aside_is_refused(tmp_path):
    with Run(tmp_path / "run", create=True) as run:
        run.begin("start", {"pool": ["a", "b"], "queries": 1})
        run.begin("collect", {"samples": 1})
        run.append(QUERIES, [{"id": "q", "text": "Hi", "dataset": None, "tags": []}])
        run.append(REWARDS, [{"id": "q", "set_aside": "too long"}])
        run.finish("score")
        with pytest.raises(ZooterError, match="all 1 set aside; the first because: too long"):
            run.scores()
