from __future__ import annotations

import json

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.config.fleet import load_fleet
from zooter_core.data.run_folder import QUERIES, RESPONSES, REWARDS, TAGS
from zooter_core.data.runs import Run, read_run
from zooter_core.data.scores import read_scores


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deep" / "run"


@pytest.fixture
def finished(folder):
    """A run of two queries over two candidates, as the pipeline writes it."""
    with Run(folder, create=True) as run:
        run.begin("start", {"pool": ["a", "b"], "queries": 2})
        run.begin("collect", {"samples": 1})
        run.append(
            QUERIES,
            [
                {"id": "1", "text": "2 + 2?", "dataset": "sums", "tags": ["given"]},
                {"id": "2", "text": "Hi", "dataset": None, "tags": []},
            ],
        )
        run.append(RESPONSES, [{"id": i, "candidate": c, "sample": 0, "text": c + i} for c in "ba" for i in "21"])
        run.append(RESPONSES, [{"id": "1", "candidate": "a", "sample": 1, "text": "again"}])
        run.append(REWARDS, [{"id": "2", "rewards": {"b": 4, "a": 3}}, {"id": "1", "rewards": {"a": 1, "b": 2}}])
        run.append(TAGS, [{"id": "2", "tags": []}, {"id": "1", "tags": [{"name": "math", "score": 0.9}]}])
        yield run


def test_reading_a_run_back(finished):
    assert finished.queries() == [Query("1", "2 + 2?", "sums", ("given",)), Query("2", "Hi")]
    assert finished.responses() == {"1": {"a": ["a1", "again"], "b": ["b1"]}, "2": {"a": ["a2"], "b": ["b2"]}}
    assert finished.tags() == [("math",), ()]


def test_scores_are_the_rewards_with_the_taggers_tags_once_they_are_finished(finished):
    scores = finished.scores()
    assert (scores.candidates, scores.scores.tolist()) == (("a", "b"), [[1, 2], [3, 4]])
    assert [query.tags for query in scores.queries] == [("given",), ()]
    finished.finish("tag")
    assert [query.tags for query in finished.scores().queries] == [("math",), ()]
    finished.append(QUERIES, [{"id": "3", "text": "Hello", "dataset": None, "tags": []}])
    with pytest.raises(ZooterError, match="--until score"):
        finished.scores()


def test_dollars_are_of_the_mean_tokens(folder, tmp_path):
    """a costs 2 and b 5 dollars a million tokens: 1000 queries of 100 and 300 tokens on average cost .4 at a."""
    tokens = {("1", "a"): (100, 300), ("1", "b"): (40, 60), ("2", "a"): (10, 10), ("2", "b"): (0, 200)}
    with Run(folder, create=True) as run:
        run.begin("start", {"pool": ["a", "b"]})
        run.append(QUERIES, [{"id": i, "text": i, "dataset": None, "tags": []} for i in "12"])
        records = [
            {"id": i, "candidate": c, "sample": sample, "text": "", "tokens": count}
            for (i, c), of in tokens.items()
            for sample, count in enumerate(of)
        ]
        run.append(RESPONSES, records)
        run.append(REWARDS, [{"id": i, "rewards": {"a": 0.0, "b": 0.0}} for i in "12"])
        (means,) = run.of_responses("tokens")
        assert run.dollars(fleet_of(tmp_path, a=2, b=5), means) == pytest.approx(np.array([[0.4, 0.25], [0.02, 0.5]]))
        assert run.dollars(fleet_of(tmp_path, a=2), means) is None


def fleet_of(folder, **prices):
    """A fleet of a and b, with the prices that are given."""
    tables = [
        f'[[candidate]]\nname = "{name}"\nbackend = "transformers"\nmodel = "hub/{name}"\n'
        + (f"usd_per_million_tokens = {prices[name]}\n" if name in prices else "")
        for name in "ab"
    ]
    (folder / "fleet.toml").write_text("".join(tables))
    return load_fleet(folder)


def test_a_run_as_a_score_file_has_the_tags_of_its_queries_file(finished, tmp_path):
    finished.finish("score")
    finished.finish("tag")
    finished.export_scores(tmp_path / "scores.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [line["responses"] for line in lines] == [{"a": "a1", "b": "b1"}, {"a": "a2", "b": "b2"}]
    scores = read_scores([tmp_path / "scores.jsonl"])
    assert scores.scores.tolist() == [[1, 2], [3, 4]]
    assert scores.datasets == ["sums", "other"]
    assert [query.tags for query in scores.queries] == [("given",), ()]


def test_a_run_is_read_without_its_lock(finished, folder, tmp_path):
    finished.finish("score")
    for name, content in (("begun", '{"steps": {}, "seals": {}}'), ("broken", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(content)
    scored, begun = read_run(folder), read_run(tmp_path / "begun")
    assert (scored.pool, scored.finished) == (("a", "b"), ("score",))
    assert (begun.pool, begun.finished) == ((), ())
    assert read_run(tmp_path / "broken") is read_run(tmp_path / "nowhere") is None
