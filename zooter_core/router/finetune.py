"""Fine-tuning: trains the encoder together with the router's head, as in the paper (section 4.1: mDeBERTa-v3-base, all
weights).

The default is `distill`, which keeps the encoder frozen. It takes seconds and does better on small data sets.

accelerate runs the training on the CPU or on a GPU. `--gradient_accumulation_steps` of `accelerate launch` divides each
batch into parts to save memory. The loss is the same except for rounding and dropout. Each random draw has its own
seed, derived from the epoch and the batch, so that a training that resumes from a checkpoint ends with the same weights
as an uninterrupted one.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from zooter_core.base.errors import ZooterError
from zooter_core.base.files import atomic, private_folder, writing
from zooter_core.base.made_once import hash_parts
from zooter_core.base.weights import not_finite
from zooter_core.method import calibration, metrics
from zooter_core.method.labels import complete
from zooter_core.router.clusters import Vectors
from zooter_core.router.distill import ASIDE, TRIAL, check_converged, diverged, fit_head
from zooter_core.router.encoder import Encoder, pool_states
from zooter_core.router.head import ENCODER_FOLDER, RouterHead
from zooter_core.router.kinds import ZOOTER, DistillConfig
from zooter_core.router.kinds.zooter import ZooterHead
from zooter_core.router.router import DistilledRouter

MODES = ("none", "last", "all")
VERSION = 2  # of the training code; checkpoints of other versions are ignored
EPOCHS = 3  # at most; more epochs over few queries cause catastrophic forgetting in the encoder
RATE = 2e-5  # learning rate of the encoder; the head's is in the config
BATCH = 16  # queries per step
SAVE_SECONDS = 300.0  # between two checkpoints
Steps = Callable[[int, int], None]  # called with the number of queries done in all epochs, and their total


def check_finetuning(config: DistillConfig) -> None:
    """Check that fine-tuning is possible with this config.

    Raises:
        ZooterError: the router kind is not `zooter`, or the mode is unknown.
    """
    if config.finetune not in MODES[1:] or config.kind != ZOOTER:
        raise ZooterError(
            f"--finetune {' or '.join(MODES[1:])} with the router kind {ZOOTER}",
            f"{config.finetune} with {config.kind}", f"Add --router-kind {ZOOTER}, or leave --finetune out.",
        )  # fmt: skip


def _open(model: nn.Module, mode: str) -> None:
    """Freeze all weights except those that are trained."""
    layers = [
        part for name, part in model.named_modules() if name.endswith("layer") and isinstance(part, nn.ModuleList)
    ]
    if mode == "last" and not layers:
        raise ZooterError("an encoder whose layers are in a list", type(model).__name__, "Take --finetune all.")
    opened = {id(weight) for weight in (layers[-1][-1] if mode == "last" else model).parameters()}
    for name, weight in model.named_parameters():
        weight.requires_grad_(id(weight) in opened and "word_embeddings" not in name)


@dataclass
class Position:
    """The state of a training."""

    # The current epoch, from 1, and the number of its batches that are done.
    epoch: int = 1
    batch: int = 0
    total: float = 0.0  # the loss of these batches, summed over their queries
    losses: list[float] = field(default_factory=list)  # the mean loss of each finished epoch
    # Log loss, temperature and weights after the best epoch.
    best: tuple[float, float, dict[str, torch.Tensor]] | None = None


class Members(nn.Module):
    """A ZooterHead on PyTorch.

    Computes each member's log-probabilities, shape (members, batch, candidates), from vectors, shape (batch, width).
    """

    def __init__(self, head: ZooterHead) -> None:
        super().__init__()
        self.dropout = head.dropout
        self.state = nn.ParameterDict({name: torch.tensor(value) for name, value in head.state.items()})

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        states = functional.gelu(vectors @ self.state["inner"] + self.state["inner_bias"])
        states = functional.dropout(states, self.dropout, self.training)
        return torch.log_softmax(states @ self.state["outer"] + self.state["outer_bias"], dim=-1)


class Student(nn.Module):
    """Encoder and head as one module.

    Computes, from tokens, each member's log-probabilities during training, and the head's logits in evaluation.
    """

    def __init__(self, encoder: Encoder, head: RouterHead) -> None:
        super().__init__()
        assert isinstance(head.body, ZooterHead)  # `check_finetuning` requires it
        self.encoder, self.head, self.middle = encoder.model, Members(head.body), encoder.middle

    def forward(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        members = self.head(pool_states(self.encoder, self.middle, tokens))
        logits = members if self.training else torch.logsumexp(members, dim=0) - math.log(len(members))
        return logits.float()


def _accelerator() -> Accelerator:
    """An accelerator on the GPU if there is one, in bfloat16 if supported; `accelerate launch` may set other values."""
    decided = "ACCELERATE_MIXED_PRECISION" in os.environ
    precision = "bf16" if not decided and torch.cuda.is_available() and torch.cuda.is_bf16_supported() else None
    return Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision=precision)


class Training:
    """Trains a head and a copy of an encoder: its last layer, or all weights except for the word embeddings.

    Training starts from the head that `distill` would fit. With TRIAL queries or more, a fifth of them is the
    validation set, and the weights of the epoch with the lowest validation loss are kept.

    Args:
        vectors: the queries' vectors from the encoder before training, shape (n, width).
        labels, scores: as in `distill.learn`.
        checkpoint: a file that is written every few minutes. After an interruption, the same training resumes from it.
            It is kept at the end.

    Attributes:
        losses: the mean loss of each finished epoch.

    Raises:
        ZooterError: the router kind is not `zooter`, or the mode is unknown.
    """

    def __init__(
        self,
        queries: Sequence[str],
        vectors: Vectors,
        labels: NDArray[np.float64],
        scores: NDArray[np.float64],
        candidates: Sequence[str],
        encoder: Encoder,
        config: DistillConfig,
        checkpoint: Path | None = None,
    ) -> None:
        check_finetuning(config)
        self.queries, self.config, self.checkpoint = list(queries), config, checkpoint
        self.labels = labels.astype(np.float32)
        self.aside = np.zeros(len(queries), dtype=bool)  # the validation set
        if len(queries) >= TRIAL:
            self.aside = np.random.default_rng(config.seed).permutation(len(queries)) % ASIDE == 0
        self.wins = complete(metrics.win_shares(scores), labels)
        # A checkpoint of another training is ignored.
        decided_by = (VERSION, encoder.identity, list(candidates), self.queries, asdict(config))
        self.key = hash_parts(repr(decided_by), labels.tobytes(), self.wins.tobytes())
        self.head = fit_head(vectors[~self.aside], labels[~self.aside], replace(config, epochs=EPOCHS))
        self.head.config.candidates, self.head.config.encoder = candidates, ENCODER_FOLDER
        self.encoder, self.position = encoder.copy(), Position()
        _open(self.encoder.model, config.finetune)
        self.accelerator = _accelerator()
        self.student = Student(self.encoder, self.head).train()
        self.weights = {name: weight for name, weight in self.student.named_parameters() if weight.requires_grad}
        groups = [
            {"params": [weight for name, weight in self.weights.items() if name.startswith("encoder.")], "lr": RATE},
            {"params": list(self.student.head.parameters()), "lr": self.config.rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=self.config.decay)
        self.model, self.optimizer = self.accelerator.prepare(self.student, optimizer)
        self.rows = torch.from_numpy(np.flatnonzero(~self.aside))
        self.epochs = min(self.config.epochs, EPOCHS)
        self.saved = time.monotonic()

    @property
    def losses(self) -> list[float]:
        return self.position.losses

    def run(self, steps: Steps = lambda done, total: None) -> DistilledRouter:
        """Train to the end, resuming from the checkpoint if there is one.

        Args:
            steps: called with the number of queries done in all epochs, and their total.

        Raises:
            WorkError: the trained weights are not finite, or the disk is full.
        """
        self._load()
        with torch.random.fork_rng(devices=[]):
            while self.position.epoch <= self.epochs:
                self._epoch(steps)
        if self.position.best is not None:
            self._set(self.position.best[2])
            self.head.config.calibration_temperature = self.position.best[1]
        self.student.cpu().eval()
        state = self.student.head.state.items()
        self.head.set_state({name: value.detach().cpu().numpy().copy() for name, value in state})
        if name := not_finite(self.encoder.model):
            raise diverged(name, self.config)
        check_converged(self.head, self.config)
        return DistilledRouter(self.head, self.encoder)

    def _epoch(self, steps: Steps) -> None:
        """Train on an epoch's remaining batches, and keep the weights if they are the best so far."""
        at, seed = self.position, self.config.seed
        order = self.rows[
            torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(_seed(seed, at.epoch)))
        ]
        batches = order.split(BATCH)
        self.model.train()
        for number in range(at.batch, len(batches)):
            torch.manual_seed(_seed(seed, at.epoch, number, 0))
            at.total += self._step(batches[number].tolist())
            at.batch = number + 1
            steps((at.epoch - 1) * len(self.rows) + min(at.batch * BATCH, len(self.rows)), self.epochs * len(self.rows))
            if at.batch < len(batches) and time.monotonic() - self.saved >= SAVE_SECONDS:
                self._save()
        at.losses.append(at.total / len(self.rows))
        if self.aside.any():
            loss, temperature = self._judge()
            if at.best is None or loss < at.best[0]:
                at.best = loss, temperature, self._copy()
        at.epoch, at.batch, at.total = at.epoch + 1, 0, 0.0
        self._save()

    def _step(self, batch: list[int]) -> float:
        """Take one step of the optimizer. Returns the sum of the batch's losses."""
        parts = self.accelerator.gradient_accumulation_steps
        total = torch.zeros((), device=self.accelerator.device)
        self.optimizer.zero_grad()
        for number in range(min(parts, len(batch))):
            loss = self._loss(batch[number::parts])
            self.accelerator.backward(loss * (parts / len(batch)))  # accelerate divides by the number of parts
            total += loss.detach()
        self.optimizer.step()
        return float(total)

    def _loss(self, rows: list[int]) -> torch.Tensor:
        """KL(label || router), summed over the queries and averaged over the members."""
        predicted = self.model(self._tokens(rows))
        labels = torch.from_numpy(self.labels[rows]).to(predicted.device).expand_as(predicted)
        return functional.kl_div(predicted, labels, reduction="sum") / len(predicted)

    def _tokens(self, rows: list[int]) -> dict[str, torch.Tensor]:
        tokens = self.encoder.tokens([self.queries[row] for row in rows])
        return {name: tensor.to(self.accelerator.device) for name, tensor in tokens.items()}

    def _judge(self) -> tuple[float, float]:
        """The log loss on the validation set, and the temperature that minimises it."""
        rows = np.flatnonzero(self.aside)
        self.student.eval()
        with torch.no_grad():
            logits = [self.student(self._tokens(part.tolist())) for part in torch.from_numpy(rows).split(BATCH)]
        table = torch.cat(logits).double().cpu().numpy()
        wins = self.wins[self.aside]
        temperature = calibration.fit_temperature(table, wins)
        return calibration.log_loss(table, wins, temperature), temperature

    def _copy(self) -> dict[str, torch.Tensor]:
        return {name: weight.detach().cpu().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def _set(self, weights: dict[str, torch.Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.copy_(weights[name])

    def _save(self) -> None:
        self.saved, path = time.monotonic(), self.checkpoint
        if path is None:
            return
        content = {
            "key": self.key, "position": vars(self.position), "weights": self._copy(),
            "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip
        with writing(path):
            private_folder(path.parent, ours=False)
            with atomic(path, private=True) as partial:
                torch.save(content, partial)

    def _load(self) -> None:
        """Resume from the checkpoint, if there is one of this training."""
        content, file = None, self.checkpoint
        with suppress(Exception):  # torch raises many kinds of errors for damaged files
            content = torch.load(file, map_location="cpu", weights_only=True) if file and file.is_file() else None
        if content and content["key"] == self.key:
            self.position = Position(**content["position"])
            self._set(content["weights"])
            self.optimizer.load_state_dict(content["optimizer"])


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
