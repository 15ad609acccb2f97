"""The head of a distilled router: the encoder's vectors -> each candidate's probability.

A router's folder holds `config.json`, with the encoder and the pool in order, and `model.safetensors`, with the head's
weights. The head runs in numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError, ZooterError, loading
from zooter_core.base.strict_json import dump_json, of_type, parse_json
from zooter_core.base.tensors import first_broken
from zooter_core.data.run_folder import ROUTER
from zooter_core.router.clusters import Vectors
from zooter_core.router.kinds import LINEAR, ZOOTER, head_class
from zooter_core.router.kinds.arrays import softmax
from zooter_core.router.kinds.base import Head, State

CONFIG, WEIGHTS = "config.json", "model.safetensors"
ENCODER_FOLDER = "encoder"  # the folder of an encoder that is stored with the router
TOGETHER = 1 << 10  # queries per batch; the batch's hidden states or similarities to all landmarks are in memory
MAKERS = "`zooter exam`, `zooter run` or `zooter distill`"
BODY = "body."  # the prefix of weights' names


@dataclass
class RouterHeadConfig:
    """The contents of config.json."""

    candidates: Sequence[str] = ()  # the pool in order
    encoder: str = ""  # a model reference, or `encoder` if it is in the router's folder
    width: int = 0  # of the encoder's vectors
    kind: str = ZOOTER  # for `kinds.head_class`
    settings: Mapping[str, Any] = field(default_factory=dict)  # keyword arguments for the kind's class
    # Divides the logits before the softmax, so that probabilities are calibrated.
    calibration_temperature: float = 1.0
    # Beta, tau and normalise of the training labels; empty for kinds that learn from scores.
    labels: Mapping[str, Any] = field(default_factory=dict)


class RouterHead:
    """Vectors of shape (batch, width) -> logits of shape (batch, candidates), by a head of the config's kind.

    Attributes:
        body: the head of that kind.
        folder: the folder that it was loaded from, for error messages; "" for a new head.

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
            ZooterError: there is no router, or its kind is unknown.
            WorkError: its files are damaged or do not match, or a weight is NaN or infinite.
        """
        from safetensors.numpy import load_file

        place = Path(folder)
        if not (place / CONFIG).is_file():
            raise ZooterError(f"a router folder at {folder}", f"no {CONFIG} there", _find_step(place))
        with loading_router(folder):
            head = cls(of_type(RouterHeadConfig, parse_json((place / CONFIG).read_text(encoding="utf-8"))))
            head.folder = str(folder)
            stored = load_file(place / WEIGHTS)
            if name := first_broken(stored):
                raise ValueError(f"NaN or infinity in its weights ({name})")
            head.set_state({name.removeprefix(BODY): np.asarray(value, np.float32) for name, value in stored.items()})
        return head

    def save(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors."""
        from safetensors.numpy import save_file

        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        (place / CONFIG).write_text(dump_json(asdict(self.config), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        arrays = {BODY + name: value.copy(order="C") for name, value in self.body.state.items()}
        save_file(arrays, place / WEIGHTS, {"format": "pt"})

    def set_state(self, state: State) -> None:
        """Set all weights of the head.

        Raises:
            ValueError: a weight is missing, has another shape, or belongs to another head.
        """
        shapes, expected = ({name: value.shape for name, value in one.items()} for one in (state, self.body.state))
        if shapes != expected:
            names = sorted(name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name))
            raise ValueError(f"weights that do not fit its config ({names[0]})")
        self.body = self.body.on(state)

    def logits(self, vectors: Vectors) -> NDArray[np.float64]:
        """Logits before the temperature, shape (n, candidates). The vectors may be a large array on disk."""
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
        if not (np.isfinite(logits).all() and np.isfinite(rows).all()):
            place = f" in {self.folder}" if self.folder else ""
            step = replacing_step(self.folder)
            raise WorkError(f"finite probabilities from the router{place}", "NaN or infinity", step)
        return rows


def loading_router(folder: str | Path) -> AbstractContextManager[None]:
    """Convert exceptions in the block into the error for a router whose files do not load."""
    return loading(f"a whole router in {folder}", replacing_step(folder))


def replacing_step(folder: str | Path) -> str:
    """What to do if the files of a router are damaged. It depends on who made them."""
    kind = ""
    with suppress(OSError, ValueError, AttributeError):  # config.json may be damaged too
        kind = parse_json((Path(folder) / CONFIG).read_text(encoding="utf-8")).get("kind")
    if kind == LINEAR:
        return "If it serves, use `zooter learn rollback`. Otherwise, `zooter learn --once` trains another one."
    return f"Make it again: {MAKERS}."


def _find_step(place: Path) -> str:
    """What to do if a folder is not a router's: name the router in it, if it is the folder of a run or a fleet."""
    inside = place / ROUTER
    return f"Name the folder {inside}." if (inside / CONFIG).is_file() else f"Make one: {MAKERS}."


def in_parts(vectors: Vectors) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors in single precision, in batches of TOGETHER."""
    for first in range(0, max(1, len(vectors)), TOGETHER):
        yield np.asarray(vectors[first : first + TOGETHER], dtype=np.float32)
