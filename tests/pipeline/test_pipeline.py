from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zooter_core import pipeline
from zooter_core.backends import Piece
from zooter_core.config.fleet import load_fleet
from zooter_core.data.runs import Run
from zooter_core.data.scores import Scores, read_scores
from zooter_core.ensemble import Ensemble
from zooter_core.errors import WorkError, ZooterError
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, held_back
from zooter_core.pipeline import batches
from zooter_core.pipeline.label import make_labels
from zooter_core.records import Query, Response
from zooter_core.router.encoder import Encoders
from zooter_core.router.kinds import DistillConfig, settings_of
from zooter_core.router.router import Router

HERE = Path(__file__).resolve().parents[1]
POOL = ("base", "one", "two")
FILES = {"collect": "responses.jsonl", "score": "rewards.jsonl", "tag": "tags.jsonl", "label": "labels.jsonl"}
DEATHS = {"collect": 13, "score": 4, "tag": 7, "label": 3}  # the step told its progress so often before the kill
DISTILL = DistillConfig(epochs=2)


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    from killed_run import BATCH

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BATCH", BATCH)
        yield


@pytest.fixture(scope="module")
def queries(tiny_fleet) -> list[Query]:
    from killed_run import QUERIES

    return QUERIES


@pytest.fixture(scope="module")
def ensemble(tiny_ensemble) -> Ensemble:
    return tiny_ensemble


def work(folder, ensemble, queries, progress=pipeline.quiet, label=LabelConfig()) -> None:  # noqa: B008
    """Every step of the pipeline."""
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        pipeline.collect(run, ensemble, ensemble.fleet.generation, progress)
        pipeline.score(run, ensemble, progress)
        pipeline.tag(run, ensemble, progress)
        pipeline.label(run, label, progress)
        pipeline.distill_run(run, ensemble, ensemble.fleet.tagger.encoder, DISTILL, progress)


def records(folder, file) -> list[dict]:
    return [json.loads(line) for line in (folder / file).read_text(encoding="utf-8").splitlines()]


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def complete(tmp_path_factory, ensemble, queries) -> Path:
    """The folder of a run that nothing interrupted; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    work(folder, ensemble, queries)
    return folder


@pytest.fixture
def run_copy(complete, tmp_path) -> Path:
    return Path(shutil.copytree(complete, tmp_path / "run"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory, tiny_fleet) -> Path:
    """A folder with one run a step, each killed in that step."""
    folder = tmp_path_factory.mktemp("killed")
    deaths = [f"{step}:{count}" for step, count in DEATHS.items()]
    command = [sys.executable, str(HERE / "killed_run.py"), str(tiny_fleet), str(folder), *deaths]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["collect", "9", "score", "9", "tag", "9", "label", "9"], ended.stderr
    return folder


def unfinish(folder: Path, step: str) -> None:
    """A run as it was before a step was finished: no seal from there on, no later file."""
    state = json.loads((folder / "run.json").read_text())
    for later in list(FILES)[list(FILES).index(step) :]:
        del state["seals"][later]
        if later != step:
            (folder / FILES[later]).unlink()
    (folder / "run.json").write_text(json.dumps(state))


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


def test_the_seals_of_a_whole_run(complete):
    state = json.loads((complete / "run.json").read_text())
    assert {step: seal["records"] for step, seal in state["seals"].items() if step != "distill"} == {
        "start": 40, "collect": 120, "score": 40, "tag": 40, "label": 40,
    }  # fmt: skip
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


def test_the_router_of_a_whole_run_is_loaded_and_reported(complete):
    router = Router.load(complete / "router", Encoders())
    assert router.candidates == POOL
    report = json.loads((complete / "report.json").read_text())
    assert list(report["candidates"]) == ["all", "odd", "even"]
    held_back_labels = [record for record in records(complete, "labels.jsonl") if record["fold"] == "held_back"]
    assert report["held_back"]["n"] == len(held_back_labels) > 0
    assert all("rmr" in row for row in report["held_back"]["datasets"].values())
    assert {curve["k"] for curve in report["held_back"]["selection"]["curves"]} == {2, 3}


def test_a_second_start_does_nothing_more(run_copy, ensemble, queries):
    before, steps = content(run_copy), []
    work(run_copy, ensemble, queries, lambda step, done, of: steps.append(step))
    assert not set(steps) & set(FILES)
    after = content(run_copy)
    assert {name: after[name] for name in before} == before
    assert set(after) == set(before)


def test_a_second_run_elsewhere_gives_the_same_labels_and_router(complete, tmp_path, tiny_fleet, queries):
    work(tmp_path / "run", Ensemble(load_fleet(tiny_fleet)), queries)
    one, other = content(complete), content(tmp_path / "run")
    for name in ("labels.jsonl", "rewards.jsonl", "router/model.safetensors", "report.json"):
        assert other[name] == one[name]


@pytest.mark.parametrize("step", FILES)
def test_a_killed_run_goes_on_where_it_was(killed, complete, tmp_path, ensemble, queries, step):
    folder = Path(shutil.copytree(killed / step, tmp_path / "run"))
    file = folder / FILES[step]
    before = file.read_bytes()
    assert before.count(b"\n") == DEATHS[step] * 4
    file.write_bytes(before + before[: before.index(b"\n") // 2])  # the line that was being written
    calls: list[tuple[str, int, int]] = []
    work(folder, ensemble, queries, lambda *progress: calls.append(progress))
    assert file.read_bytes().startswith(before)
    if step != "label":  # which is worked out again whole
        assert next(done for name, done, _ in calls if name == step) == (DEATHS[step] + 1) * 4
    assert content(folder)["labels.jsonl"] == content(complete)["labels.jsonl"]
    assert content(folder)["report.json"] == content(complete)["report.json"]


@pytest.mark.parametrize("step", ["collect", "tag", "label"])
@pytest.mark.parametrize("share", [0.1, 0.33, 0.66, 0.95])
def test_a_write_cut_short_anywhere_is_made_good(run_copy, complete, ensemble, queries, step, share):
    """Cut inside a batch and inside a line, as when the machine goes down while a batch is written."""
    unfinish(run_copy, step)
    file = run_copy / FILES[step]
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    work(run_copy, ensemble, queries)
    assert content(run_copy)["labels.jsonl"] == content(complete)["labels.jsonl"]
    assert file.read_bytes().count(b"\n") == (120 if step == "collect" else 40)


class Grouped:
    """A reward model whose rewards depend a little on what is scored together, as a real one's do by padding."""

    def score(self, pairs):
        return [len(response) / 10 * (1 + len(pairs) * 1e-6) for _, response in pairs]


