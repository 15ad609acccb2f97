"""Reward kind `scalar`: sequence classification with one output, the usual form of a published reward model.

The model reads query and response as a pair and its one logit is the reward. Trained with the Bradley-Terry loss
-log sigmoid(r(chosen) - r(rejected)), a difference of rewards is the log-odds of a preference.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from zooter_core.errors import WorkError, ZooterError, first_line
from zooter_core.fleet import RewardConfig
from zooter_core.weights import resolve

BATCH = 16


class ScalarReward:
    """A classifier with one label, with or without a LoRA adapter that holds the trained difference.

    Raises:
        WorkError: the weights cannot be loaded.
        ZooterError: the model has more than one output.
    """

    def __init__(self, config: RewardConfig) -> None:
        folder = resolve(config.model)
        options = {"num_labels": 1} if config.adapter else {}
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, revision=config.revision)
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, revision=config.revision, dtype=torch.float32, **options
            )
            if config.adapter:
                from peft import PeftModel

                model = PeftModel.from_pretrained(model, config.adapter).merge_and_unload()
        except Exception as problem:  # transformers, peft and safetensors raise many kinds
            raise WorkError(
                f"a reward model at {config.adapter or config.model}",
                first_line(problem),
                "Check [reward] in fleet.toml.",
            ) from problem
        if model.config.num_labels != 1:
            raise ZooterError(
                "a reward model with one output", f"{model.config.num_labels} at {config.model}", "Use another model."
            )
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device).eval()
        self.most = config.max_tokens

    @torch.inference_mode()
    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        rewards = [0.0] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda row: len(pairs[row][0]) + len(pairs[row][1]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = self.tokenizer(
                [pairs[row][0] for row in rows],
                [pairs[row][1] for row in rows],
                padding=True,
                truncation="longest_first",
                max_length=self.most,
                return_tensors="pt",
            ).to(self.device)
            for row, reward in zip(rows, self.model(**batch).logits[:, 0].float().tolist(), strict=True):
                rewards[row] = reward
        return rewards
