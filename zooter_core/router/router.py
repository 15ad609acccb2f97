"""The router: a query's text -> each candidate's probability of giving the best answer (paper, section 3.2).

A router has two forms. The one that is trained and changed is a frozen encoder and a head on PyTorch (torch_router.py).
The exported one is a single ONNX graph that needs neither PyTorch nor transformers (portable.py). `Router.load` opens
either, and importing this module loads none of these libraries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.plugins import load_kind
from zooter_core.base.records import Decision
from zooter_core.method.selection import Outputs
from zooter_core.router.config import is_portable
from zooter_core.router.text_encoder import Progress, TextEncoder

if TYPE_CHECKING:
    from zooter_core.router.encoder import Encoders

FORMS = {
    "trained": "zooter_core.router.torch_router:TorchRouter",
    "exported": "zooter_core.router.portable:PortableRouter",
}
PROBE = "Hello"  # the text by which a router shows at once that it works


class Router(ABC):
    """Query text -> probabilities over the pool.

    Attributes:
        candidates: the pool in order.
        encoder: computes the vectors of a text, which tagger and explanation use too.
    """

    candidates: tuple[str, ...]
    encoder: TextEncoder

    @staticmethod
    def load(folder: str | Path, encoders: Encoders | None = None) -> Router:
        """Load a router from its folder and check that it works: its config, its weights and a first query.

        The folder is one of `zooter distill`, or one of `zooter export onnx`, which loads without PyTorch.

        Args:
            encoders: share their models with this router; those with runtime `auto` if not given. An exported router
                has its own.

        Raises:
            ZooterError: there is no router in the folder, or its config is wrong.
            WorkError: its files are broken or not readable, or its probabilities are not finite.
        """
        form = "exported" if is_portable(Path(folder)) else "trained"
        router: Router = load_kind("form of router", FORMS, form).open(Path(folder), encoders)
        return router

    @property
    @abstractmethod
    def labels(self) -> Mapping[str, Any]:
        """Beta, tau and normalise of the labels that it learned from; empty if it learned from scores."""

    @abstractmethod
    def outputs(self, queries: Sequence[str]) -> Outputs:
        """`probabilities`, and each member's distribution, which shows how unsure the router is."""

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

    def for_pool(self, pool: Sequence[str]) -> Self:
        """This router, checked to be for a pool (in any order).

        Raises:
            ZooterError: the pool has other candidates.
        """
        if set(pool) != set(self.candidates):
            raise ZooterError(
                f"a router for the candidates {listed(pool)}",
                f"one for {listed(self.candidates)}",
                "Distill a router for this fleet, or name its own in [router] path.",
            )
        return self