@pytest.mark.parametrize("records", [2, 21, 39])
def test_rewards_cut_short_inside_a_batch_are_made_good(run_copy, ensemble, queries, monkeypatch, records):
    monkeypatch.setattr(Ensemble, "reward_model", Grouped())
    contents = []
    for _ in range(2):
        unfinish(run_copy, "score")
        file = run_copy / FILES["score"]
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[: records if contents else 0]))
        work(run_copy, ensemble, queries)
        contents.append(content(run_copy)["labels.jsonl"])
    assert contents[0] == contents[1]


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


def refusal(folder, step) -> str:
    with Run(folder) as run, pytest.raises(ZooterError) as caught:
        step(run)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "change"),
    [("temperature", {"temperature": 0.1}), ("seed", {"seed": 3}), ("max_new_tokens", {"max_new_tokens": 9})],
)
def test_changed_generation_is_refused_by_name(run_copy, ensemble, name, change):
    changed = replace(ensemble.fleet.generation, **change)
    message = refusal(run_copy, lambda run: pipeline.collect(run, ensemble, changed))
    assert f"the setting {name} = " in message
    assert "step collect" in message


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("beta", LabelConfig(beta=0.5)),
        ("tau", LabelConfig(tau=2.0)),
        ("normalise", LabelConfig(normalise="zscore")),
        ("holdout", LabelConfig(holdout=0.5)),
        ("seed", LabelConfig(seed=1)),
    ],
)
def test_changed_label_settings_are_refused_by_name(run_copy, name, changed):
    assert f"the setting {name} = " in refusal(run_copy, lambda run: pipeline.label(run, changed))


@pytest.mark.parametrize("wrong", [LabelConfig(beta=2.0), LabelConfig(tau=0.0), LabelConfig(normalise="z-score")])
def test_wrong_label_settings_do_not_bind_the_run(run_copy, complete, wrong):
    unfinish(run_copy, "label")
    state = json.loads((run_copy / "run.json").read_text())
    del state["steps"]["label"]
    (run_copy / "run.json").write_text(json.dumps(state))
    (run_copy / "labels.jsonl").unlink()
    refusal(run_copy, lambda run: pipeline.label(run, wrong))
    with Run(run_copy) as run:
        pipeline.label(run, LabelConfig())
    assert content(run_copy)["labels.jsonl"] == content(complete)["labels.jsonl"]


