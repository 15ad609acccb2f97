"""Three bases of one size, and the tiny fleet's candidates on one backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import tiny_models
from support.three_bases import NAMES, QUERIES, pool, texts
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import load_fleet


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Three bases of one size."""
    folders = {name: tmp_path_factory.mktemp("bases") / name for name in NAMES}
    for seed, folder in enumerate(folders.values()):
        tiny_models.save_language_model(folder, seed)
    return folders


@pytest.fixture(scope="module")
def alone(folders) -> dict[str, list[str]]:
    """The answers of every base, alone in memory."""
    candidates = pool(folders)
    return {name: texts(TransformersBackend(), [candidates[name]], QUERIES) for name in NAMES}


@pytest.fixture(scope="module")
def backend() -> TransformersBackend:
    return TransformersBackend()


@pytest.fixture(scope="module")
def candidates(tiny_fleet: Path) -> dict[str, CandidateConfig]:
    """The candidates of the tiny fleet by name."""
    return {candidate.name: candidate for candidate in load_fleet(tiny_fleet).candidates}
