from __future__ import annotations

import ast
import gc
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, nullcontext
from functools import cache, wraps
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a hub id in a test must fail at once, not look for the hub
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait do not keep busy cores from those that work

import numpy as np
import pytest
from hypothesis import settings

from zooter_core.base.cores import one_thread

if TYPE_CHECKING:
    from support.running_endpoint import Endpoint
    from support.scripted_server import Scripted

MARKERS = {  # of all tests in a folder or file, under tests/
    "browser": "browser",
    "pages": "browser",
    "embedded": "models",
    "faults": "faults",
    "evaluation/sandbox": "faults",
    "backends/gguf/test_server_process.py": "slow",
    "fleet/test_open_models.py": "models",
    "serve/test_light.py": "slow",
    "serve/test_slow_clients.py": "slow",
    "ui/test_light.py": "slow",
    "test_package.py": "slow",
    "test_without_torch.py": "slow",
}


FIRST = (  # the slow tests, those that share models or servers together: each group begins on a worker of its own
    ("browser",),
    ("embedded", "test_network.py", "serve/test_light.py", "test_package.py"),
    ("pipeline/test_on_ray.py",),
    (
        *("faults", "backends/local/test_out_of_memory.py"),  # with those that use the same `programs`
        *("cli/test_main.py", "cli/test_on_a_terminal.py", "test_docs.py"),
    ),
)


INTERNAL_ERRORS: list[str] = []

# Before 3.11.8 and 3.12.2, Python counts the depth of all threads' parsing as one, and may fail (gh-106905): where
# garbage collection lets another thread go on, as hypothesis's callback does. A failed test's report parses too.
PARSE, ALONE = ast.parse, threading.RLock()


@wraps(PARSE)
def parse_alone(*source: Any, **options: Any) -> ast.AST:
    with ALONE:
        return PARSE(*source, **options)


if sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2):
    ast.parse = parse_alone


@cache
def named_folder(path: Path) -> str:
    return path.relative_to(Path(__file__).parent).as_posix()


@cache
def markers_of(path: Path) -> list[str]:
    return [marker for place, marker in MARKERS.items() if named_folder(path).startswith(place)]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What `make quick` leaves out as a whole is not imported either."""
    left_out = (place for place, marker in MARKERS.items() if f"not {marker}" in config.option.markexpr)
    return named_folder(collection_path).startswith(tuple(left_out)) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by where they are, and order them so that no worker ends with a slow one while others are done.

    Each worker gets a part of equal length (xdist's worksteal) and later gives the end of it away: a group of FIRST
    begins each part.
    """
    for item in items:
        for marker in markers_of(item.path):
            item.add_marker(marker)
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    begins: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for number, places in enumerate(FIRST):
        for place in places:
            begins[number % workers] += [item for item in items if named_folder(item.path).startswith(place)]
    others = iter([item for item in items if not named_folder(item.path).startswith(tuple(chain(*FIRST)))])
    ordered: list[pytest.Item] = []
    for number, begin in enumerate(begins):
        share = (len(items) - len(ordered)) // (workers - number)
        ordered += [*begin, *islice(others, max(0, share - len(begin)))]
    items[:] = [*ordered, *others]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process more than there are cores, four at most: some tests wait. Those of servers and browsers wait longer."""
    return min(4, len(os.sched_getaffinity(0)) + 1) + (not config.option.markexpr)


settings.register_profile("zooter", deadline=None, database=None, max_examples=30)
settings.load_profile("zooter")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: no garbage collection looks through it, neither now nor later."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


def pytest_internalerror(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    INTERNAL_ERRORS.append(str(excinfo.value))


def pytest_unconfigure(config: pytest.Config) -> None:
    """xdist's own error comes after that of the worker that caused it: the end of a log shows the first one again."""
    if INTERNAL_ERRORS and not hasattr(config, "workerinput"):
        print(f"\nThe first internal error:\n{INTERNAL_ERRORS[0][-3000:]}", file=sys.stderr)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all workers."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or fills the user's cache, history, data or settings. All workers share one cache: weights are
    converted once."""
    folder, cache = tmp_path_factory.getbasetemp(), shared / "cache"
    cache.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOOTER_CACHE", str(cache))
        patch.setenv("ZOOTER_HISTORY", str(folder / "history.db"))
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "settings"))
        yield folder


@pytest.fixture(scope="module", autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tiny models and small matrices run on one thread, real models on all.

    Threads of numpy wait for each other: beside other workers, small trainings take twenty times as long with two.
    """
    real = "embedded" in request.path.parts
    if "support.tiny_models" in sys.modules:
        import torch

        from support import tiny_models

        torch.set_num_threads(tiny_models.THREADS if real else 1)
    with nullcontext() if real else one_thread():
        yield


@pytest.fixture(scope="module", autouse=True)
def components() -> None:
    """Streamlit looks through all installed packages for components when a test opens a page: here, the first time."""
    if "streamlit.testing.v1" in sys.modules:
        from streamlit.components.v2 import manifest_scanner

        if not hasattr(manifest_scanner.scan_component_manifests, "cache_clear"):
            manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(scope="session")
def tiny_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fleet of tiny models; tests that change it take a copy."""
    from support import tiny_models
    from zooter_core.base.weights import quiet_libraries

    quiet_libraries()
    return tiny_models.save_fleet(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def fleet_copy(tiny_fleet: Path, tmp_path: Path) -> Path:
    """A copy of the tiny fleet to damage."""
    return Path(shutil.copytree(tiny_fleet, tmp_path / "fleet"))


@pytest.fixture(scope="session")
def tiny_ensemble(tiny_fleet: Path):
    from zooter_core.config.fleet import load_fleet
    from zooter_core.fleet.ensemble import Ensemble

    return Ensemble(load_fleet(tiny_fleet))


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server on loopback whose models fail as real ones do."""
    from support.scripted_server import serving

    with serving() as server:
        yield server


@pytest.fixture
def serve(tiny_fleet: Path, fleet_copy: Path, scripted: Scripted) -> Iterator[Callable[..., Endpoint]]:
    """Starts an endpoint in front of scripted models (`in_front_of`)."""
    pytest.importorskip("fastapi", reason="the extra zooter[serve] is not installed")
    from support.endpoint_fleet import share_models
    from support.running_endpoint import in_front_of

    share_models(fleet_copy, tiny_fleet)
    with ExitStack() as stack:

        def start(*models: str, **more: Any) -> Endpoint:
            return stack.enter_context(in_front_of(fleet_copy, scripted.url, *models, **more))

        yield start


@pytest.fixture(scope="session")
def programs() -> Iterator[Path]:
    """A folder for PATH with a `zooter`, and `killed_commands`, in processes of their own that need no imports."""
    from support.warm_process import commands

    with tempfile.TemporaryDirectory() as folder, commands(Path(folder)) as programs:
        yield programs


@pytest.fixture(scope="session")
def tiny_encoder(tiny_fleet: Path):
    from zooter_core.router.encoder import Encoder

    return Encoder(str(tiny_fleet / "encoder"))


@pytest.fixture
def profiles_of_any_encoder(monkeypatch):
    """A classifier of skills for vectors of any width: skill s is the number s of a sentence's."""
    from zooter_core.base.skills import SKILLS

    def state(width: int) -> tuple[np.ndarray, np.ndarray]:
        return 8 * np.eye(width, len(SKILLS), dtype=np.float32), np.zeros(len(SKILLS), dtype=np.float32)

    for kind in ("profile", "bayes"):
        monkeypatch.setattr(f"zooter_core.router.kinds.{kind}.classifier_state", state)
