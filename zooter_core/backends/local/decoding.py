"""What happens at every token of a batch: sampling, repetition penalty, calculator, streaming, ends of rows."""

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
    """Samples every row's token among its `top_k` likeliest (0: all), or among as many of these as have the probability
    `top_p` of its request, and leaves it as the only choice of generate().

    Sampling from the whole vocabulary, as generate() does after its top-k filter, costs a fifth of a batch's time. The
    random numbers have their own generator, because another thread may train with torch's global one.
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
            before = shares.cumsum(dim=-1) - shares  # the likeliest token always stays
            logits = logits.masked_fill(before >= before.new_tensor(top_p).unsqueeze(-1), -torch.inf)
        if self.generator is None:
            self.generator = torch.Generator(scores.device).manual_seed(self.seed)
        gumbel = -torch.empty_like(likeliest.values).exponential_(generator=self.generator).log()
        drawn = (logits + gumbel).argmax(dim=-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter_(-1, likeliest.indices.gather(-1, drawn), 0.0)


class Row(GrowingAnswer):
    """One request of a batch.

    Attributes:
        prompt: its tokens.
        written: the tokens of the answer.
        most: how many of them there may be.
        adapter: peft's name of the candidate's adapter.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.prompt: list[int] = []
        self.written: list[int] = []
        self.most, self.adapter, self.open = 0, NO_ADAPTER, True
        self.decoder = DecodeStream(skip_special_tokens=True)

    @property
    def ids(self) -> list[int]:
        """The tokens of prompt and answer."""
        return self.prompt + self.written


class Rows(StoppingCriteria):
    """Turns the tokens of every step (one a row) into pieces of text, and every finished row into its response. At the
    next token after an event is set, it ends every row.

    Attributes:
        active: the rows that are generated now.
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
        """Called by generate() when every active row has its next token."""
        self.put(input_ids[:, -1].tolist())
        ended = [self.stop.is_set() or not row.open for row in self.active]
        return torch.tensor(ended, device=input_ids.device)

    def put(self, tokens: Sequence[int]) -> None:
        """Take the next token of every active row."""
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
        """Drop the finished rows. Return the places, among the active ones, of those that continue."""
        keep = [place for place, row in enumerate(self.active) if row.open]
        self.active = [self.active[place] for place in keep]
        return keep

    def close(self, finish: Finish, rows: Sequence[Row], error: Failure | None = None) -> None:
        """End those of some rows that are still open."""
        for row in rows:
            if row.open:
                row.open = False
                self._put(row.end(finish, error))


class Repetition(LogitsProcessor):
    """Makes tokens less likely that a row has generated before; tokens of the prompt are not affected.

    As in CTRL (arXiv 1909.05858, section 4.1), the logit of such a token is divided by the row's penalty, or
    multiplied by it if it is negative.
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
            begun = row.text[-1] in NUMERIC  # then the rest follows, whatever the model prefers
            if not begun and meant.lstrip()[:1] not in NUMERIC:
                continue  # a unit or a currency sign comes first, or the model continues in words
            gap = "" if begun else meant[: len(meant) - len(meant.lstrip())]
            token = self.tokenizer.encode(gap + rest, add_special_tokens=False)[0]
            scores[place] = torch.full_like(scores[place], -torch.inf)
            scores[place, token] = 0.0
        return scores


def find_digits(tokenizer: Any) -> list[int]:
    """The tokens of a vocabulary that begin with a digit, after any mark for a space."""
    return [token for name, token in tokenizer.get_vocab().items() if name.lstrip("Ġ▁ ")[:1] in DIGITS]
