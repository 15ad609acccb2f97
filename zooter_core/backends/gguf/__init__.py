"""Backend `gguf`: models in GGUF files, run by llama.cpp (package xllamacpp) in a process of its own.

`header` reads a file's metadata, `adapters` writes LoRA adapters as GGUF, `offsets` rewrites Q4_1 weights for speed,
`engine` starts and asks the process, `answer` generates one response, and `backend` puts them together.
`choose_backend` says which backend runs a candidate with `backend = "auto"`.
"""

from __future__ import annotations

import importlib.util

from zooter_core.base.errors import NotInstalledError, ZooterError
from zooter_core.base.weights import check_torch, gguf_file
from zooter_core.config.candidates import AUTO_BACKEND, GGUF, TRANSFORMERS, CandidateConfig

LIBRARY = "xllamacpp"
INSTALL = "pip install 'zooter[gguf]'"


def installed() -> bool:
    """Whether the library is there. Importing it would load 100 MB into this process."""
    return importlib.util.find_spec(LIBRARY) is not None


def choose_backend(candidate: CandidateConfig) -> str:
    """The backend that runs a candidate; for `auto`, llama.cpp if the model is a GGUF file, else transformers."""
    if candidate.backend != AUTO_BACKEND:
        return candidate.backend
    return GGUF if _is_gguf(candidate.model) else TRANSFORMERS


def _is_gguf(model: str) -> bool:
    """Whether a model is a GGUF file, or a package with one; not a folder or a hub id."""
    try:
        file = gguf_file(model)
    except NotInstalledError:
        return True  # as those that `zooter setup` installs
    except ZooterError:  # loading it says what is wrong
        return False
    return file.suffix == ".gguf" or file.is_file()


def check_engine(candidate: CandidateConfig, user: str) -> None:
    """Refuse a candidate whose local engine is not installed, without loading it.

    Args:
        user: what needs it, as the beginning of a sentence.

    Raises:
        NotInstalledError: names the package.
    """
    engine = choose_backend(candidate)
    if engine == TRANSFORMERS:
        check_torch(user)
    if engine == GGUF and not installed():
        raise NotInstalledError(LIBRARY, user, INSTALL)
