"""The benchmark scripts on a few invented scores: their figures are what they claim."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from support.command_files import write_lines
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.append(str(FOLDER))  # as for a script that is run


def script(name: str):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


SHARED = ("score_file", "servers")  # what some scripts share


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED))
def test_a_script_imports(name):
    if name in ("demo", "pages"):
        pytest.importorskip("playwright")
    assert callable(script(name).main)


@pytest.fixture
def score_file(tmp_path):
    """`a` is right on sums, `b` on texts; two data sets of each."""
    lines = [
        {"id": f"{kind} {n}", "dataset": f"{kind}-{n % 2}", "query": text.format(n), "scores": scores}
        for n in range(20)
        for kind, text, scores in (
            ("sums", "Add up {0} apples and 3 apples", {"a": 1, "b": 0}),
            ("texts", "Write about the sea {0} times", {"a": 0, "b": 1}),
        )
    ]
    return write_lines(tmp_path / "scores.jsonl", lines)


def test_heads_compares_settings_with_the_default(monkeypatch, capsys, score_file, tiny_encoder):
    other = "rate=0.01 epochs=30 times=1 clusters=2"
    call = (score_file, "--encoder", tiny_encoder.reference, "--seeds", "1", "--json", "--settings", other)
    monkeypatch.setattr(sys, "argv", ["heads", *map(str, call)])
    script("heads").main()
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert list(rows) == ["as it is", other, "random", "oracle"]
    assert (rows["random"]["folds"], rows["oracle"]["left_out"]) == (0.5, 1.0)
    assert rows["as it is"]["folds_minus_first"] == [0.0, 0.0]
    assert rows[other]["folds"] == pytest.approx(np.mean(list(rows[other]["folds_datasets"].values())))
    assert rows[other]["folds"] > 0.9


def test_best_a_data_set_knows_only_the_data_sets_it_learned_from(score_file, tiny_encoder):
    heads = script("heads")
    scores = heads.read_scores([score_file])
    bench = heads.Bench(scores, tiny_encoder)
    choose = heads.best_single(bench, 0, by_dataset=True)
    sums = np.flatnonzero(np.char.startswith(bench.names, "sums"))
    texts = np.flatnonzero(bench.names == "texts-0")
    rows = np.concatenate([sums[:-1], texts])
    assert choose(rows, sums[-1:]).tolist() == [0]
    assert choose(rows, texts).tolist() == [1] * len(texts)
    unseen = np.flatnonzero(bench.names == "texts-1")
    assert choose(rows, unseen).tolist() == [0] * len(unseen)  # the best over two data sets of sums and one of texts


def test_labels_that_are_wrong_where_entropy_is_high_have_a_negative_rank_correlation():
    quality = script("label_quality")
    entropies, gains = np.arange(20.0), np.array([1.0] * 10 + [-1.0] * 10)
    figures = quality.correlation(entropies, gains)
    assert figures["rank"] == pytest.approx(-0.867, abs=0.001)  # Spearman's with ties, worked by hand
    assert figures["interval"][0] <= figures["rank"] <= figures["interval"][1] < 0


@pytest.mark.parametrize("name", ["label_quality", "selection"])
def test_a_second_file_may_have_the_candidates_in_another_order(monkeypatch, capsys, score_file, tiny_encoder, name):
    lines = [json.loads(line) for line in score_file.read_text().splitlines()]
    other = write_lines(
        score_file.with_name("other.jsonl"),
        [line | {"scores": dict([*line["scores"].items()][::-1])} for line in lines],
    )
    call = [score_file, *([other] if name == "label_quality" else ["--judge", other])]
    monkeypatch.setattr(sys, "argv", [name, *map(str, call), "--encoder", tiny_encoder.reference])
    script(name).main()
    assert {"label_quality": "all 1.00", "selection": "100%"}[name] in capsys.readouterr().out


def test_quality_is_the_share_of_the_way_from_random_to_the_best():
    """The label is right on the 8 surer queries, and wrong on 2 others; the last tells nothing."""
    quality = script("label_quality")
    plain = np.array([[0.9, 0.1]] * 8 + [[0.45, 0.55]] * 2 + [[0.5, 0.5]])
    worth = np.array([[1.0, 0.0]] * 10 + [[1.0, 1.0]])
    figures = quality.quality(plain, [()] * 11, np.arange(11), worth, [1.0])
    assert figures["n"] == 10
    assert figures["rows"][0]["all"]["share"] == pytest.approx(0.6)
    assert [part["share"] for part in figures["rows"][0]["fifths"]] == [1.0] * 4 + [-1.0]
    assert figures["rows"][0]["rank"]["rank"] == pytest.approx(-1.0)
    assert figures["rows"][0]["minus_plain"] == [0.0, 0.0]
    assert figures["single_in_hindsight"]["share"] == 1.0


def test_what_a_pool_of_open_models_earns():
    """Two folds of two queries. The other fold's best is b for the first (0 to 1) and a for the second (1 to 0.5).

    The router chooses a, b among a and b; a third candidate, which it likes best, is not in the pool.
    """
    module = script("open_models")
    queries = tuple(Query(str(number), f"query {number}", "x") for number in range(4))
    table = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    probabilities = np.array([[0.2, 0.1, 0.7]] * 2 + [[0.1, 0.2, 0.7]] * 2)
    pool = module.Pool(Scores(queries, ("a", "b", "c"), table), probabilities, np.array([0, 0, 1, 1]), ("a", "b"))
    assert pool.router.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert pool.single.tolist() == [0.0, 1.0, 0.0, 0.0]
    row = pool.row()
    assert (row["n"], row["router"], row["single"], row["perfect"], row["gain"]) == (4, 1.0, 0.25, 1.0, 0.75)
    assert sorted(pool.single_names) == ["a", "b"]


def test_learn_replays_a_stream_in_which_things_change(monkeypatch):
    learn = script("learn")
    for name, value in (("TRAINING", 100), ("WORSE", 250), ("JOINS", 350), ("STEP", 50), ("STORED", 200)):
        monkeypatch.setattr(learn, name, value)
    monkeypatch.setattr(learn, "PARTS", {"all": slice(0, None), "newcomer": slice(400, None)})
    rng = np.random.default_rng(0)
    scenario = learn.SCENARIOS[0]
    tasks = [(*scenario.first, *scenario.later)[row % 5] for row in range(700)]
    names = ("x/Mistral", f"x/{scenario.worse}", f"x/{scenario.joins}")
    vectors, table = rng.normal(size=(700, 8)), (rng.random((700, 3)) < 0.5).astype(float)
    table[:, 1], table[:, 2] = vectors[:, 0] > 0, rng.random(700) < 0.95
    queries = tuple(Query(str(row), f"query {row}", dataset=task) for row, task in enumerate(tasks))
    stream = learn.Stream.of(Scores(queries, names, table), vectors, scenario, seed=0, noise=0.0)
    assert len(stream) == 600
    assert np.isnan(stream.train_rewards[:, stream.newcomer]).all()
    assert not stream.available(0)[stream.newcomer]
    assert stream.truth[250:, 1].mean() < 0.35 < stream.truth[:250, 1].mean()
    row = {"noise": 0.0, "methods": learn.row_of(stream)}
    assert row["methods"][learn.ALL]["all"] > row["methods"][learn.NEVER]["all"]
    assert 0 < row["methods"][learn.HYBRID]["calls"] < 0.5
    assert row["methods"][learn.ALL]["calls"] > 1
    table = list(learn.shown([row, row]))
    assert table[0] == "2 streams, noise 0"
    assert any(line.startswith("| hybrid, 5% |") for line in table)


def test_a_verdict_is_of_one_answer_and_a_rule_comes_first() -> None:
    clicks = script("first_clicks")
    ruled = {"query": "capital of Peru", "answer": {"regex": "Lima"}}
    free = {"query": "hi"}
    read = {("hi", "Hello!"): "fair", ("capital of Peru", "I am too small to know that."): "fair"}
    assert clicks.judged(ruled, "It is Lima.", read) == "right"
    assert clicks.judged(ruled, "I am too small to know that.", read) == "fair"
    assert clicks.judged(ruled, "It is Rome.", read) == "wrong"
    assert clicks.judged(free, "Hello!", read) == "fair"
    assert clicks.judged(free, "Hello", read) == "not judged"
