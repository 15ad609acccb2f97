from __future__ import annotations

import json

import numpy as np
import pytest
from tiny import POOL, QUERIES

from zooter_core import pipeline
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.runs import Run
from zooter_core.data.scores import Scores
from zooter_core.errors import ZooterError
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, held_back
from zooter_core.pipeline.sources import find_runs, scores_of_neighbours, scores_of_run
from zooter_core.records import Query
from zooter_core.router.neighbours import Neighbours

ASKED = [Query(f"q{n}", text) for n, text in enumerate(QUERIES[:6])]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_ensemble):
    """A run with rewards, without tags."""
    folder = tmp_path_factory.mktemp("runs") / "deep" / "one"
    with Run(folder, create=True) as made:
        pipeline.start(made, tiny_ensemble, ASKED)
        pipeline.collect(made, tiny_ensemble, GenerationConfig(max_new_tokens=4))
        pipeline.score(made, tiny_ensemble)
    return folder


def test_runs_are_found_with_what_is_finished(run):
    root = run.parent.parent
    (root / "begun").mkdir()
    (root / "begun" / "run.json").write_text(json.dumps({"format": 1, "steps": {}, "seals": {}}))
    (root / "broken").mkdir()
    (root / "broken" / "run.json").write_text("{")
    begun, one = find_runs(root)
    assert (begun.folder.name, begun.queries, begun.scored) == ("begun", 0, False)
    assert (one.folder, one.queries, one.pool) == (run, 6, POOL)
    assert one.finished == ("start", "collect", "score")
    assert one.scored


def test_no_folder_has_no_runs(tmp_path):
    assert find_runs(tmp_path / "nowhere") == []


def test_a_run_gives_its_rewards_and_once_tagged_its_tags(run, tiny_ensemble):
    found = scores_of_run(run)
    rewards = [json.loads(line)["rewards"] for line in (run / "rewards.jsonl").read_text().splitlines()]
    assert found.candidates == POOL
    assert found.scores.tolist() == [[row[name] for name in POOL] for row in rewards]
    assert not any(query.tags for query in found.queries)
    with Run(run) as opened:
        pipeline.tag(opened, tiny_ensemble)
    assert any(query.tags for query in scores_of_run(run).queries)


def test_a_run_at_work_or_not_far_enough_is_told(run, tmp_path):
    with Run(run), pytest.raises(ZooterError, match="another process at work"):
        scores_of_run(run)
    Run(tmp_path, create=True)._write_state()
    with pytest.raises(ZooterError, match="whose step score is finished"):
        scores_of_run(tmp_path)


def kept(texts: bool) -> Neighbours:
    shares = labels.softmax(np.array([[2.0, 0.5, -1.0], [0.0, 9.0, 30.0]]), tau=0.5)
    learned = Scores((Query("a", "x", "sums", ("t",)), Query("b", "y")), POOL, shares)
    return Neighbours.of(learned, np.ones((2, 4)), shares, texts)


def test_relative_rewards_give_the_shares_back():
    found = scores_of_neighbours(kept(True), tau=0.5)
    assert found.scores[0] - found.scores[0, 0] == pytest.approx([0, -1.5, -3.0], abs=1e-5)
    assert labels.softmax(found.scores, 0.5) == pytest.approx(kept(True).labels, abs=1e-6)
    assert np.isfinite(found.scores).all()  # the second query has a share of nothing
    assert (found.queries[0].text, found.queries[0].dataset, found.queries[0].tags) == ("x", "sums", ("t",))


def test_rewards_are_taken_where_they_are_kept():
    rewards = np.array([[2.0, 0.5, -1.0], [0.0, 9.0, 30.0]])
    shares = labels.softmax(rewards, tau=0.5)
    learned = Scores((Query("a", "x"), Query("b", "y")), POOL, rewards)
    found = scores_of_neighbours(Neighbours.of(learned, np.eye(2, 4), shares, True, shares), tau=0.5)
    assert found.scores == pytest.approx(rewards)


def test_queries_without_texts_are_left_out():
    some = kept(True)
    del some.records[0]["text"]
    assert [query.text for query in scores_of_neighbours(some).queries] == ["y"]
    with pytest.raises(ZooterError, match="--keep-texts"):
        scores_of_neighbours(kept(False))


def test_a_share_of_them_is_held_back_although_none_was_of_their_run():
    config = LabelConfig(holdout=0.2)
    learned = [Query(f"q{n}", f"text {n}") for n in range(400)]
    learned = [query for query in learned if not held_back(query.id, config)]
    shares = np.full((len(learned), 3), 1 / 3)
    known = Neighbours.of(Scores(tuple(learned), POOL, shares), np.ones((len(learned), 4)), shares, True)
    found = scores_of_neighbours(known)
    assert 0.1 < np.mean([held_back(query.id, config) for query in found.queries]) < 0.3
