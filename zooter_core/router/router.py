"""The router: a query's text -> each candidate's probability of giving the best answer (paper, section 3.2).

A router is a frozen encoder, which `config.json` refers to, and a head (head.py). A fine-tuned encoder is stored in
the router's folder, as `encoder/`. The head runs in numpy; the encoder runs in ONNX Runtime if its architecture allows.
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
from zooter_core.router.encoder import PROBE, Array, Encoders, TextEncoder, TextProgress, after
from zooter_core.router.head import ENCODER_FOLDER, RouterHead, loading_router

if TYPE_CHECKING:
    from zooter_core.method.selection import Outputs

AT_ONCE = 1 << 14  # queries whose vectors are in memory at once


class Router(ABC):
    """Query text -> probabilities over the pool.

    Attributes:
        candidates: the pool in order.
        encoder: computes the vectors of texts. Taggers and explanations use the same vectors.
        note: a caveat about the router's choices for users; "" for a router that was trained for the pool.
    """

    candidates: tuple[str, ...]
    encoder: TextEncoder
    note: str = ""

    @staticmethod
    def load(folder: str | Path, encoders: Encoders | None = None) -> DistilledRouter:
        """Load a router from its folder and check its config, its weights and the result of a first query.

        Args:
            encoders: the source of the encoder, which routers can share.

        Raises:
            ZooterError: there is no router in the folder, or its config is wrong.
            WorkError: its files are damaged or not readable, or its probabilities are not finite.
        """
        encoders, head = encoders or Encoders(), RouterHead.load(folder)
        with loading_router(folder):
            inside = head.config.encoder == ENCODER_FOLDER
            reference = str((Path(folder) / ENCODER_FOLDER).resolve()) if inside else head.config.encoder
            router = DistilledRouter(head, encoders(reference))
            router.probabilities([PROBE])
        return router

    @property
    def labels(self) -> Mapping[str, Any]:
        """Beta, tau and normalise of the training labels; empty if the router was not trained on labels."""
        return {}

    @abstractmethod
    def probabilities_at(self, queries: Sequence[str], vectors: Array) -> NDArray[np.float64]:
        """`probabilities` for queries whose vectors are already computed."""

    def probabilities(self, queries: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of shape (n, candidates), in pool order; rows sum to one."""
        return self.probabilities_at(queries, self.encoder.embed(queries))

    def probabilities_all(
        self, queries: Sequence[str], progress: TextProgress = lambda done: None
    ) -> NDArray[np.float64]:
        """`probabilities` for many queries, whose vectors are stored (`TextEncoder.embed_all`)."""
        parts = []
        for first in range(0, len(queries), AT_ONCE):
            texts = queries[first : first + AT_ONCE]
            parts.append(self.probabilities_at(texts, self.encoder.embed_all(texts, after(progress, first))))
        return np.concatenate(parts)

    def outputs(self, queries: Sequence[str]) -> Outputs:
        """`probabilities`, in the form that `method.selection` takes."""
        from zooter_core.method.selection import Outputs

        return Outputs(self.probabilities(queries))

    def route(self, queries: Sequence[str]) -> list[Decision]:
        """Choose a candidate for each query.

        Returns:
            Decisions with `candidate`, `probabilities` in pool order, and `margin`; their `tags` are empty.

        Raises:
            ZooterError: `queries` is a single text, or contains something other than texts.
            WorkError: a probability is not finite.
        """
        if isinstance(queries, str):
            raise ZooterError("a list of queries", "one text", "Use route([query]).")
        if others := {type(query).__name__ for query in queries if not isinstance(query, str)}:
            raise ZooterError("queries as texts", listed(others), 'Of objects, give their texts: query["query"].')
        rows = self.probabilities(queries).tolist()
        return [
            Decision.of(query, dict(zip(self.candidates, row, strict=True)))
            for query, row in zip(queries, rows, strict=True)
        ]


class DistilledRouter(Router):
    """A router made of an encoder and a head, which computes each candidate's probability.

    Args:
        columns: candidate -> the index of the candidate of the head that it is routed as. By default, the head's
            candidates themselves.
    """

    def __init__(self, head: RouterHead, encoder: TextEncoder, columns: Mapping[str, int] | None = None) -> None:
        self.head, self.encoder, self._is_part = head, encoder, columns is not None
        if columns is None:
            columns = {name: column for column, name in enumerate(head.config.candidates)}
        self.candidates, self._columns = tuple(columns), list(columns.values())

    @property
    def labels(self) -> Mapping[str, Any]:
        return self.head.config.labels

    def save(self, folder: str | Path) -> None:
        """Write a folder that `load` reads. Routers from `for_pool` cannot be saved."""
        if self._is_part:
            step = "Save the router that it is a part of, and call `for_pool` where you load it."
            raise ZooterError.saying("A router that `for_pool` gives cannot be saved.", step)
        self.head.save(folder)
        if self.head.config.encoder == ENCODER_FOLDER:
            self.encoder.save(Path(folder) / ENCODER_FOLDER)

    def probabilities_at(self, queries: Sequence[str], vectors: Array) -> NDArray[np.float64]:
        rows = self.head.probabilities(vectors)
        return restrict_rows(rows, self._columns) if self._is_part else rows

    def for_pool(self, pool: Sequence[str], routed_as: Sequence[str] | None = None) -> DistilledRouter:
        """A router for another pool, without training. Each candidate is routed as one of this router's candidates.

        Args:
            pool: the candidates in any order. If they are this router's candidates, the router itself is returned.
            routed_as: for each candidate of the pool, its name in this router. By default, the same name.

        Raises:
            ZooterError: this router lacks one of these names.
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
        columns = [self._columns[self.candidates.index(name)] for name in names]
        return DistilledRouter(self.head, self.encoder, dict(zip(pool, columns, strict=True)))


def restrict_rows(rows: NDArray[np.floating[Any]], columns: Sequence[int]) -> NDArray[np.float64]:
    """Distributions over a router's candidates, shape (..., candidates) -> over a pool, shape (..., pool).

    The probability of each column is divided evenly among the candidates of the pool with that column. Rows are then
    divided by their sum, which gives the softmax of the router's logits over these candidates alone.

    Args:
        columns: for each candidate of the pool, the column of the router's candidate that it is routed as.
    """
    smallest = np.finfo(np.float64).tiny  # makes the pool's candidates equally likely if all their probabilities are 0
    shares = 1 / np.bincount(columns)[columns]
    parts = np.maximum(rows[..., columns], smallest) * shares
    return np.asarray(parts / parts.sum(axis=-1, keepdims=True), dtype=np.float64)
