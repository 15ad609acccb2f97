"""A reward model in the cache: PyTorch's rewards without PyTorch, for the weights it was made from alone."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support import gguf_models, tiny_models
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import ScalarConfig
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.exports.reward import PortableReward, make_reward_export, open_reward
from zooter_core.labelling.rewards import reward_model
from zooter_core.labelling.rewards.scalar import ScalarReward
from zooter_core.router.graph import missing

pytestmark = pytest.mark.skipif(bool(missing()), reason="the extra `onnx` is not installed: pip install 'zooter[onnx]'")
RESPONSES = ["", "42", "[SEP] no [CLS]", "杯子 ☕ 是什么?", "The sea is wide. " * 200]
PAIRS = [(query, response) for query in (*tiny_models.QUERIES[:5], "Why? " * 300) for response in RESPONSES]


@pytest.fixture(scope="module")
def model_and_cache(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The tiny reward model's folder, and a cache with its export."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(tiny_fleet / "reward", folder / "reward")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOOTER_CACHE", str(folder / "cache"))
        assert make_reward_export(ScalarConfig(str(folder / "reward"), max_tokens=128))
    return folder / "reward", folder / "cache"


@pytest.fixture
def config(model_and_cache: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScalarConfig:
    """The model, with a copy of the cache."""
    reward, cache = model_and_cache
    monkeypatch.setenv("ZOOTER_CACHE", str(shutil.copytree(cache, tmp_path / "cache")))
    return ScalarConfig(str(reward), max_tokens=128)


def test_rewards_are_those_on_pytorch(config: ScalarConfig) -> None:
    model = open_reward(config)
    assert model is not None
    rewards = model.score(PAIRS)
    assert rewards == pytest.approx(reward_model(config).score(PAIRS), abs=1e-4)
    assert len({round(reward, 3) for reward in rewards}) > len(PAIRS) / 2
    assert rewards[7] == model.score(PAIRS[7:8])[0]  # whatever else is scored


def test_an_export_of_other_weights_is_not_used(config: ScalarConfig) -> None:
    weights = Path(config.model) / "model.safetensors"
    before = weights.stat()
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert open_reward(config) is None
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert open_reward(config) is not None
    assert open_reward(replace(config, max_tokens=64)) is None


@pytest.mark.parametrize("file", ["reward.onnx", "reward.onnx.data", "reward.json", "tokenizer.json"])
def test_a_damaged_export_is_not_used(config: ScalarConfig, tmp_path: Path, file: str) -> None:
    (path,) = (tmp_path / "cache" / "rewards").glob(f"*/{file}")
    path.write_bytes(b"half")
    assert open_reward(config) is None


@pytest.mark.parametrize("changes", [{"dtype": "bfloat16"}, {"template": "{query} {response}"}, {"input": "chat"}])
def test_other_reward_models_stay_on_pytorch(config: ScalarConfig, changes: dict[str, str]) -> None:
    assert make_reward_export(replace(config, **changes)) is None


def test_a_fleet_uses_it_unless_it_needs_pytorch_anyway(config: ScalarConfig, tiny_fleet: Path, tmp_path: Path) -> None:
    fleet = load_fleet(tiny_fleet)
    assert fleet.router is not None
    fast = replace(fleet.router, runtime="auto")
    light = replace(fleet, router=fast, reward=config, candidates=(gguf_models.candidate(tmp_path / "none.gguf"),))
    assert isinstance(Ensemble(light).reward_model, PortableReward)
    for other in (replace(light, router=fleet.router), replace(light, candidates=fleet.candidates)):
        assert isinstance(Ensemble(other).reward_model, ScalarReward)
