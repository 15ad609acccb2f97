"""The README of a router that the Train page saves."""

from __future__ import annotations

import numpy as np

from zooter_core.base.records import Query
from zooter_core.config.fleet import load_fleet
from zooter_core.data.scores import Scores
from zooter_core.evaluation.figures import Report
from zooter_core.method.labels import LabelConfig
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui.train.steps import LoadedScores, TrainingData
from zooter_core.ui.train.use import readme


def test_it_says_how_the_router_was_made_whatever_a_file_is_called(tiny_fleet):
    queries = tuple(Query(f"q{n}", f"Add up {n} apples") for n in range(28))
    config = LabelConfig(beta=0.35, tau=0.5, normalise="spread", holdout=0.25)
    scores = Scores(queries, ("base", "one"), np.array([[3.0, 0.5]] * 28))
    loaded = LoadedScores("file 1", "the file odd\n# <script>name.jsonl", scores, config)
    data = TrainingData(loaded, [()] * 28, "none", config)
    text = readme("mine", data, DistillConfig(), Report(candidates={}), load_fleet(tiny_fleet))
    assert "28 queries" in text
    assert "beta 0.35, tau 0.5" in text
    assert "<script>" not in text
    assert text.count("\n#") == 0
