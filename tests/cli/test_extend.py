from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import tiny_models
from support.command_files import POOL, write_lines


@pytest.fixture(scope="session")
def wide(tmp_path_factory) -> Path:
    """Scores of the tiny fleet's candidates and of one more, `new`."""
    lines = [
        {"query": text, "scores": {"new": n % 4, "two": n % 3, "base": n % 5, "one": 1.5}, "tags": ["t"]}
        for n, text in enumerate(tiny_models.QUERIES)
    ]
    return write_lines(tmp_path_factory.mktemp("wide") / "scores.jsonl", lines)


@pytest.fixture
def extend(tiny_fleet, wide, tmp_path) -> list[object]:
    """The call, with the tiny fleet's router, into the folder `wider`."""
    return ["extend", "--router", tiny_fleet / "router", "--scores", wide, "--out", tmp_path / "wider"]


def test_json(zooter, extend, wide, tmp_path):
    router = tmp_path / "wider"
    options = ["--candidate", "new", "--beta", 0.2, "--json"]
    code, out, _ = zooter(*extend, *options, fleet=None)
    shape = json.loads(out)
    assert code == 0
    assert (shape["candidates"], shape["added"], shape["n"], shape["kind"]) == ([*POOL, "new"], "new", 40, "zooter")
    assert shape["labels"] == {"beta": 0.2, "tau": 0.3, "normalise": "spread"}
    assert shape["temperature"] > 0
    assert json.loads((router / "report.json").read_text()) == shape
    code, out, _ = zooter("evaluate", "--router", router, "--scores", wide, "--json", fleet=None)
    assert (code, json.loads(out)["n"]) == (0, 40)


def test_a_candidate_added_and_removed_again(zooter, extend, tiny_fleet, tmp_path):
    wider, back = tmp_path / "wider", tmp_path / "back"
    code, out, err = zooter(*extend, "--candidate", "new", fleet=None)
    assert code == 0
    assert "does not name its label settings" in err
    assert "new from 40 queries" in err
    code, out, err = zooter("extend", "--router", wider, "--without", "new", "--out", back, fleet=None)
    assert (code, out) == (0, "")
    assert "A router for base, one, two is in" in err
    assert (back / "model.safetensors").read_bytes() == (tiny_fleet / "router" / "model.safetensors").read_bytes()
    code, out, _ = zooter("extend", "--router", wider, "--without", "base", "--out", back, "--json", fleet=None)
    assert json.loads(out) == {"router": str(back), "candidates": ["one", "two", "new"], "removed": "base"}


def test_the_label_settings_of_the_router(zooter, scores, wide, tmp_path, tiny_fleet):
    router, wider = tmp_path / "router", tmp_path / "wider"
    call = ["distill", "--scores", scores, "--encoder", tiny_fleet / "encoder", "--epochs", 1, "--tau", 0.7]
    assert zooter(*call, "--out", router)[0] == 0
    call = ["extend", "--router", router, "--scores", wide, "--candidate", "new", "--out", wider, "--json"]
    code, out, err = zooter(*call, fleet=None)
    assert (code, "label settings" in err) == (0, False)
    assert json.loads(out)["labels"] == {"beta": 0.0, "tau": 0.7, "normalise": "spread"}
    assert json.loads((wider / "config.json").read_text())["labels"]["tau"] == 0.7


def test_another_kind(zooter, refused, scores, wide, tmp_path, tiny_fleet):
    router, encoder, kind = tmp_path / "router", tiny_fleet / "encoder", "kmeans"
    assert zooter("distill", "--scores", scores, "--out", router, "--encoder", encoder, "--router-kind", kind)[0] == 0
    call = ["extend", "--router", router, "--scores", wide, "--candidate", "new", "--out", tmp_path / "wide"]
    assert "no label settings for the router kind" in refused(2, *call, "--beta", 0.3, fleet=None)
    code, out, _ = zooter(*call, "--json", fleet=None)
    assert (code, json.loads(out)["labels"], json.loads(out)["penalty"]) == (0, None, None)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--candidate", "base"], "a candidate that the router does not have"),
        (["--candidate", "nwe"], 'Did you mean "new"?'),
        (["--candidate", "new", "--without", "base"], "no --candidate with --without"),
        (["--candidate", "new", "--tau", "0"], "a finite temperature tau > 0"),
        ([], "--candidate NAME with --scores"),
    ],
)
def test_wrong_calls_are_exit_2(refused, extend, tmp_path, options, part):
    assert part in refused(2, *extend, *options, fleet=None)
    assert not (tmp_path / "wider").exists()


def test_the_old_router_stays(refused, tiny_fleet):
    router = tiny_fleet / "router"
    assert "another folder" in refused(2, "extend", "--router", router, "--without", "one", "--out", router, fleet=None)


def test_scores_without_an_old_candidate_are_exit_2(refused, extend, tmp_path):
    lines = [{"query": text, "scores": {"new": 1, "two": 0, "one": 2}} for text in tiny_models.QUERIES]
    narrow = write_lines(tmp_path / "narrow.jsonl", lines)
    call = [narrow if part == extend[4] else part for part in extend]
    assert "none of base" in refused(2, *call, "--candidate", "new", fleet=None)
