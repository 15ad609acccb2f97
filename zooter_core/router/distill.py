"""Distillation: fit a router's head to labels or scores.

For the kind `zooter` that is minimising the mean KL(label || router) (paper, equation 3); see kinds/ for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.plugins import load_kind
from zooter_core.method import calibration, metrics
from zooter_core.method.labels import complete, normalise
from zooter_core.router.auto import Scored, compare
from zooter_core.router.clusters import Vectors
from zooter_core.router.head import RouterHead, RouterHeadConfig
from zooter_core.router.kinds import AUTO_KIND, KINDS, DistillConfig, Progress
from zooter_core.router.kinds.auto import above
from zooter_core.router.kinds.base import Lessons, State

TRIAL = 100  # queries that it takes to set some aside for a trial
MOST_TRIED = 20_000  # queries of a trial
MOST_EXAMPLES = 2_000_000  # queries in all passes together
LARGER = 16  # times the batch, at most
ASIDE = 5  # one query in five
PATIENCE = 8  # epochs without a better one, after which a trial ends; the first may look good by chance


@dataclass(frozen=True)
class Trial:
    """What a fit on a part of the queries says of the rest: the best number of epochs and the right temperature."""

    epochs: int
    temperature: float = 1.0


class _EnoughError(Exception):
    """A trial has seen enough epochs."""


def learn(
    vectors: Vectors,
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: str,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    scores: NDArray[np.float64] | None = None,
) -> RouterHead:
    """A head that imitates labels, one of another kind that learns from scores, or what `auto` makes of both.

    From TRIAL queries on, a trial on a part of them finds the number of epochs (at most the config's) and the
    temperature that predict best who wins; the head then learns from all queries.

    Args:
        vectors: of the queries, shape (n, width).
        labels: shape (n, candidates), rows sum to one.
        encoder: reference of the encoder that the vectors come from.
        progress: called with each epoch and its mean loss in nats; not called for kinds with a closed form.
        scores: shape (n, candidates), raw, NaN where one is missing; the labels if not given. The kind `zooter` learns
            from the labels alone, every other kind from the scores alone.

    Raises:
        ZooterError: there is no query to learn from, or the kind is unknown.
        WorkError: the weights are not finite in the end.
    """
    if not len(vectors):
        raise ZooterError("at least one query to distill from", "none", "Give a larger queries or score file.")
    best, raw = Trial(config.epochs), labels if scores is None else scores
    if config.kind == AUTO_KIND:
        return fit_head(vectors, labels, candidates, encoder, config, progress, scores)
    if len(labels) >= TRIAL and len(candidates) > 1:
        rows: NDArray[np.intp] | slice = slice(None)
        if len(labels) > MOST_TRIED:
            rows = np.sort(np.random.default_rng(config.seed).permutation(len(labels))[:MOST_TRIED])
        best = trial(vectors[rows], labels[rows], candidates, config, raw[rows])
    head = fit_head(vectors, labels, candidates, encoder, _lasting(config, best.epochs, len(labels)), progress, scores)
    head.config.calibration_temperature = best.temperature
    return head


def _lasting(config: DistillConfig, epochs: int, queries: int) -> DistillConfig:
    """The config with so many epochs. More queries need fewer passes, and larger batches keep the cores busy."""
    config = replace(config, epochs=max(1, min(epochs, MOST_EXAMPLES // queries)))
    return replace(config, batch=config.batch * min(LARGER, max(1, queries // MOST_TRIED)))


def learn_auto(
    scored: Scored,
    candidates: Sequence[str],
    encoder: str,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    compared: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[RouterHead, NDArray[np.float64] | None]:
    """A head of the kind `auto`, and what cross-validation says of it: `Chosen.earned`, NaN for queries without a fold.

    Of very many queries, a random part compares the kinds. Those that have a weight then learn from all.

    Args:
        compared: called with the number of trainings done in the comparison, and of all.
    """
    count = len(scored.scores)
    labels = scored.labels(np.arange(count))
    rows = np.sort(np.random.default_rng(config.seed).permutation(count)[:MOST_TRIED])
    chosen = compare(scored.part(rows) if count > MOST_TRIED else scored, config, fit_head, compared)
    earned = None
    if chosen.earned is not None:
        earned = np.full((3, count), np.nan)
        earned[:, rows] = chosen.earned
    heads = [
        fit_head(
            scored.vectors, labels, candidates, encoder, _lasting(part, part.epochs, count), progress, scored.scores
        )
        for part in chosen.parts
    ]
    parts = [{"kind": head.config.kind, "settings": head.config.settings} for head in heads]
    settings: dict[str, Any] = {"parts": parts, "share": round(chosen.share, 4)}
    if heads:
        settings |= {"share_far": round(chosen.share_far, 4), "landmarks": len(chosen.landmarks)}
        settings |= {"support": bool(len(chosen.gains))}
    width = scored.vectors.shape[-1]
    head = RouterHead(
        RouterHeadConfig(candidates, encoder, width, AUTO_KIND, settings, calibration_temperature=chosen.temperature)
    )
    state: State = {"weights": chosen.weights, "level": chosen.level}
    if heads:
        state |= {"far.weights": chosen.far[0], "far.level": chosen.far[1], "reach": np.array(chosen.reach)}
        state |= {"landmarks": chosen.landmarks} | ({"gains": chosen.gains} if len(chosen.gains) else {})
    state = {name: value.astype(np.float32) for name, value in state.items()}
    for number, part in enumerate(heads):
        state |= above(part.body.state, number)
    head.set_state(state)
    check_converged(head, config)
    return head, earned


def trial(
    vectors: Vectors,
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    config: DistillConfig,
    scores: NDArray[np.float64],
) -> Trial:
    """How long to train, and how sharp the distribution should be, judged on a fifth of the queries set aside."""
    aside = np.random.default_rng(config.seed).permutation(len(labels)) % ASIDE == 0
    wins = complete(metrics.win_shares(scores[aside]), labels[aside])
    trials: list[tuple[float, Trial]] = []

    def judge(head: RouterHead, epoch: int) -> None:
        logits = head.logits(vectors[aside])
        temperature = calibration.temperature_of(logits, wins)
        trials.append((calibration.log_loss(logits, wins, temperature), Trial(epoch, temperature)))
        best = min(range(len(trials)), key=lambda row: trials[row][0])
        if len(trials) - 1 - best >= PATIENCE:
            raise _EnoughError

    try:
        head = fit_head(vectors[~aside], labels[~aside], candidates, "", config, scores=scores[~aside], judge=judge)
        if not trials:
            judge(head, config.epochs)
    except _EnoughError:
        pass
    return min(trials, key=lambda pair: pair[0])[1]


def fit_head(
    vectors: Vectors,
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: str,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    scores: NDArray[np.float64] | None = None,
    judge: Callable[[RouterHead, int], None] | None = None,
) -> RouterHead:
    """A head after all of the config's epochs; `judge` sees it after each of them. `auto` finds their number itself.

    Every kind gets the scores relative to their query's mean and in units of their spread, so that none depends on the
    scale that they came on.

    Raises:
        WorkError: its weights are not finite.
    """
    if config.kind == AUTO_KIND:
        scored = Scored(vectors, labels if scores is None else scores, np.zeros(len(labels)), labels.__getitem__)
        return learn_auto(scored, candidates, encoder, config, progress)[0]
    # In double precision, so that scores which are large beside their differences keep these.
    scores = normalise(labels if scores is None else scores, "spread", ())
    scores = np.where(np.isnan(scores).all(axis=0), 0.0, scores)  # a candidate without any counts as average
    lessons = Lessons(vectors, np.asarray(labels, dtype=np.float32), scores.astype(np.float32))
    settings = load_kind("router", KINDS, config.kind).plan(lessons, config)
    head = RouterHead(RouterHeadConfig(candidates, encoder, vectors.shape[-1], config.kind, settings))

    def after_epoch(epoch: int, loss: float) -> None:
        progress(epoch, loss)
        if judge is not None:
            judge(head, epoch)

    with np.errstate(all="ignore"):  # what does not converge is refused
        head.body.fit(lessons, config, after_epoch)
    check_converged(head, config)
    return head


def check_converged(head: RouterHead, config: DistillConfig) -> None:
    """Refuse the result of a training whose weights are not finite.

    Raises:
        WorkError: they are not.
    """
    for name, weights in head.body.state.items():
        if not np.isfinite(weights).all():
            raise diverged(name, config)


def diverged(name: str, config: DistillConfig) -> WorkError:
    """The error for a training that ended with a weight that is not finite."""
    return WorkError(
        f"a training of the router kind {config.kind} that converges",
        f"NaN or infinity in its weights ({name})",
        "Lower its settings, for instance with --router-set rate=0.001.",
    )
