"""The step score: queries set aside, reward models that fail, given tags; rewards for the responses of a score file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from support.command_files import write_lines
from support.run_folders import POOL, records, run_all_steps, texts, unfinish
from zooter_core import pipeline
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Message
from zooter_core.config.labelling import GivenConfig
from zooter_core.data.evident_keys import key_in
from zooter_core.data.run_folder import REWARDS
from zooter_core.data.runs import Run
from zooter_core.data.scores import read_scores
from zooter_core.evaluation.sandbox import runner
from zooter_core.evaluation.verified import verify
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import PLAIN
from zooter_core.method.labels import LabelConfig
from zooter_core.method.verified import mean_and_deviation, verified_rewards
from zooter_core.pipeline import score_responses
from zooter_core.router.encoder import Encoders
from zooter_core.router.router import Router

pytestmark = pytest.mark.usefixtures("small_batches")


class Faulty:
    """A reward model by length that has no number for some texts and raises on others."""

    def __init__(self, nan=(), raises=()):
        self.nan, self.raises = nan, raises

    def score(self, pairs):
        if any(pair in self.raises for pair in pairs):
            raise IndexError("index out of range in self")
        return [float("nan") if pair in self.nan else len(pair[1]) / 10 for pair in pairs]


def pair_of(folder, query, name):
    return query.text, texts(folder)[query.id, name]


def test_queries_without_rewards_are_set_aside_and_reach_no_label(run_copy, complete, ensemble, queries, monkeypatch):
    unfinish(run_copy, "score")
    bad, worse = (pair_of(run_copy, queries[n], "one") for n in (3, 17))
    monkeypatch.setattr(Ensemble, "reward_model", Faulty([bad], [worse]))
    (run_copy / "rewards.jsonl").unlink()
    run_all_steps(run_copy, ensemble, queries)
    lines = {record["id"]: record for record in records(run_copy, "rewards.jsonl")}
    assert list(lines) == [query.id for query in queries]
    aside = {"q03": "the reward is nan", "q17": "the reward model failed: index out of range in self"}
    assert {id_: line["set_aside"] for id_, line in lines.items() if "set_aside" in line} == aside
    scored = [query.id for query in queries if query.id not in aside]
    assert [record["id"] for record in records(run_copy, "labels.jsonl")] == scored
    assert [record["id"] for record in records(run_copy, "tags.jsonl")] == list(lines)
    report = json.loads((run_copy / "report.json").read_text())
    assert report["set_aside"] == aside
    assert report["candidates"]["all"]["n"] == 38
    with Run(run_copy) as run:
        assert run.scores().scores.shape == (38, 3)
        assert run.samples()[0].shape == (38, 3, 1)
        assert len(run.tags()) == 38
        assert run.of_responses("tokens")[0].shape == (38, 3)
        run.export_scores(run_copy / "scores.jsonl")
    assert [query.id for query in read_scores([run_copy / "scores.jsonl"]).queries] == scored
    assert np.isfinite(read_scores([run_copy / "scores.jsonl"]).scores).all()
    router = Router.load(run_copy / "router", Encoders())
    assert router.candidates == POOL


def test_a_reward_model_that_cannot_work_stops_the_step_and_loses_nothing(run_copy, ensemble, queries, monkeypatch):
    unfinish(run_copy, "score")
    (run_copy / "rewards.jsonl").unlink()
    late = {pair_of(run_copy, query, name) for query in queries[8:] for name in POOL}
    monkeypatch.setattr(Ensemble, "reward_model", Faulty(raises=late | {PLAIN[:2]}))
    with pytest.raises(WorkError, match=r"for any of .* responses.*index out of range"):
        run_all_steps(run_copy, ensemble, queries)
    assert len(records(run_copy, "rewards.jsonl")) == 8
    monkeypatch.setattr(Ensemble, "reward_model", Faulty())
    with Run(run_copy) as run:
        pipeline.score(run, ensemble)
    assert len(records(run_copy, "rewards.jsonl")) == 40
    assert not any("set_aside" in record for record in records(run_copy, "rewards.jsonl"))


def test_verified_outcomes_shape_scores_labels_and_the_score_file(tmp_path, ensemble, queries, monkeypatch):
    """Every third query has a key by which some responses are right. The others keep the reward model's number."""
    monkeypatch.setattr(Ensemble, "reward_model", Faulty())
    keyed = [
        replace(query, key={"check": {"characters": [0, 30]}}) if number % 3 == 0 else query
        for number, query in enumerate(queries[:12])
    ]
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, keyed)
        pipeline.collect(run, ensemble, ensemble.fleet.generation, samples=2)
        pipeline.score(run, ensemble)
        pipeline.tag(run, ensemble)
        pipeline.label(run, LabelConfig())
        assert run.queries() == keyed
        texts, lines = run.responses(), {line["id"]: line for line in run.records(REWARDS)}
        assert [id for id, line in lines.items() if "verified" in line] == [query.id for query in keyed if query.key]
        raw = np.array([[lines[query.id]["samples"][name] for name in POOL] for query in keyed])
        outcomes = np.full(raw.shape, np.nan)
        for row, query in enumerate(keyed):
            for column, name in enumerate(POOL):
                if query.key:
                    outcomes[row, column] = [len(text) <= 30 for text in texts[query.id][name]]
                    assert lines[query.id]["verified"][name] == outcomes[row, column].tolist()
        expected = verified_rewards(raw, outcomes, mean_and_deviation(raw.mean(axis=-1)))
        assert run.samples()[0] == pytest.approx(expected)
        assert run.scores().scores == pytest.approx(expected.mean(axis=-1))
        run.export_scores(tmp_path / "scores.jsonl")
    scores = read_scores([tmp_path / "scores.jsonl"])
    assert [query.key for query in scores.queries] == [query.key for query in keyed]
    means = verified_rewards(raw.mean(axis=-1), outcomes.mean(axis=-1))
    assert scores.scores == pytest.approx(means)


