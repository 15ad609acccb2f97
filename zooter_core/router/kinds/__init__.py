"""Router kinds: how a query's vector becomes a logit for each candidate. A kind is one file with one class in KINDS.

`zooter` is this project's method, and `auto` weighs it against others by cross-validation. `bayes`, `kmeans` and
`profile` predict scores and use them as logits, so their probabilities are nearly uniform if the scores are close;
they still choose the highest score. Importing this module does not load PyTorch.
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
LINEAR = "ridge"  # in folders that `zooter learn` writes; not a kind of `zooter distill`
Progress = Callable[[int, float], None]  # epoch, its mean loss


@dataclass(frozen=True)
class DistillConfig:
    """How to train a router; the encoder is frozen unless `finetune` says otherwise."""

    seed: int = 0
    # `epochs` (the maximum) to `dropout` are for heads that are trained by gradient descent; `hidden` is the width of
    # the hidden layer. Other heads ignore them.
    epochs: int = 8
    rate: float = 1e-3
    decay: float = 0.1
    batch: int = 32
    hidden: int = 64
    dropout: float = 0.2
    kind: str = ZOOTER  # one of KINDS
    # Further settings of the kind by name, such as `clusters` of `kmeans`. Settings that are not here have defaults.
    extra: Mapping[str, float] = field(default_factory=dict)
    # Whether to store the texts of training queries in the router's folder, to show them as neighbours.
    keep_texts: bool = False
    finetune: str = "none"  # which part of the encoder is trained too: `none`, the last layer, or all


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
