"""A router on PyTorch: a frozen encoder, and a head that gives each candidate's probability.

Its folder holds `config.json`, which names the encoder and the pool in order, and `model.safetensors`, the head. The
encoder's weights are loaded from where the config says; a fine-tuned encoder lies in the folder, as `encoder/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.plugins import load_kind
from zooter_core.base.weights import LOAD_LOCK, check_readable, quiet_libraries
from zooter_core.method.selection import Outputs
from zooter_core.router.clusters import Vectors
from zooter_core.router.config import CONFIG, ENCODER_FOLDER, WEIGHTS, broken, check_router
from zooter_core.router.encoder import Encoder, Encoders
from zooter_core.router.kinds import KINDS, ZOOTER
from zooter_core.router.router import PROBE, Router
from zooter_core.router.text_encoder import Progress, after

AT_ONCE = 1 << 14  # queries whose vectors are in memory at once
TOGETHER = 1 << 10  # queries whose hidden states, or similarities to all neighbours, are


class TorchRouter(Router):
    """A router that can be trained, changed, saved and exported."""

    encoder: Encoder

    def __init__(self, head: RouterHead, encoder: Encoder) -> None:
        self.head, self.encoder = head.eval(), encoder
        self.candidates = tuple(head.config.candidates)

    @classmethod
    def open(cls, folder: str | Path, encoders: Encoders | None = None) -> TorchRouter:
        """The router in a folder of `zooter distill`. Arguments and errors are those of `Router.load`."""
        quiet_libraries()
        encoders = encoders or Encoders()
        check_readable(Path(folder), (CONFIG, WEIGHTS))
        check_router(Path(folder))
        try:
            with LOAD_LOCK:
                head, loading = RouterHead.from_pretrained(folder, output_loading_info=True, trust_remote_code=False)
            if loading["missing_keys"] or loading["mismatched_keys"]:
                raise ValueError("weights are missing")
            inside = Path(folder) / ENCODER_FOLDER
            router = cls(head, encoders(str(inside) if head.config.encoder == ENCODER_FOLDER else head.config.encoder))
            router.outputs([PROBE])
        except ZooterError:
            raise
        except Exception as problem:  # json, safetensors and transformers raise many kinds
            raise broken(folder, problem) from problem
        return router

    @property
    def labels(self) -> Mapping[str, Any]:
        return self.head.config.labels

    def save(self, folder: str | Path) -> None:
        """Write the folder that `load` reads."""
        self.head.save_pretrained(folder)
        if self.head.config.encoder == ENCODER_FOLDER:
            self.encoder.save(Path(folder) / ENCODER_FOLDER)

    def probabilities(self, queries: Sequence[str]) -> NDArray[np.float64]:
        return self.head.probabilities(self.encoder.embed(queries))

    def outputs(self, queries: Sequence[str]) -> Outputs:
        return self.head.outputs(self.encoder.embed(queries))

    def outputs_all(self, queries: Sequence[str], progress: Progress = lambda done: None) -> Outputs:
        parts = []
        for first in range(0, len(queries), AT_ONCE):
            texts = queries[first : first + AT_ONCE]
            vectors = self.encoder.embed_all(texts, after(progress, first))
            parts.append(self.head.outputs(vectors))
        members = [part.members for part in parts if part.members is not None]
        return Outputs(
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate(members, axis=1) if members else None,
        )


class RouterHeadConfig(PretrainedConfig):
    """The contents of config.json.

    Attributes:
        candidates: the pool in order.
        encoder: a model reference, or ENCODER_FOLDER.
        width: of the encoder's vectors.
        kind: one of `kinds.KINDS`; `settings` are the keyword arguments of its class.
        calibration_temperature: divides the logits before the softmax, so that a probability says how often such a
            candidate wins.
        labels: beta, tau and normalise of the labels that the router learned from; empty for kinds that learn from
            scores.
    """

    model_type = "zooter-router"

    def __init__(
        self,
        candidates: Sequence[str] = (),
        encoder: str = "",
        width: int = 0,
        kind: str = ZOOTER,
        settings: Mapping[str, Any] | None = None,
        calibration_temperature: float = 1.0,
        labels: Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.candidates = list(candidates)
        self.encoder, self.width, self.kind = encoder, width, kind
        self.settings = dict(settings or {})
        self.calibration_temperature = calibration_temperature
        self.labels = dict(labels or {})


class RouterHead(PreTrainedModel):
    """Vectors of shape (batch, width) -> logits of shape (batch, candidates), by a head of the config's kind.

    Raises:
        ZooterError: the kind is unknown.
    """

    config_class = RouterHeadConfig
    base_model_prefix = "head"

    def __init__(self, config: RouterHeadConfig) -> None:
        super().__init__(config)
        kind = load_kind("router", KINDS, config.kind)
        self.body = kind(config.width, len(config.candidates), **config.settings)
        self.post_init()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.body(vectors)

    @torch.inference_mode()
    def logits(self, vectors: Vectors) -> NDArray[np.float64]:
        """Logits before the temperature, shape (n, candidates), of vectors that may be many and on the disk."""
        return torch.cat([self(part) for part in in_parts(vectors)]).double().numpy()

    @torch.inference_mode()
    def probabilities(self, vectors: torch.Tensor | NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (batch, candidates), of the encoder's vectors; rows sum to one.

        Raises:
            WorkError: a logit or probability is NaN or infinite.
        """
        logits = self(torch.as_tensor(vectors)).double()
        rows: NDArray[np.float64] = torch.softmax(logits / self.config.calibration_temperature, dim=-1).numpy()
        self._check_finite(logits.numpy(), rows)
        return rows

    @torch.inference_mode()
    def outputs(self, vectors: torch.Tensor | NDArray[np.float32]) -> Outputs:
        """`probabilities`, with the distribution of each member where the kind has several."""
        logs = self.body.members(torch.as_tensor(vectors))
        members = logs.double().exp().numpy() if logs is not None and len(logs) > 1 else None
        if members is not None:
            self._check_finite(members)
        return Outputs(self.probabilities(vectors), members)

    def _check_finite(self, *arrays: NDArray[np.float64]) -> None:
        if not all(np.isfinite(array).all() for array in arrays):
            place = f" in {self.name_or_path}" if self.name_or_path else ""
            expected, next_step = f"finite probabilities from the router{place}", "Make it again with `zooter distill`."
            raise WorkError(expected, "NaN or infinity", next_step)


def in_parts(vectors: Vectors) -> Iterator[torch.Tensor]:
    """Vectors in single precision, TOGETHER at a time."""
    for first in range(0, max(1, len(vectors)), TOGETHER):
        yield torch.from_numpy(np.asarray(vectors[first : first + TOGETHER], dtype=np.float32))


AutoConfig.register("zooter-router", RouterHeadConfig)
AutoModel.register(RouterHeadConfig, RouterHead)
