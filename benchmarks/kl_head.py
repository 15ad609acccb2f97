"""The alternative to regressions: a linear head that imitates labels by the KL divergence (paper, equation 3).

Labels need every candidate's reward, so incomplete ones are completed first. The head minimises

    sum over t of u(t) KL(s(t) || softmax(x(t) W))  +  penalty / 2 |W|^2

by steps W += (X'UX / 2 + penalty I)^-1 (X'U (S - P) - penalty W). The matrix bounds the Hessian from above (Boehning,
"Multinomial logistic regression algorithm", 1992), so no step increases the sum, and it is factored once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.labels import complete, softmax
from zooter_core.method.partial_rewards import INTERCEPT, Linear

Array = NDArray[np.float64]
STEPS = 30


def completed_labels(rewards: Array, predicted: Array, scale: float, tau: float) -> Array:
    """Labels of queries of which some rewards are missing, shape (n, m): those of `labels.complete`.

    A missing candidate's share is the one predicted. So a query with a single reward says nothing about the choice:
    filling its other rewards with predictions would favour whoever was looked at, because his reward alone varies.

    Args:
        rewards: shape (n, m), NaN where one is missing. predicted: logits, shape (n, m).
        scale: the spread of the rewards; `tau` is on the scale of rewards divided by it.
    """
    scored = ~np.isnan(rewards).all(axis=1)
    labels = softmax(predicted)
    labels[scored] = complete(softmax(rewards[scored] / (scale or 1.0), tau), labels[scored])
    return labels


def fit_kl(vectors: Array, labels: Array, weights: Array, penalty: float, start: Linear | None = None) -> Linear:
    """The head that imitates labels.

    Args:
        vectors: shape (n, k). labels: shape (n, m), rows sum to one. weights: u, shape (n,).
        start: where the steps begin; at zero by default.
    """
    x = np.concatenate([np.ones((len(vectors), 1)), vectors], axis=1)
    ridge = np.full(x.shape[1], penalty)
    ridge[0] = INTERCEPT
    head = np.zeros((x.shape[1], labels.shape[1]))
    if start is not None:
        head = np.concatenate([start.bias[None], start.weight])
    weighted = x.T * weights
    inverse = np.linalg.inv(weighted @ x / 2 + np.diag(ridge))
    for _ in range(STEPS):
        head += inverse @ (weighted @ (labels - softmax(x @ head)) - ridge[:, None] * head)
    return Linear(head[1:], head[0])
