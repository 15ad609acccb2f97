"""Reward kind `pairwise`: PairRM of LLM-Blender (arXiv 2306.02561), which reads two responses at once.

The text is [CLS] <|source|> query [SEP] [CLS] <|candidate1|> first [SEP] [CLS] <|candidate2|> second [SEP]. For each
response the head reads the states of the query's mark and of the response's mark; the difference of its two numbers is
the log-odds that the first response is better. `scoring` compares all ordered pairs: n (n - 1) passes per query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from zooter_core.backends import Backend
from zooter_core.config.labelling import PairwiseConfig
from zooter_core.labelling.rewards import without_marks
from zooter_core.labelling.rewards.architectures import PairRM, in_batches, load, read_commit

BATCH = 8
MOST_TOKENS = 2048
SHARE = 412 / 2048  # the least share of the tokens for each response; both share what the query leaves
MARKS = ("<|source|>", "<|candidate1|>", "<|candidate2|>")


class PairwiseReward:
    """A DeBERTa-v3 pair ranker.

    Raises:
        WorkError: the weights cannot be loaded.
        ZooterError: the model has no trained head.
    """

    def __init__(self, config: PairwiseConfig, backend: Callable[[str], Backend]) -> None:
        self.tokenizer, self.model = load(config, PairRM)
        self.marks = self.tokenizer.convert_tokens_to_ids(list(MARKS))
        self.most = config.max_tokens or MOST_TOKENS
        self.version = read_commit(self.model)

    def compare(self, triples: Sequence[tuple[str, str, str]]) -> list[float]:
        """The margin of the first response in every (query, first, second), in batches of similar length."""
        return in_batches([self._ids(triple) for triple in triples], BATCH, len, self._margins)

    def _ids(self, triple: tuple[str, str, str]) -> list[int]:
        """The three parts in order, each cut to its share of the tokens."""
        room = int(self.most * SHARE)
        source = self._part(MARKS[0], triple[0], self.most - 2 * room)
        room = (self.most - len(source)) // 2
        return source + self._part(MARKS[1], triple[1], room) + self._part(MARKS[2], triple[2], room)

    def _part(self, mark: str, text: str, most: int) -> list[int]:
        text = without_marks(text, [*self.tokenizer.all_special_tokens, *MARKS])
        return self.tokenizer(mark + text, truncation=True, max_length=most)["input_ids"]

    @torch.inference_mode()
    def _margins(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        batch = self.tokenizer.pad({"input_ids": list(rows)}, padding_side="right", return_tensors="pt")
        batch = batch.to(self.model.device)
        states = self.model.pretrained_model(batch["input_ids"], attention_mask=batch["attention_mask"])[0]
        places = torch.tensor([[row.index(mark) for mark in self.marks] for row in rows], device=states.device)
        source, first, second = (
            states[torch.arange(len(rows), device=states.device), places[:, column]] for column in range(3)
        )
        head = self.model.head_layer
        margin = head(torch.cat([source, first], dim=-1)) - head(torch.cat([source, second], dim=-1))
        return margin.float().mean(dim=-1)
