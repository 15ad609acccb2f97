"""A run of the whole pipeline on tiny models, in small batches."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import run_folders
from zooter_core.base.records import Query
from zooter_core.fleet.ensemble import Ensemble


@pytest.fixture(scope="module")
def small_batches() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        run_folders.small_batches(patch)
        yield


@pytest.fixture(scope="module", autouse=True)
def few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        run_folders.few_draws(patch)
        yield


@pytest.fixture(scope="session")
def queries() -> list[Query]:
    return run_folders.QUERIES


@pytest.fixture(scope="session")
def ensemble(tiny_ensemble: Ensemble) -> Ensemble:
    return tiny_ensemble


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory, ensemble: Ensemble, queries: list[Query]) -> Path:
    """The folder of an uninterrupted run; not to be changed."""
    folder = tmp_path_factory.mktemp("complete") / "run"
    with pytest.MonkeyPatch.context() as patch:
        run_folders.small_batches(patch)
        run_folders.run_all_steps(folder, ensemble, queries)
    return folder


@pytest.fixture
def run_copy(complete: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(complete, tmp_path / "run"))
