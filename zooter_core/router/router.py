"""The router: a frozen encoder and a head that gives each candidate's probability (paper, section 3.2).

A router folder holds `config.json` (which names the encoder and the pool in order) and `model.safetensors` (the head).
The encoder's weights are not copied: they are loaded from where the config says. Only one that was fine-tuned lies in
the folder itself, as `encoder/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from zooter_core.errors import WorkError, ZooterError, listed
from zooter_core.method.selection import Outputs
from zooter_core.plugins import load_kind
from zooter_core.records import Message
from zooter_core.router.config import CONFIG, LABEL_SETTINGS, broken, check_router
from zooter_core.router.encoder import Encoder, Encoders
from zooter_core.router.kinds import DEFAULT, KINDS
from zooter_core.strict_json import dump_json, parse_json
from zooter_core.weights import LOAD_LOCK, check_readable

WEIGHTS = "model.safetensors"
OWN_ENCODER = "encoder"  # the name of one that lies in the router's own folder
PROBE = "Hello"  # the text by which a router shows at once that it works
SAFE = 3  # standard deviations of the error of rough vectors by which a choice is safe


class RouterHeadConfig(PretrainedConfig):
    """What a router folder says of itself: `candidates` is the pool in order, `encoder` a model reference.

    `kind` is one of `heads.KINDS`; what a head of that kind was made with is in `settings`. Logits are divided by
    `calibration_temperature` before the softmax, so that a probability says how often such a candidate wins. `labels`
    are the settings of the labels that it learned from (beta, tau, normalise), where they are known.
    """

    model_type = "zooter-router"

    def __init__(
        self,
        candidates: Sequence[str] = (),
        encoder: str = "",
        width: int = 0,
        kind: str = DEFAULT,
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
        ZooterError: there is no such kind.
    """

    config_class = RouterHeadConfig
    base_model_prefix = "head"

    def __init__(self, config: RouterHeadConfig) -> None:
        super().__init__(config)
        made = load_kind("router", KINDS, config.kind)
        self.body = made(config.width, len(config.candidates), **config.settings)
        self.post_init()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(vectors)
        return logits

    @torch.inference_mode()
    def probabilities(self, vectors: torch.Tensor) -> NDArray[np.float64]:
        """Calibrated, shape (batch, candidates); rows sum to one.

        Raises:
            WorkError: a logit or probability is NaN or infinite.
        """
        logits = self(vectors).double()
        found: NDArray[np.float64] = torch.softmax(logits / self.config.calibration_temperature, dim=-1).numpy()
        self._check_finite(logits.numpy(), found)
        return found

    @torch.inference_mode()
    def outputs(self, vectors: torch.Tensor) -> Outputs:
        """The same, with the distribution of each member where the kind has several."""
        each = self.body.each(vectors)
        members = each.double().exp().numpy() if each is not None and len(each) > 1 else None
        if members is not None:
            self._check_finite(members)
        return Outputs(self.probabilities(vectors), members)

    def _check_finite(self, *arrays: NDArray[np.float64]) -> None:
        if not all(np.isfinite(array).all() for array in arrays):
            place = f" in {self.name_or_path}" if self.name_or_path else ""
            expected, next_step = f"finite probabilities from the router{place}", "Make it again with `zooter distill`."
            raise WorkError(expected, "NaN or infinity", next_step)


AutoConfig.register("zooter-router", RouterHeadConfig)
AutoModel.register(RouterHeadConfig, RouterHead)


