"""Backend `gguf`: models in GGUF files, run by llama.cpp (package xllamacpp) in a process of its own.

`header` reads a file's metadata, `adapters` writes LoRA adapters as GGUF, `offsets` rewrites Q4_1 weights for speed,
`engine` starts and asks the process, `answer` generates one response, and `backend` puts them together. `engine_of`
says which backend runs a candidate with `backend = "auto"`.
"""

from __future__ import annotations

import importlib.util
from contextlib import suppress

from zooter_core.base.errors import NotInstalledError, ZooterError
from zooter_core.base.weights import INSTALL_TORCH, check_torch, gguf_file, has_torch
from zooter_core.config.candidates import AUTO_BACKEND, GGUF, TRANSFORMERS, CandidateConfig

LIBRARY = "xllamacpp"
INSTALL = "pip install 'zooter[gguf]'"


def installed() -> bool:
    """Whether the library is there. Importing it would load 100 MB into this process."""
    return importlib.util.find_spec(LIBRARY) is not None


def engine_of(candidate: CandidateConfig) -> str:
    """The backend that runs a candidate; for `auto`, llama.cpp where it is installed and the model is a GGUF file."""
    if candidate.backend != AUTO_BACKEND:
        return candidate.backend
    return GGUF if installed() and (_is_gguf(candidate.model) or not has_torch()) else TRANSFORMERS


def why_slower(candidate: CandidateConfig) -> str:
    """Why a candidate is slower than it could be, for people; "" if it is not."""
    if candidate.backend != AUTO_BACKEND or installed() or not _is_gguf(candidate.model):
        return ""
    return f"{LIBRARY} is not installed, so transformers answers, several times slower. Run `{INSTALL}`."


def _is_gguf(model: str) -> bool:
    """Whether a model is a GGUF file, or a package with one; not a folder or a hub id."""
    with suppress(ZooterError):  # loading it says what is wrong
        file = gguf_file(model)
        return file.suffix == ".gguf" or file.is_file()
    return False


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
