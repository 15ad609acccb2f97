"""Distillation: fit the router's head to labels by minimising the mean KL(label || router) (paper, equation 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from zooter_core.encoder import Encoder
from zooter_core.errors import ZooterError
from zooter_core.router import Router, RouterHead, RouterHeadConfig

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class DistillConfig:
    """How the head is trained. The encoder stays frozen."""

    seed: int = 0
    epochs: int = 30
    rate: float = 1e-3
    decay: float = 0.1
    batch: int = 32
    hidden: int = 64
    dropout: float = 0.5


def distill(
    queries: Sequence[str],
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: Encoder,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
) -> Router:
    """A router that imitates labels.

    Args:
        labels: shape (n, candidates), rows sum to one.
        progress: told the epoch and its mean loss in nats.

    Raises:
        ZooterError: there is no query to learn from.
    """
    if not len(queries):
        raise ZooterError("at least one query to distill from", "none", "Give a larger queries or score file.")
    head = fit_head(encoder.embed_all(queries), labels, candidates, encoder.reference, config, progress)
    return Router(head, encoder)


def fit_head(
    vectors: NDArray[np.float32],
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: str,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
) -> RouterHead:
    """The same from vectors of the queries, shape (n, width), that the encoder of that name has made."""
    inputs = torch.from_numpy(vectors)
    wanted = torch.from_numpy(np.asarray(labels, dtype=np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = RouterHead(
            RouterHeadConfig(
                candidates=list(candidates),
                encoder=encoder,
                width=inputs.shape[1],
                hidden=config.hidden,
                dropout=config.dropout,
            )
        )
        _fit(head, inputs, wanted, config, progress)
    return head.eval()


def _fit(
    head: RouterHead, vectors: torch.Tensor, wanted: torch.Tensor, config: DistillConfig, progress: Progress
) -> None:
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.rate, weight_decay=config.decay)
    head.train()
    for epoch in range(1, config.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(vectors)).split(config.batch):
            logits = torch.log_softmax(head(vectors[rows]), dim=-1)
            loss = torch.nn.functional.kl_div(logits, wanted[rows], reduction="batchmean")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        progress(epoch, total / len(vectors))
