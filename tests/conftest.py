from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a hub id in a test must fail at once, not look for the hub
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait do not keep busy cores from those that work

import pytest
from hypothesis import settings

MARKERS = {  # of all tests in a folder or file, under tests/
    "browser": "browser",
    "pages": "browser",
    "embedded": "models",
    "faults": "faults",
    "evaluation/sandbox": "faults",
    "router/encoder/test_onnx.py": "export",
    "router/encoder/test_int8.py": "export",
    "router/test_portable.py": "export",
    "exports": "export",
    "serve/test_light.py": "export",
    "ui/test_light.py": "export",
    "serve/test_transformers_serve.py": "models",
    "test_package.py": "export",
}


@cache
def place_of(path: Path) -> str:
    return path.relative_to(Path(__file__).parent).as_posix()


@cache
def markers_of(path: Path) -> list[str]:
    return [marker for place, marker in MARKERS.items() if place_of(path).startswith(place)]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What `make quick` leaves out as a whole is not imported either."""
    left_out = (place for place, marker in MARKERS.items() if f"not {marker}" in config.option.markexpr)
    return place_of(collection_path).startswith(tuple(left_out)) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by where they are, and begin with the browser's: one worker is to have them all, for its server."""
    for item in items:
        for marker in markers_of(item.path):
            item.add_marker(marker)
    items.sort(key=lambda item: not place_of(item.path).startswith("browser"))


def pytest_xdist_auto_num_workers() -> int:
    """A process more than there are cores, four at most: tests of servers and browsers wait."""
    return min(4, len(os.sched_getaffinity(0)) + 1)


settings.register_profile("zooter", deadline=None, database=None)
settings.register_profile("quick", settings.get_profile("zooter"), max_examples=25)


def pytest_configure(config: pytest.Config) -> None:
    """`make quick` tries a quarter of the random examples."""
    settings.load_profile("quick" if "not slow" in config.option.markexpr else "zooter")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or fills the user's cache or history. All workers share one cache: weights are converted once."""
    folder = tmp_path_factory.getbasetemp()
    cache = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "cache"
    cache.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOOTER_CACHE", str(cache))
        patch.setenv("ZOOTER_HISTORY", str(folder / "history.db"))
        yield folder


@pytest.fixture(scope="module", autouse=True)
def threads(request: pytest.FixtureRequest) -> None:
    """Tiny models run on one thread, real ones on all."""
    if "support.tiny_models" in sys.modules:
        import torch

        from support import tiny_models

        torch.set_num_threads(tiny_models.THREADS if "embedded" in request.path.parts else 1)


@pytest.fixture(scope="session")
def tiny_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fleet of tiny models; tests that change it take a copy."""
    from support import tiny_models
    from zooter_core.weights import quiet_libraries

    quiet_libraries()
    return tiny_models.save_fleet(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def fleet_copy(tiny_fleet: Path, tmp_path: Path) -> Path:
    """A copy of the tiny fleet to damage."""
    return Path(shutil.copytree(tiny_fleet, tmp_path / "fleet"))


@pytest.fixture(scope="session")
def tiny_ensemble(tiny_fleet: Path):
    from zooter_core.config.fleet import load_fleet
    from zooter_core.ensemble import Ensemble

    return Ensemble(load_fleet(tiny_fleet))


@pytest.fixture(scope="session")
def programs() -> Iterator[Path]:
    """A folder for PATH with a `zooter` that runs in a process of its own, without the seconds of its imports."""
    from support.warm_process import commands

    with tempfile.TemporaryDirectory() as folder, commands(Path(folder)) as programs:
        yield programs


@pytest.fixture(scope="session")
def tiny_encoder(tiny_fleet: Path):
    from zooter_core.router.encoder import Encoder

    return Encoder(str(tiny_fleet / "encoder"))


@pytest.fixture(scope="session")
def exported(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny fleet's router, exported, which takes seconds; not to be changed."""
    from zooter_core.cli.main import main

    out = tmp_path_factory.mktemp("exported") / "router"
    assert main(["export", "onnx", "--router", str(tiny_fleet / "router"), "--out", str(out)]) == 0
    return out
