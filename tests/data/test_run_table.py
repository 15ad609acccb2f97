"""A run's rewards and tags as arrays: whatever order the lines have, and without what is set aside."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.data.run_folder import QUERIES, REWARDS, TAGS
from zooter_core.data.run_table import RunTable
from zooter_core.data.runs import BY_DATASET, Run
from zooter_core.method.labels import LabelConfig, held_back, lot

IDS = [f"q{number}" for number in range(12)]
ASIDE = "q3"


def reward(number: int) -> dict[str, float]:
    return {"a": number / 10, "b": 1.0} if number % 5 else {"b": 1.0}  # every fifth lacks one


def run_of(folder, order) -> Run:
    """A run whose rewards and tags were written in this order of the queries."""
    run = Run(folder, create=True)
    run.begin("start", {"pool": ["a", "b"], "queries": len(IDS)})
    run.begin("collect", {"samples": 1})
    datasets = [None, "sums", "texts"]
    lines = [{"id": id, "text": id, "dataset": datasets[n % 3], "tags": []} for n, id in enumerate(IDS)]
    run.append(QUERIES, lines)
    for number in order:
        content = {"set_aside": "too long"} if IDS[number] == ASIDE else {"rewards": reward(number)}
        run.append(REWARDS, [{"id": IDS[number], **content}])
    for number in reversed(order):
        names = [f"t{n}" for n in range(number % 3)]
        run.append(TAGS, [{"id": IDS[number], "tags": [{"name": name, "score": 1.0} for name in names]}])
    for step, file in (("start", QUERIES), ("collect", QUERIES), ("score", REWARDS), ("tag", TAGS)):
        run.seal(step, file)
    return run


@pytest.mark.parametrize("shuffled", [False, True])
def test_it_has_the_order_of_the_queries_and_what_scores_and_tags_have(tmp_path, shuffled):
    order = np.random.default_rng(0).permutation(len(IDS)).tolist() if shuffled else list(range(len(IDS)))
    with run_of(tmp_path / "run", order) as run:
        table = RunTable.read(run, LabelConfig(holdout=0.25))
        scores = run.scores()
        assert list(table.ids(run)) == [query.id for query in scores.queries] == [id for id in IDS if id != ASIDE]
        assert np.array_equal(table.rewards, scores.scores, equal_nan=True)
        assert list(table.tags) == run.tags()
        assert table.datasets == scores.datasets
        lots = [lot(id, 0) for id in IDS]
        drawn = dict(zip(IDS, held_back(lots, None, 0.25), strict=True))  # as it began without another way
        assert table.held_back.tolist() == [drawn[id] for id in table.ids(run)]
        assert table.held_back.any()


def test_a_new_run_holds_back_a_share_of_each_data_set_whatever_has_rewards(tmp_path):
    with run_of(tmp_path / "run", range(len(IDS))) as run:
        run.state["split"] = BY_DATASET  # as the step start of a new run does
        table = RunTable.read(run, LabelConfig(holdout=0.25))
        drawn = held_back([lot(id, 0) for id in IDS], [str(n % 3) for n in range(len(IDS))], 0.25)
        assert [sum(drawn[n::3]) for n in range(3)] == [1, 1, 1]
        assert table.held_back.tolist() == [bool(out) for id, out in zip(IDS, drawn, strict=True) if id != ASIDE]


def test_a_run_whose_queries_are_all_set_aside_is_refused(tmp_path):
    with Run(tmp_path / "run", create=True) as run:
        run.begin("start", {"pool": ["a", "b"], "queries": 1})
        run.begin("collect", {"samples": 1})
        run.append(QUERIES, [{"id": "q", "text": "Hi", "dataset": None, "tags": []}])
        run.append(REWARDS, [{"id": "q", "set_aside": "too long"}])
        run.seal("score", REWARDS)
        with pytest.raises(ZooterError, match="all 1 set aside; the first because: too long"):
            RunTable.read(run, LabelConfig())
