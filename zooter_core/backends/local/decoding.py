"""The steps for every token of a batch: sampling, repetition penalty, calculator, streaming and the ends of rows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers.decoders import DecodeStream
from transformers import LogitsProcessor, StoppingCriteria

from zooter_core.backends import Piece, Request, calculator
from zooter_core.backends.calculator import DIGITS, NUMERIC
from zooter_core.backends.growing_answer import GrowingAnswer
from zooter_core.backends.merge_streams import Put
from zooter_core.base.errors import Failure
from zooter_core.base.records import Finish

NO_ADAPTER = "__base__"  # peft's name for a row without adapter


class Sampling(LogitsProcessor):
    """Samples the next token of every row and leaves it as the only choice of generate().

    Tokens are sampled from the `top_k` likeliest (0: all), and of these, from the likeliest that together have the
    probability `top_p` of the request.

    generate() samples from the whole vocabulary after its top-k filter, which takes a fifth of a batch's time. Random
    numbers come from a separate generator, because another thread may train with torch's global one.
    """

    def __init__(self, temperature: float, top_k: int, seed: int, rows: Rows) -> None:
        self.temperature, self.top_k, self.seed, self.rows = temperature, top_k, seed, rows
        self.generator: torch.Generator | None = None  # on the device of the scores

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        most = min(self.top_k, scores.shape[-1]) if self.top_k else scores.shape[-1]
        likeliest = torch.topk(scores.float(), most)
        logits = likeliest.values / self.temperature
        top_p = [row.request.top_p for row in self.rows.active]
        if any(share < 1 for share in top_p):
            shares = logits.softmax(dim=-1)
            before = shares.cumsum(dim=-1) - shares  # 0 for the likeliest token, which therefore always stays
            logits = logits.masked_fill(before >= before.new_tensor(top_p).unsqueeze(-1), -torch.inf)
        if self.generator is None:
            self.generator = torch.Generator(scores.device).manual_seed(self.seed)
        gumbel = -torch.empty_like(likeliest.values).exponential_(generator=self.generator).log()
        drawn = (logits + gumbel).argmax(dim=-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter_(-1, likeliest.indices.gather(-1, drawn), 0.0)


class Row(GrowingAnswer):
    """One request of a batch.

    Attributes:
        prompt: the token ids of the prompt.
        written: the token ids of the answer.
        most: the most tokens of the answer.
        adapter: the name of the candidate's adapter in peft.
        open: whether the answer has not ended.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.prompt: list[int] = []
        self.written: list[int] = []
        self.most, self.adapter, self.open = 0, NO_ADAPTER, True
        self.decoder = DecodeStream(skip_special_tokens=True)

    @property
    def ids(self) -> list[int]:
        """The token ids of prompt and answer."""
        return self.prompt + self.written


class Rows(StoppingCriteria):
    """Turns the tokens of every step (one per row) into pieces of text, and finished rows into responses. If `stop` is
    set, all rows end at the next token.

    Attributes:
        active: the rows that are being generated.
    """

    def __init__(self, tokenizer: Any, ends: set[int], put: Put[Piece], stop: threading.Event) -> None:
        self.ends, self._put, self.stop = ends, put, stop
        self.backend = tokenizer.backend_tokenizer
        self.active: list[Row] = []

    def begin(self, rows: Sequence[Row]) -> None:
        self.active = [*self.active, *rows]
        for row in rows:
            if row.opening and row.started is None:
                self._put(row.add(row.opening))
            row.start()

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Process the next tokens. Called by generate() when every active row has one. Returns which rows end."""
        self.put(input_ids[:, -1].tolist())
        ended = [self.stop.is_set() or not row.open for row in self.active]
        return torch.tensor(ended, device=input_ids.device)

    def put(self, tokens: Sequence[int]) -> None:
        """Process the next token of every active row."""
        for row, token in zip(self.active, tokens, strict=True):
            if not row.open:
                continue
            row.written.append(token)
            row.count()
            if token in self.ends:
                self.close("stop", [row])
            elif text := row.decoder.step(self.backend, token):
                self._put(row.add(text))
                if row.at_stop or row.repeats:
                    self.close("stop" if row.at_stop else "repeated", [row])

    def narrow(self) -> list[int]:
        """Remove the finished rows. Return the indices of the others among the rows that were active."""
        keep = [place for place, row in enumerate(self.active) if row.open]
        self.active = [self.active[place] for place in keep]
        return keep

    def close(self, finish: Finish, rows: Sequence[Row], error: Failure | None = None) -> None:
        """End the rows that are still open."""
        for row in rows:
            if row.open:
                row.open = False
                self._put(row.end(finish, error))


class Repetition(LogitsProcessor):
    """Makes tokens less likely that the row has already generated. Tokens of the prompt are not affected.

    As in CTRL (arXiv 1909.05858, section 4.1), the logit of such a token is divided by the row's penalty if it is
    positive, and multiplied by the penalty if it is negative.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        for place, row in enumerate(self.rows.active):
            penalty, written = row.request.candidate.repetition_penalty, sorted(set(row.written))
            if penalty != 1 and written:
                logits = scores[place, written]
                scores[place, written] = torch.where(logits < 0, logits * penalty, logits / penalty)
        return scores


class Calculator(LogitsProcessor):
    """Completes the arithmetic of rows with a calculator: when a result is due, its digits are the only choice."""

    def __init__(self, rows: Rows, tokenizer: Any, digits: Sequence[int]) -> None:
        self.rows, self.tokenizer, self.digits = rows, tokenizer, digits

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        for place, row in enumerate(self.rows.active):
            if not row.request.candidate.calculator or (rest := calculator.due(row.text)) is None:
                continue
            if not rest:
                scores[place, self.digits] = -torch.inf
                continue
            meant = self.tokenizer.decode([int(scores[place].argmax())])
            begun = row.text[-1] in NUMERIC  # if so, the rest of the result follows, whatever the model prefers
            if not begun and meant.lstrip()[:1] not in NUMERIC:
                continue  # a unit or a currency sign comes first, or the model continues in words
            gap = "" if begun else meant[: len(meant) - len(meant.lstrip())]
            token = self.tokenizer.encode(gap + rest, add_special_tokens=False)[0]
            scores[place] = torch.full_like(scores[place], -torch.inf)
            scores[place, token] = 0.0
        return scores


def find_digits(tokenizer: Any) -> list[int]:
    """The ids of tokens that begin with a digit, after an optional mark for a space."""
    return [token for name, token in tokenizer.get_vocab().items() if name.lstrip("Ġ▁ ")[:1] in DIGITS]
