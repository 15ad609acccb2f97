"""Fine-tuning: the encoder learns with the router's head, as in the paper (section 4.1: mDeBERTa-v3-base, all weights).

The default is the frozen encoder of `distill`: it takes seconds and does better on small data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from zooter_core.errors import ZooterError
from zooter_core.method import calibration, metrics
from zooter_core.method.labels import complete
from zooter_core.router.clusters import Vectors
from zooter_core.router.config import ENCODER_FOLDER
from zooter_core.router.distill import ASIDE, TRIAL, check_converged, fit_head
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import DEFAULT, DistillConfig, Progress
from zooter_core.router.torch_router import RouterHead, TorchRouter

MODES = ("none", "last", "all")
EPOCHS = 3  # at most: repeating few queries more often makes the encoder forget
RATE = 2e-5  # of the encoder; the head has the config's
BATCH = 16


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
) -> TorchRouter:
    """A router whose encoder has learned too: its last layer, or all of its weights but the word embeddings.

    The head starts from the one that `distill` would fit. From TRIAL queries on, a fifth of them is set aside, and the
    weights after the epoch that predicts that part best are kept. Runs on one GPU or on the processor, by accelerate.

    Args:
        vectors: of the queries by the encoder as it is, shape (n, width).
        labels, progress, scores: as in `distill.learn`.

    Raises:
        ZooterError: the router is of another kind than `zooter`, or there is no such mode.
        WorkError: the weights are not finite in the end.
    """
    check_settings(config)
    aside = np.zeros(len(queries), dtype=bool)
    if len(queries) >= TRIAL:
        aside = np.random.default_rng(config.seed).permutation(len(queries)) % ASIDE == 0
    tuned = encoder.copy()
    tuned.model.train()
    head = fit_head(vectors[~aside], labels[~aside], candidates, ENCODER_FOLDER, replace(config, epochs=EPOCHS))
    wins = complete(metrics.win_shares(labels if scores is None else scores), labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        _train(queries, labels, (tuned, head), aside, config, wins, progress)
    for model in (tuned.model, head):
        check_converged(model, config)
    return TorchRouter(head.eval(), tuned)


def _train(
    queries: Sequence[str],
    labels: NDArray[np.float64],
    models: tuple[Encoder, RouterHead],
    aside: NDArray[np.bool_],
    config: DistillConfig,
    wins: NDArray[np.float64],
    progress: Progress,
) -> None:
    """Train both models in place; they end with the weights of their best epoch."""
    encoder, head = models
    trainable = _open(encoder.model, config.finetune)
    accelerator = Accelerator()
    optimizer = torch.optim.AdamW(
        [{"params": trainable, "lr": RATE}, {"params": list(head.parameters()), "lr": config.rate}],
        weight_decay=config.decay,
    )
    encoder.model, prepared, optimizer = accelerator.prepare(encoder.model, head, optimizer)
    rows = np.flatnonzero(~aside)
    targets = torch.from_numpy(np.asarray(labels, dtype=np.float32))
    best: tuple[float, dict[str, torch.Tensor], dict[str, torch.Tensor]] | None = None
    for epoch in range(1, min(config.epochs, EPOCHS) + 1):
        total = 0.0
        prepared.train()
        for part in torch.from_numpy(rows)[torch.randperm(len(rows))].split(BATCH):
            states = encoder.pooled([queries[row] for row in part.tolist()])
            predicted = prepared.body.members(states)
            label = targets[part].to(states.device).expand_as(predicted)
            loss = functional.kl_div(predicted, label, reduction="sum") / (len(predicted) * len(part))
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            total += float(loss.detach()) * len(part)
        progress(epoch, total / len(rows))
        if not aside.any():
            continue
        loss_aside, temperature = _judge(queries, encoder, prepared, aside, wins)
        if best is None or loss_aside < best[0]:
            best = (loss_aside, _copy(encoder.model), _copy(prepared))
            head.config.calibration_temperature = temperature
    if best is not None:
        encoder.model.load_state_dict(best[1])
        prepared.load_state_dict(best[2])
    encoder.model = accelerator.unwrap_model(encoder.model).cpu().eval()
    accelerator.unwrap_model(prepared).cpu()


def _judge(
    queries: Sequence[str], encoder: Encoder, head: RouterHead, aside: NDArray[np.bool_], wins: NDArray[np.float64]
) -> tuple[float, float]:
    """The log loss of the queries set aside, and the temperature at which it is least."""
    rows = np.flatnonzero(aside)
    encoder.model.eval()
    head.eval()
    with torch.no_grad():
        parts = [
            head(encoder.pooled([queries[row] for row in rows[start : start + BATCH]])).double().cpu()
            for start in range(0, len(rows), BATCH)
        ]
    encoder.model.train()
    logits = torch.cat(parts).numpy()
    temperature = calibration.temperature_of(logits, wins[aside])
    return calibration.log_loss(logits, wins[aside], temperature), temperature


def _open(model: nn.Module, mode: str) -> list[nn.Parameter]:
    """Freeze all weights but those that learn, and return the latter."""
    layers = [
        part for name, part in model.named_modules() if name.endswith("layer") and isinstance(part, nn.ModuleList)
    ]
    if mode == "last" and not layers:
        raise ZooterError("an encoder whose layers are in a list", type(model).__name__, "Take --finetune all.")
    opened = {id(weight) for weight in (layers[-1][-1] if mode == "last" else model).parameters()}
    for name, weight in model.named_parameters():
        weight.requires_grad_(id(weight) in opened and "word_embeddings" not in name)
    return [weight for weight in model.parameters() if weight.requires_grad]


def _copy(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}
