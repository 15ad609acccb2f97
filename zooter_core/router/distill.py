"""Distillation: fit a router's head to what the candidates earned.

For the kind `zooter` that is minimising the mean KL(label || router) (paper, equation 3); `heads` has the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from zooter_core.errors import WorkError, ZooterError
from zooter_core.method import calibration, metrics
from zooter_core.plugins import load_kind
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import KINDS, DistillConfig, Progress
from zooter_core.router.kinds.base import Lessons
from zooter_core.router.router import Router, RouterHead, RouterHeadConfig
from zooter_core.weights import LOAD_LOCK, not_finite

TRIAL = 100  # queries that it takes to set some aside for a trial
ASIDE = 5  # one in so many
PATIENCE = 8  # epochs without a better one, after which a trial ends; the first may look good by chance


@dataclass(frozen=True)
class Trial:
    """What a fit on a part of the queries says of the rest: the best number of epochs and the right temperature."""

    epochs: int
    temperature: float = 1.0


class _EnoughError(Exception):
    """A trial has seen enough epochs."""


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
        scores: shape (n, candidates), raw; the labels stand in where there are none. The kind `zooter` learns from the
            labels alone, every other kind from the scores alone.

    Raises:
        ZooterError: there is no query to learn from, or no such kind.
    """
    if not len(queries):
        raise ZooterError("at least one query to distill from", "none", "Give a larger queries or score file.")
    head = learn(encoder.embed_all(queries), labels, candidates, encoder.reference, config, progress, scores)
    return Router(head, encoder)


def learn(
    vectors: NDArray[np.float32],
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: str,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    scores: NDArray[np.float64] | None = None,
) -> RouterHead:
    """The same from vectors of the queries, shape (n, width), that the encoder of that name has made.

    From TRIAL queries on, a fifth of them is set aside first to see after how many epochs (at most the config's) a head
    predicts best who wins, and at which temperature; the head that is returned learns from all.
    """
    found = Trial(config.epochs)
    if len(labels) >= TRIAL and len(candidates) > 1:
        found = trial(vectors, labels, candidates, config, labels if scores is None else scores)
    head = fit_head(
        vectors, labels, candidates, encoder, replace(config, epochs=found.epochs), progress, scores
    )  # fmt: skip
    head.config.calibration_temperature = found.temperature
    return head


def trial(
    vectors: NDArray[np.float32],
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    config: DistillConfig,
    scores: NDArray[np.float64],
) -> Trial:
    """How long to train, and how sharp the distribution should be, by a fifth of the queries kept from a head."""
    aside = np.random.default_rng(config.seed).permutation(len(labels)) % ASIDE == 0
    wins = metrics.win_shares(scores[aside])
    kept = torch.from_numpy(vectors[aside])
    seen: list[tuple[float, Trial]] = []

    def look(head: RouterHead, epoch: int) -> None:
        with torch.inference_mode():
            logits = head.eval()(kept).double().numpy()
        temperature = calibration.temperature_of(logits, wins)
        seen.append((calibration.log_loss(logits, wins, temperature), Trial(epoch, temperature)))
        best = min(range(len(seen)), key=lambda row: seen[row][0])
        if len(seen) - 1 - best >= PATIENCE:
            raise _EnoughError

    try:
        head = fit_head(
            vectors[~aside], labels[~aside], candidates, "", config, scores=scores[~aside], look=look
        )  # fmt: skip
        if not seen:
            look(head, config.epochs)
    except _EnoughError:
        pass
    return min(seen, key=lambda one: one[0])[1]


def fit_head(
    vectors: NDArray[np.float32],
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: str,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    scores: NDArray[np.float64] | None = None,
    look: Callable[[RouterHead, int], None] | None = None,
) -> RouterHead:
    """A head after all of the config's epochs; `look` is shown it after each of them.

    Raises:
        WorkError: its weights are not finite.
    """
    wanted = torch.from_numpy(np.asarray(labels, dtype=np.float32))
    earned = wanted if scores is None else torch.from_numpy(np.asarray(scores, dtype=np.float32))
    lessons = Lessons(torch.from_numpy(vectors), wanted, earned)
    plan = load_kind("router", KINDS, config.kind).plan(lessons, config)
    made = RouterHeadConfig(
        candidates=list(candidates), encoder=encoder, width=vectors.shape[-1], kind=config.kind, settings=plan
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        with LOAD_LOCK:
            head = RouterHead(made)

        def tell(epoch: int, loss: float) -> None:
            progress(epoch, loss)
            if look is not None:
                look(head, epoch)
                head.train()

        head.body.fit(lessons, config, tell)
    check_converged(head, config)
    return head.eval()


def check_converged(model: torch.nn.Module, config: DistillConfig) -> None:
    """Refuse what a training has made if its weights are not finite.

    Raises:
        WorkError: they are not.
    """
    if name := not_finite(model):
        raise WorkError(
            f"a training of the router kind {config.kind} that converges",
            f"NaN or infinity in its weights ({name})",
            "Lower its settings, for instance with --router-set rate=0.001.",
        )
