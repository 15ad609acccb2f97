"""Requests that run together on one base, token by token.

Where memory runs out, the batch goes on in two halves, one after the other, and these in theirs; a request alone tries
once more. What has come stays: generation goes on behind it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList, StoppingCriteriaList

from zooter_core.backends import Request
from zooter_core.backends.local import memory
from zooter_core.backends.local.decoding import Calculator, Repetition, Rows, Sampling, StopWhen
from zooter_core.backends.local.model import Base
from zooter_core.backends.local.prompts import prompt_ids
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import Failure, WorkError, ZooterError

TOGETHER = 16  # tokens after which the rows that have ended leave their batch


class Batch:
    """One batch on a base whose lock is held; its pieces go into a queue, one response a request.

    Args:
        stops: any of them ends all rows at the next token.
        spare: makes room in memory, as far as that goes.
    """

    def __init__(
        self,
        base: Base,
        requests: Sequence[Request],
        generation: GenerationConfig,
        stops: Sequence[threading.Event],
        pieces: queue.Queue[Any],
        spare: Callable[[], None],
    ) -> None:
        self.base, self.requests, self.generation, self.spare = base, requests, generation, spare
        self.stopped = StopWhen(stops)
        self.sampling = Sampling(generation.temperature, generation.top_k, generation.seed)
        self.rows = Rows(requests, base.tokenizer, base.ends, pieces)
        self.adapters: dict[int, str] = {}
        self.prompts: dict[int, list[int]] = {}
        self.most: dict[int, int] = {}  # tokens of each answer

    def run(self) -> None:
        """Every request answered or failed."""
        try:
            self._read()
            with torch.inference_mode():
                if self.prompts:
                    self._go_on(list(self.prompts))
        except Exception as problem:
            self.rows.close("error", error=Failure.of(problem))

    def _read(self) -> None:
        """The prompts; a request whose adapter does not load, or whose prompt is none or too long, fails here."""
        for index, request in enumerate(self.requests):
            try:
                self.base.add_adapter(request.candidate)
                ids = prompt_ids(request, self.base.tokenizer)
            except ZooterError as problem:
                self.rows.close("error", [index], problem.failure)
                continue
            if len(ids) >= self.base.positions:
                most, next_step = self.base.positions - 1, "Shorten the query or start a new conversation."
                found = f"{len(ids):,} tokens, more than the {most:,} that fit"
                too_long = WorkError(f"a prompt that fits into {request.candidate.name}", found, next_step)
                self.rows.close("refused", [index], too_long.failure)
                continue
            self.prompts[index], self.adapters[index] = ids, self.base.adapter_of(request.candidate)
            self.most[index] = min(self.generation.max_new_tokens, self.base.positions - len(ids))
        self.rows.begin()

    def _go_on(self, among: list[int], again: bool = False) -> None:
        """Generate to the end of some rows, in halves where memory runs out."""
        try:
            self._generate(among)
            return
        except Exception as problem:
            if not memory.is_full(problem):
                raise
            wanted = memory.asked_for(problem)
        self.spare()  # only now: until here the error holds on to the batch
        left = [index for index in among if index in self.rows.open]
        if len(left) > 1:
            half = (len(left) + 1) // 2
            self._go_on(left[:half])
            self._go_on(left[half:])
        elif left and not again:
            self._go_on(left, again=True)
        elif left:
            self._fail(left[0], wanted)

    def _fail(self, index: int, wanted: str) -> None:
        device = str(self.base.device)
        problem = WorkError(
            f"memory for an answer of {self.requests[index].candidate.name} ({wanted})",
            f"{memory.told(memory.free(device))} free on {device}",
            "Shorten the query, lower budget_gb in [memory], which leaves more for answers, or quantise the model.",
        )
        self.rows.close("error", [index], problem.failure)

    def _generate(self, among: Sequence[int]) -> None:
        """Generate to the end of some rows, which have come equally far.

        What is padded to a prompt near the end of the model goes on without it, once that has no more room.
        """
        read = [self.prompts[index] + self.rows.written[index] for index in among]
        batch = self.base.tokenizer.pad({"input_ids": read}, return_tensors="pt").to(self.base.device)
        ids, mask = batch["input_ids"], batch["attention_mask"]
        self.rows.active = list(among)
        names = [self.adapters[index] for index in among]
        end = min(self.most[index] for index in among)
        left = end - len(self.rows.written[among[0]])
        choosing = self._choosing()
        cache = self._read_repeats_once(ids, mask, list(zip(map(tuple, read), names, strict=True)))
        while left > 0 and self.rows.active:
            context, choice = self.base.choose(names)
            with context:
                made = self.base.model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    **choice,
                    **({} if cache is None else {"past_key_values": cache}),
                    do_sample=False,  # Sampling has drawn already
                    logits_processor=LogitsProcessorList(choosing),
                    max_new_tokens=left if len(names) == 1 else min(left, TOGETHER),
                    eos_token_id=sorted(self.base.ends),
                    pad_token_id=self.base.tokenizer.pad_token_id,
                    streamer=self.rows,
                    stopping_criteria=StoppingCriteriaList([self.stopped]),
                    return_dict_in_generate=True,
                )
            came = made.sequences.shape[1] - ids.shape[1]
            left, cache, keep = left - came, made.past_key_values, self.rows.narrow()
            if len(keep) < len(names):
                cache.batch_select_indices(torch.tensor(keep, device=self.base.device))
            ids = made.sequences[keep]
            mask = torch.nn.functional.pad(mask[keep], (0, came), value=1)
            names = [names[place] for place in keep]
            if self.stopped.now():
                break
        if self.stopped.now():
            self.rows.close("stopped", among)
        self.rows.close("length", [index for index in among if self.most[index] == end])
        if rest := [index for index in among if index in self.rows.open]:
            self._generate(rest)

    def _choosing(self) -> list[LogitsProcessor]:
        """What shapes the choice of each token, in order."""
        on = [request.candidate.calculator for request in self.requests]
        penalties = [request.candidate.repetition_penalty for request in self.requests]
        chain: list[LogitsProcessor] = []
        if any(penalty != 1 for penalty in penalties):
            chain.append(Repetition(self.rows, penalties))
        if any(on):
            chain.append(Calculator(self.rows, on, self.base.tokenizer, self.base.digits))
        if self.generation.temperature > 0:
            chain.append(self.sampling)
        return chain

    def _read_repeats_once(
        self, ids: torch.Tensor, mask: torch.Tensor, rows: Sequence[tuple[tuple[int, ...], str]]
    ) -> DynamicCache | None:
        """A cache in which equal rows (tokens, adapter), as several samples of one response are, were read in once."""
        first = [rows.index(row) for row in rows]
        once = sorted(set(first))
        if len(once) == len(rows) or ids.shape[1] < 2:
            return None
        cache = DynamicCache(config=self.base.model.config)
        mask = mask[once, :-1]
        context, choice = self.base.choose([rows[row][1] for row in once])
        with context:
            self.base.model(
                input_ids=ids[once, :-1],
                attention_mask=mask,
                position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0),
                past_key_values=cache,
                logits_to_keep=1,
                **choice,
            )
        cache.batch_select_indices(torch.tensor([once.index(row) for row in first], device=self.base.device))
        return cache
