"""Loads reward models: those that transformers supports, and published ones with heads that it does not know.

The classes here have the weight names of the published checkpoints; `scalar` and `pairwise` compute the rewards. Every
checkpoint needs a trained head, which a plain language model does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PretrainedConfig
from transformers.models.deberta_v2.modeling_deberta_v2 import DebertaV2Model, DebertaV2PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaModel, LlamaPreTrainedModel

from zooter_core.backends.local.checkpoint import weight_files
from zooter_core.base.errors import ZooterError, loading
from zooter_core.base.weights import LOAD_LOCK, load_reason, quiet_libraries, resolve
from zooter_core.config.labelling import CheckpointConfig

Item = TypeVar("Item")


class UltraRM(LlamaPreTrainedModel):
    """openbmb/UltraRM-13b: `model.*` and `regression_head.weight`, one number of the last token, without bias."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = LlamaModel(config)
        self.regression_head = nn.Linear(config.hidden_size, 1, bias=False)
        self.post_init()


class PairRM(DebertaV2PreTrainedModel):
    """llm-blender/PairRM-hf: `pretrained_model.*` and a head over the states of two marks, `head_layer.1/4.*`."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.pretrained_model = DebertaV2Model(config)
        width, dropout = config.hidden_size, getattr(config, "drop_out", 0.0)
        self.head_layer = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.Tanh(),
            nn.Dropout(dropout),
            nn.Linear(width, getattr(config, "n_tasks", 1)),
        )
        self.post_init()


def load(config: CheckpointConfig, kind: Any = AutoModelForSequenceClassification) -> tuple[Any, Any]:
    """Load the tokenizer and the model of a checkpoint onto the device.

    Args:
        kind: the model's class, if transformers does not know it.

    Raises:
        WorkError: the weights cannot be loaded.
        ZooterError: the model has no trained head, or more than one output.
    """
    quiet_libraries()
    folder = resolve(config.model)
    with _loading(config.adapter or config.model):
        options = {"num_labels": 1} if config.adapter else {}
        tokenizer = _tokenizer(folder, config.revision)
        trained: set[str] = set()
        with LOAD_LOCK:
            model, report = kind.from_pretrained(
                folder,
                revision=config.revision,
                dtype=getattr(torch, config.dtype),
                output_loading_info=True,
                trust_remote_code=False,
                **options,
            )
            if config.adapter:
                from peft import PeftModel

                adapted = PeftModel.from_pretrained(model, config.adapter)
                trained = set(adapted.peft_config["default"].modules_to_save or ())
                model = adapted.merge_and_unload()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = model.to(device).eval()
    untrained = sorted(key for key in report["missing_keys"] if not trained & set(key.split(".")))
    if untrained:
        step = "A plain language model has no reward head; name another model or kind."
        raise ZooterError(f"a reward model with all its weights at {config.model}", f"none for {untrained[0]}", step)
    return tokenizer, model


def in_batches(
    items: Sequence[Item], size: int, length: Callable[[Item], int], compute: Callable[[list[Item]], torch.Tensor]
) -> list[float]:
    """A number per item. `compute` returns those of a batch of items of similar length."""
    numbers = [0.0] * len(items)
    order = sorted(range(len(items)), key=lambda row: length(items[row]))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        for row, number in zip(rows, compute([items[row] for row in rows]).float().tolist(), strict=True):
            numbers[row] = number
    return numbers


def check_files(config: CheckpointConfig) -> None:
    """Refuse a checkpoint whose files are missing or damaged. Does not load the weights."""
    folder = resolve(config.model)
    with _loading(config.model):
        if Path(folder).is_dir() and not (Path(folder) / "config.json").is_file():
            raise FileNotFoundError("no config.json")
        PretrainedConfig.get_config_dict(folder, revision=config.revision)
        _tokenizer(folder, config.revision)
        files = weight_files(folder, config.revision)
        if not files:
            raise FileNotFoundError("no file with weights")
        for file in files:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt"):
                    pass


def _loading(where: str) -> AbstractContextManager[None]:
    return loading(f"a reward model at {where}", "Check [reward] in fleet.toml.", load_reason)


def _tokenizer(folder: str, revision: str | None) -> Any:
    return AutoTokenizer.from_pretrained(folder, revision=revision, trust_remote_code=False)


def read_commit(model: Any) -> str:
    """The hub's commit of a model; "" for a folder, whose files are hashed instead."""
    return str(getattr(model.config, "_commit_hash", None) or "")
