"""Rewards for the responses of a score file."""

from __future__ import annotations

import json

import pytest

from support.run_folders import small_batches
from zooter_core.base.errors import ZooterError
from zooter_core.data.scores import read_scores
from zooter_core.pipeline import score_responses

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
    small_batches(monkeypatch)
    path = tmp_path / "responses.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in RESPONSES))
    return path


def test_responses_become_a_score_file(responses, tmp_path, tiny_ensemble):
    calls = []
    count = score_responses(responses, tmp_path / "out.jsonl", tiny_ensemble, lambda *progress: calls.append(progress))
    assert count == (10, {})
    assert calls == [("score", 4, 10), ("score", 8, 10), ("score", 10, 10)]
    scores = read_scores([tmp_path / "out.jsonl"])
    assert (scores.candidates, scores.datasets) == (("a", "b"), ["sums"] * 10)
    pairs = [(line["query"], text) for line in RESPONSES for text in line["responses"].values()]
    assert scores.scores.ravel() == pytest.approx(tiny_ensemble.reward_model.score(pairs), abs=1e-5)
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["responses"] for line in written] == [line["responses"] for line in RESPONSES]


def test_lines_may_have_different_candidates(responses, tmp_path, tiny_ensemble):
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
    complete = out.read_bytes()
    lines = complete.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:4]) + lines[4][:20])
    score_responses(responses, out, tiny_ensemble)
    assert out.read_bytes() == complete
    score_responses(responses, out, tiny_ensemble)
    assert out.read_bytes() == complete


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


def test_a_response_without_a_reward_sets_its_query_aside_until_the_next_start(
    responses, tmp_path, tiny_ensemble, monkeypatch
):
    class Faulty:
        nan = ("4",)  # the response of a to r2

        def score(self, pairs):
            return [float("inf") if text in self.nan else float(len(text)) for _, text in pairs]

    monkeypatch.setattr("zooter_core.fleet.ensemble.Ensemble.reward_model", Faulty())
    out = tmp_path / "out.jsonl"
    assert score_responses(responses, out, tiny_ensemble) == (9, {"r2": "the reward is inf"})
    assert "r2" not in [query.id for query in read_scores([out]).queries]
    Faulty.nan = ()
    assert score_responses(responses, out, tiny_ensemble) == (10, {})
    assert [query.id for query in read_scores([out]).queries][-1] == "r2"
