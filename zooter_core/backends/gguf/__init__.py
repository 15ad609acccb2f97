"""Backend `gguf`: models in GGUF files, which llama.cpp (package xllamacpp) runs in a separate process.

`header` reads a file's metadata, `adapters` writes LoRA adapters as GGUF, `offsets` rewrites Q4_1 weights for speed,
`engine` starts the process and sends requests to it, `answer` generates one response, and `backend` combines them.
`choose_backend` chooses the backend of a candidate with `backend = "auto"`.
"""

from __future__ import annotations

import importlib.util

from zooter_core.base.errors import NotInstalledError, ZooterError
from zooter_core.base.weights import check_torch, gguf_file
from zooter_core.config.candidates import AUTO_BACKEND, GGUF, TRANSFORMERS, CandidateConfig

LIBRARY = "xllamacpp"
INSTALL = "pip install 'zooter[gguf]'"


def installed() -> bool:
    """Whether the library is installed. Importing it would load 100 MB into this process."""
    return importlib.util.find_spec(LIBRARY) is not None


def choose_backend(candidate: CandidateConfig) -> str:
    """The backend of a candidate; for `auto`, llama.cpp if the model is a GGUF file, otherwise transformers."""
    if candidate.backend != AUTO_BACKEND:
        return candidate.backend
    return GGUF if _is_gguf(candidate.model) else TRANSFORMERS


def _is_gguf(model: str) -> bool:
    """Whether a model is a GGUF file or a package with such a file; False for folders and hub ids."""
    try:
        file = gguf_file(model)
    except NotInstalledError:
        return True  # the packages that `zooter setup` installs have GGUF files
    except ZooterError:  # loading the model reports the error
        return False
    return file.suffix == ".gguf" or file.is_file()


def check_engine(candidate: CandidateConfig, user: str) -> None:
    """Check that the library that runs a candidate is installed, without loading it.

    Args:
        user: what needs the library, as the subject of a sentence such as "The model X".

    Raises:
        NotInstalledError: the library is not installed.
    """
    engine = choose_backend(candidate)
    if engine == TRANSFORMERS:
        check_torch(user)
    if engine == GGUF and not installed():
        raise NotInstalledError(LIBRARY, user, INSTALL)