class Router:
    """Query text -> probabilities over the pool."""

    def __init__(self, head: RouterHead, encoder: Encoder) -> None:
        self.head, self.encoder = head.eval(), encoder
        self.candidates = tuple(head.config.candidates)

    @classmethod
    def load(cls, folder: str | Path, encoders: Encoders) -> Router:
        """A router from its folder.

        All that could make it choose wrongly shows now: its config, its weights, and what it makes of a first text.

        Raises:
            ZooterError: there is no router in the folder, or its config is wrong.
            WorkError: its files are broken, or not open to this user, or it gives no probabilities.
        """
        check_readable(Path(folder), (CONFIG, WEIGHTS))
        check_router(Path(folder))
        try:
            with LOAD_LOCK:
                head, loading = RouterHead.from_pretrained(folder, output_loading_info=True)
            if loading["missing_keys"] or loading["mismatched_keys"]:
                raise ValueError("weights are missing")
            inside = Path(folder) / OWN_ENCODER
            router = cls(head, encoders(str(inside) if head.config.encoder == OWN_ENCODER else head.config.encoder))
            router.outputs([PROBE])
        except ZooterError:
            raise
        except Exception as problem:  # json, safetensors and transformers raise many kinds
            raise broken(folder, problem) from problem
        return router

    def save(self, folder: str | Path) -> None:
        """Write the folder that `load` reads."""
        self.head.save_pretrained(folder)
        if self.head.config.encoder == OWN_ENCODER:
            self.encoder.save(Path(folder) / OWN_ENCODER)

    def for_pool(self, pool: Sequence[str]) -> Router:
        """This router, checked to be made for a pool (in any order).

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

    def probabilities(self, queries: Sequence[str], exact: bool = False) -> NDArray[np.float64]:
        """Probabilities of shape (n, candidates), in the router's pool order; rows sum to one.

        From rough vectors, where the encoder has such, unless they leave open who is first; never with `exact`.
        """
        found = self.of_vectors(self.encoder.embed(queries, exact))
        if not exact and self._open(queries, found):
            return self.probabilities(queries, exact=True)
        return found

    def of_vectors(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """The same for the encoder's vectors of queries."""
        return self.head.probabilities(torch.from_numpy(vectors))

    def outputs(self, queries: Sequence[str]) -> Outputs:
        """The same and each member's distribution, which say how unsure the router is."""
        found = self.head.outputs(torch.from_numpy(self.encoder.embed(queries)))
        if self._open(queries, found.probabilities):
            return self.head.outputs(torch.from_numpy(self.encoder.embed(queries, exact=True)))
        return found

    def _open(self, queries: Sequence[str], found: NDArray[np.float64]) -> bool:
        """Whether rough vectors leave open who is first for one of the queries."""
        if not isinstance(self.encoder, Encoder) or not self.encoder.rough(queries) or found.shape[1] < 2:
            return False
        second, first = np.sort(found, axis=1)[:, -2:].T
        return bool((second > first * np.exp(-self.close / self.head.config.calibration_temperature)).any())

    @cached_property
    @torch.inference_mode()
    def close(self) -> float:
        """How near the logits of the two best candidates may be before rough vectors may take one for the other.

        SAFE times the root mean square of how far these vectors move that difference, on the texts that the encoder
        has by both.
        """
        quick = self.encoder.quick
        if quick is None:
            return 0.0
        exact, rough = (self.head(torch.from_numpy(vectors)).double().numpy() for vectors in (quick.exact, quick.rough))
        best = np.argsort(-exact, axis=1)[:, :2]
        first, second = np.take_along_axis(exact - rough, best, axis=1).T
        return SAFE * float(np.sqrt(np.mean((first - second) ** 2)))

    def route(self, queries: Sequence[str]) -> list[Mapping[str, float]]:
        """The same as one dict a query."""
        return [dict(zip(self.candidates, row.tolist(), strict=True)) for row in self.probabilities(queries)]


def keep_label_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write into a router's folder how its labels were made, so that a candidate added later gets labels like them."""
    path = folder / CONFIG
    known = parse_json(path.read_text(encoding="utf-8"))
    known["labels"] = {name: settings[name] for name in LABEL_SETTINGS}
    path.write_text(dump_json(known, indent=2) + "\n", encoding="utf-8")


def routing_text(messages: Sequence[Message]) -> str:
    """What of a conversation is routed: the user's turns, oldest first, without the system text or any answer.

    The encoder cuts a long text at its beginning, so that the newest turn always counts.
    """
    return "\n".join(message.content for message in messages if message.role == "user")
