"""Distillation: fit a router's head to what the candidates earned.

For the kind `zooter` that is minimising the mean KL(label || router) (paper, equation 3); `heads` has the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from zooter_core.encoder import Encoder
from zooter_core.errors import ZooterError
from zooter_core.heads import DEFAULT, KINDS, DistillConfig, Progress
from zooter_core.heads.base import Lessons
from zooter_core.plugins import load_kind
from zooter_core.router import Router, RouterHead, RouterHeadConfig


def distill(
    queries: Sequence[str],
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: Encoder,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    scores: NDArray[np.float64] | None = None,
) -> Router:
    """A router that imitates labels, or of another kind one that learns from scores.

    Args:
        labels: shape (n, candidates), rows sum to one.
        progress: told the epoch and its mean loss in nats; not told where the kind has a closed form.
        scores: shape (n, candidates), raw; the labels stand in where there are none. The kind `zooter` has no use for
            them, every other kind none for the labels.

    Raises:
        ZooterError: there is no query to learn from, or no such kind.
    """
    if not len(queries):
        raise ZooterError("at least one query to distill from", "none", "Give a larger queries or score file.")
    head = fit_head(encoder.embed_all(queries), labels, candidates, encoder.reference, config, progress, scores)
    return Router(head, encoder)


def fit_head(
    vectors: NDArray[np.float32],
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: str,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    scores: NDArray[np.float64] | None = None,
) -> RouterHead:
    """The same from vectors of the queries, shape (n, width), that the encoder of that name has made."""
    wanted = torch.from_numpy(np.asarray(labels, dtype=np.float32))
    earned = wanted if scores is None else torch.from_numpy(np.asarray(scores, dtype=np.float32))
    lessons = Lessons(torch.from_numpy(vectors), wanted, earned)
    plan = load_kind("router", KINDS, config.kind).plan(lessons, config)
    own = plan if config.kind == DEFAULT else {"settings": plan}
    made = RouterHeadConfig(
        candidates=list(candidates), encoder=encoder, width=vectors.shape[1], kind=config.kind, **own
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = RouterHead(made)
        head.body.fit(lessons, config, progress)
    return head.eval()
