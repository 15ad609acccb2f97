"""Reward kinds `scalar` and `ultra`: one number per text, the usual form of a published reward model.

An encoder (DeBERTa, BERT) reads query and response as two segments. A decoder (Llama, Qwen2, Gemma 2) reads them
as a conversation, and its head reads the last token's state. After training with the Bradley-Terry loss
-log sigmoid(r(chosen) - r(rejected)), a difference of rewards is the log-odds of a preference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForSequenceClassification

from zooter_core.backends import Backend
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.config.labelling import ScalarConfig, UltraConfig
from zooter_core.labelling.rewards import fill_template, without_marks
from zooter_core.labelling.rewards.architectures import UltraRM, in_batches, load, read_commit

BATCH = 16
MOST_TOKENS = 512
TRIES = 8  # attempts to shorten a text, which may have more tokens on its own than within the longer text
ULTRA_TEMPLATE, ULTRA_TOKENS = "Human: {query}\n\nAssistant: {response}", 2048
HEADS = ("score", "regression_head")  # of decoders: they map a token's state to a number


class ScalarReward:
    """A classifier with one output, with or without a LoRA adapter.

    Args:
        kind: the model's class, if transformers does not know it.
        template: the kind's own text with {query} and {response}.

    Raises:
        WorkError: the weights cannot be loaded.
        ZooterError: the model has no trained head, more than one output, or no way to read a query and a response.
    """

    def __init__(
        self,
        config: ScalarConfig,
        backend: Callable[[str], Backend],
        kind: Any = AutoModelForSequenceClassification,
        template: str | None = None,
        most: int = MOST_TOKENS,
    ) -> None:
        self.tokenizer, self.model = load(config, kind)
        self.tokenizer.padding_side = "right"
        self.head = next((getattr(self.model, name) for name in HEADS if hasattr(self.model, name)), None)
        outputs = self.model.config.num_labels if self.head is None else self.head.out_features
        if outputs != 1:
            raise ZooterError("a reward model with one output", f"{outputs} at {config.model}", "Use another model.")
        self.most = config.max_tokens or most
        self.template = config.template or template
        self.input = self._input(config)
        self.version = read_commit(self.model)

    def _input(self, config: ScalarConfig) -> str:
        """How the model reads query and response: `pair`, `chat` or `template`."""
        if self.template:
            return "template"
        if self.tokenizer.chat_template:
            return "chat"
        if self.head is not None:  # a decoder needs something that separates the two texts
            raise ZooterError(
                f"a chat template in the tokenizer of {config.model}, or a template in [reward]",
                "neither",
                'For instance template = "Human: {query}\\n\\nAssistant: {response}".',
            )
        return "pair"

    @torch.inference_mode()
    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The rewards of (query, response) pairs, in batches of similar length."""
        return in_batches(pairs, BATCH, lambda pair: len(pair[0]) + len(pair[1]), self._rewards)

    def _rewards(self, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
        """Rewards of pairs, as two segments or as one text, shape (n,)."""
        marks = self.tokenizer.all_special_tokens
        pairs = [(without_marks(query, marks), without_marks(response, marks)) for query, response in pairs]
        if self.input == "pair":
            texts = [list(side) for side in zip(*pairs, strict=True)]
            rows = self.tokenizer(*texts, truncation="longest_first", max_length=self.most)
        else:
            special = self.input == "template"  # a chat template writes its own first token
            rows = {"input_ids": [fit_tokens(self.tokenizer, self._render, pair, self.most, special) for pair in pairs]}
        if self.head is not None:
            return self._last(rows["input_ids"])
        batch = self.tokenizer.pad(rows, return_tensors="pt").to(self.model.device)
        return self.model(**batch).logits[:, 0]

    def _render(self, query: str, response: str) -> str:
        if self.template:
            return fill_template(self.template, {"query": query, "response": response})
        turns = [{"role": "user", "content": query}, {"role": "assistant", "content": response}]
        return self.tokenizer.apply_chat_template(turns, tokenize=False)

    def _last(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """The head's output for the last token of every row, shape (n,), with padding on either side."""
        assert self.head is not None
        device = self.model.device
        ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True).to(device)
        mask = pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True).to(device)
        states = self.model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        last = torch.tensor([self._place(row) for row in rows], device=device)
        return self.head(states[torch.arange(len(rows), device=device), last])[:, 0]

    def _place(self, row: Sequence[int]) -> int:
        """The index of the last token, or of the last one that is not config.json's padding token.

        The classes of transformers do the same for a single text, also in training.
        """
        padding = self.model.config.pad_token_id if hasattr(self.model, "num_labels") else None
        places = [place for place, token in enumerate(row) if token != padding]
        return places[-1] if places else len(row) - 1


class UltraReward(ScalarReward):
    """Reward kind `ultra`: UltraRM-13b (arXiv 2310.01377), a Llama model with a regression head on the last token.

    It was trained on texts in the form of ULTRA_TEMPLATE. Its checkpoint does not name a class of transformers.
    """

    def __init__(self, config: UltraConfig, backend: Callable[[str], Backend]) -> None:
        super().__init__(config, backend, UltraRM, ULTRA_TEMPLATE, ULTRA_TOKENS)


def fit_tokens(
    tokenizer: Any, render: Callable[[str, str], str], pair: tuple[str, str], most: int, special: bool
) -> list[int]:
    """At most `most` token ids of `render(query, response)`. The ends of query and response are cut, longest first.

    Args:
        special: whether the tokenizer adds its own first and last token.

    Raises:
        WorkError: the template alone is longer.
    """
    query, response = pair
    room: int | None = None
    for _ in range(TRIES):
        ids: list[int] = tokenizer(render(query, response), add_special_tokens=special, verbose=False)["input_ids"]
        if len(ids) <= most:
            return ids
        lengths = [len(_ends(tokenizer, text)) for text in (query, response)]
        room = (sum(lengths) if room is None else min(room, sum(lengths))) - (len(ids) - most)
        if room < 0:
            break
        first = min(lengths[0], max(room - lengths[1], room // 2))
        query, response = _first(tokenizer, query, first), _first(tokenizer, response, room - first)
    raise WorkError(f"max_tokens with room for the template ({most} given)", "too few", "Raise it in [reward].")


def _ends(tokenizer: Any, text: str) -> list[int]:
    """The end of every token of a text, in characters."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [end for _, end in encoded["offset_mapping"]]


def _first(tokenizer: Any, text: str, count: int) -> str:
    """The first tokens of a text, as text."""
    ends = _ends(tokenizer, text)
    return text if count >= len(ends) else text[: ends[count - 1]] if count > 0 else ""
