"""Run folders that are damaged, of another version or not to be written: one message, and what is there is kept."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.run_folders import FILES, content, same_end, unfinish
from zooter_core import __version__
from zooter_core.base.errors import ZooterError
from zooter_core.data.runs import Run


def steps_from(called, folder: Path, step: str) -> None:
    for later in [*FILES, "distill"][list(FILES).index(step) :]:
        more = ["--epochs", 2] if later == "distill" else []
        assert called(later, "--run", folder, *more)[0] == 0


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"not JSON", lambda data: b""])
def test_a_run_json_that_cannot_be_read_costs_no_record(called, run_copy, finished_run, queries, tiny_fleet, damage):
    unfinish(run_copy, "score", 0.4)
    file = run_copy / "run.json"
    file.write_bytes(damage(file.read_bytes()))
    before = content(run_copy)
    code, message = called("score", "--run", run_copy)
    assert code == 2
    assert f"a readable {file}" in message
    assert "delete it and start again with the same settings" in message
    assert content(run_copy) == before
    file.unlink()  # as the message says
    call = ["run", "--queries", queries, "--out", run_copy, "--epochs", 2, "--fleet", tiny_fleet]
    assert called(*call)[0] == 0
    assert (run_copy / "responses.jsonl").read_bytes() == before["responses.jsonl"]
    assert (run_copy / "rewards.jsonl").read_bytes().startswith(before["rewards.jsonl"])
    assert same_end(run_copy, finished_run)


@pytest.mark.parametrize("step", FILES)
def test_a_torn_last_line_is_made_good(called, run_copy, finished_run, step):
    unfinish(run_copy, step, 0.5)
    file = run_copy / FILES[step]
    file.write_bytes(file.read_bytes() + (finished_run / FILES[step]).read_bytes().splitlines()[-1][:40])
    steps_from(called, run_copy, step)
    assert same_end(run_copy, finished_run)


def of_another_run(line: bytes) -> bytes:
    return json.dumps(json.loads(line) | {"id": "strange"}).encode() + b"\n"


@pytest.mark.parametrize(
    ("added", "fault"),
    [
        (of_another_run, 'one of "strange" in line'),
        (lambda line: line, "a second one of "),
        (lambda line: b"[1, 2]\n", "b'[1, 2]"),
        (lambda line: b"\x00\x00\x00\n", "b'\\x00"),
        (lambda line: b'{"id": 3', ""),
    ],
)
@pytest.mark.parametrize("step", FILES)
def test_a_line_that_is_not_this_runs_is_named_and_taken_out(called, run_copy, finished_run, step, added, fault):
    """The last is torn in the middle: a line was added after it."""
    unfinish(run_copy, step, 0.5)
    file = run_copy / FILES[step]
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:5], added(lines[2]), *lines[5:]]))
    code, message = called(step, "--run", run_copy)
    assert code == 1
    assert str(file) in message
    assert "line 6" in message
    assert fault in message
    assert "start again" in message
    file.write_bytes(b"".join(lines))  # as the message says
    steps_from(called, run_copy, step)
    assert same_end(run_copy, finished_run)


def test_labels_in_another_order_are_still_those_of_their_queries(called, run_copy, finished_run):
    """Nothing goes by a line's number: the router of shuffled lines is the same."""
    unfinish(run_copy, "label", 1)
    file = run_copy / "labels.jsonl"
    file.write_bytes(b"".join(reversed(file.read_bytes().splitlines(keepends=True))))
    steps_from(called, run_copy, "label")
    for name in ("router/model.safetensors", "report.json"):
        assert content(run_copy)[name] == content(finished_run)[name]


FOLLOWING = {"collect": "score", "score": "label", "tag": "label", "label": "distill"}


@pytest.mark.parametrize("step", FILES)
def test_a_finished_file_that_was_changed_is_not_built_upon(called, run_copy, step):
    following, file = FOLLOWING[step], run_copy / FILES[step]
    unfinish(run_copy, following, 0)
    file.write_bytes(file.read_bytes().replace(b"q07", b"q99", 1))
    code, message = called(following, "--run", run_copy, *(["--epochs", 2] if following == "distill" else []))
    assert code == 1
    assert f"{file} as it was when the step {step} was finished" in message


@pytest.mark.parametrize(("number", "maker"), [(2, "9.9.9"), (0, "0.0.1"), (2, None)])
def test_a_run_of_another_version_is_refused_with_both_versions(called, run_copy, number, maker):
    state = json.loads((run_copy / "run.json").read_text())
    state["format"] = number
    state["versions"] = {"zooter": maker} if maker else {}
    (run_copy / "run.json").write_text(json.dumps(state))
    before = content(run_copy)
    code, message = called("label", "--run", run_copy)
    assert code == 2
    assert f"a run of format 1, which this Zooter {__version__} reads" in message
    assert f"format {number}, made by Zooter {maker or 'unknown'}" in message
    assert content(run_copy) == before


