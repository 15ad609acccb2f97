"""Routers from scores: what they learn, what is written, and that texts are embedded once."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.config.labelling import ENCODER
from zooter_core.data.scores import Scores, as_scores, score_line
from zooter_core.evaluation.evaluate import evaluate
from zooter_core.evaluation.figures import load_report
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline import distill
from zooter_core.pipeline.train import choose_tags
from zooter_core.router.clusters import TIMES
from zooter_core.router.encoder import Encoder, Encoders, open_encoder
from zooter_core.router.kinds import KINDS, LEARN_LABELS, DistillConfig, configure
from zooter_core.router.router import Router

SUMS = [f"Add up {n} apples and {n + 3} apples" for n in range(16)]
TEXTS = [f"Write about the sea {n}" for n in "abcdefgh"]
SCORES = Scores(
    tuple(Query(str(n), text, tags=("math",) if text in SUMS else ()) for n, text in enumerate(SUMS + TEXTS)),
    ("math", "writer"),
    np.array([[3.0, 0.0]] * 16 + [[0.0, 3.0]] * 8),
)
LABELS = LabelConfig(holdout=0.0)
TRAINING = DistillConfig(epochs=40, rate=1e-2)


def distilled(folder, encoder, labels=LABELS, training=TRAINING, tags="given") -> Router:
    distill(SCORES, folder, labels=labels, training=training, encoder=encoder, tags=tags)
    return Router.load(folder, Encoders("torch"))


@pytest.fixture
def embedded(monkeypatch) -> list[str]:
    """The texts that go through an encoder's model, in order."""
    texts: list[str] = []
    forward = Encoder._forward
    monkeypatch.setattr(Encoder, "_forward", lambda self, batch: texts.extend(batch) or forward(self, batch))
    return texts


def test_a_router_from_a_score_file(tmp_path, tiny_fleet):
    path = tmp_path / "scores.jsonl"
    rows = [dict(zip(SCORES.candidates, row, strict=True)) for row in SCORES.scores.tolist()]
    lines = [json.dumps(score_line(query, row)) for query, row in zip(SCORES.queries, rows, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    router = distill(path, training=TRAINING, encoder=str(tiny_fleet / "encoder"))
    assert [decision.candidate for decision in router.route(SUMS + TEXTS)] == ["math"] * 16 + ["writer"] * 8
    assert list(tmp_path.iterdir()) == [path]


def test_a_router_from_a_table_in_memory(tiny_encoder):
    """A wide or a long table of pandas, a list of objects, an object of columns; polars and Arrow have such methods."""
    wide = pandas.DataFrame(SCORES.scores, columns=list(SCORES.candidates)).assign(query=SUMS + TEXTS)
    wide.loc[0, "writer"] = None
    records = SimpleNamespace(to_dicts=lambda: wide.to_dict("records"))
    for table in (wide, wide.melt("query", var_name="model", value_name="score"), records, wide.to_dict("list")):
        scores = as_scores(table)
        assert ([query.text for query in scores.queries], scores.left_out) == ((SUMS + TEXTS)[1:], 1)
        assert np.array_equal(scores.scores, SCORES.scores[1:])
    assert distill(wide, training=TRAINING, encoder=tiny_encoder).route(TEXTS)[0].candidate == "writer"
    for wrong in (None, 7, wide["math"], wide.to_numpy(), wide.head(0)):
        with pytest.raises(ZooterError, match=r"score files, or a table of pandas|scores of two candidates"):
            distill(wrong)
    for queries, values in ((({"query": "Hi"},), np.ones((1, 2))), (SCORES.queries[:1], np.ones((2, 2)))):
        with pytest.raises(ZooterError, match=r"a `Query` each and an array of shape \(1, 2\), but found"):
            Scores(queries, ("a", "b"), values)


def test_odd_queries_are_no_obstacle(tiny_encoder):
    odd = ["x", "many words " * 10_000, "杯子和大海在哪里？", "👩‍👩‍👧‍👦 🍎+🍎=?", "\u202eabc\u0000d"]
    queries = (*SCORES.queries, *(Query(text[:9], text) for text in odd))
    scores = Scores(queries, SCORES.candidates, np.vstack([SCORES.scores, [[3.0, 0.0]] * len(odd)]))
    assert np.isfinite(distill(scores, encoder=tiny_encoder).probabilities(odd)).all()


def test_scores_of_one_candidate_teach_nothing_and_are_refused(tmp_path, tiny_encoder):
    alone = Scores(SCORES.queries, ("math",), SCORES.scores[:, :1])
    with pytest.raises(ZooterError, match="those of math alone"):
        distill(alone, tmp_path / "router", encoder=tiny_encoder)
    assert not (tmp_path / "router").exists()


STEPS = np.random.default_rng(0).integers(0, 8, (24, 2)) / 4 + SCORES.scores  # quarters, which 1e12 leaves exact


LARGE = 1e6 * STEPS + 1000 * np.arange(24)[:, None]  # and a level of each query, which compares nothing


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_depends_on_the_scale_of_the_scores(tiny_encoder, kind):
    if kind == "profile":  # its classifier is for the default encoder
        tiny_encoder = open_encoder(ENCODER)
    training = configure(kind, {"epochs": 5} if kind in LEARN_LABELS else {})
    plain, large, far_from_0 = (
        distill(replace(SCORES, scores=table), training=training, encoder=tiny_encoder, tags="given").probabilities(
            SUMS + TEXTS
        )
        for table in (STEPS, LARGE, STEPS + 1e12)
    )
    assert large == pytest.approx(plain, abs=1e-4)
    assert far_from_0 == pytest.approx(plain, abs=1e-4)
    assert np.ptp(plain) > 0.1


def test_noise_seldom_makes_a_profile_look_better_or_worse(tmp_path):
    """Thirty routers from scores that say nothing: if folds count as independent, three have an interval without 0."""
    queries = tuple(Query(str(number), text) for number, text in enumerate(SUMS + TEXTS))
    significant, encoder = 0, Encoders("auto")(ENCODER)
    for seed in range(30):
        scores = Scores(queries, ("a", "b", "c"), np.random.default_rng(seed).random((len(queries), 3)))
        distill(scores, tmp_path / str(seed), labels=LABELS, training=configure("profile"), encoder=encoder)
        verdict = load_report(tmp_path / str(seed) / "report.json").cross_validation
        significant += verdict.significant
    assert significant <= 1


def test_one_score_makes_no_candidate_the_best(tiny_encoder):
    scores = np.repeat(SCORES.scores, 2, axis=0)
    queries = tuple(
        Query(f"{n}", f"{query.text} {n % 2}") for n, query in enumerate(q for q in SCORES.queries for _ in "12")
    )
    one = np.full((len(scores), 1), np.nan)
    one[0] = 9.0
    table = Scores(queries, ("math", "writer", "new"), np.concatenate([scores, one], axis=1))
    router = distill(table, training=configure("auto"), encoder=tiny_encoder)
    routed = [decision.candidate for decision in router.route(SUMS + TEXTS)]
    assert routed.count("new") <= 1


def test_the_saved_router_is_the_one_returned(tmp_path, tiny_encoder):
    folder = tmp_path / "below" / "router"
    router = distill(SCORES, str(folder), labels=LABELS, training=TRAINING, encoder=tiny_encoder)
    saved = Router.load(folder, Encoders("torch"))
    assert np.array_equal(saved.probabilities(SUMS), router.probabilities(SUMS))
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "learned.npy", "model.safetensors", "neighbours.json", "neighbours.safetensors", "report.json",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "below").iterdir()} == {"router"}
    with pytest.warns(UserWarning, match="learned from 24 of these 24 queries, so it looks better here than it is"):
        evaluate(folder, SCORES)


