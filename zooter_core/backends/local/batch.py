"""A batch of requests on one base model, generated token by token.

If memory runs out, the batch continues in two halves, one after the other, and so on; a single request tries once
more. Generated text stays, and generation continues behind it.
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
from zooter_core.backends.local.model import NO_ADAPTER, Base
from zooter_core.backends.local.prompts import prompt_ids
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import Failure, WorkError, ZooterError

STEP = 16  # tokens after which finished rows leave the batch


class Batch:
    """One batch on a base whose lock the caller holds. Its pieces go into a queue, with one response per request."""

    def __init__(
        self,
        base: Base,
        requests: Sequence[Request],
        generation: GenerationConfig,
        stop: threading.Event,
        pieces: queue.Queue[Any],
        spare: Callable[[], None],
    ) -> None:
        self.base, self.requests, self.generation, self.stop, self.spare = base, requests, generation, stop, spare
        self.sampling = Sampling(generation.temperature, generation.top_k, generation.seed)
        self.rows = Rows(requests, base.tokenizer, base.ends, pieces)
        self.adapters: dict[int, str] = {}
        self.prompts: dict[int, list[int]] = {}
        self.most: dict[int, int] = {}  # tokens of each answer

    def run(self) -> None:
        """Answer every request, or let it fail."""
        try:
            self._tokenize()
            with torch.inference_mode():
                if self.prompts:
                    self._generate_in_parts(list(self.prompts))
        except Exception as problem:
            self.rows.close("error", error=Failure.of(problem))

    def _tokenize(self) -> None:
        """Read the prompts. A request fails here if its adapter does not load, or its prompt is too long."""
        for index, request in enumerate(self.requests):
            try:
                self.base.add_adapter(request.candidate)
                ids = prompt_ids(request, self.base.tokenizer)
            except ZooterError as problem:
                self.rows.close("error", [index], problem.failure)
                continue
            if len(ids) >= self.base.positions:
                most, next_step = self.base.positions - 1, "Shorten the query or start a new conversation."
                length = f"{len(ids):,} tokens, more than the {most:,} that fit"
                too_long = WorkError(f"a prompt that fits into {request.candidate.name}", length, next_step)
                self.rows.close("refused", [index], too_long.failure)
                continue
            adapter = self.base.adapters.get(request.candidate.adapter or "", NO_ADAPTER)
            self.prompts[index], self.adapters[index] = ids, adapter
            self.most[index] = min(self.generation.max_new_tokens, self.base.positions - len(ids))
        self.rows.begin()

    def _generate_in_parts(self, rows: list[int], again: bool = False) -> None:
        """Generate to the end of some rows, in halves if memory runs out."""
        try:
            self._generate(rows)
            return
        except Exception as problem:
            if not memory.is_full(problem):
                raise
            shortage = memory.shortage(problem)
        self.spare()  # not inside `except`: the exception keeps the batch alive
        unfinished = [index for index in rows if index in self.rows.open]
        if len(unfinished) > 1:
            half = (len(unfinished) + 1) // 2
            self._generate_in_parts(unfinished[:half])
            self._generate_in_parts(unfinished[half:])
        elif unfinished and not again:
            self._generate_in_parts(unfinished, again=True)
        elif unfinished:
            self._fail(unfinished[0], shortage)

    def _fail(self, index: int, shortage: str) -> None:
        device = str(self.base.device)
        problem = WorkError(
            f"memory for an answer of {self.requests[index].candidate.name} ({shortage})",
            f"{memory.in_words(memory.free(device))} free on {device}",
            "Shorten the query, lower budget_gb in [memory], which leaves more for answers, or quantise the model.",
        )
        self.rows.close("error", [index], problem.failure)

    def _generate(self, among: Sequence[int]) -> None:
        """Generate to the end of some rows, which have equally many tokens so far.

        If one prompt is so long that its row has no room left, the other rows continue without its padding.
        """
        read = [self.prompts[index] + self.rows.written[index] for index in among]
        batch = self.base.tokenizer.pad({"input_ids": read}, return_tensors="pt").to(self.base.device)
        ids, mask = batch["input_ids"], batch["attention_mask"]
        self.rows.active = list(among)
        names = [self.adapters[index] for index in among]
        end = min(self.most[index] for index in among)
        room = end - len(self.rows.written[among[0]])
        choosing = self._choosing()
        cache = self._read_repeats_once(ids, mask, list(zip(map(tuple, read), names, strict=True)))
        while room > 0 and self.rows.active:
            output = self._extend(
                names,
                input_ids=ids,
                attention_mask=mask,
                **({} if cache is None else {"past_key_values": cache}),
                logits_processor=LogitsProcessorList(choosing),
                max_new_tokens=room if len(names) == 1 else min(room, STEP),
            )
            new = output.sequences.shape[1] - ids.shape[1]
            room, cache, keep = room - new, output.past_key_values, self.rows.narrow()
            if len(keep) < len(names):
                cache.batch_select_indices(torch.tensor(keep, device=self.base.device))
            ids = output.sequences[keep]
            mask = torch.nn.functional.pad(mask[keep], (0, new), value=1)
            names = [names[place] for place in keep]
            if self.stop.is_set():
                break
        if self.stop.is_set():
            self.rows.close("stopped", among)
        self.rows.close("length", [index for index in among if self.most[index] == end])
        if rest := [index for index in among if index in self.rows.open]:
            self._generate(rest)

    def _extend(self, adapters: Sequence[str], **inputs: Any) -> Any:
        """What `generate` returns for rows with these adapters."""
        context, choice = self.base.choose(adapters)
        with context:
            return self.base.model.generate(
                **inputs,
                **choice,
                do_sample=False,  # `Sampling` draws
                eos_token_id=sorted(self.base.ends),
                pad_token_id=self.base.tokenizer.pad_token_id,
                streamer=self.rows,
                stopping_criteria=StoppingCriteriaList([StopWhen(self.stop)]),
                return_dict_in_generate=True,
            )

    def _choosing(self) -> list[LogitsProcessor]:
        """The processors that shape the choice of each token, in order."""
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
        """A cache for which equal rows (tokens and adapter), such as samples of one response, are read in once."""
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