def test_a_run_of_an_older_zooter_of_this_format_goes_on(called, run_copy, finished_run):
    unfinish(run_copy, "label", 0.5)
    state = json.loads((run_copy / "run.json").read_text())
    state["versions"] |= {"zooter": "0.0.1"}
    (run_copy / "run.json").write_text(json.dumps(state))
    steps_from(called, run_copy, "label")
    assert same_end(run_copy, finished_run)
    assert json.loads((run_copy / "run.json").read_text())["versions"]["zooter"] == "0.0.1"


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, to whom no folder is closed."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def closed(finished_run) -> Iterator[Path]:
    """A folder with a run in it, in which nothing can be written."""
    around = Path(tempfile.mkdtemp())  # one that anybody may look into, which pytest's are not
    around.chmod(0o755)
    run = around / "run"
    shutil.copytree(finished_run, run)
    unfinish(run, "label", 0.5)
    (run / ".lock").unlink(missing_ok=True)
    run.chmod(0o555)
    around.chmod(0o555)
    yield around
    around.chmod(0o755)
    run.chmod(0o755)
    shutil.rmtree(around)


def test_a_run_folder_that_cannot_be_written(called, closed):
    before = content(closed)
    with as_nobody():
        code, message = called("label", "--run", closed / "run")
    assert code == 2
    assert f"the run folder {closed / 'run'} to be writable" in message
    assert "Permission denied" in message
    assert content(closed) == before


def test_new_files_and_folders_where_nothing_can_be_written(called, closed):
    closed.chmod(0o755)
    (closed / "source.json").write_text('[{"question": "q", "scores": {"a": 1}}]')
    closed.chmod(0o555)
    with as_nobody():
        code, message = called("import", "routerdc", closed / "source.json", "--out", closed / "out.jsonl")
        with pytest.raises(ZooterError, match=r"a folder for the run.*Permission denied"):
            Run(closed / "new", create=True)
    assert code == 2
    assert f"a place to write {closed / 'out.jsonl'}" in message
    assert {path.name for path in closed.iterdir()} == {"run", "source.json"}


@pytest.fixture
def calls(tmp_path, queries, scores, responses, finished_run, tiny_fleet) -> dict[str, list[object]]:
    source = tmp_path / "source.json"
    source.write_text('[{"question": "q", "scores": {"a": 1}}]')
    sweep = ["sweep", "--scores", scores, "--fleet", tiny_fleet, "--beta", 1, "--seeds", 1, "--folds", 2]
    run = ["run", "--queries", queries, "--fleet", tiny_fleet]
    router = ["--router", finished_run / "router"]
    return {
        "run --out": [*run, "--out"],
        "run --scores": [*run, "--out", tmp_path / "run", "--scores"],
        "distill": ["distill", "--scores", scores, "--encoder", tiny_fleet / "encoder", "--out"],
        "score": ["score", "--responses", responses, "--fleet", tiny_fleet, "--out"],
        "sweep --out": [*sweep, "--out"],
        "sweep --plot": [*sweep, "--plot"],
        "import": ["import", "routerdc", source, "--out"],
        "export": ["export", "routerarena", *router, "--queries", scores, "--out"],
        "extend": ["extend", *router, "--without", "two", "--out"],
    }


NAMES = ("run --out", "run --scores", "distill", "score", "sweep --out", "sweep --plot", "import", "export", "extend")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("beneath", [False, True])
def test_a_place_that_is_taken_is_told_before_the_work(called, calls, tmp_path, monkeypatch, name, beneath):
    """A file where a folder is to be, a folder where a file is to be, and a file where the folder around is to be."""
    for works in ("earned", "figures"):
        monkeypatch.setattr(f"zooter_core.evaluation.sweep.{works}", None)  # it must not come so far
    monkeypatch.setattr("zooter_core.pipeline.train.train", None)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    folder = name in ("run --out", "distill", "extend")
    place = tmp_path / "file" / "new.html" if beneath else tmp_path / ("file" if folder else "folder.html")
    code, message = called(*calls[name], place)
    assert code == 2
    assert f"{place}" in message
    assert (tmp_path / "file").read_text() == "mine"
    assert not list((tmp_path / "folder.html").iterdir())
    assert not (tmp_path / "run").exists()
