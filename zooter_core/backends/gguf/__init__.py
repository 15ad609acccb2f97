"""Backend `gguf`: models in GGUF files, run by llama.cpp (package xllamacpp) in a process of its own.

`header` reads a file's metadata, `adapters` writes LoRA adapters as GGUF, `offsets` rewrites Q4_1 weights for speed,
`engine` starts and asks the process, `answer` generates one response, and `backend` puts them together. `auto` is this
backend where the package is installed, else `transformers`.
"""

from __future__ import annotations

import importlib.util

from zooter_core.base.errors import NotInstalledError
from zooter_core.base.weights import INSTALL_TORCH, check_torch, has_torch
from zooter_core.config.candidates import AUTO_BACKEND, GGUF, TRANSFORMERS, CandidateConfig

LIBRARY = "xllamacpp"
INSTALL = "pip install 'zooter[gguf]'"


def installed() -> bool:
    """Whether the library is there. Importing it would load 100 MB into this process."""
    return importlib.util.find_spec(LIBRARY) is not None


def engine_of(candidate: CandidateConfig) -> str:
    """The backend that runs a candidate; for `auto`, the one that this environment prefers."""
    if candidate.backend != AUTO_BACKEND:
        return candidate.backend
    return GGUF if installed() else TRANSFORMERS


def check_engine(kind: str, user: str) -> None:
    """Refuse a kind of backend whose library is not installed, without loading it.

    Args:
        user: what needs it, as the beginning of a sentence.

    Raises:
        NotInstalledError: `kind` is one of a local engine, which is not there.
    """
    if kind == TRANSFORMERS:
        check_torch(user)
    if kind == GGUF and not installed():
        raise NotInstalledError(LIBRARY, user, INSTALL)
    if kind == AUTO_BACKEND and not installed() and not has_torch():
        raise NotInstalledError(LIBRARY, user, INSTALL, f"`{INSTALL_TORCH}` for transformers")