def test_changed_distillation_is_refused_by_name(run_copy, ensemble):
    encoder = ensemble.fleet.tagger.encoder
    changed = replace(DISTILL, epochs=3)
    assert "epochs = 2" in refusal(run_copy, lambda run: pipeline.distill_run(run, ensemble, encoder, changed))
    assert "encoder = " in refusal(run_copy, lambda run: pipeline.distill_run(run, ensemble, "other", DISTILL))


def test_a_run_with_another_router_kind(run_copy, ensemble):
    state = json.loads((run_copy / "run.json").read_text())
    del state["steps"]["distill"], state["seals"]["distill"]
    (run_copy / "run.json").write_text(json.dumps(state))
    encoder = ensemble.fleet.tagger.encoder
    with Run(run_copy) as run:
        pipeline.distill_run(run, ensemble, encoder, settings_of("knn", {"k": 1}))
    assert json.loads((run_copy / "router" / "config.json").read_text())["kind"] == "knn"
    rewards = {record["id"]: record["rewards"] for record in records(run_copy, "rewards.jsonl")}
    train = [record["id"] for record in records(run_copy, "labels.jsonl") if record["fold"] == "train"]
    head = Router.load(run_copy / "router", ensemble.encoders).head
    assert head.body.scores.detach().numpy() == pytest.approx(
        np.array([list(rewards[one].values()) for one in train]), rel=1e-6
    )
    plain = refusal(run_copy, lambda run: pipeline.distill_run(run, ensemble, encoder, DistillConfig()))
    assert 'the setting kind = "knn"' in plain


def test_other_queries_are_refused(run_copy, ensemble, queries):
    message = refusal(run_copy, lambda run: pipeline.start(run, ensemble, queries[:-1]))
    assert "the setting queries = 40" in message
    other = [*queries[:-1], replace(queries[-1], text="Another one?")]
    assert "queries_sha256" in refusal(run_copy, lambda run: pipeline.start(run, ensemble, other))


@pytest.mark.parametrize(
    ("weights", "step", "setting"),
    [("adapters/one/adapter_model", "collect", "candidates_sha256"), ("reward/model", "score", "reward_sha256")],
)
def test_changed_weights_are_refused_by_name(run_copy, fleet_copy, weights, step, setting):
    file = fleet_copy / f"{weights}.safetensors"
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    file.write_bytes(changed)
    other = Ensemble(load_fleet(fleet_copy))
    steps = {
        "collect": lambda run: pipeline.collect(run, other, other.fleet.generation),
        "score": lambda run: pipeline.score(run, other),
        "tag": lambda run: pipeline.tag(run, other),
    }
    assert setting in refusal(run_copy, steps.pop(step))
    with Run(run_copy) as run:
        for unchanged in steps.values():
            unchanged(run)


def test_another_pool_is_refused(run_copy, fleet_copy, queries):
    fleet = load_fleet(fleet_copy)
    other = Ensemble(replace(fleet, candidates=fleet.candidates[:2]))
    assert "pool" in refusal(run_copy, lambda run: pipeline.start(run, other, queries))


def test_the_same_fleet_in_another_folder_goes_on(run_copy, fleet_copy, queries):
    moved = Ensemble(load_fleet(fleet_copy))
    with Run(run_copy) as run:
        pipeline.start(run, moved, queries)
        pipeline.collect(run, moved, moved.fleet.generation)
        pipeline.score(run, moved)
        pipeline.tag(run, moved)


@pytest.mark.parametrize(
    ("work", "needed"),
    [
        (lambda run, ensemble: pipeline.score(run, ensemble), "collect"),
        (lambda run, ensemble: pipeline.label(run, LabelConfig()), "score"),
        (lambda run, ensemble: pipeline.distill_run(run, ensemble, "encoder", DISTILL), "label"),
    ],
)
def test_a_step_before_its_turn_is_refused(tmp_path, ensemble, queries, work, needed):
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, queries)
        with pytest.raises(ZooterError, match=f"zooter {needed} --run"):
            work(run, ensemble)


