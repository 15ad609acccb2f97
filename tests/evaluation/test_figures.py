from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.sample_report import SWEEP, held_back
from support.sample_report import report as content
from zooter_core.base.errors import ZooterError
from zooter_core.evaluation import figures

EMBEDDED = Path(__file__).parents[2] / "models" / "embedded"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_report_lies_in_the_folder_or_with_the_router(tmp_path):
    router = tmp_path / "run" / "router"
    assert figures.find(tmp_path, router) is None
    inside = write(router / "report.json", {})
    assert figures.find(tmp_path, router) == inside  # zooter distill --scores
    beside = write(tmp_path / "run" / "report.json", {})
    assert figures.find(tmp_path, router) == beside  # zooter run
    in_folder = write(tmp_path / "report.json", {})
    assert figures.find(tmp_path, router) == in_folder
    assert figures.find(tmp_path) == in_folder


def test_a_report_is_written_as_it_was_read(tmp_path):
    values = json.loads((EMBEDDED / "report.json").read_text())
    later = values | {"a key of a later version": 1}
    figures.load_report(write(tmp_path / "read.json", later)).write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == values


def test_parts_without_figures_are_left_out(tmp_path):
    loaded = figures.load_report(write(tmp_path / "report.json", content()))
    assert (loaded.losses, loaded.set_aside, loaded.held_back.n) == ([], {}, 4)
    loaded.write(tmp_path / "again.json")
    assert set(json.loads((tmp_path / "again.json").read_text())) == {"candidates", "held_back"}
    assert figures.load_report(tmp_path / "again.json") == loaded


def test_a_sweep_is_read(tmp_path):
    assert figures.to_json(figures.load_sweep(write(tmp_path / "sweep.json", SWEEP))) == SWEEP
    assert figures.load_sweep(EMBEDDED / "sweep.json").best_row.tau == 1.0


HELD_BACK = held_back()
DATASETS, X = HELD_BACK["datasets"], HELD_BACK["datasets"]["x"]
WITHOUT_RMR = {name: value for name, value in X.items() if name != "rmr"}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"datasets": {}}, "datasets is empty"),
        ({"datasets": {"x": X | {"candidates": {}}}}, "datasets.x lacks"),
        ({"datasets": DATASETS | {"x": X | {"candidates": {"c": 1}}}}, "different candidates"),
        ({"datasets": DATASETS | {"x": WITHOUT_RMR}}, "figures of rmr"),
        ({"calibration": {"ece": 0.1, "bins": [{"from": 0.0}]}}, 'held_back.calibration": .*incomplete'),
        ({"single": {"mtr": {}}}, "single lacks uplift"),
        ({"selection": {"curves": []}}, 'held_back.selection": .*curves is empty'),
    ],
)
def test_an_incomplete_report_is_one_clear_error(tmp_path, change, place):
    path = write(tmp_path / "report.json", content() | {"held_back": HELD_BACK | change})
    with pytest.raises(ZooterError, match=place) as caught:
        figures.load_report(path)
    assert str(path) in caught.value.failure.expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "should be an object"),
        ({"candidates": {"a": {}}}, "candidates.a"),
        ({"candidates": {}}, "another kind of report"),
    ],
)
def test_another_file_is_no_report(tmp_path, content, message):
    with pytest.raises(ZooterError, match=message):
        figures.load_report(write(tmp_path / "report.json", content))
