"""What numpy computes is what PyTorch computes: functions of arrays, gradients and steps of the optimizer."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from zooter_core.router.finetune import Members
from zooter_core.router.kinds import arrays
from zooter_core.router.kinds.zooter import BLOCK, Perceptrons, ZooterHead

RANDOM = np.random.default_rng(2)
VECTORS = RANDOM.normal(size=(11, 20)).astype(np.float32)
LABELS = RANDOM.dirichlet(np.ones(5), size=11).astype(np.float32)
LABELS[0] = np.eye(5)[2]  # nothing for the others


def head_of(hidden: int = 7, members: int = 3) -> ZooterHead:
    head = ZooterHead(20, 5, hidden=hidden, dropout=0.0, members=members)
    head.start(np.random.default_rng(1))
    return head


def loss_of(members: Members) -> torch.Tensor:
    logs = members(torch.from_numpy(VECTORS))
    labels = torch.from_numpy(LABELS).expand_as(logs)
    return torch.nn.functional.kl_div(logs, labels, reduction="sum") / (len(logs) * len(VECTORS))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (arrays.gelu, functional.gelu),
        (arrays.softmax, partial(torch.softmax, dim=-1)),
        (arrays.log_softmax, partial(torch.log_softmax, dim=-1)),
        (arrays.unit, partial(functional.normalize, dim=-1)),
    ],
)
def test_a_function_of_arrays_is_pytorchs(function, expected):
    values = RANDOM.normal(scale=4, size=(50, 30)).astype(np.float32)
    values[0] = 0
    assert function(values) == pytest.approx(expected(torch.from_numpy(values)).numpy(), rel=1e-5, abs=1e-6)


def test_a_head_on_pytorch_is_the_same_without_dropout():
    head = head_of()
    members = Members(head)
    logs = torch.logsumexp(members.eval()(torch.from_numpy(VECTORS)), dim=0).detach().numpy() - np.log(3)
    assert head.logits(VECTORS) == pytest.approx(logs, abs=1e-6)
    members.dropout = 0.5
    assert not torch.equal(members.train()(torch.from_numpy(VECTORS)), members.eval()(torch.from_numpy(VECTORS)))


def test_the_loss_and_its_gradient_are_those_of_autograd():
    head = head_of()
    learning, members = Perceptrons(head.state, 0.0, RANDOM), Members(head)
    loss = loss_of(members)
    loss.backward()
    assert learning.differentiate(VECTORS, LABELS) == pytest.approx(loss.item(), rel=1e-5)
    inner, inner_bias, outer, outer_bias = learning._slopes
    slopes = {
        "inner": inner.reshape(20, 3, 7).transpose(1, 0, 2),
        "inner_bias": inner_bias.reshape(3, 1, 7),
        "outer": outer,
        "outer_bias": outer_bias,
    }
    for name, slope in slopes.items():
        assert slope == pytest.approx(members.state[name].grad.numpy(), abs=1e-7), name


def test_dropout_drops_states_and_their_gradients_and_keeps_the_mean():
    head = head_of(hidden=500, members=1)
    learning = Perceptrons(head.state, 0.5, np.random.default_rng(0))
    learning.differentiate(VECTORS[:1], LABELS[:1])
    by_outer = learning._slopes[2][0]
    dropped = (by_outer == 0).all(axis=1)
    assert 0.4 < dropped.mean() < 0.6
    assert np.array_equal((learning._slopes[0] == 0).all(axis=0), dropped)
    exact = Perceptrons(head.state, 0.0, RANDOM)
    exact.differentiate(VECTORS[:1], LABELS[:1])
    ratio = by_outer[~dropped] / exact._slopes[2][0][~dropped]
    assert np.median(ratio) == pytest.approx(2, abs=0.5)  # what stays counts twice


@pytest.mark.parametrize("hidden", [7, BLOCK // 50])
def test_steps_are_those_of_adamw(hidden):
    head = head_of(hidden)
    learning, members = Perceptrons(head.state, 0.0, RANDOM), Members(head)
    optimizer = torch.optim.AdamW(members.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        loss_of(members).backward()
        optimizer.step()
        learning.step(VECTORS, LABELS, 1e-2, 0.1)
    for name, weight in members.state.items():
        assert learning.state[name] == pytest.approx(weight.detach().numpy(), abs=1e-4), name
