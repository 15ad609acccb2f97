"""Generates the answers to a batch of requests on one base model, token by token.

At most WIDTH rows of a batch are generated at the same time. When some end, others take their places. Whenever memory
runs out, this number is halved; a row that fails alone is retried once. Generation then continues from the text so far.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList, StoppingCriteriaList
from transformers.cache_utils import DynamicLayer

from zooter_core.backends import Piece, Request, memory
from zooter_core.backends.conversation import prompt_ids, too_long
from zooter_core.backends.local.decoding import NO_ADAPTER, Calculator, Repetition, Row, Rows, Sampling
from zooter_core.backends.local.model import Base
from zooter_core.backends.merge_streams import Put
from zooter_core.backends.thoughts import Splitter, most_tokens, opens
from zooter_core.base.errors import Failure, WorkError, ZooterError
from zooter_core.config.fleet import GenerationConfig


def keeps_all(cache: DynamicCache | None) -> bool:
    """Whether all layers of a cache keep each token separately, so that padding can be added and removed."""
    return cache is not None and all(type(layer) is DynamicLayer for layer in cache.layers)


def resize(cache: DynamicCache, length: int) -> None:
    """Add or remove padding on the left, so that the rows have this length. The cache must keep all tokens."""
    if change := length - cache.get_seq_length():
        for layer in cache.layers:
            layer.keys, layer.values = (pad(part, (0, 0, change, 0)) for part in (layer.keys, layer.values))


def join(cache: DynamicCache, others: DynamicCache) -> None:
    """Add the rows of another cache. Both caches must keep all tokens.

    The caches of transformers can select and repeat rows, but cannot add rows of another cache or pad on the left.
    """
    length = max(cache.get_seq_length(), others.get_seq_length())
    resize(cache, length)
    resize(others, length)
    for layer, other in zip(cache.layers, others.layers, strict=True):
        layer.keys = torch.cat([layer.keys, other.keys])
        layer.values = torch.cat([layer.values, other.values])


WIDTH = 256  # rows that are generated at the same time, if memory allows
BEGINNING = 64  # rows whose prompts are evaluated at the same time, and that are always allowed
SHARE = 0.25  # share of the free memory that the caches may use if there are more rows than BEGINNING
STEP = 8  # tokens between two replacements of finished rows by waiting ones
TAG_TOKENS = 16  # tokens at the end of a prompt that are searched for an opening tag of thoughts


class Batch:
    """One batch on a base model. Each request gets a response. The caller must hold the base's lock.

    Args:
        put: called with each piece.
        spare: unloads idle models, to free memory.
    """

    def __init__(
        self,
        base: Base,
        requests: Sequence[Request],
        generation: GenerationConfig,
        stop: threading.Event,
        put: Put[Piece],
        spare: Callable[[], None],
    ) -> None:
        self.base, self.generation, self.stop, self.spare = base, generation, stop, spare
        self.all = [Row(request) for request in requests]
        self.rows = Rows(base.tokenizer, base.ends, put, stop)
        self.sampling = Sampling(generation.temperature, generation.top_k, generation.seed, self.rows)
        self.ready: list[Row] = []  # rows with a tokenized prompt

    def run(self) -> None:
        """Answer all requests. An error becomes the response of each unfinished request."""
        try:
            for row in self.all:
                self._read_prompt(row)
            with torch.inference_mode():
                self._generate_all(self.ready)
        except Exception as problem:
            self.rows.close("error", self.all, Failure.of(problem))

    def _read_prompt(self, row: Row) -> None:
        """Tokenize the prompt. The request fails if its adapter does not load or the prompt is too long."""
        candidate = row.request.candidate
        try:
            self.base.add_adapter(candidate)
            row.prompt = prompt_ids(row.request, self.base.tokenizer)
        except ZooterError as problem:
            self.rows.close("error", [row], problem.failure)
            return
        positions = min(candidate.context_tokens or self.base.positions, self.base.positions)
        room = positions - len(row.prompt)
        if room <= 0:
            self.rows.close("refused", [row], too_long(candidate.name, len(row.prompt), positions - 1).failure)
            return
        row.adapter = self.base.adapters.get(candidate.adapter or "", NO_ADAPTER)
        opened = opens(self.base.tokenizer.decode(row.prompt[-TAG_TOKENS:]))
        row.splitter = Splitter(opened)
        thinks = opened or candidate.thinking not in (None, False)
        row.written = self.base.tokenizer.encode(row.opening, add_special_tokens=False)
        row.count(len(row.written))
        row.most = max(min(most_tokens(candidate, self.generation, thinks), room), row.tokens + 1)
        self.ready.append(row)

    def _generate_all(self, rows: Sequence[Row]) -> None:
        """Generate the rows to their ends. Halve the number of concurrent rows whenever memory runs out."""
        width = most = self._width()
        again: Row | None = None  # the row that has failed alone once
        while rows:
            try:
                self._generate(rows, width)
                return
            except Exception as problem:
                if not memory.is_full(problem):
                    raise
                shortage = memory.shortage(problem)
            self.spare()  # not inside `except`: the exception keeps the batch alive
            tried, rows = min(width, len(rows)), [row for row in rows if row.open]
            if tried > 1:
                width = (tried + 1) // 2
            elif rows and rows[0] is again:
                self._fail(again, shortage)
                rows, width = rows[1:], most
            elif rows:
                again = rows[0]

    def _width(self) -> int:
        """The number of rows to generate at the same time."""
        if len(self.ready) <= BEGINNING or not keeps_all(DynamicCache(config=self.base.model.config)):
            return min(WIDTH, BEGINNING)
        room = SHARE * memory.free(str(self.base.device))
        longest = max(len(row.prompt) + row.most for row in self.ready)
        return min(WIDTH, max(BEGINNING, int(room / longest / self.base.bytes_a_token)))

    def _fail(self, row: Row, shortage: str) -> None:
        device = str(self.base.device)
        problem = WorkError(
            f"memory for an answer of {row.request.candidate.name} ({shortage})",
            f"{memory.in_bytes(memory.free(device))} free on {device}",
            "Shorten the query, quantise the model, or lower budget_gb in [memory] to leave more for answers.",
        )
        self.rows.close("error", [row], problem.failure)

    def _generate(self, rows: Sequence[Row], width: int) -> None:
        """Generate the rows to their ends, at most `width` at a time. When some end, others take their places."""
        waiting = deque(rows)
        cache: DynamicCache | None = None  # of the active rows, without their last tokens
        self.rows.active = []
        processors = LogitsProcessorList(self._processors())
        while waiting or self.rows.active:
            free = width - len(self.rows.active)
            if cache is None or (waiting and free and keeps_all(cache)):
                begun = [waiting.popleft() for _ in range(min(free, BEGINNING, len(waiting)))]
                self.rows.begin(begun)
                if cache is not None:
                    join(cache, self._read(begun))
            cache = self._extend(cache, processors, alone=len(self.rows.active) == 1 and not waiting)
            self.rows.close("length", [row for row in self.rows.active if row.tokens == row.most])
            if self.stop.is_set():
                self.rows.close("stopped", rows)
                return
            cache = self._narrow(cache)

    def _narrow(self, cache: DynamicCache) -> DynamicCache | None:
        """Remove the finished rows, also from the cache. Return the cache; None if there are no other rows."""
        size, keep = len(self.rows.active), self.rows.narrow()
        if not keep:
            return None
        if len(keep) < size:
            cache.batch_select_indices(torch.tensor(keep))
            if keeps_all(cache):
                resize(cache, max(len(row.ids) for row in self.rows.active) - 1)
        return cache

    def _read(self, rows: Sequence[Row]) -> DynamicCache:
        """The cache of rows that join others: evaluate all their tokens except for the last ones."""
        ids, mask = self._pad(rows)
        cache = DynamicCache(config=self.base.model.config)
        context, choice = self.base.choose([row.adapter for row in rows])
        with context:
            self.base.model(
                input_ids=ids[:, :-1],
                attention_mask=mask[:, :-1],
                position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0)[:, :-1],
                past_key_values=cache,
                logits_to_keep=1,
                **choice,
            )
        return cache

    def _pad(self, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        """The token ids of rows and their mask, which is 0 for padding; both of shape (rows, length)."""
        read = self.base.tokenizer.pad({"input_ids": [row.ids for row in rows]}, return_tensors="pt")
        return read["input_ids"].to(self.base.device), read["attention_mask"].to(self.base.device)

    def _last(self, rows: Sequence[Row], cache: DynamicCache) -> tuple[torch.Tensor, torch.Tensor]:
        """The last token id of each row, of shape (rows, 1), and the mask of all tokens."""
        ids = torch.tensor([row.ids[-1:] for row in rows], device=self.base.device)
        padding = torch.tensor([[cache.get_seq_length() + 1 - len(row.ids)] for row in rows], device=self.base.device)
        mask = torch.arange(cache.get_seq_length() + 1, device=self.base.device) >= padding
        return ids, mask.long()

    def _extend(self, cache: DynamicCache | None, processors: LogitsProcessorList, alone: bool) -> DynamicCache:
        """Generate the next tokens of all active rows. Return the new cache.

        Args:
            alone: whether there is only one row and none is waiting, so that generation need not pause for others.
        """
        rows = self.rows.active
        room = min(row.most - row.tokens for row in rows)
        ids, mask = self._pad(rows) if cache is None else self._last(rows, cache)
        context, choice = self.base.choose([row.adapter for row in rows])
        with context:
            output = self.base.model.generate(
                input_ids=ids,
                attention_mask=mask,
                **({} if cache is None else {"past_key_values": cache}),
                **choice,
                logits_processor=processors,
                max_new_tokens=room if alone else min(room, STEP),
                do_sample=False,  # since `Sampling` samples
                repetition_penalty=1.0,  # overrides generation_config.json; `Repetition` applies ours
                eos_token_id=sorted(self.base.ends),
                pad_token_id=self.base.tokenizer.pad_token_id,
                stopping_criteria=StoppingCriteriaList([self.rows]),
                return_dict_in_generate=True,
            )
        read: DynamicCache = output.past_key_values
        return read

    def _processors(self) -> list[LogitsProcessor]:
        """The logits processors for each token, in order."""
        candidates, processors = [row.request.candidate for row in self.all], list[LogitsProcessor]()
        if any(candidate.repetition_penalty != 1 for candidate in candidates):
            processors.append(Repetition(self.rows))
        if any(candidate.calculator for candidate in candidates):
            processors.append(Calculator(self.rows, self.base.tokenizer, self.base.digits))
        if self.generation.temperature > 0:
            processors.append(self.sampling)
        return processors
