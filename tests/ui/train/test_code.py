"""What the Train page shows as code and as a command makes the very router that its button makes."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zooter_core.base.records import Query
from zooter_core.cli.main import main
from zooter_core.config.fleet import load_fleet
from zooter_core.data.scores import Scores
from zooter_core.evaluation.figures import Report
from zooter_core.evaluation.sweep import SweepConfig
from zooter_core.method.labels import LabelConfig
from zooter_core.router.encoder import Encoders
from zooter_core.router.kinds import DistillConfig, settings_of
from zooter_core.router.router import Router
from zooter_core.ui.train.code import (
    LoadedScores,
    TrainingData,
    as_file,
    distill_code,
    distill_command,
    readme,
    sweep_command,
)
from zooter_core.ui.train.steps import Task
from zooter_core.ui.train.train import distill_in_task

QUERIES = tuple(
    Query(f"q{n}", text, "sums" if n < 16 else "texts", ("math",) if n < 16 else ("writing",))
    for n, text in enumerate(
        [f"Add up {n} apples and {n + 3} apples" for n in range(16)] + [f"Write about the sea {n}" for n in range(12)]
    )
)
SCORES = Scores(QUERIES, ("base", "one", "two"), np.array([[3.0, 0.5, 0.0]] * 16 + [[0.0, 0.5, 3.0]] * 12))
CONFIG = LabelConfig(beta=0.35, tau=0.5, normalise="spread", holdout=0.25)
TRAINING = DistillConfig(epochs=3, keep_texts=True)


def training_data(tagger: str, name: str = "odd 'name'.jsonl", **changes) -> TrainingData:
    tags = [query.tags if tagger == "given" else () for query in SCORES.queries]
    return TrainingData(
        LoadedScores("file 1", f"the file {name}", name, SCORES, CONFIG, **changes), tags, tagger, CONFIG
    )


@pytest.fixture
def fleet(tiny_fleet):
    return load_fleet(tiny_fleet)


@pytest.fixture
def by_button(tiny_ensemble, tmp_path, monkeypatch):
    """A router as the page makes it, and the score file that its code reads, in the current folder."""
    monkeypatch.chdir(tmp_path)

    def train(data: TrainingData) -> Router:
        Path(data.loaded.file).write_bytes(as_file(data.scores))
        task = Task(lambda task: distill_in_task(task, data, TRAINING, tiny_ensemble, tmp_path / "page"))
        task.wait(60)
        assert task.problem is None
        return Router.load(tmp_path / "page", Encoders())

    return train


def same(router: Router, folder: Path) -> bool:
    """To four digits: what rounding makes of two trainings in two threads; another seed differs in the second."""
    texts = [query.text for query in QUERIES]
    other = Router.load(folder, Encoders())
    return router.candidates == other.candidates and np.allclose(
        router.probabilities(texts), other.probabilities(texts), atol=1e-4
    )


@pytest.mark.parametrize("tagger", ["given", "none"])
def test_the_code_makes_the_same_router(by_button, fleet, tmp_path, tagger):
    data = training_data(tagger)
    router = by_button(data)
    exec(distill_code(data, TRAINING, fleet, "my-router"), {})
    assert same(router, tmp_path / "my-router")
    one, other = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("page", "my-router"))
    assert one.keys() == other.keys()
    assert one["held_back"]["mean"] == pytest.approx(other["held_back"]["mean"], abs=1e-4)


def test_the_command_makes_the_same_router(by_button, fleet, tmp_path):
    data = training_data("given")
    router = by_button(data)
    call = shlex.split(distill_command(data, TRAINING, fleet, "my-router").replace("\\\n", ""))
    assert call[0] == "zooter"
    assert main(call[1:]) == 0
    assert same(router, tmp_path / "my-router")


def test_code_and_command_of_another_kind_take_no_label_settings(fleet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, training = training_data("given", "scores.jsonl"), replace(settings_of("knn"), keep_texts=True)
    Path(data.loaded.file).write_bytes(as_file(data.scores))
    call = shlex.split(distill_command(data, training, fleet, "by-command").replace("\\\n", ""))
    assert "--beta" not in call
    assert main(call[1:]) == 0
    exec(distill_code(data, training, fleet, "by-code"), {})
    assert same(Router.load(tmp_path / "by-command", Encoders()), tmp_path / "by-code")


def test_the_sweep_command_runs(by_button, fleet, capsys):
    data = training_data("given", "scores.jsonl")
    by_button(data)
    config = SweepConfig(betas=(0.0, 1.0), taus=(0.5,), normalise="spread", folds=2, seeds=1)
    call = shlex.split(sweep_command(data, config, fleet).replace("\\\n", ""))
    assert main([*call[1:], "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["beta"] for row in report["rows"]] == [0.0, 1.0]
    assert (report["folds"], report["seeds"], report["normalise"]) == (2, 1, "spread")


def test_the_code_with_a_part_of_the_file_and_the_fleets_tagger(fleet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = ("one", "two")
    scores = SCORES.only(pool).sample(20)
    data = training_data("fleet", "scores.jsonl", only=pool, most=20)
    Path("scores.jsonl").write_bytes(as_file(data.scores))
    assert len(Path("scores.jsonl").read_text().splitlines()) == len(SCORES.queries)
    exec(distill_code(data, TRAINING, fleet, "my-router"), {})
    assert Router.load(tmp_path / "my-router", Encoders()).candidates == pool
    records = json.loads((tmp_path / "my-router" / "neighbours.json").read_text())["queries"]
    assert {record["text"] for record in records} <= {query.text for query in scores.queries}


def test_a_readme_says_how_it_was_made_whatever_a_file_is_called(fleet):
    data = training_data("given", "odd\n# <script>name.jsonl")
    text = readme("mine", data, TRAINING, Report(candidates={}), fleet)
    assert "28 queries" in text
    assert "beta 0.35, tau 0.5" in text
    assert "<script>" not in text
    assert text.count("\n#") == 0
