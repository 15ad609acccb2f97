"""Router kinds: how a query's vector becomes a logit for each candidate. A kind is one file with one class in KINDS.

`zooter` is the method of this project; the others are the routers of the literature, on the same encoder and the same
score files, so that they can be compared under one roof. Of those, `knn`, `ridge` and `kmeans` predict scores and give
them as logits, so that their probabilities are as flat as the scores are close; the choice is the highest all the same.
Nothing here loads torch until a kind is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from zooter_core.errors import ZooterError, did_you_mean
from zooter_core.plugins import load_kind

DEFAULT = "zooter"
KINDS = {
    "zooter": "zooter_core.router.kinds.zooter:ZooterHead",
    "knn": "zooter_core.router.kinds.knn:NearestHead",
    "ridge": "zooter_core.router.kinds.ridge:RidgeHead",
    "kmeans": "zooter_core.router.kinds.kmeans:ClusterHead",
    "cosine": "zooter_core.router.kinds.cosine:CosineHead",
    "routerdc": "zooter_core.router.kinds.routerdc:ContrastiveHead",
    "mf": "zooter_core.router.kinds.mf:FactorHead",
}
Progress = Callable[[int, float], None]  # epoch, its mean loss


@dataclass(frozen=True)
class DistillConfig:
    """How a router is made; the encoder stays frozen unless `finetune` says otherwise.

    Attributes:
        epochs, rate, decay, batch, hidden, dropout: of a head that is trained by gradient descent (`epochs` is the
            most, `hidden` the width of its hidden layer or projection); the others pass them over.
        kind: one of KINDS.
        own: what this kind has besides, each a number (`k` of `knn`); what is missing has the kind's own default.
        finetune: what of the encoder learns too: none, its last layer, or all.
        keep_texts: whether the router's folder keeps the texts of its queries, to show them as neighbours.
    """

    seed: int = 0
    epochs: int = 8
    rate: float = 1e-3
    decay: float = 0.1
    batch: int = 32
    hidden: int = 64
    dropout: float = 0.2
    kind: str = DEFAULT
    own: Mapping[str, float] = field(default_factory=dict)
    keep_texts: bool = False
    finetune: str = "none"


SHARED = tuple(
    one.name for one in fields(DistillConfig) if one.name not in ("seed", "kind", "own", "keep_texts", "finetune")
)
MAY_BE_ZERO = ("decay", "dropout", "spread")


def settings_of(kind: str, given: Mapping[str, float] | None = None, seed: int = 0) -> DistillConfig:
    """The settings of a kind: its own defaults with what is given instead, by name.

    Raises:
        ZooterError: there is no such kind, it has no such setting, or a number makes no sense there.
    """
    made: Any = load_kind("router", KINDS, kind)
    defaults: dict[str, Any] = (
        {name: getattr(DistillConfig, name) for name in SHARED} | made.TRAINING if made.TRAINED else {}
    )
    known: dict[str, Any] = {**defaults, **made.OWN}
    values = {name: _number(kind, name, value, known) for name, value in (given or {}).items()}
    shared = {name: value for name, value in {**defaults, **values}.items() if name in defaults}
    own = {name: value for name, value in {**made.OWN, **values}.items() if name in made.OWN}
    return replace(DistillConfig(seed=seed, kind=kind, own=own), **shared)


def check_settings(kind: str, settings: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """What is wrong with the settings of a head in a router's folder: the field, what it should be, what was found.

    None where nothing is, or where the kind comes with another package and its settings are its own. That a setting is
    there and fits the weights shows when the head is loaded.
    """
    for name, value in settings.items() if kind in KINDS else ():
        field = f"settings.{name}"
        if name == "pool":
            if value is not None and not _is_pool(value):
                return field, "an object with added, a number, and out, a list of numbers", f"{value!r:.60}"
        elif isinstance(value, bool) or not isinstance(value, int | float):
            return field, "a number", f"{value!r:.60}"
        elif name == "dropout" and not 0 <= value < 1:
            return field, "a number from 0 to below 1", f"{value}"
        elif name != "dropout" and not 0 < value < math.inf:
            return field, "a number above 0", f"{value}"
    return None


def _is_pool(value: Any) -> bool:
    """Whether a value is the `pool` of the kind zooter: how many candidates were added, and which ones are out."""
    if not isinstance(value, dict) or set(value) != {"added", "out"} or not isinstance(value["out"], list):
        return False
    return all(isinstance(number, int) and number >= 0 for number in (value["added"], *value["out"]))


def _number(kind: str, name: str, value: float, known: Mapping[str, float]) -> float:
    if name not in known:
        next_step = did_you_mean(name, known) if known else "Leave it out."
        raise ZooterError(f"a setting of the router kind {kind}", f'"{name}"', next_step)
    whole = isinstance(known[name], int)
    low = value >= 0 if name in MAY_BE_ZERO else value > 0
    if not math.isfinite(value) or not low or (whole and value != int(value)) or (name == "dropout" and value >= 1):
        least = "of at least 1" if whole else "of at least 0" if name in MAY_BE_ZERO else "above 0"
        wanted = f"a {'whole ' if whole else ''}number {'from 0 to below 1' if name == 'dropout' else least}"
        raise ZooterError(f"{name} as {wanted}", f"{value:g}", f"Its default is {known[name]:g}.")
    return int(value) if whole else float(value)
