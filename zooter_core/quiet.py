"""Keeps the libraries' own progress bars and advice off the terminal, where Zooter shows its own."""

from __future__ import annotations

import warnings


def quiet_libraries() -> None:
    """Errors only from transformers; no bars for loading that takes a moment."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|peft")
