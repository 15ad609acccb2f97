"""A run's folder: what it holds, who may use it, and the values that its records stand for."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Query
from zooter_core.config.fleet import load_fleet
from zooter_core.data.prices import dollars, known_prices
from zooter_core.data.run_folder import QUERIES, RESPONSES, REWARDS, ROUTER, TAGS
from zooter_core.data.runs import Run, read_run
from zooter_core.data.scores import read_scores


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def refusal(folder: Path) -> str:
    with pytest.raises(ZooterError) as caught:
        Run(folder)
    return str(caught.value)


def test_an_opened_run_goes_on(folder):
    folder = folder / "below"
    with Run(folder, create=True) as run:
        run.begin("collect", {"seed": 1})
        assert list(run.records(REWARDS)) == []
        run.append(REWARDS, [{"id": "1"}, {"id": "杯 ☕"}])
        assert not run.is_finished("score")
        run.finish("score")
    with Run(folder) as run:
        run.append(REWARDS, [{"id": "2"}])
        assert [record["id"] for record in run.records(REWARDS)] == ["1", "杯 ☕", "2"]
        assert run.setting("collect", "seed") == 1
        assert run.is_finished("score")
        assert run.lines(REWARDS, ["2", "1"]) == [{"id": "2"}, {"id": "1"}]
        with pytest.raises(WorkError, match='found none of "b"'):
            run.lines(REWARDS, ["1", "b"])


@pytest.mark.parametrize("torn", [b"{", b'{"id": 3}', '{"id": "杯'.encode()[:-1]])
@pytest.mark.parametrize("lines", [[], [b'{"id": "1"}\n', b'{"id": "2"}\n']])
def test_torn_last_line_is_passed_over_and_cut_off(folder, torn, lines):
    with Run(folder, create=True) as run:
        path = folder / REWARDS
        path.write_bytes(b"".join([*lines, torn]))
        assert [record["id"] for record in run.records(REWARDS)] == ["1", "2"][: len(lines)]
        run.append(REWARDS, [{"id": "4"}])
        assert path.read_bytes() == b"".join([*lines, b'{"id": "4"}\n'])


@pytest.mark.parametrize(
    ("changed", "before", "now"),
    [
        ({"beta": 0.5, "tau": 1.0}, "beta = 0.3", "beta = 0.5"),
        ({"beta": 0.3}, "tau = 1.0", "tau = null"),
        ({"beta": 0.3, "tau": 1.0, "holdout": 0.1}, "holdout = null", "holdout = 0.1"),
    ],
)
def test_changed_setting_is_refused_by_name(folder, changed, before, now):
    with Run(folder, create=True) as run:
        run.begin("label", {"beta": 0.3, "tau": 1.0})
    content = (folder / "run.json").read_bytes()
    with Run(folder) as run:
        run.begin("label", {"beta": 0.3, "tau": 1.0})
        with pytest.raises(ZooterError) as caught:
            run.begin("label", changed)
        with pytest.raises(ZooterError, match="--until collect"):
            run.setting("collect", "samples")
    assert (folder / "run.json").read_bytes() == content
    assert f"step label began with the setting {before}, but now {now}" in str(caught.value)


def test_what_is_no_folder_of_a_run_is_refused(folder, tmp_path):
    assert f"a run folder at {folder}" in refusal(folder)
    assert "no run.json" in refusal(tmp_path)
    (tmp_path / "run.json").write_text('{"of": "another program"}')
    with Run(tmp_path) as run, pytest.raises(ZooterError, match=r"The step start of the run .* has not begun"):
        run.setting("start", "pool")
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooterError, match="a folder for the run"):
        Run(tmp_path / "file", create=True)


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000])
def test_corrupt_run_json_is_one_clear_error(folder, content):
    folder.mkdir()
    (folder / "run.json").write_bytes(content)
    message = refusal(folder)
    assert f"a readable {folder / 'run.json'}" in message
    assert "Error(" not in message  # as Python would write it
    (folder / "run.json").unlink()
    Run(folder, create=True).close()  # what was refused is not left locked


def test_a_run_of_version_0_2_is_named_as_one(folder):
    folder.mkdir()
    (folder / "run.json").write_text('{"format": 1, "steps": {}, "seals": {}}')
    assert f"Zooter 0.2 made the run {folder}" in refusal(folder)


def test_who_comes_second_is_refused(folder):
    with Run(folder, create=True) as run:
        run.begin("start", {})
        assert "another process that uses it" in refusal(folder)
    Run(folder).close()


# Permissions


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fill(folder: Path) -> None:
    """A run with a finished step and a router that a library wrote."""
    with Run(folder, create=True) as run:
        run.begin("score", {"n": 1})
        run.append(REWARDS, [{"id": "a"}])
        (folder / ROUTER).mkdir(exist_ok=True)
        (folder / ROUTER / "config.json").write_text("{}")
        run.finish("score")


def test_nobody_else_can_read_a_run(folder):
    before = os.umask(0)
    try:
        fill(folder)
    finally:
        os.umask(before)
    assert {mode(path) for path in (folder, folder / ROUTER)} == {0o700}
    assert {path.name: mode(path) for path in folder.rglob("*") if path.is_file()} == dict.fromkeys(
        ("run.json", "rewards.jsonl", ".lock", "config.json"), 0o600
    )


def test_opening_a_run_makes_it_private(folder):
    fill(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with Run(folder):
        assert {mode(path) for path in (folder, *folder.rglob("*"))} == {0o700, 0o600}


@pytest.mark.parametrize("name", ["responses.jsonl", ".lock", "router", "router/config.json"])
def test_a_link_in_a_run_folder_is_refused_and_what_it_leads_to_stays(folder, tmp_path, name):
    with Run(folder, create=True) as run:
        run.begin("start", {})
    path, other = folder / name, tmp_path / "other"
    other.write_text("mine")
    other.chmod(0o644)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(other)
    (folder / "notes").symlink_to(other)  # no file of a run
    with pytest.raises(ZooterError, match="a link to"):
        Run(folder, create=True)
    assert (other.read_text(), stat.S_IMODE(other.stat().st_mode)) == ("mine", 0o644)
    path.unlink()
    (tmp_path / "elsewhere").symlink_to(folder)
    Run(tmp_path / "elsewhere", create=True).close()  # the folder itself may be one


def test_a_pipe_in_a_run_folder_is_refused_and_not_waited_for(folder):
    folder.mkdir()
    os.mkfifo(folder / "responses.jsonl")
    with pytest.raises(ZooterError, match="a pipe or a device"):
        Run(folder, create=True)


# What the records say


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
    prices = known_prices(fleet_of(tmp_path, a=2, b=5), ("a", "b"))
    assert dollars(prices, means) == pytest.approx(np.array([[0.4, 0.25], [0.02, 0.5]]))
    assert known_prices(fleet_of(tmp_path, a=2), ("a", "b")) is None


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
