"""Router kinds, which compute a logit for each candidate from a query's vector. A kind is one file with a class in
KINDS.

`zooter` is this project's method. `auto` combines it with other kinds, with weights from cross-validation. `bayes`,
`kmeans` and `profile` predict scores and use them as logits. Their probabilities are nearly uniform if the scores are
close, but the highest score still wins. Importing this module does not load PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from zooter_core.base.errors import ZooterError, did_you_mean
from zooter_core.base.plugins import load_kind

ZOOTER = "zooter"
AUTO_KIND = "auto"
BAYES = "bayes"
PROFILE = "profile"
LEARN_LABELS = (AUTO_KIND, ZOOTER)  # the other kinds learn from the scores
KINDS = {
    AUTO_KIND: "zooter_core.router.kinds.auto:AutoHead",
    "zooter": "zooter_core.router.kinds.zooter:ZooterHead",
    "kmeans": "zooter_core.router.kinds.kmeans:ClusterHead",
    BAYES: "zooter_core.router.kinds.bayes:BayesHead",
    PROFILE: "zooter_core.router.kinds.profile:ProfileHead",
}
LINEAR = "ridge"  # the kind of routers from `zooter learn`; not available in `zooter distill`
Progress = Callable[[int, float], None]  # epoch, its mean loss


@dataclass(frozen=True)
class DistillConfig:
    """The settings of a router's training. The encoder is frozen unless `finetune` is set."""

    seed: int = 0
    # The settings from `epochs` (the maximum) to `dropout` apply to heads that are trained by gradient descent; others
    # ignore them. `hidden` is the width of the hidden layer.
    epochs: int = 8
    rate: float = 1e-3
    decay: float = 0.1
    batch: int = 32
    hidden: int = 64
    dropout: float = 0.2
    kind: str = ZOOTER  # one of KINDS
    # Further settings of the kind by name, such as `clusters` of `kmeans`. Missing settings have their defaults.
    extra: Mapping[str, float] = field(default_factory=dict)
    # Whether to store the texts of training queries in the router's folder, to show them as neighbours.
    keep_texts: bool = False
    finetune: str = "none"  # the part of the encoder that is trained: `none`, `last` (its last layer) or `all`


SHARED = tuple(
    one.name for one in fields(DistillConfig) if one.name not in ("seed", "kind", "extra", "keep_texts", "finetune")
)
MAY_BE_ZERO = ("decay", "dropout")


def head_class(kind: str) -> Any:
    """The class of the head in a router's folder, or of a part of it.

    Raises:
        ZooterError: the kind is unknown.
    """
    return load_kind("router", {LINEAR: "zooter_core.router.kinds.linear:LinearHead"} | KINDS, kind)


def configure(kind: str, settings: Mapping[str, float] | None = None, seed: int = 0) -> DistillConfig:
    """The defaults of a kind with some `settings` replaced.

    Raises:
        ZooterError: the kind or a setting is unknown, or a value is out of range.
    """
    head: Any = load_kind("router", KINDS, kind)
    shared = {name: getattr(DistillConfig, name) for name in SHARED} if head.TRAINED else {}
    defaults: dict[str, Any] = {**shared, **head.EXTRA}
    values = defaults | {name: _number(kind, name, value, defaults) for name, value in (settings or {}).items()}
    config = DistillConfig(seed=seed, kind=kind, extra={name: values[name] for name in head.EXTRA})
    return replace(config, **{name: values[name] for name in shared})


def _number(kind: str, name: str, value: float, defaults: Mapping[str, float]) -> float:
    if name not in defaults:
        next_step = did_you_mean(name, defaults) if defaults else "Leave it out."
        raise ZooterError(f"a setting of the router kind {kind}", f'"{name}"', next_step)
    integer = isinstance(defaults[name], int)
    low = value >= 0 if name in MAY_BE_ZERO else value > 0
    if not math.isfinite(value) or not low or (integer and value != int(value)) or (name == "dropout" and value >= 1):
        least = "of at least 1" if integer else "of at least 0" if name in MAY_BE_ZERO else "above 0"
        expected = f"a {'whole ' if integer else ''}number {'from 0 to below 1' if name == 'dropout' else least}"
        raise ZooterError(f"{name} as {expected}", f"{value:g}", f"Its default is {defaults[name]:g}.")
    return int(value) if integer else float(value)
