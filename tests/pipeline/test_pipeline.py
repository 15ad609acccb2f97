"""Every step of the pipeline in a run, cut short and resumed. Runs that are killed: tests/faults/test_killed.py."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from support.run_folders import DISTILL, FILES, POOL, content, records, run_all_steps
from zooter_core import pipeline
from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import load_fleet
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig

pytestmark = pytest.mark.usefixtures("small_batches")


def test_a_whole_run_gives_every_file(complete, queries):
    assert {path.name for path in complete.iterdir() if path.name != ".lock"} == {
        "run.json", "queries.jsonl", *FILES.values(), "router", "report.json",
    }  # fmt: skip
    ids = [query.id for query in queries]
    assert [record["id"] for record in records(complete, "queries.jsonl")] == ids
    counts = Counter((record["id"], record["candidate"]) for record in records(complete, "responses.jsonl"))
    assert counts == Counter((id_, name) for id_ in ids for name in POOL)
    for file in ("rewards.jsonl", "tags.jsonl", "labels.jsonl"):
        assert [record["id"] for record in records(complete, file)] == ids
    state = json.loads((complete / "run.json").read_text())
    assert list(state["seals"]) == ["start", "collect", "score", "tag", "label", "distill"]
    assert {"python", "torch", "transformers", "zooter"} <= set(state["versions"])


def test_labels_follow_from_rewards_and_tags(complete):
    """The label of a training query, worked from the run's own rewards and tags."""
    rewards = {r["id"]: [r["rewards"][name] for name in POOL] for r in records(complete, "rewards.jsonl")}
    tags = {r["id"]: [tag["name"] for tag in r["tags"]] for r in records(complete, "tags.jsonl")}
    written = records(complete, "labels.jsonl")
    train = [record["id"] for record in written if record["fold"] == "train"]
    plain = {id_: labels.softmax(np.array(row)) for id_, row in rewards.items()}

    def prior(name):
        return np.mean([plain[id_] for id_ in train if name in tags[id_]], axis=0)

    for record in written:
        assert record["plain"] == pytest.approx(plain[record["id"]])
        expected = plain[record["id"]]
        if record["fold"] == "train":
            expected = 0.3 * expected + 0.7 * np.mean([prior(name) for name in tags[record["id"]]], axis=0)
        assert record["enhanced"] == pytest.approx(expected)


def test_a_second_start_does_nothing_more(run_copy, ensemble, queries):
    before, steps = content(run_copy), []
    run_all_steps(run_copy, ensemble, queries, lambda step, done, of: steps.append(step))
    assert not set(steps) & set(FILES)
    after = content(run_copy)
    assert {name: after[name] for name in before} == before
    assert set(after) == set(before)


def test_a_start_cut_short_is_made_good(tmp_path, ensemble, queries, complete):
    folder = tmp_path / "run"
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        del run.state["seals"]["start"]
        run._write_state()
    file = folder / "queries.jsonl"
    file.write_bytes(file.read_bytes()[:500])
    with Run(folder) as run:
        pipeline.start(run, ensemble, queries)
    assert file.read_bytes() == (complete / "queries.jsonl").read_bytes()


def test_the_same_fleet_in_another_folder_goes_on(run_copy, fleet_copy, queries):
    moved = Ensemble(load_fleet(fleet_copy))
    with Run(run_copy) as run:
        pipeline.start(run, moved, queries)
        pipeline.collect(run, moved, moved.fleet.generation)
        pipeline.score(run, moved)
        pipeline.tag(run, moved)


@pytest.mark.parametrize(
    ("step", "needed"),
    [
        (lambda run, ensemble: pipeline.score(run, ensemble), "collect"),
        (lambda run, ensemble: pipeline.label(run, LabelConfig()), "score"),
        (lambda run, ensemble: pipeline.distill_run(run, ensemble, "encoder", DISTILL), "label"),
    ],
)
def test_a_step_before_its_turn_is_refused(tmp_path, ensemble, queries, step, needed):
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, queries)
        with pytest.raises(ZooterError, match=f"--until {needed}"):
            step(run, ensemble)
