from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zooter_core.config.fleet import load_fleet
from zooter_core.data import runs
from zooter_core.data.runs import Run
from zooter_core.data.scores import read_scores
from zooter_core.errors import WorkError, ZooterError
from zooter_core.files import append_lines, read_whole_lines
from zooter_core.records import Label, Query


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def refusal(folder: Path) -> str:
    with pytest.raises(ZooterError) as caught:
        Run(folder)
    return str(caught.value)


def test_records_come_back_in_order(folder):
    with Run(folder, create=True) as run:
        run.append("a.jsonl", [{"id": 1}, {"id": 2}])
        run.append("a.jsonl", [{"id": "杯 ☕"}])
        assert list(run.records("a.jsonl")) == [{"id": 1}, {"id": 2}, {"id": "杯 ☕"}]


def test_a_file_that_is_not_there_yet_is_empty(folder):
    with Run(folder, create=True) as run:
        assert list(run.records("a.jsonl")) == []


def test_an_opened_run_goes_on(folder):
    with Run(folder, create=True) as run:
        run.begin("collect", {"seed": 1})
        run.append("a.jsonl", [{"id": 1}])
    with Run(folder) as run:
        run.append("a.jsonl", [{"id": 2}])
        assert [record["id"] for record in run.records("a.jsonl")] == [1, 2]
        assert run.setting("collect", "seed") == 1


def test_create_opens_a_run_that_exists(folder):
    with Run(folder, create=True) as run:
        run.begin("collect", {"seed": 1})
    with Run(folder, create=True) as run:
        assert run.setting("collect", "seed") == 1


@pytest.mark.parametrize("torn", [b'{"id": 3, "te', b"{", b'{"id": 3}', '{"id": "杯'.encode()[:-1]])
def test_torn_last_line_is_passed_over_and_cut_off(folder, torn):
    with Run(folder, create=True) as run:
        run.append("a.jsonl", [{"id": 1}, {"id": 2}])
        path = folder / "a.jsonl"
        path.write_bytes(path.read_bytes() + torn)
        assert [record["id"] for record in run.records("a.jsonl")] == [1, 2]
        run.append("a.jsonl", [{"id": 4}])
        assert path.read_bytes() == b'{"id": 1}\n{"id": 2}\n{"id": 4}\n'


def test_file_with_nothing_but_a_torn_line(folder):
    with Run(folder, create=True) as run:
        (folder / "a.jsonl").write_bytes(b'{"id": 1')
        assert list(run.records("a.jsonl")) == []
        run.append("a.jsonl", [{"id": 2}])
        assert (folder / "a.jsonl").read_bytes() == b'{"id": 2}\n'


def test_bad_line_in_the_middle_is_named(folder):
    with Run(folder, create=True) as run:
        (folder / "a.jsonl").write_text('{"id": 1}\n{"id": \n{"id": 3}\n')
        with pytest.raises(WorkError) as caught:
            list(run.records("a.jsonl"))
        assert f"a JSON object in line 2 of {folder / 'a.jsonl'}" in str(caught.value)


def test_half_characters_of_an_older_run_are_replaced(tmp_path):
    append_lines(tmp_path / "a.jsonl", [{"text": "half of a pair: \ud83d"}])
    assert list(read_whole_lines(tmp_path / "a.jsonl")) == [{"text": "half of a pair: \ufffd"}]


def test_same_settings_may_begin_a_step_again(folder):
    with Run(folder, create=True) as run:
        run.begin("label", {"beta": 0.3, "pool": ("a", "b")})
    with Run(folder) as run:
        run.begin("label", {"beta": 0.3, "pool": ("a", "b")})


@pytest.mark.parametrize(
    ("changed", "was", "found"),
    [
        ({"beta": 0.5, "tau": 1.0}, "beta = 0.3", "beta = 0.5"),
        ({"beta": 0.3, "tau": 2.0}, "tau = 1.0", "tau = 2.0"),
        ({"beta": 0.3}, "tau = 1.0", "tau = null"),
        ({"beta": 0.3, "tau": 1.0, "holdout": 0.1}, "holdout = null", "holdout = 0.1"),
    ],
)
def test_changed_setting_is_refused_by_name(folder, changed, was, found):
    with Run(folder, create=True) as run:
        run.begin("label", {"beta": 0.3, "tau": 1.0})
    with Run(folder) as run, pytest.raises(ZooterError) as caught:
        run.begin("label", changed)
    assert f"the setting {was} with which the step label" in str(caught.value)
    assert found in str(caught.value)


