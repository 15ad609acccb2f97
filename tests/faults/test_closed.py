"""Places that are closed to the user or taken: one message that names them, or the work is done without them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.process_limits import bound_by_permissions
from support.run_folders import content


@pytest.fixture
def place(tmp_path, finished_run, tiny_fleet, monkeypatch) -> Iterator[Path]:
    """A folder with a fleet that has a router, a folder `out` and the cache; these are opened again at the end."""
    shutil.copytree(tiny_fleet, tmp_path / "fleet")
    shutil.copytree(finished_run / "router", tmp_path / "fleet" / "router", dirs_exist_ok=True)
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    for name in ("out", "cache"):
        (tmp_path / name).mkdir()
    yield tmp_path
    for name in ("out", "cache"):
        (tmp_path / name).chmod(0o755)


def test_what_is_closed_is_named_and_nothing_is_made(called, place, responses):
    weights = place / "fleet" / "reward" / "model.safetensors"
    weights.chmod(0)
    before = content(place / "fleet")
    call = ["score", "--responses", responses, "--fleet", place / "fleet", "--out", place / "out" / "scored.jsonl"]
    with bound_by_permissions():
        code, message = called(*call)
    assert code in (1, 2)
    assert str(weights) in message
    assert "Permission denied" in message
    assert "get it again" not in message  # there is nothing wrong with it
    assert content(place / "fleet") == before
    assert not (place / "out" / "scored.jsonl").exists()


def test_a_folder_to_write_into_that_is_closed(called, place, queries):
    (place / "out").chmod(0o555)
    with bound_by_permissions():
        code, message = called("run", "--queries", queries, "--out", place / "out" / "run", "--fleet", place / "fleet")
    assert code == 2
    assert str(place / "out") in message
    assert "Permission denied" in message
    assert not list((place / "out").iterdir())


def test_a_closed_cache_is_done_without(called, place):
    (place / "cache").chmod(0o555)
    with bound_by_permissions():
        assert called("route", "Hi", "--fleet", place / "fleet") == (0, "")
    assert not list((place / "cache").iterdir())


def test_a_router_works_without_neighbours_that_are_closed(called, place, scores):
    (place / "fleet" / "router" / "neighbours.json").chmod(0)
    with bound_by_permissions():
        assert called("route", "Hi", "--fleet", place / "fleet") == (0, "")
        assert called("evaluate", "--router", place / "fleet" / "router", "--scores", scores) == (0, "")


def test_a_place_that_is_taken_is_told_before_the_work(
    called, tmp_path, monkeypatch, queries, scores, responses, tiny_fleet
):
    """A file where a folder is to be, a folder where a file is to be, and a file where the folder around is to be."""
    for works in ("evaluation.sweep._means", "evaluation.sweep.figures", "pipeline.train.train"):
        monkeypatch.setattr(f"zooter_core.{works}", None)  # it must not come so far
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    for place, *call in (
        (tmp_path / "file", "run", "--queries", queries, "--out"),
        (tmp_path / "folder.html", "evaluate", "--scores", scores, "--sweep", "beta=1", "--plot"),
        (tmp_path / "file" / "new.jsonl", "score", "--responses", responses, "--out"),
    ):
        code, message = called(*call, place, "--fleet", tiny_fleet)
        assert code == 2
        assert str(place) in message
    assert (tmp_path / "file").read_text() == "mine"
    assert not list((tmp_path / "folder.html").iterdir())
