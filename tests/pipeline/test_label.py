"""Labels from rewards and tags, and which queries are held back; a run's rewards and tags as arrays."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.run_folder import QUERIES, RESPONSES, REWARDS, TAGS
from zooter_core.data.runs import BY_DATASET, Run
from zooter_core.data.scores import Scores
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, held_back, lot, normalise
from zooter_core.method.tags import TagIndex
from zooter_core.pipeline.label import RunTable, enhancement, label_lines

IDS = [f"q{number}" for number in range(12)]
ASIDE = "q3"


def scores(count) -> Scores:
    queries = tuple(Query(str(n), f"query {n}") for n in range(count))
    return Scores(queries, ("a", "b"), np.random.default_rng(0).normal(size=(count, 2)))


def make_labels(scores: Scores, tags, config: LabelConfig) -> list[dict]:
    ids = [query.id for query in scores.queries]
    fold = held_back([lot(id, config.seed) for id in ids], scores.datasets, config.holdout)
    table = RunTable(np.arange(len(ids)), scores.scores.copy(), TagIndex.of(tags), scores.datasets, fold)
    return list(label_lines(ids, enhancement(table, config)))


def test_tag_priors_come_from_the_training_fold_alone():
    """All queries carry one tag: with beta = 0 a training label is the mean of the training labels."""
    config = LabelConfig(beta=0.0)
    rows = make_labels(scores(50), [["t"]] * 50, config)
    train = [label for label in rows if label["fold"] == "train"]
    mean = np.mean([label["plain"] for label in train], axis=0)
    assert all(label["enhanced"] == pytest.approx(mean) for label in train)
    assert all(label["enhanced"] == label["plain"] for label in rows if label["fold"] == "held_back")
    assert {label["fold"] for label in rows} == {"train", "held_back"}


def test_labels_of_a_normalised_pool():
    table = scores(30)
    rows = make_labels(table, [[]] * 30, LabelConfig(normalise="zscore", tau=0.5))
    expected = labels.softmax(normalise(table.scores, "zscore", table.datasets), 0.5)
    assert np.array([label["plain"] for label in rows]) == pytest.approx(expected)


def test_labels_when_every_query_is_held_back():
    rows = make_labels(scores(5), [["t"]] * 5, LabelConfig(holdout=1.0))
    assert {label["fold"] for label in rows} == {"held_back"}


def test_a_worker_and_the_step_label_load_no_pytorch_for_themselves():
    """Each actor of Ray would spend three seconds on it, also where it only scores or tags through an endpoint."""
    code = "import sys, zooter_core.pipeline, zooter_core.pipeline.on_ray, zooter_core.pipeline.plan; "
    code += "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


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
    run.append(RESPONSES, [])
    for step in ("start", "collect", "score", "tag"):
        run.seal(step)
    return run


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_table_has_the_order_of_the_queries_and_what_scores_and_tags_have(tmp_path, shuffled):
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
        run.seal("score")
        with pytest.raises(ZooterError, match="all 1 set aside; the first because: too long"):
            RunTable.read(run, LabelConfig())