def test_refused_setting_changes_nothing(folder):
    with Run(folder, create=True) as run:
        run.begin("label", {"beta": 0.3})
    before = (folder / "run.json").read_bytes()
    with Run(folder) as run, pytest.raises(ZooterError):
        run.begin("label", {"beta": 0.5})
    assert (folder / "run.json").read_bytes() == before


def test_setting_of_a_step_that_has_not_begun(folder):
    with Run(folder, create=True) as run, pytest.raises(ZooterError, match="zooter start"):
        run.setting("start", "pool")


def test_seal_holds_count_and_hash(folder):
    with Run(folder, create=True) as run:
        run.append("a.jsonl", [{"id": 1}, {"id": 2}])
        assert not run.sealed("collect")
        run.seal("collect", "a.jsonl")
        assert run.sealed("collect")
    content = (folder / "a.jsonl").read_bytes()
    (seal,) = json.loads((folder / "run.json").read_text())["seals"].values()
    sha256 = hashlib.sha256(content).hexdigest()
    assert seal == {"file": "a.jsonl", "records": 2, "sha256": sha256, "settings_sha256": seal["settings_sha256"]}
    with Run(folder) as run:
        assert run.sealed("collect")


def test_folder_without_a_run(folder, tmp_path):
    assert f"a run folder at {folder}" in refusal(folder)
    assert "no run.json" in refusal(tmp_path)


def test_out_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooterError, match="a folder for the run"):
        Run(tmp_path / "file", create=True)


@pytest.mark.parametrize(
    "content",
    [b"", b'{"format": 1, "steps"', b"[]", b"{}", b'{"format": 1}', b"\xff\xfe", b"null", b"[" * 100_000, b"9" * 5000],
)
def test_corrupt_run_json_is_one_clear_error(folder, content):
    folder.mkdir()
    (folder / "run.json").write_bytes(content)
    assert f"a readable {folder / 'run.json'}" in refusal(folder)


def test_newer_format_is_refused(folder):
    folder.mkdir()
    (folder / "run.json").write_text('{"format": 2, "steps": {}, "seals": {}}')
    message = refusal(folder)
    assert "format 1" in message
    assert "format 2" in message


def test_refused_run_is_not_left_locked(folder):
    folder.mkdir()
    (folder / "run.json").write_text("{")
    refusal(folder)
    (folder / "run.json").unlink()
    Run(folder, create=True).close()


def test_second_opener_in_the_same_process_is_refused(folder):
    with Run(folder, create=True) as run:
        run.begin("start", {})
        assert "another process at work in it" in refusal(folder)
    Run(folder).close()


def test_second_process_is_refused(folder):
    attempt = "import sys; from zooter_core.data.runs import Run; Run(sys.argv[1])"
    with Run(folder, create=True) as run:
        run.begin("start", {})
        ended = subprocess.run(
            [sys.executable, "-c", attempt, str(folder)], capture_output=True, text=True, check=False
        )
    assert ended.returncode != 0
    assert "another process at work in it" in ended.stderr


def test_no_partial_state_is_left(folder):
    with Run(folder, create=True) as run:
        run.begin("start", {})
    assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == ["run.json"]


@pytest.fixture
def finished(folder):
    """A run of two queries over two candidates, as the pipeline writes it."""
    with Run(folder, create=True) as run:
        run.begin("start", {"pool": ["a", "b"]})
        run.append(
            runs.QUERIES,
            [
                {"id": "1", "text": "2 + 2?", "dataset": "sums", "tags": ["given"]},
                {"id": "2", "text": "Hi", "dataset": None, "tags": []},
            ],
        )
        run.append(runs.RESPONSES, [{"id": i, "candidate": c, "sample": 0, "text": c + i} for c in "ba" for i in "21"])
        run.append(runs.RESPONSES, [{"id": "1", "candidate": "a", "sample": 1, "text": "again"}])
        run.append(runs.REWARDS, [{"id": "2", "rewards": {"b": 4, "a": 3}}, {"id": "1", "rewards": {"a": 1, "b": 2}}])
        run.append(runs.TAGS, [{"id": "2", "tags": []}, {"id": "1", "tags": [{"name": "math", "score": 0.9}]}])
        yield run