def test_a_broken_candidate_ends_collect_before_it_begins_and_can_be_mended(tmp_path, fleet_copy, queries, complete):
    folder = tmp_path / "run"
    file = fleet_copy / "adapters" / "two" / "adapter_model.safetensors"
    content_before = file.read_bytes()
    file.write_bytes(content_before[:100])
    broken = Ensemble(load_fleet(fleet_copy))
    with Run(folder, create=True) as run:
        pipeline.start(run, broken, queries)
        with pytest.raises(WorkError, match="a LoRA adapter for two"):
            pipeline.collect(run, broken, broken.fleet.generation)
        assert not list(run.records("responses.jsonl"))
        file.write_bytes(content_before)
        mended = Ensemble(load_fleet(fleet_copy))
        pipeline.collect(run, mended, mended.fleet.generation)
    texts = [{(r["id"], r["candidate"]): r["text"] for r in records(f, "responses.jsonl")} for f in (folder, complete)]
    assert texts[0] == texts[1]


def test_a_response_that_fails_ends_collect_and_what_came_is_kept(tmp_path, ensemble, queries, complete, monkeypatch):
    folder, counts = tmp_path / "run", []
    stream = Ensemble.run_requests

    def failing(self, requests, stop, generation=None):
        if requests[0].candidate.name == "two":
            yield from (Piece.failed(request, "out of memory") for request in requests)
        else:
            yield from stream(self, requests, stop, generation)

    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        with monkeypatch.context() as patch:
            patch.setattr(Ensemble, "run_requests", failing)
            with pytest.raises(WorkError, match=r"a response of two.*out of memory"):
                pipeline.collect(run, ensemble, ensemble.fleet.generation)
        assert Counter(record["candidate"] for record in run.records("responses.jsonl")) == {"base": 40, "one": 40}
        assert not run.sealed("collect")
        pipeline.collect(run, ensemble, ensemble.fleet.generation, lambda step, done, of: counts.append(done))
    assert counts == list(range(84, 121, 4))
    texts = [{(r["id"], r["candidate"]): r["text"] for r in records(f, "responses.jsonl")} for f in (folder, complete)]
    assert texts[0] == texts[1]


def test_a_run_as_a_score_file(run_copy, tmp_path):
    with Run(run_copy) as run:
        run.export_scores(tmp_path / "scores.jsonl")
        expected = run.scores()
    exported = read_scores([tmp_path / "scores.jsonl"])
    assert (exported.candidates, [q.text for q in exported.queries]) == (POOL, [q.text for q in expected.queries])
    assert np.array_equal(exported.scores, expected.scores)


class Recorder:
    """A backend that answers with nothing, and remembers what it was asked with which seed."""

    def __init__(self):
        self.batches = []

    def load(self, candidate):
        """Nothing to load."""

    def stream(self, requests, generation, stop):
        self.batches.append((generation.seed, {request.candidate.name for request in requests}, len(requests)))
        for request in requests:
            yield Piece(request, response=Response(request.candidate.name, ""))


def test_every_batch_is_of_one_candidate_and_has_a_seed_of_its_own(tmp_path, tiny_fleet, queries):
    seeds = []
    for seed in (0, 1):
        ensemble, recorder = Ensemble(load_fleet(tiny_fleet)), Recorder()
        ensemble.backends = {"transformers": recorder}
        with Run(tmp_path / str(seed), create=True) as run:
            pipeline.start(run, ensemble, queries)
            pipeline.collect(run, ensemble, replace(ensemble.fleet.generation, seed=seed))
        assert [(names, size) for _, names, size in recorder.batches] == [({n}, 4) for n in POOL for _ in range(10)]
        seeds += [seed for seed, _, _ in recorder.batches]
    assert len(set(seeds)) == 60


def scores(count) -> Scores:
    queries = tuple(Query(str(n), f"query {n}") for n in range(count))
    return Scores(queries, ("a", "b"), np.random.default_rng(0).normal(size=(count, 2)))


def test_held_back_is_about_the_share_asked_for():
    config = LabelConfig(holdout=0.2)
    assert 150 < sum(held_back(str(n), config) for n in range(1000)) < 250
    assert not any(held_back(str(n), LabelConfig(holdout=0.0)) for n in range(1000))


