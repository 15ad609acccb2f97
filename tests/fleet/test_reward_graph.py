"""A reward model's graph: the rewards of PyTorch, made again where it is damaged or another model's."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import BertForSequenceClassification

from support import gguf_models, tiny_models
from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import ScalarConfig
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.reward_graph import GraphReward, open_reward
from zooter_core.labelling.rewards import reward_model
from zooter_core.labelling.rewards.scalar import ScalarReward

RESPONSES = ["", "42", "[SEP] no [CLS]", "杯子 ☕ 是什么?", "The sea is wide. " * 200]
PAIRS = [(query, response) for query in (*tiny_models.QUERIES[:5], "Why? " * 300) for response in RESPONSES]


@pytest.fixture
def config(tiny_fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScalarConfig:
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    return ScalarConfig(str(shutil.copytree(tiny_fleet / "reward", tmp_path / "reward")), max_tokens=128)


def test_rewards_are_those_on_pytorch(config: ScalarConfig) -> None:
    rewards = open_reward(config).score(PAIRS)
    assert rewards == pytest.approx(reward_model(config).score(PAIRS), abs=1e-4)
    assert len({round(reward, 3) for reward in rewards}) > len(PAIRS) / 2
    assert rewards[7] == open_reward(config).score(PAIRS[7:8])[0]  # whatever else is scored


def save_reward_adapter(encoder: Path, folder: Path) -> None:
    """What makes a reward model of an encoder, with random weights and the settings of the embedded fleet's."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(2)
    config = LoraConfig(
        r=4, lora_alpha=8, bias="all", target_modules=["dense", "key", "query", "value"],
        modules_to_save=["classifier", "LayerNorm"], init_lora_weights=False, task_type="SEQ_CLS",
    )  # fmt: skip
    model = get_peft_model(BertForSequenceClassification.from_pretrained(encoder, num_labels=1), config)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn_like(weight)
    model.save_pretrained(folder)


@pytest.mark.usefixtures("config")
def test_an_adapter_is_merged(tiny_fleet: Path, tmp_path: Path) -> None:
    save_reward_adapter(tiny_fleet / "encoder", tmp_path / "adapter")
    adapted = ScalarConfig(str(tiny_fleet / "encoder"), adapter=str(tmp_path / "adapter"), max_tokens=128)
    assert open_reward(adapted).score(PAIRS) == pytest.approx(reward_model(adapted).score(PAIRS), abs=1e-4)


@pytest.mark.usefixtures("config")
def test_a_classifier_with_several_outputs_is_no_reward_model(tmp_path: Path) -> None:
    tiny_models.save_reward_model(tmp_path / "classes", outputs=3)
    with pytest.raises(ZooterError, match="a reward model with one output, but found 3"):
        open_reward(ScalarConfig(str(tmp_path / "classes")))


def test_a_graph_is_made_once_and_again_for_another_model(config: ScalarConfig, tmp_path: Path) -> None:
    def graphs() -> list[Path]:
        return sorted((tmp_path / "cache" / "rewards").glob("*/model.onnx"))

    first = open_reward(config).score(PAIRS)
    (graph,) = graphs()
    open_reward(config)
    assert graphs() == [graph]
    tiny_models.save_reward_model(Path(config.model), seed=8)
    assert open_reward(config).score(PAIRS) != pytest.approx(first)
    assert graphs() != [graph]
    assert len(graphs()) == 1
    open_reward(replace(config, max_tokens=64))
    assert len(graphs()) == 2


def test_other_reward_models_stay_on_pytorch(config: ScalarConfig) -> None:
    for changes in ({"dtype": "bfloat16"}, {"template": "{query} {response}"}):
        assert open_reward(replace(config, **changes)) is None


def test_a_fleet_uses_it_unless_it_needs_pytorch_anyway(config: ScalarConfig, tiny_fleet: Path, tmp_path: Path) -> None:
    fleet = load_fleet(tiny_fleet)
    light = replace(fleet, reward=config, candidates=(gguf_models.candidate(tmp_path / "none.gguf"),))
    assert isinstance(Ensemble(light).reward_model, GraphReward)
    on_torch = replace(light, router=replace(fleet.router, runtime="torch"))
    for other in (on_torch, replace(light, candidates=fleet.candidates)):
        assert isinstance(Ensemble(other).reward_model, ScalarReward)
