from __future__ import annotations

import json

import pytest
from tiny import POOL, QUERIES

from zooter_core import pipeline
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.runs import Run
from zooter_core.errors import ZooterError
from zooter_core.pipeline.sources import find_runs, scores_of_run
from zooter_core.records import Query

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
