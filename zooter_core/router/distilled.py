"""A router of `zooter distill`: a frozen encoder, and a head that gives each candidate's probability.

Its folder holds `config.json`, which names the encoder and the pool in order, and `model.safetensors`, the head. The
encoder's weights are loaded from where the config says; a fine-tuned encoder lies in the folder, as `encoder/`. Numpy
runs the head. torch_router.py makes it a model of transformers, which loads the same folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.base.weights import check_readable
from zooter_core.method.selection import Outputs
from zooter_core.router.clusters import Vectors
from zooter_core.router.config import CONFIG, ENCODER_FOLDER, WEIGHTS, broken, check_router
from zooter_core.router.encoder import Encoders
from zooter_core.router.kinds import ZOOTER, head_class
from zooter_core.router.kinds.arrays import softmax
from zooter_core.router.kinds.base import Head, State
from zooter_core.router.router import PROBE, Router
from zooter_core.router.text_encoder import Progress, TextEncoder, after

AT_ONCE = 1 << 14  # queries whose vectors are in memory at once
TOGETHER = 1 << 10  # queries whose hidden states, or similarities to all neighbours, are
MODEL_TYPE = "zooter-router"
FOR_TRANSFORMERS = {"architectures": ["RouterHead"], "dtype": "float32", "model_type": MODEL_TYPE}  # in config.json
BODY = "body."  # how the names of the weights begin


@dataclass
class RouterHeadConfig:
    """The contents of config.json.

    Attributes:
        candidates: the pool in order.
        encoder: a model reference, or ENCODER_FOLDER.
        width: of the encoder's vectors.
        kind: as `kinds.head_class` knows it; `settings` are the keyword arguments of its class.
        calibration_temperature: divides the logits before the softmax, so that a probability says how often such a
            candidate wins.
        labels: beta, tau and normalise of the labels that the router learned from; empty for kinds that learn from
            scores.
    """

    candidates: Sequence[str] = ()
    encoder: str = ""
    width: int = 0
    kind: str = ZOOTER
    settings: Mapping[str, Any] = field(default_factory=dict)
    calibration_temperature: float = 1.0
    labels: Mapping[str, Any] = field(default_factory=dict)


class RouterHead:
    """Vectors of shape (batch, width) -> logits of shape (batch, candidates), by a head of the config's kind.

    Attributes:
        body: the head of that kind.
        folder: where it was loaded from, for messages; "" for a new one.

    Raises:
        ZooterError: the kind is unknown.
    """

    def __init__(self, config: RouterHeadConfig) -> None:
        self.config, self.folder = config, ""
        self.body: Head = head_class(config.kind)(config.width, len(config.candidates), **config.settings)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The head in a router's folder.

        Raises:
            ZooterError: the kind is unknown.
            ValueError: the weights are not those of such a head.
            Exception: json and safetensors have errors of their own for files that are damaged.
        """
        from safetensors.numpy import load_file

        contents = parse_json((Path(folder) / CONFIG).read_text(encoding="utf-8"))
        head = cls(
            RouterHeadConfig(**{name: contents[name] for name in asdict(RouterHeadConfig()) if name in contents})
        )
        head.folder = str(folder)
        stored = load_file(Path(folder) / WEIGHTS)
        head.set_state({name.removeprefix(BODY): np.asarray(value, np.float32) for name, value in stored.items()})
        return head

    def save(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, as transformers writes them."""
        from safetensors.numpy import save_file

        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        contents = FOR_TRANSFORMERS | asdict(self.config)
        (place / CONFIG).write_text(dump_json(contents, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        arrays = {BODY + name: value.copy(order="C") for name, value in self.body.state.items()}
        save_file(arrays, place / WEIGHTS, {"format": "pt"})

    def set_state(self, state: State) -> None:
        """Set everything that the head has learned.

        Raises:
            ValueError: a weight is missing, is of another shape, or is of another head.
        """
        shapes, expected = ({name: value.shape for name, value in one.items()} for one in (state, self.body.state))
        if shapes != expected:
            names = sorted(name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name))
            raise ValueError(f"weights that do not fit its config ({names[0]})")
        self.body = self.body.on(state)

    def logits(self, vectors: Vectors) -> NDArray[np.float64]:
        """Logits before the temperature, shape (n, candidates), of vectors that may be many and on the disk."""
        with np.errstate(all="ignore"):
            return np.concatenate([self.body.logits(part) for part in in_parts(vectors)]).astype(np.float64)

    def probabilities(self, vectors: Vectors) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (batch, candidates), of the encoder's vectors; rows sum to one.

        Raises:
            WorkError: a logit or probability is NaN or infinite.
        """
        logits = self.logits(vectors)
        with np.errstate(all="ignore"):
            rows: NDArray[np.float64] = softmax(logits / self.config.calibration_temperature)
        self._check_finite(logits, rows)
        return rows

    def outputs(self, vectors: Vectors) -> Outputs:
        """`probabilities`, with the distribution of each member where the kind has several."""
        with np.errstate(all="ignore"):
            parts = [self.body.members(part) for part in in_parts(vectors)]
            several = [np.exp(logs, dtype=np.float64) for logs in parts if logs is not None and len(logs) > 1]
        members = np.concatenate(several, axis=1) if several else None
        if members is not None:
            self._check_finite(members)
        return Outputs(self.probabilities(vectors), members)

    def _check_finite(self, *arrays: NDArray[np.float64]) -> None:
        if not all(np.isfinite(array).all() for array in arrays):
            place = f" in {self.folder}" if self.folder else ""
            expected, next_step = f"finite probabilities from the router{place}", "Make it again with `zooter distill`."
            raise WorkError(expected, "NaN or infinity", next_step)


class DistilledRouter(Router):
    """A router that can be changed, saved and exported."""

    def __init__(self, head: RouterHead, encoder: TextEncoder) -> None:
        self.head, self.encoder = head, encoder
        self.candidates = tuple(head.config.candidates)

    @classmethod
    def open(cls, folder: str | Path, encoders: Encoders | None = None) -> DistilledRouter:
        """The router in a folder of `zooter distill`. Arguments and errors are those of `Router.load`."""
        encoders = encoders or Encoders()
        check_readable(Path(folder), (CONFIG, WEIGHTS))
        check_router(Path(folder))
        try:
            head = RouterHead.load(folder)
            inside = (Path(folder) / ENCODER_FOLDER).resolve()
            router = cls(head, encoders(str(inside) if head.config.encoder == ENCODER_FOLDER else head.config.encoder))
            router.outputs([PROBE])
        except ZooterError:
            raise
        except Exception as problem:  # json, safetensors and numpy raise many kinds
            raise broken(folder, problem) from problem
        return router

    @property
    def labels(self) -> Mapping[str, Any]:
        return self.head.config.labels

    def save(self, folder: str | Path) -> None:
        """Write the folder that `load` reads."""
        self.head.save(folder)
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


def in_parts(vectors: Vectors) -> Iterator[NDArray[np.float32]]:
    """Vectors in single precision, TOGETHER at a time."""
    for first in range(0, max(1, len(vectors)), TOGETHER):
        yield np.asarray(vectors[first : first + TOGETHER], dtype=np.float32)
