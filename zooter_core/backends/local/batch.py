"""A batch of requests on one base model, generated token by token.

At most WIDTH rows of a batch are generated at the same time; when some end, others take their places. Whenever memory
runs out, that number is halved, and a row that fails alone is tried once more. The text so far is kept, and generation
continues from there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


@dataclass
class CachedRows:
    """Rows of tokens.

    Attributes:
        ids, mask: shape (rows, length); the mask is 0 where there is padding.
        adapters: the adapter of each row.
        cache: what the model has read of their first tokens; None if it has read nothing.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    adapters: list[str]
    cache: DynamicCache | None = None

    def keep(self, places: Sequence[int]) -> None:
        """Drop the other rows, and the columns that are now padding in all rows."""
        assert self.cache is not None
        self.adapters = [self.adapters[place] for place in places]
        self.ids, self.mask = self.ids[places], self.mask[places]
        self.cache.batch_select_indices(torch.tensor(places))
        columns = self.mask.any(dim=0)
        if not keeps_all(self.cache) or columns.all():
            return
        self.ids, self.mask = self.ids[:, columns], self.mask[:, columns]
        read = columns[: self.cache.get_seq_length()]
        for layer in self.cache.layers:
            layer.keys = layer.keys[:, :, read.to(layer.keys.device)]
            layer.values = layer.values[:, :, read.to(layer.values.device)]

    def join(self, others: CachedRows) -> None:
        """Add rows behind these. Of both, the model has read all but the last token, and the caches keep all.

        transformers' caches can select and repeat rows. None of them takes in another's rows or pads on the left.
        """
        assert self.cache is not None
        assert others.cache is not None
        length = max(self.ids.shape[1], others.ids.shape[1])
        self.ids, self.mask = (
            torch.cat([pad(part, (length - part.shape[1], 0)) for part in parts])
            for parts in ((self.ids, others.ids), (self.mask, others.mask))
        )
        self.adapters = [*self.adapters, *others.adapters]
        for layer, other in zip(self.cache.layers, others.cache.layers, strict=True):
            layer.keys, layer.values = (
                torch.cat([pad(part, (0, 0, length - 1 - part.shape[2], 0)) for part in parts])
                for parts in ((layer.keys, other.keys), (layer.values, other.values))
            )


def keeps_all(cache: DynamicCache | None) -> bool:
    """Whether a cache keeps every token by itself in all layers, so that padding can be added and removed."""
    return cache is not None and all(type(layer) is DynamicLayer for layer in cache.layers)


WIDTH = 256  # rows that are generated at the same time, if memory allows
BEGINNING = 64  # rows whose prompts are read at the same time, and that always begin
SHARE = 0.25  # of the free memory that the caches of more rows may take
STEP = 8  # tokens after which finished rows leave, and others take their places
TAG_TOKENS = 16  # at the end of a prompt, in which a tag may open thoughts


class Batch:
    """One batch on a base whose lock the caller holds. Each request ends with a response."""

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
        self.ready: list[Row] = []  # those with a prompt

    def run(self) -> None:
        """Answer every request, or let it fail."""
        try:
            for row in self.all:
                self._read_prompt(row)
            with torch.inference_mode():
                self._generate_all(self.ready)
        except Exception as problem:
            self.rows.close("error", self.all, Failure.of(problem))

    def _read_prompt(self, row: Row) -> None:
        """Tokenize a prompt. The request fails if its adapter does not load, or its prompt is too long."""
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
        """Generate to the end of some rows, with half as many at a time whenever memory runs out."""
        width = most = self._width()
        again: Row | None = None  # the row that has been tried alone
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
        """How many rows to generate at the same time."""
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
            "Shorten the query, lower budget_gb in [memory], which leaves more for answers, or quantise the model.",
        )
        self.rows.close("error", [row], problem.failure)

    def _generate(self, rows: Sequence[Row], width: int) -> None:
        """Generate to the end of some rows, at most `width` at a time: when some end, others take their places."""
        waiting, group = deque(rows), None
        self.rows.active = []
        processors = LogitsProcessorList(self._processors())
        while waiting or self.rows.active:
            free = width - len(self.rows.active)
            if group is None or (waiting and free and keeps_all(group.cache)):
                count = min(free, BEGINNING, len(waiting))
                begun = self._begin([waiting.popleft() for _ in range(count)], joins=group is not None)
                if group is None:
                    group = begun
                else:
                    group.join(begun)
            self._extend(group, processors, alone=len(self.rows.active) == 1 and not waiting)
            self.rows.close("length", [row for row in self.rows.active if row.tokens == row.most])
            keep = self.rows.narrow()
            if self.stop.is_set():
                self.rows.close("stopped", rows)
                return
            if not keep:
                group = None
            elif len(keep) < len(group.adapters):
                group.keep(keep)

    def _begin(self, rows: Sequence[Row], joins: bool) -> CachedRows:
        """Rows that begin. If they join others, the model reads all but their last tokens, as it has of the others."""
        self.rows.begin(rows)
        read = self.base.tokenizer.pad({"input_ids": [row.prompt + row.written for row in rows]}, return_tensors="pt")
        ids, mask = (read[name].to(self.base.device) for name in ("input_ids", "attention_mask"))
        new = CachedRows(ids, mask, [row.adapter for row in rows])
        if joins:
            new.cache = DynamicCache(config=self.base.model.config)
            context, choice = self.base.choose(new.adapters)
            with context:
                self.base.model(
                    input_ids=ids[:, :-1],
                    attention_mask=mask[:, :-1],
                    position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0)[:, :-1],
                    past_key_values=new.cache,
                    logits_to_keep=1,
                    **choice,
                )
        return new

    def _extend(self, group: CachedRows, processors: LogitsProcessorList, alone: bool) -> None:
        """Generate the next tokens of all rows.

        Args:
            alone: there is one row and none to come, so that generation need not pause for others.
        """
        room = min(row.most - row.tokens for row in self.rows.active)
        context, choice = self.base.choose(group.adapters)
        with context:
            output = self.base.model.generate(
                input_ids=group.ids,
                attention_mask=group.mask,
                **({} if group.cache is None else {"past_key_values": group.cache}),
                **choice,
                logits_processor=processors,
                max_new_tokens=room if alone else min(room, STEP),
                do_sample=False,  # `Sampling` draws
                repetition_penalty=1.0,  # `Repetition` penalises; generation_config.json may name one
                eos_token_id=sorted(self.base.ends),
                pad_token_id=self.base.tokenizer.pad_token_id,
                stopping_criteria=StoppingCriteriaList([self.rows]),
                return_dict_in_generate=True,
            )
        new = output.sequences.shape[1] - group.ids.shape[1]
        group.ids, group.cache = output.sequences, output.past_key_values
        group.mask = torch.nn.functional.pad(group.mask, (0, new), value=1)

    def _processors(self) -> list[LogitsProcessor]:
        """What shapes the choice of each token, in order."""
        candidates, processors = [row.request.candidate for row in self.all], list[LogitsProcessor]()
        if any(candidate.repetition_penalty != 1 for candidate in candidates):
            processors.append(Repetition(self.rows))
        if any(candidate.calculator for candidate in candidates):
            processors.append(Calculator(self.rows, self.base.tokenizer, self.base.digits))
        if self.generation.temperature > 0:
            processors.append(self.sampling)
        return processors
