"""`zooter distill --scores`: a router from score files. From a run: test_run.py."""

from __future__ import annotations

import json

import pytest

from support.command_files import read_lines, write_lines
from zooter_core.evaluation.figures import load_report
from zooter_core.evaluation.verdicts import of_report, sentences


@pytest.fixture
def distill(scores, tmp_path, tiny_fleet) -> list[object]:
    """The call, with the tiny encoder, into the folder `router`."""
    return ["distill", "--scores", scores, "--out", tmp_path / "router", "--encoder", tiny_fleet / "encoder"]


def test_tags_are_those_of_the_file_or_clusters(zooter, distill, scores, tmp_path):
    training = ("--router-kind", "zooter", "--router-set", "epochs=1")
    code, _, err = zooter(*distill, *training)
    assert code == 0
    assert "A router for two, base, one is in" in err
    assert "1 tag." in err
    distill[2] = write_lines(tmp_path / "scores.jsonl", [line | {"tags": []} for line in read_lines(scores)])
    assert "5 tags." in zooter(*distill, *training)[2]


def test_queries_that_repeat_others_are_counted(zooter, distill, scores):
    call = [*distill[:3], scores, *distill[3:], "--router-kind", "kmeans"]
    assert "10 of 20 queries repeat others." in zooter(*call)[2]


def test_the_verdict_of_the_held_back_queries(zooter, distill, tmp_path):
    code, out, _ = zooter(*distill, "--router-set", "epochs=1")
    assert (code, "cross-validated queries" in out) == (0, True)  # nothing is held back
    code, out, _ = zooter(*distill, "--router-kind", "zooter", "--router-set", "epochs=1")
    assert (code, out) == (0, "")
    code, out, _ = zooter(*distill, "--router-set", "epochs=1", "--holdout", 0.5)
    verdict = of_report(load_report(tmp_path / "router" / "report.json"))
    assert (code, out.splitlines()) == (0, sentences(verdict))
    assert (verdict.source, verdict.hindsight) == ("held-back", False)


def test_finetuning_saves_the_encoder(zooter, distill, tmp_path):
    assert zooter(*distill, "--finetune", "last", "--router-set", "epochs=1")[0] == 0
    assert (tmp_path / "router" / "encoder" / "model.safetensors").is_file()


def test_settings_of_a_kind(zooter, distill, scores, tmp_path):
    assert zooter(*distill, "--router-kind", "kmeans", "--router-set", "clusters=3")[0] == 0
    config = json.loads((tmp_path / "router" / "config.json").read_text())
    assert (config["kind"], config["settings"]) == ("kmeans", {"clusters": 3})
    code, out, _ = zooter("evaluate", "--router", tmp_path / "router", "--scores", scores, "--json", fleet=None)
    assert (code, json.loads(out)["n"]) == (0, 10)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--router-kind", "kmeens"], 'Did you mean "kmeans"?'),
        (["--router-kind", "kmeans", "--router-set", "cluster=3"], 'Did you mean "clusters"?'),
        (["--router-kind", "kmeans", "--beta", 0.3], "no label settings for the router kind kmeans"),
        (["--router-set", "epochs=0"], "epochs as a whole number of at least 1"),
    ],
)
def test_wrong_settings_are_exit_2(refused, distill, tmp_path, options, part):
    assert part in refused(2, *distill, *options)
    assert not (tmp_path / "router").exists()


def test_several_processes_are_refused(refused, distill, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "A router is trained in one process." in refused(2, *distill, "--finetune", "all")
