from __future__ import annotations

import json

import numpy as np
import pytest

from zooter_core.data.scores import Scores, read_scores
from zooter_core.errors import ZooterError
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.from_scores import distill_scores, score_responses, tags_of
from zooter_core.records import Query
from zooter_core.router.clusters import TIMES
from zooter_core.router.encoder import Encoders
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.router import Router

SUMS = [f"Add up {n} apples and {n + 3} apples" for n in range(16)]
TEXTS = [f"Write about the sea {n}" for n in "abcdefgh"]
SCORES = Scores(
    tuple(Query(str(n), text, tags=("math",) if text in SUMS else ()) for n, text in enumerate(SUMS + TEXTS)),
    ("math", "writer"),
    np.array([[3.0, 0.0]] * 16 + [[0.0, 3.0]] * 8),
)
SETTINGS = (LabelConfig(holdout=0.0), DistillConfig(epochs=40, rate=1e-2))


def distilled(folder, encoder, scores=SCORES, settings=SETTINGS, tags=None) -> Router:
    distill_scores(scores, folder, settings, encoder, [q.tags for q in scores.queries] if tags is None else tags)
    return Router.load(folder, Encoders())


def test_a_router_from_scores_alone(tmp_path, tiny_encoder):
    router = distilled(tmp_path / "below" / "router", tiny_encoder)
    assert router.candidates == ("math", "writer")
    assert router.probabilities(SUMS + TEXTS).argmax(axis=1).tolist() == [0] * 16 + [1] * 8
    assert {path.name for path in (tmp_path / "below").iterdir()} == {"router"}


def test_the_same_scores_give_the_same_router(tmp_path, tiny_encoder):
    one, other = (distilled(tmp_path / name, tiny_encoder).probabilities(SUMS) for name in ("one", "other"))
    assert np.array_equal(one, other)


def test_tags_are_the_files_own_or_clusters(tiny_encoder):
    given = [query.tags for query in SCORES.queries]
    assert tags_of(SCORES, "auto", tiny_encoder) == tags_of(SCORES, "given", tiny_encoder) == given
    assert tags_of(SCORES, "none", tiny_encoder) == [()] * 24
    bare = Scores(tuple(Query(q.id, q.text) for q in SCORES.queries), SCORES.candidates, SCORES.scores)
    found = tags_of(bare, "auto", tiny_encoder)
    assert found == tags_of(SCORES, "clusters", tiny_encoder)
    assert all(len(tags) == TIMES and all(tag.startswith("cluster ") for tag in tags) for tags in found)


def test_report_of_the_held_back_queries(tmp_path, tiny_encoder):
    distilled(tmp_path / "router", tiny_encoder, settings=(LabelConfig(holdout=0.3), SETTINGS[1]))
    report = json.loads((tmp_path / "router" / "report.json").read_text())
    assert report["candidates"]["all"]["n"] == 24
    assert 0 < report["held_back"]["n"] < 24


def test_a_prior_is_of_the_tags(tmp_path, tiny_encoder):
    prior_alone = (LabelConfig(holdout=0.0, beta=0.0), SETTINGS[1])
    given = distilled(tmp_path / "given", tiny_encoder, settings=prior_alone)
    assert given.probabilities(TEXTS).argmax(axis=1).tolist() == [1] * 8
    found = distilled(tmp_path / "found", tiny_encoder, settings=prior_alone, tags=[("all",)] * 24)
    assert found.probabilities(TEXTS).argmax(axis=1).tolist() == [0] * 8  # one tag for all: `math` wins on average


def test_a_failure_leaves_an_older_router_alone(tmp_path, tiny_encoder):
    before = distilled(tmp_path / "router", tiny_encoder).probabilities(SUMS)
    with pytest.raises(ZooterError):
        distilled(tmp_path / "router", tiny_encoder, settings=(LabelConfig(tau=0.0), SETTINGS[1]))
    assert np.array_equal(Router.load(tmp_path / "router", Encoders()).probabilities(SUMS), before)
    assert {path.name for path in tmp_path.iterdir()} == {"router"}


def test_every_query_held_back_is_refused(tmp_path, tiny_encoder):
    with pytest.raises(ZooterError, match="at least one query to distill from"):
        distilled(tmp_path / "router", tiny_encoder, settings=(LabelConfig(holdout=1.0), SETTINGS[1]))


def test_a_folder_that_cannot_be_made(tmp_path, tiny_encoder):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooterError, match="a folder to write"):
        distilled(tmp_path / "file" / "below" / "router", tiny_encoder)


RESPONSES = [
    {
        "id": f"r{n}",
        "query": f"What is {n} + {n}?",
        "dataset": "sums",
        "responses": {"a": str(2 * n), "b": "I see. " * n},
    }
    for n in range(10)
]


