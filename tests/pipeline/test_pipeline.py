"""Every step of the pipeline in a run, cut short and resumed. Runs that are killed: tests/faults/test_killed.py."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from support.run_folders import DISTILL, FILES, POOL, content, forget_steps, records, refusal, run_all_steps
from zooter_core import pipeline
from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import load_fleet
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.router.kinds import DistillConfig, configure

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


def test_a_second_start_does_nothing_more(run_copy, ensemble, queries):
    before, steps = content(run_copy), []
    run_all_steps(run_copy, ensemble, queries, lambda step, done, of: steps.append(step))
    assert not set(steps) & set(FILES)
    after = content(run_copy)
    assert {name: after[name] for name in before} == before
    assert set(after) == set(before)


@pytest.mark.parametrize(
    ("step", "needed"),
    [
        (lambda run, ensemble: pipeline.score(run, ensemble), "collect"),
        (lambda run, ensemble: pipeline.label(run, LabelConfig()), "tag"),
        (lambda run, ensemble: pipeline.distill_run(run, ensemble, "encoder", DISTILL), "score"),
    ],
)
def test_a_step_before_its_turn_is_refused(tmp_path, ensemble, queries, step, needed):
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, queries)
        with pytest.raises(ZooterError, match=f"--until {needed}"):
            step(run, ensemble)


def test_wrong_label_settings_do_not_bind_the_run(run_copy, complete):
    forget_steps(run_copy, "label")
    (run_copy / "labels.jsonl").unlink(missing_ok=True)
    refusal(run_copy, lambda run: pipeline.label(run, LabelConfig(beta=2.0)))
    with Run(run_copy) as run:
        pipeline.label(run, LabelConfig())
    assert content(run_copy)["labels.jsonl"] == content(complete)["labels.jsonl"]


def test_a_run_with_another_router_kind(run_copy, ensemble):
    forget_steps(run_copy, "distill")
    encoder = ensemble.fleet.tagger.encoder
    with Run(run_copy) as run:
        pipeline.distill_run(run, ensemble, encoder, configure("kmeans", {"clusters": 1}))
    assert json.loads((run_copy / "router" / "config.json").read_text())["kind"] == "kmeans"
    plain = refusal(run_copy, lambda run: pipeline.distill_run(run, ensemble, encoder, DistillConfig()))
    assert 'the setting kind = "kmeans"' in plain


def test_other_queries_are_refused(run_copy, ensemble, queries):
    message = refusal(run_copy, lambda run: pipeline.start(run, ensemble, queries[:-1]))
    assert "the setting queries = 40" in message
    other = [*queries[:-1], replace(queries[-1], text="Another one?")]
    assert "queries_sha256" in refusal(run_copy, lambda run: pipeline.start(run, ensemble, other))


def test_a_step_alone_refuses_another_pool(run_copy, fleet_copy):
    """`zooter run` takes it up: tests/pipeline/test_changed_pool.py."""
    fleet = load_fleet(fleet_copy)
    other = Ensemble(replace(fleet, candidates=fleet.candidates[:2]))
    forget_steps(run_copy, "score")
    step = "`zooter run` again, which takes up a changed pool"
    assert step in refusal(run_copy, lambda run: pipeline.score(run, other))