def test_reading_a_run_back(finished):
    assert runs.queries(finished) == [Query("1", "2 + 2?", "sums", ("given",)), Query("2", "Hi")]
    assert runs.responses(finished) == {"1": {"a": ["a1", "again"], "b": ["b1"]}, "2": {"a": ["a2"], "b": ["b2"]}}
    assert runs.tags(finished) == [("math",), ()]
    scores = runs.scores(finished)
    assert (scores.candidates, scores.scores.tolist()) == (("a", "b"), [[1, 2], [3, 4]])


def test_dollars_are_of_the_mean_tokens(folder, tmp_path):
    """a costs 2 and b 5 dollars a million tokens: 1000 queries of 100 and 300 tokens on average cost .4 at a."""
    tokens = {("1", "a"): (100, 300), ("1", "b"): (40, 60), ("2", "a"): (10, 10), ("2", "b"): (0, 200)}
    with Run(folder, create=True) as run:
        run.begin("start", {"pool": ["a", "b"]})
        run.append(runs.QUERIES, [{"id": i, "text": i, "dataset": None, "tags": []} for i in "12"])
        records = [
            {"id": i, "candidate": c, "sample": sample, "text": "", "tokens": count}
            for (i, c), of in tokens.items()
            for sample, count in enumerate(of)
        ]
        run.append(runs.RESPONSES, records)
        assert runs.dollars(run, fleet_of(tmp_path, a=2, b=5)) == pytest.approx(np.array([[0.4, 0.25], [0.02, 0.5]]))
        assert runs.dollars(run, fleet_of(tmp_path, a=2)) is None


def fleet_of(folder, **prices):
    """A fleet of a and b, with the prices that are given."""
    tables = [
        f'[[candidate]]\nname = "{name}"\nbackend = "transformers"\nmodel = "hub/{name}"\n'
        + (f"usd_per_million_tokens = {prices[name]}\n" if name in prices else "")
        for name in "ab"
    ]
    (folder / "fleet.toml").write_text("".join(tables))
    return load_fleet(folder)


def test_label_line_is_read_back():
    made = Label("1", "train", (0.25, 0.75), (0.5, 0.5), 0.8)
    assert runs.label(json.loads(json.dumps(made.to_json()))) == made


def test_a_run_as_a_score_file(finished, tmp_path):
    runs.export_scores(finished, tmp_path / "scores.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [line["responses"] for line in lines] == [{"a": "a1", "b": "b1"}, {"a": "a2", "b": "b2"}]
    scores = read_scores([tmp_path / "scores.jsonl"])
    assert scores.scores.tolist() == [[1, 2], [3, 4]]
    assert scores.datasets == ["sums", "all"]


# Rights

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def filled(folder: Path) -> None:
    """A run with a sealed step and a router that a library wrote."""
    with Run(folder, create=True) as run:
        run.begin("score", {"n": 1})
        run.append(runs.REWARDS, [{"id": "a"}])
        (folder / runs.ROUTER).mkdir(exist_ok=True)
        (folder / runs.ROUTER / "config.json").write_text("{}")
        run.seal("score", runs.REWARDS)


@posix
def test_nobody_else_can_read_a_run(folder):
    before = os.umask(0)
    try:
        filled(folder)
    finally:
        os.umask(before)
    assert {rights(path) for path in (folder, folder / runs.ROUTER)} == {0o700}
    assert {path.name: rights(path) for path in folder.rglob("*") if path.is_file()} == dict.fromkeys(
        ("run.json", "rewards.jsonl", ".lock", "config.json"), 0o600
    )


@posix
def test_a_run_that_others_could_read_is_narrowed_when_it_is_opened(folder):
    filled(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with Run(folder):
        found = {rights(path) for path in (folder, *folder.rglob("*"))}
    assert found == {0o700, 0o600}


@posix
def test_a_folder_with_other_things_in_it_keeps_its_rights(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    folder.chmod(0o755)
    (folder / "notes.txt").chmod(0o644)
    filled(folder)
    with Run(folder):
        assert (rights(folder), rights(folder / "notes.txt")) == (0o755, 0o644)
        assert {rights(folder / name) for name in ("run.json", runs.REWARDS, ".lock")} == {0o600}