@pytest.fixture
def responses(tmp_path, monkeypatch):
    monkeypatch.setattr("zooter_core.pipeline.from_scores.BATCH", 4)
    path = tmp_path / "responses.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in RESPONSES))
    return path


def test_responses_become_a_score_file(responses, tmp_path, tiny_ensemble):
    told = []
    count = score_responses(responses, tmp_path / "out.jsonl", tiny_ensemble, lambda *progress: told.append(progress))
    assert count == (10, {})
    assert told == [("score", 4, 10), ("score", 8, 10), ("score", 10, 10)]
    scores = read_scores([tmp_path / "out.jsonl"])
    assert (scores.candidates, scores.datasets) == (("a", "b"), ["sums"] * 10)
    pairs = [(line["query"], text) for line in RESPONSES for text in line["responses"].values()]
    assert scores.scores.ravel() == pytest.approx(tiny_ensemble.reward_model.score(pairs), abs=1e-5)
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["responses"] for line in written] == [line["responses"] for line in RESPONSES]


def test_each_line_may_have_candidates_of_its_own(responses, tmp_path, tiny_ensemble):
    lines = (
        {"id": str(n), "query": "q", "responses": texts} for n, texts in enumerate([{"a": "x"}, {"b": "y", "c": "z"}])
    )
    responses.write_text("".join(json.dumps(line) + "\n" for line in lines))
    score_responses(responses, tmp_path / "out.jsonl", tiny_ensemble)
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [list(line["scores"]) for line in written] == [["a"], ["b", "c"]]


def test_started_again_it_goes_on(responses, tmp_path, tiny_ensemble):
    out = tmp_path / "out.jsonl"
    score_responses(responses, out, tiny_ensemble)
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:4]) + lines[4][:20])
    score_responses(responses, out, tiny_ensemble)
    assert out.read_bytes() == whole
    score_responses(responses, out, tiny_ensemble)
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "2", "query": "q"}',
        '{"id": "2", "query": "", "responses": {"a": "x"}}',
        '{"id": "2", "query": "q", "resp',
    ],
)
def test_wrong_line_is_named_before_anything_is_written(responses, tmp_path, tiny_ensemble, line):
    responses.write_text('{"id": "1", "query": "q", "responses": {"a": "x"}}\n' + line + "\n")
    with pytest.raises(ZooterError, match=f"{responses}, line 2"):
        score_responses(responses, tmp_path / "out.jsonl", tiny_ensemble)
    assert not (tmp_path / "out.jsonl").exists()


def test_the_same_id_twice_is_refused(responses, tmp_path, tiny_ensemble):
    line = responses.read_text().splitlines()[0] + "\n"
    responses.write_text(line + line)
    with pytest.raises(ZooterError, match="different ids"):
        score_responses(responses, tmp_path / "out.jsonl", tiny_ensemble)


def test_a_file_without_responses_is_refused(responses, tmp_path, tiny_ensemble):
    responses.write_text("")
    with pytest.raises(ZooterError, match=str(responses)):
        score_responses(responses, tmp_path / "out.jsonl", tiny_ensemble)


def test_output_that_cannot_be_written(responses, tmp_path, tiny_ensemble):
    with pytest.raises(ZooterError):
        score_responses(responses, tmp_path / "responses.jsonl" / "out.jsonl", tiny_ensemble)


def test_the_loss_of_each_epoch_is_reported(tmp_path, tiny_encoder):
    distilled(tmp_path / "router", tiny_encoder)
    losses = json.loads((tmp_path / "router" / "report.json").read_text())["losses"]
    assert len(losses) == 40
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("at", ["embed", "distill"])
def test_a_stop_keeps_nothing_half_made(tmp_path, tiny_encoder, at):
    def stop(step, done, of):
        if step == at:
            raise InterruptedError

    fresh = tiny_encoder.copy()  # it finds no vectors on the disk
    with pytest.raises(InterruptedError):
        distill_scores(SCORES, tmp_path / "router", SETTINGS, fresh, [q.tags for q in SCORES.queries], stop)
    assert list(tmp_path.iterdir()) == []


def test_a_response_without_a_reward_sets_its_query_aside_until_the_next_start(
    responses, tmp_path, tiny_ensemble, monkeypatch
):
    class Faulty:
        nan = ("4",)  # the response of a to r2

        def score(self, pairs):
            return [float("inf") if text in self.nan else float(len(text)) for _, text in pairs]

    monkeypatch.setattr("zooter_core.ensemble.Ensemble.reward_model", Faulty())
    out = tmp_path / "out.jsonl"
    assert score_responses(responses, out, tiny_ensemble) == (9, {"r2": "the reward is inf"})
    assert "r2" not in [query.id for query in read_scores([out]).queries]
    Faulty.nan = ()
    assert score_responses(responses, out, tiny_ensemble) == (10, {})
    assert [query.id for query in read_scores([out]).queries][-1] == "r2"
