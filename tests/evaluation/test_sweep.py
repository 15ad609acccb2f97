from __future__ import annotations

import numpy as np
import pytest

from zooter_core.data.scores import Scores
from zooter_core.errors import ZooterError
from zooter_core.evaluation.sweep import SweepConfig, earned, figures, sweep
from zooter_core.records import Query
from zooter_core.router.kinds import DistillConfig

SUMS = [f"Add up {n} apples and {n + 3} apples" for n in range(24)]
TEXTS = [f"Write about the sea {n} times" for n in range(16)]
QUERIES = tuple(Query(f"q{n}", text) for n, text in enumerate(SUMS + TEXTS))
SCORES = Scores(QUERIES, ("math", "writer"), np.array([[4.0, 0.0]] * 24 + [[0.0, 4.0]] * 16))
TAGS = [("sum",)] * 24 + [("text",)] * 16
QUICK = DistillConfig(epochs=40, rate=1e-2)


def test_each_beta_has_a_row_with_its_interval(tiny_encoder):
    told: list[tuple[str, int, int]] = []
    config = SweepConfig(betas=(0.0, 0.3, 1.0), folds=3, seeds=2)
    found = sweep(SCORES, TAGS, tiny_encoder, config, QUICK, lambda *now: told.append(now))
    assert [row["beta"] for row in found["rows"]] == [0.0, 0.3, 1.0]
    assert told[-1] == ("sweep", 18, 18)
    for row in found["rows"]:
        low, high = row["interval"]
        assert low <= row["mean"] <= high <= 4.0
        assert row["regret"] == pytest.approx(4.0 - row["mean"])
        assert row["mean"] > 3.0  # the two kinds are easily told apart
    best = next(row for row in found["rows"] if {"beta": row["beta"], "tau": row["tau"]} == found["best"])
    assert best["mean"] == max(row["mean"] for row in found["rows"])
    assert best["minus_best"] == (0.0, 0.0)


def test_tau_is_swept_too(tiny_encoder):
    config = SweepConfig(betas=(0.3, 1.0), taus=(0.1, 2.0), folds=2, seeds=1)
    found = sweep(SCORES, TAGS, tiny_encoder, config, QUICK)
    assert [(row["beta"], row["tau"]) for row in found["rows"]] == [(0.3, 0.1), (1.0, 0.1), (0.3, 2.0), (1.0, 2.0)]


def test_wrong_tags_make_the_prior_worse_than_the_label(tiny_encoder):
    """With one tag for all, beta = 0 gives every query the same label: only the majority can be learned."""
    found = sweep(SCORES, [("all",)] * 40, tiny_encoder, SweepConfig(betas=(0.0, 1.0), folds=4, seeds=1), QUICK)
    prior, plain = found["rows"]
    assert prior["mean"] == pytest.approx(4.0 * 24 / 40)
    assert plain["mean"] > prior["mean"]
    assert (found["best"], found["differs"]) == ({"beta": 1.0, "tau": 1.0}, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"betas": ()},
        {"betas": (0.3, 1.2)},
        {"betas": (float("nan"),)},
        {"taus": ()},
        {"taus": (0.0,)},
        {"taus": (float("inf"),)},
        {"folds": 1},
        {"seeds": 0},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ZooterError):
        SweepConfig(**wrong)


def test_fewer_queries_than_folds_are_refused(tiny_encoder):
    with pytest.raises(ZooterError, match="at least 5 queries"):
        sweep(SCORES.subset([0, 30]), TAGS[:2], tiny_encoder, SweepConfig(), QUICK)


@pytest.mark.parametrize("folds", [2, 3])
def test_queries_that_all_fall_into_one_fold_are_refused(tiny_encoder, folds):
    """A fold goes by a hash of the id, so that of few queries one fold may have all."""
    queries = tuple(Query("same", text) for text in ("Hi", "Ho", "Hu"))
    scores = Scores(queries, SCORES.candidates, SCORES.scores[:3])
    with pytest.raises(ZooterError, match=r"at least two folds, but found all 3 in one fold \(seed 0\)") as caught:
        sweep(scores, TAGS[:3], tiny_encoder, SweepConfig(folds=folds), QUICK)
    assert caught.value.exit_code == 2


def test_the_points_come_one_by_one_and_give_the_table_so_far(tiny_encoder):
    config = SweepConfig(betas=(0.0, 0.3, 1.0), folds=2, seeds=1)
    whole = sweep(SCORES, TAGS, tiny_encoder, config, QUICK)
    means = {}
    for done, (point, values) in enumerate(earned(SCORES, TAGS, tiny_encoder, config, QUICK), 1):
        means[point] = values
        so_far = figures(SCORES, config, means)
        assert [row["mean"] for row in so_far["rows"]] == [row["mean"] for row in whole["rows"][:done]]
    assert so_far == whole
