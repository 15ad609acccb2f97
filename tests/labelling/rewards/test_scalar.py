from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import ScalarConfig
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import reward_model

PAIRS = [
    ("What is 12 + 30?", "42"), ("Write about the sea.", "The sea is wide. " * 12), ("Hi", "Hello!"),
    ("杯子 ☕", "A cup of coffee"), ("What is 12 + 30?", "I do not know, ask somebody else please."), ("Hi", ""),
] * 4  # fmt: skip


@pytest.fixture(scope="module")
def config(tiny_fleet: Path) -> ScalarConfig:
    return ScalarConfig(str(tiny_fleet / "reward"), max_tokens=128)


@pytest.fixture(scope="module")
def model(config):
    return reward_model(config)


def test_a_batch_equals_its_pairs_alone_in_any_order(model):
    assert model.score(PAIRS[::-1])[::-1] == pytest.approx(model.score(PAIRS), abs=1e-5)
    assert model.score(PAIRS) == pytest.approx([model.score([pair])[0] for pair in PAIRS], abs=1e-5)


def test_a_long_pair_is_cut_to_max_tokens(config):
    short = reward_model(replace(config, max_tokens=32))
    long = "The sea is wide. " * 50
    assert short.score([("Hi", long)]) == pytest.approx(short.score([("Hi", long + "And deep.")]))


def test_an_adapter_changes_the_rewards(config, tmp_path, model):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    settings = LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False, task_type="SEQ_CLS")
    base = AutoModelForSequenceClassification.from_pretrained(config.model)
    get_peft_model(base, settings).save_pretrained(tmp_path)
    adapted = reward_model(replace(config, adapter=str(tmp_path)))
    assert adapted.score(PAIRS[:3]) != pytest.approx(model.score(PAIRS[:3]), abs=1e-2)


def test_more_than_one_output_is_refused(config, tmp_path):
    from support import tiny_models

    tiny_models.save_reward_model(tmp_path, outputs=3)
    with pytest.raises(ZooterError, match=r"one output, but found 3 at "):
        reward_model(replace(config, model=str(tmp_path)))


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_corrupt_or_missing_model_is_one_clear_error(config, fleet_copy, file):
    with pytest.raises(WorkError, match="a reward model at owner/not-on-this-machine"):
        reward_model(replace(config, adapter="owner/not-on-this-machine"))
    path = fleet_copy / "reward" / file
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(WorkError, match="a reward model at"):
        reward_model(replace(config, model=str(fleet_copy / "reward")))


FULL = (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), MemoryError())


@pytest.mark.parametrize(("problem", "times"), [(FULL[0], 1), (FULL[1], 2)])
def test_memory_that_runs_out_for_a_reward_model_is_freed_for_a_second_try(tiny_fleet, monkeypatch, problem, times):
    ensemble = Ensemble(load_fleet(tiny_fleet))
    ensemble.open_backend("transformers").load(ensemble.fleet.candidates[0])
    load, sizes = AutoModelForSequenceClassification.from_pretrained, []

    def short(*arguments, **options):
        sizes.append(sum(ensemble.open_backend("transformers").sizes().values()))
        if len(sizes) <= times:
            raise problem
        return load(*arguments, **options)

    monkeypatch.setattr(AutoModelForSequenceClassification, "from_pretrained", short)
    if times == 1:
        assert ensemble.score_responses([("Hi", ["Hello"])])[0].reason is None
    else:
        with pytest.raises(WorkError, match=r"a reward model at"):
            ensemble.score_responses([("Hi", ["Hello"])])
    assert sizes[0] > sizes[1] == 0
    assert len(sizes) == 2
