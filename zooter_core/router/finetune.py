"""Fine-tuning: the encoder learns with the router's head, as in the paper (section 4.1: mDeBERTa-v3-base, all weights).

The default is the frozen encoder of `distill`: it takes seconds and does better on small data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zooter_core.base.errors import ZooterError
from zooter_core.method import metrics
from zooter_core.method.labels import complete
from zooter_core.router import processes
from zooter_core.router.clusters import Vectors
from zooter_core.router.config import ENCODER_FOLDER
from zooter_core.router.distill import ASIDE, TRIAL, check_converged, fit_head
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import DEFAULT, DistillConfig, Progress
from zooter_core.router.torch_router import RouterHead, RouterHeadConfig, TorchRouter
from zooter_core.router.training import EPOCHS, Lesson, Steps, Training

MODES = ("none", "last", "all")
CHECKPOINT = "finetune.checkpoint"  # in the folder of the router, or of the run, until the training is over
VERSION = 1  # of the training: a checkpoint of another one is ignored


def check_settings(config: DistillConfig) -> None:
    """Refuse what cannot be fine-tuned.

    Raises:
        ZooterError: the router is of another kind than `zooter`, or there is no such mode.
    """
    if config.finetune not in MODES[1:] or config.kind != DEFAULT:
        raise ZooterError(
            f"--finetune {' or '.join(MODES[1:])} with the router kind {DEFAULT}",
            f"{config.finetune} with {config.kind}", "Leave one of them out.",
        )  # fmt: skip


def finetune(
    queries: Sequence[str],
    vectors: Vectors,
    labels: NDArray[np.float64],
    candidates: Sequence[str],
    encoder: Encoder,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    scores: NDArray[np.float64] | None = None,
    checkpoint: Path | None = None,
    steps: Steps = lambda done, total: None,
) -> TorchRouter:
    """A router whose encoder has learned too: its last layer, or all of its weights but the word embeddings.

    The head starts from the one that `distill` would fit. From TRIAL queries on, a fifth of them is set aside, and the
    weights after the epoch that predicts that part best are kept. Runs on one GPU or on the processor, and with
    `together` in several processes of `accelerate launch`, by accelerate.

    Args:
        vectors: of the queries by the encoder as it is, shape (n, width).
        labels, progress, scores: as in `distill.learn`.
        checkpoint: a file that is written every few minutes, and from which the same call continues after an
            interruption. It stays there at the end.
        steps: called with the number of queries done in all epochs, and their total.

    Raises:
        ZooterError: the router is of another kind than `zooter`, or there is no such mode.
        WorkError: the weights are not finite in the end, another process failed, or the disk is full.
    """
    check_settings(config)
    aside = np.zeros(len(queries), dtype=bool)
    if len(queries) >= TRIAL:
        aside = np.random.default_rng(config.seed).permutation(len(queries)) % ASIDE == 0
    head = fit_head(vectors[~aside], labels[~aside], candidates, ENCODER_FOLDER, replace(config, epochs=EPOCHS))
    wins = complete(metrics.win_shares(labels if scores is None else scores), labels)
    key = _key(encoder.identity, list(candidates), list(queries), asdict(config), labels.tobytes(), wins.tobytes())
    lesson = Lesson(list(queries), labels.astype(np.float32), wins, aside, config, checkpoint, key)
    processes.send(_Task(lesson, encoder.reference, head.config))
    tuned = _train(lesson, encoder.copy(), head, progress, steps)
    for model in (tuned.model, head):
        check_converged(model, config)
    return TorchRouter(head.eval(), tuned)


@dataclass(frozen=True)
class _Task:
    """What the main process sends to the others. The head's weights follow when the training begins."""

    lesson: Lesson
    encoder: str
    head: RouterHeadConfig


def help_main() -> None:
    """Train with the main process, as often as it fine-tunes."""
    while (task := processes.receive()) is not None:
        _train(task.lesson, Encoder(task.encoder), RouterHead(task.head))


def _train(
    lesson: Lesson,
    encoder: Encoder,
    head: RouterHead,
    progress: Progress = lambda epoch, loss: None,
    steps: Steps = lambda done, total: None,
) -> Encoder:
    """Train both in place; returns the encoder."""
    with torch.random.fork_rng(devices=[]):
        _open(encoder.model, lesson.config.finetune)
        Training(lesson, encoder, head).run(progress, steps)
    return encoder


def _key(*parts: object) -> str:
    """A hash of all that decides the result of a training."""
    digest = hashlib.sha256(b"%d" % VERSION)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
    return digest.hexdigest()


def _open(model: nn.Module, mode: str) -> None:
    """Freeze all weights but those that learn."""
    layers = [
        part for name, part in model.named_modules() if name.endswith("layer") and isinstance(part, nn.ModuleList)
    ]
    if mode == "last" and not layers:
        raise ZooterError("an encoder whose layers are in a list", type(model).__name__, "Take --finetune all.")
    opened = {id(weight) for weight in (layers[-1][-1] if mode == "last" else model).parameters()}
    for name, weight in model.named_parameters():
        weight.requires_grad_(id(weight) in opened and "word_embeddings" not in name)