def test_every_text_is_embedded_once(tmp_path, tiny_encoder, embedded):
    fresh = tiny_encoder.copy()  # without a cache on disk
    distill(SCORES, tmp_path, labels=LabelConfig(holdout=0.3), training=TRAINING, encoder=fresh, tags="clusters")
    assert sorted(embedded) == sorted(SUMS + TEXTS)


def test_a_fine_tuned_encoder_embeds_every_text_once_more(tmp_path, tiny_encoder, embedded):
    fresh = tiny_encoder.copy()
    distill(SCORES, tmp_path, labels=LABELS, training=DistillConfig(epochs=1, finetune="last"), encoder=fresh)
    assert sorted(embedded) == sorted(2 * (SUMS + TEXTS))


def test_tags_are_given_or_clusters(tiny_encoder):
    vectors = tiny_encoder.embed_all(SUMS + TEXTS)
    query_tags = [query.tags for query in SCORES.queries]
    assert choose_tags(SCORES, "auto", vectors) == choose_tags(SCORES, "given", vectors) == query_tags
    assert choose_tags(SCORES, "none", vectors) == [()] * 24
    with pytest.raises(ZooterError, match='Did you mean "clusters"'):
        choose_tags(SCORES, "cluster", vectors)
    bare = SCORES.tagged([()] * 24)
    clusters = choose_tags(bare, "auto", vectors)
    assert clusters == choose_tags(SCORES, "clusters", vectors)
    assert all(len(set(tags)) == len(tags) == TIMES for tags in clusters)
    assert {tag for tags in clusters for tag in tags if not tag.startswith("cluster ")}  # named by their words


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"tags": [()] * 23}, "tags of 24 queries, but found 23"),
        ({"vectors": np.zeros((5, 64))}, "vectors of 24 queries, but found 5"),
    ],
)
def test_what_does_not_fit_the_queries_is_refused(tiny_encoder, more, part):
    with pytest.raises(ZooterError, match=part):
        distill(SCORES, encoder=tiny_encoder, **more)


def test_a_failure_leaves_an_older_router_alone(tmp_path, tiny_encoder):
    before = distilled(tmp_path / "router", tiny_encoder).probabilities(SUMS)
    for wrong, message in ((LabelConfig(tau=0.0), "tau > 0"), (LabelConfig(holdout=1.0), "a query to learn from")):
        with pytest.raises(ZooterError, match=message):
            distilled(tmp_path / "router", tiny_encoder, wrong)
    assert np.array_equal(Router.load(tmp_path / "router", Encoders("torch")).probabilities(SUMS), before)
    assert {path.name for path in tmp_path.iterdir()} == {"router"}


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path, tiny_encoder, embedded):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooterError, match="a writable folder"):
        distilled(tmp_path / "file" / "below" / "router", tiny_encoder.copy())
    assert embedded == []


@pytest.mark.parametrize("at", ["embed", "distill"])
def test_a_stop_leaves_nothing_behind(tmp_path, tiny_encoder, at):
    def stop(step, done, of):
        if step == at:
            raise InterruptedError

    fresh = tiny_encoder.copy()  # without a cache on disk
    with pytest.raises(InterruptedError):
        distill(SCORES, tmp_path / "router", labels=LABELS, training=TRAINING, encoder=fresh, progress=stop)
    assert list(tmp_path.iterdir()) == []
