"""The router: a query's text -> each candidate's probability of giving the best answer (paper, section 3.2).

A router is a frozen encoder, whose weights are loaded from where `config.json` says, and a head (head.py); a fine-tuned
encoder lies in the router's folder, as `encoder/`. Numpy runs the head, and ONNX Runtime the encoder where it can.
Importing this module loads neither PyTorch nor ONNX Runtime.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.records import Decision
from zooter_core.method.selection import Outputs
from zooter_core.router.config import ENCODER_FOLDER, broken, check_router, find_encoder
from zooter_core.router.encoder import Encoders
from zooter_core.router.text_encoder import Progress, TextEncoder, after

if TYPE_CHECKING:
    from zooter_core.router.head import RouterHead

AT_ONCE = 1 << 14  # queries whose vectors are in memory at once
PROBE = "Hello"  # the text by which a router shows at once that it works


class Router(ABC):
    """Query text -> probabilities over the pool.

    Attributes:
        candidates: the pool in order.
        encoder: computes the vectors of a text, which tagger and explanation use too.
        note: what users should know of its choices; "" for a router that was trained for the pool.
    """

    candidates: tuple[str, ...]
    encoder: TextEncoder
    note: str = ""

    @staticmethod
    def load(folder: str | Path, encoders: Encoders | None = None) -> DistilledRouter:
        """Load a router from its folder and check that it works: its config, its weights and a first query.

        Args:
            encoders: share their models with this router, and say what runs them.

        Raises:
            ZooterError: there is no router in the folder, or its config is wrong.
            WorkError: its files are broken or not readable, or its probabilities are not finite.
        """
        from zooter_core.router.head import RouterHead

        encoders = encoders or Encoders()
        check_router(Path(folder))
        try:
            head = RouterHead.load(folder)
            router = DistilledRouter(head, encoders(find_encoder(Path(folder), head.config.encoder)))
            router.outputs([PROBE])
        except ZooterError:
            raise
        except Exception as problem:  # json, safetensors and numpy raise many kinds
            raise broken(folder, problem) from problem
        return router

    @property
    @abstractmethod
    def labels(self) -> Mapping[str, Any]:
        """Beta, tau and normalise of the labels that it learned from; empty if it learned from scores."""

    @abstractmethod
    def outputs(self, queries: Sequence[str]) -> Outputs:
        """The router's outputs for queries, with the candidates in pool order."""

    def probabilities(self, queries: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of shape (n, candidates), in pool order; rows sum to one."""
        return self.outputs(queries).probabilities

    def outputs_all(self, queries: Sequence[str], progress: Progress = lambda done: None) -> Outputs:
        """`outputs` for many queries, whose vectors are stored (`TextEncoder.embed_all`)."""
        return self.outputs(queries)

    def route(self, queries: Sequence[str]) -> list[Decision]:
        """Choose a candidate for each query.

        Returns:
            Decisions with `candidate`, `probabilities` in pool order, and `margin`; their `tags` are empty.

        Raises:
            ZooterError: `queries` is a single text.
            WorkError: a probability is not finite.
        """
        if isinstance(queries, str):
            raise ZooterError("a list of queries", "one text", "Use route([query]).")
        rows = self.probabilities(queries).tolist()
        return [
            Decision.of(query, dict(zip(self.candidates, row, strict=True)))
            for query, row in zip(queries, rows, strict=True)
        ]

    def for_pool(self, pool: Sequence[str], routed_as: Sequence[str] | None = None) -> Router:
        """A router for a pool of some of its candidates, or of models that are routed as one of them (`PoolRouter`).

        Args:
            pool: in any order; itself where it is this router's.
            routed_as: for each candidate of the pool, its name in this router. Default: the same name.

        Raises:
            ZooterError: this router lacks one of them.
        """
        names = list(pool if routed_as is None else routed_as)
        if missing := [name for name in names if name not in self.candidates]:
            raise ZooterError(
                f"a router for the candidates {listed(names)}",
                f"one for {listed(self.candidates)}",
                f"Distill a router for this fleet, name its own in [router] path, or say what {listed(missing)} is to "
                "be routed as (`routed_as` in [[candidate]]).",
            )
        if names == list(pool) and set(names) == set(self.candidates):
            return self
        return PoolRouter(self, pool, names)


class DistilledRouter(Router):
    """A frozen encoder, and a head that gives each candidate's probability. It can be changed and saved."""

    def __init__(self, head: RouterHead, encoder: TextEncoder) -> None:
        self.head, self.encoder = head, encoder
        self.candidates = tuple(head.config.candidates)

    @property
    def labels(self) -> Mapping[str, Any]:
        return self.head.config.labels

    def save(self, folder: str | Path) -> None:
        """Write the folder that `load` reads."""
        self.head.save(folder)
        if self.head.config.encoder == ENCODER_FOLDER:
            self.encoder.save(Path(folder) / ENCODER_FOLDER)

    def outputs(self, queries: Sequence[str]) -> Outputs:
        return Outputs(self.head.probabilities(self.encoder.embed(queries)))

    def outputs_all(self, queries: Sequence[str], progress: Progress = lambda done: None) -> Outputs:
        parts = []
        for first in range(0, len(queries), AT_ONCE):
            texts = queries[first : first + AT_ONCE]
            vectors = self.encoder.embed_all(texts, after(progress, first))
            parts.append(self.head.probabilities(vectors))
        return Outputs(np.concatenate(parts))


class PoolRouter(Router):
    """A router for a pool that is not the one it was trained for: some of its candidates, or models routed as them.

    Every kind of router serves any part of its pool this way, without training.

    Args:
        names: for each candidate of the pool, the name of the router's candidate that it is routed as.
    """

    def __init__(self, router: Router, pool: Sequence[str], names: Sequence[str]) -> None:
        self.candidates, self.encoder = tuple(pool), router.encoder
        self._router, self._columns = router, [router.candidates.index(name) for name in names]

    @property
    def labels(self) -> Mapping[str, Any]:
        return self._router.labels

    def outputs(self, queries: Sequence[str]) -> Outputs:
        return Outputs(restrict_rows(self._router.probabilities(queries), self._columns))

    def outputs_all(self, queries: Sequence[str], progress: Progress = lambda done: None) -> Outputs:
        return Outputs(restrict_rows(self._router.outputs_all(queries, progress).probabilities, self._columns))


def restrict_rows(rows: NDArray[np.floating[Any]], columns: Sequence[int]) -> NDArray[np.float64]:
    """Distributions over a router's candidates, shape (..., candidates) -> over a pool, shape (..., pool).

    A candidate of the pool gets the probability of its column, divided evenly among those with the same column. Rows
    are then divided by their sum, which gives the softmax of the router's logits over these candidates alone.

    Args:
        columns: for each candidate of the pool, the column of the one that it is routed as.
    """
    smallest = np.finfo(np.float64).tiny  # if all others are certain, these are equally likely
    shares = 1 / np.bincount(columns)[columns]
    parts = np.maximum(rows[..., columns], smallest) * shares
    return np.asarray(parts / parts.sum(axis=-1, keepdims=True), dtype=np.float64)
