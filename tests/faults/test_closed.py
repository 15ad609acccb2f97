"""Places that are closed to the user or taken: one message that names them, or the work is done without them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.process_limits import bound_by_permissions
from support.run_folders import content, unfinish


@pytest.fixture
def place(tmp_path, finished_run, tiny_fleet, queries, scores, responses, monkeypatch) -> Iterator[Path]:
    """A folder with a fleet, a run of it, and files to read and write; everything in it is opened again at the end."""
    shutil.copytree(tiny_fleet, tmp_path / "fleet")
    shutil.copytree(finished_run / "router", tmp_path / "fleet" / "router", dirs_exist_ok=True)
    shutil.copytree(finished_run, tmp_path / "run")
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    state["steps"]["distill"]["encoder"] = str(tmp_path / "fleet" / "encoder")
    (tmp_path / "run" / "run.json").write_text(json.dumps(state | {"fleet": str(tmp_path / "fleet")}))
    shutil.copy(queries, tmp_path / "queries.jsonl")
    shutil.copy(scores, tmp_path / "scores.jsonl")
    shutil.copy(responses, tmp_path / "responses.jsonl")
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    yield tmp_path
    folders = [tmp_path]
    while folders:
        folder = folders.pop()
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o755)
            folders += [path] if path.is_dir() and not path.is_symlink() else []


def call_of(name: str, place: Path) -> list[object]:
    fleet, router = ["--fleet", place / "fleet"], ["--router", place / "fleet" / "router"]
    run, scores = ["--run", place / "run"], ["--scores", place / "scores.jsonl"]
    calls: dict[str, list[object]] = {
        "route": ["route", "Hi", *fleet],
        "run --until label": [
            *("run", "--queries", place / "queries.jsonl", "--out", place / "run", "--until", "label", *fleet)
        ],
        "distill --run": ["distill", "--router-set", "epochs=2", *run],
        "run": [
            *("run", "--queries", place / "queries.jsonl", "--out", place / "out" / "run"),
            *("--router-set", "epochs=2", *fleet),
        ],
        "evaluate": ["evaluate", *router, *scores],
        "distill": ["distill", *scores, "--encoder", place / "fleet" / "encoder", "--out", place / "out" / "router"],
        "sweep": ["evaluate", *scores, "--sweep", "beta=1", "--plot", place / "out" / "s.html", *fleet],
        "score": ["score", "--responses", place / "responses.jsonl", "--out", place / "out" / "scored.jsonl", *fleet],
    }
    return calls[name]


READ = (
    *(("fleet/fleet.toml", "sweep"), ("fleet/router/config.json", "evaluate"), ("scores.jsonl", "distill")),
    *(("fleet/reward/model.safetensors", "score"), ("fleet/adapters", "run"), ("run/rewards.jsonl", "distill --run")),
    ("run", "distill --run"),
)


@pytest.mark.parametrize(("closed", "name"), READ)
def test_what_is_closed_is_named_and_nothing_is_made(called, place, closed, name):
    if name == "distill --run":
        unfinish(place / "run", "distill", 0.5)
    before = content(place)
    (place / closed).chmod(0)
    with bound_by_permissions():
        code, message = called(*call_of(name, place))
    (place / closed).chmod(0o755)
    assert code in (1, 2)
    assert str(place / closed) in message
    assert "Permission denied" in message
    assert "get it again" not in message  # there is nothing wrong with it
    after = content(place)
    assert {file: after[file] for file in before} == before
    assert {
        file for file in after.keys() - before.keys() if not file.startswith(("cache/", "out/run/", "out/."))
    } == set()


@pytest.mark.parametrize(
    ("name", "folder", "mode"),
    [("run", "out", 0o555), ("distill", "out", 0o444), ("score", "out", 0o000), ("run --until label", "run", 0o555)],
)
def test_a_folder_to_write_into_that_is_closed(called, place, name, folder, mode):
    if folder == "run":
        unfinish(place / "run", "label", 0.5)
        (place / "run" / ".lock").unlink(missing_ok=True)
    before = content(place / folder)
    (place / folder).chmod(mode)
    with bound_by_permissions():
        code, message = called(*call_of(name, place))
    (place / folder).chmod(0o755)
    assert code == 2
    assert str(place / folder) in message
    assert "Permission denied" in message
    assert content(place / folder) == before


@pytest.mark.parametrize(("name", "mode"), [("route", 0o000), ("run", 0o555)])
def test_a_closed_cache_is_done_without(called, place, name, mode):
    (place / "cache").mkdir()
    (place / "cache").chmod(mode)
    with bound_by_permissions():
        assert called(*call_of(name, place)) == (0, "")
    (place / "cache").chmod(0o755)
    assert not list((place / "cache").iterdir())


def test_a_router_works_without_neighbours_that_are_closed(called, place):
    (place / "fleet" / "router" / "neighbours.json").chmod(0)
    with bound_by_permissions():
        assert called(*call_of("route", place)) == (0, "")
        assert called(*call_of("evaluate", place)) == (0, "")


@pytest.fixture
def calls(tmp_path, queries, scores, responses, tiny_fleet) -> dict[str, list[object]]:
    run = ["run", "--queries", queries, "--fleet", tiny_fleet]
    return {
        "run --out": [*run, "--out"],
        "run --scores": [*run, "--out", tmp_path / "run", "--scores"],
        "distill": ["distill", "--scores", scores, "--encoder", tiny_fleet / "encoder", "--out"],
        "score": ["score", "--responses", responses, "--fleet", tiny_fleet, "--out"],
        "sweep --plot": ["evaluate", "--scores", scores, "--sweep", "beta=1", "--fleet", tiny_fleet, "--plot"],
    }


@pytest.mark.parametrize(
    ("name", "beneath"),
    [*((name, False) for name in ("run --out", "run --scores", "distill", "score", "sweep --plot")), ("score", True)],
)
def test_a_place_that_is_taken_is_told_before_the_work(called, calls, tmp_path, monkeypatch, name, beneath):
    """A file where a folder is to be, a folder where a file is to be, and a file where the folder around is to be."""
    for works in ("_means", "figures"):
        monkeypatch.setattr(f"zooter_core.evaluation.sweep.{works}", None)  # it must not come so far
    monkeypatch.setattr("zooter_core.pipeline.train.train", None)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    folder = name in ("run --out", "distill")
    place = tmp_path / "file" / "new.html" if beneath else tmp_path / ("file" if folder else "folder.html")
    code, message = called(*calls[name], place)
    assert code == 2
    assert f"{place}" in message
    assert (tmp_path / "file").read_text() == "mine"
    assert not list((tmp_path / "folder.html").iterdir())
    assert not (tmp_path / "run").exists()