def test_held_back_goes_by_id_and_seed_alone():
    folds = [held_back(str(n), LabelConfig()) for n in range(100)]
    assert folds == [held_back(str(n), LabelConfig(beta=1.0, tau=5.0)) for n in range(100)]
    assert folds != [held_back(str(n), LabelConfig(seed=1)) for n in range(100)]


def test_tag_priors_come_from_the_training_fold_alone():
    """All queries carry one tag: with beta = 0 a training label is the mean of the training labels."""
    config = LabelConfig(beta=0.0)
    rows = make_labels(scores(50), [["t"]] * 50, config)
    train = [label for label in rows if label.fold == "train"]
    mean = np.mean([label.plain for label in train], axis=0)
    assert all(label.enhanced == pytest.approx(mean) for label in train)
    assert all(label.enhanced == label.plain for label in rows if label.fold == "held_back")
    assert {label.fold for label in rows} == {"train", "held_back"}


def test_labels_of_a_normalised_pool():
    table = scores(30)
    rows = make_labels(table, [[]] * 30, LabelConfig(normalise="zscore", tau=0.5))
    expected = labels.softmax(labels.normalise(table.scores, "zscore", table.datasets), 0.5)
    assert np.array([label.plain for label in rows]) == pytest.approx(expected)


def test_labels_when_every_query_is_held_back():
    assert {label.fold for label in make_labels(scores(5), [["t"]] * 5, LabelConfig(holdout=1.0))} == {"held_back"}


def sampled(folder, ensemble, queries, samples, progress=pipeline.quiet) -> None:
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        pipeline.collect(run, ensemble, ensemble.fleet.generation, progress, samples)


def test_several_samples_are_collected_and_their_mean_reward_counts(tmp_path, ensemble, queries):
    sampled(tmp_path / "run", ensemble, queries[:6], 3)
    counts = Counter((r["id"], r["candidate"], r["sample"]) for r in records(tmp_path / "run", "responses.jsonl"))
    assert counts == Counter((q.id, name, sample) for q in queries[:6] for name in POOL for sample in range(3))
    with Run(tmp_path / "run") as run:
        pipeline.score(run, ensemble)
        texts, table, rewards = run.responses(), run.scores().scores, run.samples()
        assert rewards.shape == (6, 3, 3)
        assert table == pytest.approx(rewards.mean(axis=2))
        alone = ensemble.reward_model.score([(queries[2].text, text) for text in texts[queries[2].id]["one"]])
        assert rewards[2, 1] == pytest.approx(alone, abs=1e-4)
        run.export_scores(tmp_path / "scores.jsonl")
    assert read_scores([tmp_path / "scores.jsonl"]).scores == pytest.approx(table)


def test_several_samples_resume_where_they_were_stopped(tmp_path, ensemble, queries):
    def stop(step, done, of):
        raise KeyboardInterrupt

    sampled(tmp_path / "whole", ensemble, queries[:6], 3)
    with pytest.raises(KeyboardInterrupt):
        sampled(tmp_path / "run", ensemble, queries[:6], 3, stop)
    before = records(tmp_path / "run", "responses.jsonl")
    assert 0 < len(before) < 54
    sampled(tmp_path / "run", ensemble, queries[:6], 3)
    texts = [
        {(r["id"], r["candidate"], r["sample"]): r["text"] for r in records(tmp_path / name, "responses.jsonl")}
        for name in ("run", "whole")
    ]
    assert texts[0] == texts[1]


def test_another_number_of_samples_is_refused(tmp_path, ensemble, queries):
    sampled(tmp_path / "run", ensemble, queries[:2], 2)
    with pytest.raises(ZooterError, match="samples = 2"):
        sampled(tmp_path / "run", ensemble, queries[:2], 4)
    with pytest.raises(ZooterError, match="at least one response"):
        sampled(tmp_path / "none", ensemble, queries[:2], 0)


class Faulty:
    """A reward model by length that has no number for some texts and raises on others."""

    def __init__(self, nan=(), raises=()):
        self.nan, self.raises = nan, raises

    def score(self, pairs):
        if any(pair in self.raises for pair in pairs):
            raise IndexError("index out of range in self")
        return [float("nan") if pair in self.nan else len(pair[1]) / 10 for pair in pairs]


def pair_of(folder, query, name):
    texts = {
        record["id"]: record["text"] for record in records(folder, "responses.jsonl") if record["candidate"] == name
    }
    return query.text, texts[query.id]


