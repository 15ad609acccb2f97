"""The options for training a router, which `zooter run` and `zooter distill` share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from zooter_core.base.errors import ZooterError
from zooter_core.cli.options import named, option
from zooter_core.router.kinds import AUTO_KIND, KINDS, ZOOTER, DistillConfig, configure

if TYPE_CHECKING:
    from zooter_core.method.labels import LabelConfig

Result = TypeVar("Result")


@dataclass(frozen=True)
class TrainingOptions:
    """The options, with the values of the call."""

    beta: float | None = option("X", "Weight of the plain label (default: 0.3; for score files 0: only tag priors).")
    tau: float | None = option("X", "Softmax temperature of rewards (default: 1; for score files 0.3).")
    normalise: str | None = option(
        "NAME", "Normalisation of rewards: none (default), spread (default for score files), zscore, zscore-dataset."
    )
    holdout: float | None = option("X", "Share of queries held back for evaluation (default: 0.2; for score files 0).")
    seed: int | None = option("N", "Random seed (default: 0; in a run, the fleet's).", min=0)
    router_kind: str | None = option(
        "KIND",
        f"Kind of router: {', '.join(KINDS)}, or the name of a plug-in. The default, auto, combines kinds with weights "
        "from cross-validation; with --finetune, the default is zooter.",
    )
    finetune: Literal["none", "last", "all"] = option(
        help="Part of the encoder to train as well: none (takes seconds), the last layer, or all (needs a GPU).",
        default="none",
    )
    router_set: list[str] | None = option(
        "NAME=NUMBER...", "Settings of the router kind, such as epochs=20 or clusters=64."
    )

    @property
    def labels(self) -> dict[str, Any]:
        """The label settings that the call sets."""
        return named(beta=self.beta, tau=self.tau, normalise=self.normalise, holdout=self.holdout)

    def label_config(self, defaults: LabelConfig) -> LabelConfig:
        """The label settings, with the call's options in place of defaults.

        Raises:
            ZooterError: --holdout is out of range.
        """
        config = replace(defaults, **self.labels)
        if not 0 <= config.holdout < 1:
            raise ZooterError("--holdout from 0 to below 1", str(config.holdout), "Choose another share.")
        return config

    def distill_config(self) -> DistillConfig:
        """The settings for training a router.

        Raises:
            ZooterError: a value of --router-set is not a number, or is not a setting of this kind.
        """
        numbers: dict[str, float] = {}
        for pair in self.router_set or ():
            name, _, value = pair.partition("=")
            try:
                numbers[name] = float(value)
            except ValueError as problem:
                next_step = "For instance --router-set clusters=64."
                raise ZooterError("--router-set as NAME=NUMBER", repr(pair), next_step) from problem
        kind = self.router_kind or (AUTO_KIND if self.finetune == "none" else ZOOTER)
        return replace(configure(kind, numbers, seed=self.seed or 0), finetune=self.finetune)


def with_training(command: Callable[..., Result]) -> Callable[..., Result]:
    """Add the options of TrainingOptions to a command, which gets their values as its parameter `training`."""
    shared = inspect.signature(TrainingOptions, eval_str=True).parameters
    signature = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def call(**values: Any) -> Result:
        training = TrainingOptions(**{name: values.pop(name) for name in shared})
        return command(**values, training=training)

    others = [parameter for name, parameter in signature.parameters.items() if name != "training"]
    call.__signature__ = signature.replace(parameters=[*others, *shared.values()])  # type: ignore[attr-defined]
    return call
