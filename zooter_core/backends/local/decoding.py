"""What happens at every token of a batch: sampling, repetition penalty, calculator, streaming, ends of rows."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers.decoders import DecodeStream
from transformers import LogitsProcessor, StoppingCriteria

from zooter_core.backends import Piece, Request
from zooter_core.backends.local import calculator
from zooter_core.backends.local.calculator import DIGITS, NUMERIC
from zooter_core.backends.loops import Watch
from zooter_core.backends.thoughts import Splitter, still_thinking
from zooter_core.base.errors import Failure
from zooter_core.base.records import Finish, Response


class Sampling(LogitsProcessor):
    """Samples every row's token among its `top_k` likeliest (0: all), and leaves it as the only choice of generate().

    Sampling from the whole vocabulary, as generate() does after its top-k filter, costs a fifth of a batch's time. The
    random numbers have their own generator, because another thread may train with torch's global one.
    """

    def __init__(self, temperature: float, top_k: int, seed: int = 0) -> None:
        self.temperature, self.top_k, self.seed = temperature, top_k, seed
        self.generator: torch.Generator | None = None  # on the device of the scores

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        most = min(self.top_k, scores.shape[-1]) if self.top_k else scores.shape[-1]
        likeliest = torch.topk(scores.float(), most)
        if self.generator is None:
            self.generator = torch.Generator(scores.device).manual_seed(self.seed)
        gumbel = -torch.empty_like(likeliest.values).exponential_(generator=self.generator).log()
        drawn = (likeliest.values / self.temperature + gumbel).argmax(dim=-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter_(-1, likeliest.indices.gather(-1, drawn), 0.0)


class Rows(StoppingCriteria):
    """Turns the tokens of every step (one a row) into pieces of text, and every finished row into its response. At the
    next token after an event is set, it ends every row.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        tokenizer: Any,
        ends: set[int],
        pieces: queue.Queue[Any],
        stop: threading.Event,
    ) -> None:
        self.requests, self.ends, self.pieces, self.stop = requests, ends, pieces, stop
        self.backend = tokenizer.backend_tokenizer
        self.decoders = [DecodeStream(skip_special_tokens=True) for _ in requests]
        self.texts = [""] * len(requests)
        self.watches = [Watch() for _ in requests]
        self.splitters = [Splitter() for _ in requests]
        self.thought_tokens = [0] * len(requests)
        self.written: list[list[int]] = [[] for _ in requests]
        self.first: list[float | None] = [None] * len(requests)
        self.open = set(range(len(requests)))
        self.active: list[int] = []  # the rows that are generated now
        self.starts: dict[int, float] = {}

    def begin(self, rows: Sequence[int]) -> None:
        """Add rows to those that are generated. The seconds of a response count from its first time here."""
        self.active = [*self.active, *rows]
        self.starts |= dict.fromkeys(rows, time.perf_counter()) | self.starts

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Called by generate() when every active row has its next token."""
        self.put(input_ids[:, -1].tolist())
        return torch.full((input_ids.shape[0],), self.stop.is_set(), dtype=torch.bool, device=input_ids.device)

    def put(self, tokens: Sequence[int]) -> None:
        """Take the next token of every active row."""
        now = time.perf_counter()
        for index, token in zip(self.active, tokens, strict=True):
            if index not in self.open:
                continue
            self.written[index].append(token)
            thinking = self.splitters[index].thinking
            self.thought_tokens[index] += thinking
            if self.first[index] is None and not thinking:
                self.first[index] = now - self.starts[index]
            if token in self.ends:
                self._finish(index, "stop", now)
                continue
            text = self.decoders[index].step(self.backend, token)
            if text:
                self.texts[index] += text
                thoughts, text = self.splitters[index].feed(text)
                self.pieces.put(Piece(self.requests[index], text, thoughts=thoughts))
                if self.watches[index].repeats(self.texts[index]):
                    self._finish(index, "repeated", now)

    def narrow(self) -> list[int]:
        """Drop the finished rows. Return the places, among the active ones, of those that continue."""
        keep = [place for place, index in enumerate(self.active) if index in self.open]
        self.active = [self.active[place] for place in keep]
        return keep

    def close(self, finish: Finish, among: Sequence[int] | None = None, error: Failure | None = None) -> None:
        """End all rows that are still open, or those of `among`."""
        for index in sorted(self.open & set(self.open if among is None else among)):
            self._finish(index, finish, time.perf_counter(), error)

    def _finish(self, index: int, finish: Finish, now: float, error: Failure | None = None) -> None:
        self.open.discard(index)
        seconds = now - self.starts.get(index, now)
        request, parts, tokens = self.requests[index], self.splitters[index].end(), len(self.written[index])
        if parts.unfinished and finish in ("stop", "length", "repeated"):
            finish, error = "refused", still_thinking(request.candidate.name, tokens).failure
        response = Response(
            request.candidate.name, parts.text.strip(), tokens, seconds, self.first[index], finish, error,
            thoughts=parts.thoughts, thought_tokens=self.thought_tokens[index],
        )  # fmt: skip
        self.pieces.put(Piece(request, response=response))


class Repetition(LogitsProcessor):
    """Makes tokens less likely that a row has generated before; tokens of the prompt are not affected.

    As in CTRL (arXiv 1909.05858, section 4.1), the logit of such a token is divided by the row's penalty, or
    multiplied by it if it is negative.
    """

    def __init__(self, rows: Rows, penalties: Sequence[float]) -> None:
        self.rows, self.penalties = rows, penalties

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        for place, index in enumerate(self.rows.active):
            penalty, written = self.penalties[index], sorted(set(self.rows.written[index]))
            if penalty != 1 and written:
                logits = scores[place, written]
                scores[place, written] = torch.where(logits < 0, logits * penalty, logits / penalty)
        return scores


class Calculator(LogitsProcessor):
    """Completes the arithmetic of rows with a calculator: when a result is due, its digits are the only choice."""

    def __init__(self, rows: Rows, on: Sequence[bool], tokenizer: Any, digits: Sequence[int]) -> None:
        self.rows, self.on, self.tokenizer, self.digits = rows, on, tokenizer, digits

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        for place, index in enumerate(self.rows.active):
            if not self.on[index] or (rest := calculator.due(self.rows.texts[index])) is None:
                continue
            if not rest:
                scores[place, self.digits] = -torch.inf
                continue
            meant = self.tokenizer.decode([int(scores[place].argmax())])
            begun = self.rows.texts[index][-1] in NUMERIC  # then the rest follows, whatever the model prefers
            if not begun and meant.lstrip()[:1] not in NUMERIC:
                continue  # a unit or a currency sign comes first, or the model continues in words
            gap = "" if begun else meant[: len(meant) - len(meant.lstrip())]
            token = self.tokenizer.encode(gap + rest, add_special_tokens=False)[0]
            scores[place] = torch.full_like(scores[place], -torch.inf)
            scores[place, token] = 0.0
        return scores


def digits_of(tokenizer: Any) -> list[int]:
    """The tokens of a vocabulary that begin with a digit, after any mark for a space."""
    return [token for name, token in tokenizer.get_vocab().items() if name.lstrip("Ġ▁ ")[:1] in DIGITS]