def test_queries_without_rewards_are_set_aside_and_reach_no_label(run_copy, complete, ensemble, queries, monkeypatch):
    unfinish(run_copy, "score")
    bad, worse = (pair_of(run_copy, queries[n], "one") for n in (3, 17))
    monkeypatch.setattr(Ensemble, "reward_model", Faulty([bad], [worse]))
    (run_copy / "rewards.jsonl").unlink()
    state = json.loads((run_copy / "run.json").read_text())
    del state["steps"]["distill"], state["seals"]["distill"]
    (run_copy / "run.json").write_text(json.dumps(state))
    shutil.rmtree(run_copy / "router")
    work(run_copy, ensemble, queries)
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
        assert run.samples().shape == (38, 3, 1)
        assert len(run.tags()) == 38
        priced = tuple(replace(candidate, usd_per_million_tokens=1.0) for candidate in ensemble.fleet.candidates)
        assert run.dollars(replace(ensemble.fleet, candidates=priced)).shape == (38, 3)
        run.export_scores(run_copy / "scores.jsonl")
    assert [query.id for query in read_scores([run_copy / "scores.jsonl"]).queries] == scored
    assert np.isfinite(read_scores([run_copy / "scores.jsonl"]).scores).all()
    router = Router.load(run_copy / "router", Encoders())
    assert router.candidates == POOL


def test_when_all_are_set_aside_there_is_no_label(run_copy, ensemble, queries, monkeypatch):
    unfinish(run_copy, "score")
    (run_copy / "rewards.jsonl").write_text(
        "".join(json.dumps({"id": query.id, "set_aside": "no verdict"}) + "\n" for query in queries)
    )
    with pytest.raises(ZooterError, match=r"all 40 set aside; the first because: no verdict"):
        work(run_copy, ensemble, queries)


def test_a_reward_model_that_cannot_work_stops_the_step_and_loses_nothing(run_copy, ensemble, queries, monkeypatch):
    unfinish(run_copy, "score")
    (run_copy / "rewards.jsonl").unlink()
    late = {pair_of(run_copy, query, name) for query in queries[8:] for name in POOL}
    monkeypatch.setattr(Ensemble, "reward_model", Faulty(raises=late))
    with pytest.raises(WorkError, match=r"for any of .* responses.*index out of range"):
        work(run_copy, ensemble, queries)
    assert len(records(run_copy, "rewards.jsonl")) == 8
    monkeypatch.setattr(Ensemble, "reward_model", Faulty())
    with Run(run_copy) as run:
        pipeline.score(run, ensemble)
    assert len(records(run_copy, "rewards.jsonl")) == 40
    assert not any("set_aside" in record for record in records(run_copy, "rewards.jsonl"))


class Longer:
    """Compares by length."""

    def compare(self, triples):
        return [float(len(one) - len(other)) for _, one, other in triples]


def test_a_comparing_reward_model_sees_all_samples_of_a_query_together(tmp_path, ensemble, queries, monkeypatch):
    monkeypatch.setattr(Ensemble, "reward_model", Longer())
    counts: list[int] = []
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, ensemble, queries[:6])
        pipeline.collect(run, ensemble, ensemble.fleet.generation, samples=2)
        pipeline.score(run, ensemble, lambda step, done, of: counts.append(done))
        texts, samples = run.responses(), run.samples()
    assert counts == [4, 6]
    for row, query in enumerate(queries[:6]):
        lengths = np.array([[len(text) for text in texts[query.id][name]] for name in POOL], dtype=float)
        ahead = (lengths * 6 - lengths.sum()) / 5  # the mean over five rivals
        assert samples[row] == pytest.approx(ahead)


def test_given_tags_go_through_the_pipeline(tmp_path, ensemble, queries):
    from zooter_core.config.labelling import GivenConfig

    given = Ensemble(replace(ensemble.fleet, tagger=GivenConfig()))
    tagged = [replace(query, tags=("even", "q") if n % 2 else ()) for n, query in enumerate(queries[:4])]
    with Run(tmp_path / "run", create=True) as run:
        pipeline.start(run, given, tagged)
        pipeline.tag(run, given)
    tags = [[tag["name"] for tag in record["tags"]] for record in records(tmp_path / "run", "tags.jsonl")]
    assert tags == [[], ["even", "q"], [], ["even", "q"]]
    from zooter_core.records import Message

    assert given.route([Message("user", "Hello")]).tags == ()  # what comes later has none, and is routed all the same
