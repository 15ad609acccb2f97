"""Labels from rewards and tags, and which queries are held back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from zooter_core.base.records import Label, Query
from zooter_core.data.run_table import RunTable
from zooter_core.data.scores import Scores
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, held_back, lot
from zooter_core.method.scales import normalise
from zooter_core.method.tags import TagIndex
from zooter_core.pipeline.label import enhancement, label_lines


def scores(count) -> Scores:
    queries = tuple(Query(str(n), f"query {n}") for n in range(count))
    return Scores(queries, ("a", "b"), np.random.default_rng(0).normal(size=(count, 2)))


def make_labels(scores: Scores, tags, config: LabelConfig) -> list[Label]:
    ids = [query.id for query in scores.queries]
    fold = held_back([lot(id, config.seed) for id in ids], scores.datasets, config.holdout)
    table = RunTable(np.arange(len(ids)), scores.scores.copy(), TagIndex.of(tags), scores.datasets, fold)
    return [Label.from_json(line) for line in label_lines(ids, enhancement(table, config))]


def test_tag_priors_come_from_the_training_fold_alone():
    """All queries carry one tag: with beta = 0 a training label is the mean of the training labels."""
    config = LabelConfig(beta=0.0)
    rows = make_labels(scores(50), [["t"]] * 50, config)
    train = [label for label in rows if label.fold == "train"]
    mean = np.mean([label.plain for label in train], axis=0)
    assert all(label.enhanced == pytest.approx(mean) for label in train)
    assert all(label.enhanced == label.plain for label in rows if label.fold == "held_back")
    assert {label.fold for label in rows} == {"train", "held_back"}


def test_labels_of_a_normalised_pool():
    table = scores(30)
    rows = make_labels(table, [[]] * 30, LabelConfig(normalise="zscore", tau=0.5))
    expected = labels.softmax(normalise(table.scores, "zscore", table.datasets), 0.5)
    assert np.array([label.plain for label in rows]) == pytest.approx(expected)


def test_labels_when_every_query_is_held_back():
    assert {label.fold for label in make_labels(scores(5), [["t"]] * 5, LabelConfig(holdout=1.0))} == {"held_back"}


def test_a_worker_and_the_step_label_load_no_pytorch_for_themselves():
    """Each actor of Ray would spend three seconds on it, also where it only scores or tags through an endpoint."""
    code = "import sys, zooter_core.cli.label, zooter_core.pipeline.on_ray, zooter_core.pipeline.plan; "
    code += "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