def test_a_key_that_cannot_be_used_here_stops_the_step_before_its_work(tmp_path, ensemble, queries, monkeypatch):
    monkeypatch.setattr(runner.shutil, "which", lambda name: None)
    keyed = [replace(query, key={"tests": ["assert f() == 1"]}) for query in queries[:2]]
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, keyed)
        pipeline.collect(run, ensemble, ensemble.fleet.generation)
        with pytest.raises(WorkError, match="bubblewrap"):
            pipeline.score(run, ensemble)
        assert not (tmp_path / "run" / REWARDS).exists()


def test_given_tags_go_through_the_pipeline(tmp_path, ensemble, queries):
    ensemble = Ensemble(replace(ensemble.fleet, tagger=GivenConfig()))
    tagged = [replace(query, tags=("even", "q") if n % 2 else ()) for n, query in enumerate(queries[:4])]
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, [*queries[4:10], *tagged])  # none in the first batch
        pipeline.tag(run, ensemble)
    tags = [[tag["name"] for tag in record["tags"]] for record in records(tmp_path / "run", "tags.jsonl")]
    assert tags == [[]] * 6 + [[], ["even", "q"], [], ["even", "q"]]
    # What comes later has none, and is routed all the same.
    assert ensemble.route([Message("user", "Hello")]).tags == ()


LINES = [
    {
        "id": f"r{n}",
        "query": f"What is {n} + {n}?",
        "dataset": "sums",
        "responses": {"a": str(2 * n), "b": "I see. " * (n + 1)},
    }
    for n in range(10)
]


@pytest.fixture
def responses(tmp_path):
    return write_lines(tmp_path / "responses.jsonl", LINES)


def test_responses_become_a_score_file(responses, tmp_path, tiny_ensemble):
    calls = []
    count = score_responses(responses, tmp_path / "out.jsonl", tiny_ensemble, lambda *progress: calls.append(progress))
    assert count == (10, {})
    assert calls == [("score", 4, 10), ("score", 8, 10), ("score", 10, 10)]
    scores = read_scores([tmp_path / "out.jsonl"])
    assert (scores.candidates, scores.datasets) == (("a", "b"), ["sums"] * 10)
    pairs = [(line["query"], text) for line in LINES for text in line["responses"].values()]
    rewards = np.array(tiny_ensemble.reward_model.score(pairs))
    outcomes = np.array([verify(text, key_in(query)).right for query, text in pairs], float)  # they are sums
    assert scores.scores.ravel() == pytest.approx(verified_rewards(rewards, outcomes), abs=1e-5)
    written = records(tmp_path, "out.jsonl")
    assert [line["responses"] for line in written] == [line["responses"] for line in LINES]


def test_started_again_it_asks_for_nothing_twice(responses, tmp_path, tiny_ensemble, monkeypatch):
    out, scored = tmp_path / "out.jsonl.gz", []
    write_lines(responses, [line | {"query": f"How much is {line['id']}?"} for line in LINES])  # in no cache yet

    class Counting(Faulty):
        version = ""

        def score(self, pairs):
            scored.extend(pairs)
            return super().score(pairs)

    def stop(step, done, of):
        if done == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(Ensemble, "reward_model", Counting())
    with pytest.raises(KeyboardInterrupt):
        score_responses(responses, out, tiny_ensemble, stop)
    assert len(scored) == 16
    assert list(tmp_path.iterdir()) == [responses]
    assert score_responses(responses, out, tiny_ensemble) == (10, {})
    assert len(scored) == len(set(scored)) == 20
    assert len(read_scores([out]).queries) == 10


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "2", "query": "q"}',
        '{"id": "2", "query": "q", "resp',
        '{"id": "1", "query": "q", "responses": {"a": "y"}}',
    ],
)
def test_wrong_line_is_named_before_anything_is_written(responses, tmp_path, tiny_ensemble, line):
    responses.write_text('{"id": "1", "query": "q", "responses": {"a": "x"}}\n' + line + "\n")
    with pytest.raises(ZooterError, match=f'{responses}, (line 2|but found "1" twice)'):
        score_responses(responses, tmp_path / "out.jsonl", tiny_ensemble)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_response_without_a_reward_sets_its_query_aside_until_the_next_start(
    responses, tmp_path, tiny_ensemble, monkeypatch
):
    out, bad = tmp_path / "out.jsonl", (LINES[2]["query"], LINES[2]["responses"]["a"])
    monkeypatch.setattr(Ensemble, "reward_model", Faulty(nan=[bad]))
    assert score_responses(responses, out, tiny_ensemble) == (9, {"r2": "the reward is nan"})
    assert "r2" not in [query.id for query in read_scores([out]).queries]
    monkeypatch.setattr(Ensemble, "reward_model", Faulty())
    assert score_responses(responses, out, tiny_ensemble) == (10, {})


def test_thoughts_in_a_response_earn_nothing(tmp_path, tiny_ensemble):
    lines = [
        {"id": "1", "query": "Why?", "responses": {"a": "<think>Hm.</think>\nSalt.", "b": "Sand."}},
        {"id": "2", "query": "How?", "responses": {"a": "<think>Hm. So", "b": "Sand."}},
    ]
    count, reasons = score_responses(write_lines(tmp_path / "in.jsonl", lines), tmp_path / "out.jsonl", tiny_ensemble)
    assert (count, reasons) == (1, {"2": "the response of a is empty, or thoughts without an answer"})
    (line,) = records(tmp_path, "out.jsonl")
    assert line["responses"] == {"a": "Salt.", "b": "Sand."}
