"""benchmarks/rivals.py: the routers of the literature, their equations worked by hand."""

from __future__ import annotations

import json
import math
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from support.command_files import write_lines
from support.three_groups import NEW, VECTORS
from support.three_groups import TABLE as SCORES
from zooter_core.method.labels import normalise, softmax
from zooter_core.router.distill import learn
from zooter_core.router.kinds import KINDS, configure

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.append(str(FOLDER))  # as for a script that is run

rivals = import_module("rivals")


@pytest.fixture(autouse=True)
def kinds(monkeypatch):
    for name, place in rivals.RIVALS.items():
        monkeypatch.setitem(KINDS, name, place)


def logits(kind, vectors, scores, new, settings=None):
    names = [str(column) for column in range(scores.shape[1])]
    config = configure(kind, settings)
    return learn(vectors, softmax(scores), names, "none", config, scores=scores).logits(new)


@pytest.mark.parametrize("kind", rivals.RIVALS)
def test_it_chooses_the_candidate_of_the_group(kind):
    """Also where each candidate lacks its score on a third of the queries of every group."""
    gaps = SCORES.copy()
    gaps[np.arange(60), np.arange(60) // 3 % 3] = np.nan
    settings = {"epochs": 60, "rate": 1e-2} if kind not in ("knn", "ridge") else {}
    for scores in (SCORES, gaps):
        assert logits(kind, VECTORS, scores, NEW, settings).argmax(axis=-1).tolist() == [0, 1, 2]


def test_another_script_runs_with_these_kinds(tmp_path, tiny_encoder, monkeypatch, capsys):
    rows = [
        {"id": str(n), "dataset": f"d{n % 2}", "query": f"Add {n} apples", "scores": {"a": n % 2, "b": 0.5}}
        for n in range(20)
    ]
    call = ["rivals.py", "heads.py", write_lines(tmp_path / "scores.jsonl", rows), "--encoder", tiny_encoder.reference]
    call += ["--kinds", "kmeans", "knn", "ridge", "--seeds", "1", "--json"]
    monkeypatch.setattr(sys, "argv", [*map(str, call)])
    rivals.main()
    methods = [row["method"] for row in json.loads(capsys.readouterr().out)["rows"]]
    assert methods[:3] == ["kmeans", "knn", "ridge"]


@pytest.mark.parametrize(
    ("head", "state", "logits"),
    [
        (rivals.CosineHead(2, 2, 2, 0.0), {"log_scale": np.array(np.log(10))}, [8.0, 6.0]),
        (rivals.ContrastiveHead(2, 2, 2, 0.0, temperature=0.5), {}, [1.6, 1.2]),
        (rivals.FactorHead(2, 2, 2, 0.0), {}, [8.0, 15.0]),
    ],
)
def test_logits_by_hand(head, state, logits):
    """The query is (2, 4) + (1, 0); with (0, 2) and (5, 0) it has the cosines .8 and .6, and the products 8 and 15."""
    state |= {"project.weight": np.eye(2), "project.bias": np.array([1.0, 0.0])}
    state |= {"candidates": np.array([[0.0, 2.0], [5.0, 0.0]])}
    assert head.on(state).logits(np.array([[2.0, 4.0]]))[0].tolist() == pytest.approx(logits)


def test_ridge_is_least_squares_with_a_row_of_sqrt_penalty_for_each_weight():
    """|XW - Y|^2 + penalty |W|^2 is |[X; sqrt(penalty) I] W - [Y; 0]|^2, with X and Y less their means."""
    scores = normalise(SCORES, "spread", ())  # what every kind learns from
    centre, level = VECTORS.mean(axis=0), scores.mean(axis=0)
    left = np.vstack([VECTORS - centre, np.sqrt(2) * np.eye(6)])
    right = np.vstack([scores - level, np.zeros((6, 3))])
    weight = np.linalg.lstsq(left, right)[0]
    predicted = logits("ridge", VECTORS, SCORES, NEW, {"penalty": 2.0})
    assert predicted == pytest.approx((NEW - centre) @ weight + level, abs=1e-5)


# cosine


def test_the_best_candidates_share_a_query():
    scores = np.array([[1.0, 0.0, 1.0], [2.0, 2.0, 2.0], [0.0, 3.0, 1.0]])
    assert rivals.best_shares(scores).tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def test_loss_is_the_cross_entropy_with_the_best():
    """Softmax (1/4, 1/4, 1/2): half of ln 4 and half of ln 2; then ln 4. The query that all share does not count."""
    logits = torch.tensor([[1.0, 1.0, 2.0]] * 3).log()
    targets = torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    expected = ((math.log(4) + math.log(2)) / 2 + math.log(4)) / 2
    assert rivals.best_loss(logits, targets).item() == pytest.approx(expected)


# mf


@pytest.mark.parametrize(
    ("logits", "scores", "loss"),
    [
        ([[math.log(3), 0.0]], [[1.0, 0.0]], math.log(4 / 3)),  # the winner's chance is 3/4
        ([[math.log(3), 0.0]], [[0.0, 0.2]], math.log(4)),
        ([[7.0, 0.0]], [[1.0, 1.0]], 0.0),  # a tie is no win
        ([[0.0, 0.0, 0.0]], [[2.0, 1.0, 0.0]], math.log(2)),
        ([[math.log(3), 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], (math.log(4 / 3) + math.log(2)) / 2),
    ],
)
def test_loss_of_the_pairs_won(logits, scores, loss):
    assert rivals.wins_loss(torch.tensor(logits), torch.tensor(scores)).item() == pytest.approx(loss, abs=1e-6)


# routerdc: similarities are logarithms, so that their powers are whole numbers


LOGITS = torch.tensor([[1.0, 2.0, 5.0]]).log()


@pytest.mark.parametrize(
    ("scores", "positives", "negatives", "loss"),
    [
        ([1.0, 0.0, 0.0], 1, 2, math.log(8 / 1)),
        ([1.0, 0.0, 0.0], 3, 3, math.log(8 / 1)),  # those below the mean are no positives, those above no negatives
        ([1.0, 1.0, 0.0], 2, 2, math.log(6 / 1) + math.log(7 / 2)),
        ([0.9, 0.5, 0.1], 3, 1, math.log(6 / 1)),  # 0.5 is the mean: neither
        ([1.0, 1.0, 1.0], 3, 3, 0.0),
    ],
)
def test_sample_llm_loss(scores, positives, negatives, loss):
    value = rivals.sample_llm_loss(LOGITS, torch.tensor([scores]), positives, negatives)
    assert value.item() == pytest.approx(loss, abs=1e-6)


ALIKE = torch.tensor([[9.0, 2.0, 3.0], [2.0, 9.0, 4.0], [3.0, 4.0, 9.0]]).log()


def test_sample_sample_loss():
    """Queries 1 and 2 are mates, 3 is the stranger: ln((2 + 3) / 2) and ln((2 + 4) / 2). 3 has no mate."""
    value = rivals.sample_sample_loss(ALIKE, torch.tensor([0, 0, 1]), 2)
    assert value.item() == pytest.approx((math.log(5 / 2) + math.log(6 / 2)) / 2)
