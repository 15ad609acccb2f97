"""Backend `transformers`: causal language models in this process. Candidates on one base share its weights.

Requests that come together run as one batch, each row under its own LoRA adapter: on a CPU that is about twice as
fast as one after another. Batches of one base take turns behind a lock, because peft's choice of adapter is not
thread-safe.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, LogitsProcessorList, StoppingCriteriaList

from zooter_core.backends import Piece, Request
from zooter_core.backends.decoding import Calculator, Rows, Sampling, StopWhen, digits_of
from zooter_core.backends.line import Line
from zooter_core.errors import WorkError, ZooterError, first_line
from zooter_core.fleet import CandidateConfig, GenerationConfig
from zooter_core.records import Response
from zooter_core.weights import resolve

BaseKey = tuple[str, str | None, str]
NO_ADAPTER = "__base__"  # peft's name for a row without adapter
TOGETHER = 16  # tokens after which the rows that have ended leave their batch


class TransformersBackend:
    """Bases by (model, revision, dtype), each loaded once with the adapters its candidates need."""

    independent = False  # what a batch samples depends on its own seed

    def __init__(self) -> None:
        self.line: Line | None = Line()
        self._bases: dict[BaseKey, Base] = {}
        self._lock = threading.Lock()

    def load(self, candidate: CandidateConfig) -> None:
        base = self._base(candidate)
        with base.lock:
            base.add_adapter(candidate)

    def trial(self, candidate: CandidateConfig) -> str:
        return "Say hello."

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        together: dict[BaseKey, list[int]] = {}
        for index, request in enumerate(requests):
            try:
                self.load(request.candidate)
            except ZooterError as problem:
                failed = Response(request.candidate.name, "", finish="error", error=str(problem))
                yield Piece(index, response=failed)
            else:
                together.setdefault(_key(request.candidate), []).append(index)
        for key, rows in together.items():
            for piece in self._bases[key].stream([requests[row] for row in rows], generation, stop):
                yield Piece(rows[piece.index], piece.text, piece.response)

    def _base(self, candidate: CandidateConfig) -> Base:
        with self._lock:
            key = _key(candidate)
            if key not in self._bases:
                self._bases[key] = Base(candidate)
            return self._bases[key]


def _key(candidate: CandidateConfig) -> BaseKey:
    return candidate.model, candidate.revision, candidate.dtype


class Base:
    """One language model, its tokenizer and its LoRA adapters. `lock` guards all of it while a batch runs."""

    def __init__(self, candidate: CandidateConfig) -> None:
        folder = resolve(candidate.model)
        dtype = getattr(torch, candidate.dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise ZooterError("a torch dtype", f'"{candidate.dtype}"', "Use bfloat16, float16 or float32.")
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bare = partial(AutoModelForCausalLM.from_pretrained, folder, revision=candidate.revision, dtype=dtype)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, revision=candidate.revision, padding_side="left")
            self.model: Any = self.bare().to(self.device).eval()
        except Exception as problem:  # transformers and safetensors raise many kinds
            raise WorkError(
                f"a causal language model at {candidate.model}", first_line(problem), "Check `model` in fleet.toml."
            ) from problem
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.adapters: dict[str, str] = {}  # folder -> peft's name of the adapter, which may not be any text
        self.lock = threading.Lock()

    @cached_property
    def digits(self) -> list[int]:
        return digits_of(self.tokenizer)

    def add_adapter(self, candidate: CandidateConfig) -> None:
        """Load a candidate's adapter, once."""
        if candidate.adapter is None or candidate.adapter in self.adapters:
            return
        from peft import PeftModel

        name = f"adapter{len(self.adapters)}"
        options = {"adapter_name": name, "autocast_adapter_dtype": False, "is_trainable": False}
        try:
            if self.adapters:
                self.model.load_adapter(candidate.adapter, **options)
            else:
                self.model = PeftModel.from_pretrained(self.model, candidate.adapter, **options).eval()
        except Exception as problem:  # a corrupt safetensors file, wrong shapes, a missing config
            self._forget(name)
            raise WorkError(
                f"a LoRA adapter for {candidate.name} at {Path(candidate.adapter).name}",
                first_line(problem),
                "Train it again (recipes/embedded) or mend `adapter` in fleet.toml.",
            ) from problem
        self.adapters[candidate.adapter] = name

    def _forget(self, name: str) -> None:
        """Take out what an adapter that failed to load has left in the model."""
        if not self.adapters:
            self.model = self.bare().to(self.device).eval()
        elif name in self.model.peft_config:
            self.model.delete_adapter(name)

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """One batch: generation in a thread of its own, its tokens through a queue."""
        pieces: queue.Queue[Piece | Exception | None] = queue.Queue()
        abandoned = threading.Event()  # set when whoever reads the pieces goes away

        def work() -> None:
            try:
                with self.lock:
                    self._generate(requests, generation, (stop, abandoned), pieces)
                pieces.put(None)
            except Exception as problem:
                pieces.put(problem)

        thread = threading.Thread(target=work, name="generate", daemon=True)
        thread.start()
        finished: set[int] = set()
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, Exception):
                    for index in set(range(len(requests))) - finished:
                        name = requests[index].candidate.name
                        yield Piece(index, response=Response(name, "", finish="error", error=first_line(piece)))
                    return
                if piece.response is not None:
                    finished.add(piece.index)
                yield piece
        finally:
            abandoned.set()
            thread.join()

    @torch.inference_mode()
    def _generate(
        self,
        requests: Sequence[Request],
        generation: GenerationConfig,
        stops: Sequence[threading.Event],
        pieces: queue.Queue[Any],
    ) -> None:
        prompts = [self._prompt(request) for request in requests]
        batch = self.tokenizer(prompts, padding=True, add_special_tokens=False, return_tensors="pt").to(self.device)
        room = int(getattr(self.model.config, "max_position_embeddings", 1 << 30)) - batch["input_ids"].shape[1]
        if room < 1:
            raise WorkError(
                f"a prompt of at most {self.model.config.max_position_embeddings} tokens",
                f"{batch['input_ids'].shape[1]}",
                "Shorten the query or start a new conversation.",
            )
        ends = _ends(self.model, self.tokenizer)
        rows = Rows([request.candidate.name for request in requests], self.tokenizer, ends, pieces)
        names = [self.adapters.get(request.candidate.adapter or "", NO_ADAPTER) for request in requests]
        choosing = self._choosing(requests, generation, rows)
        ids, mask, left = batch["input_ids"], batch["attention_mask"], min(generation.max_new_tokens, room)
        cache = self._read_repeats_once(ids, mask, list(zip(prompts, names, strict=True)))
        stopped = StopWhen(stops)
        with torch.random.fork_rng(devices=[] if self.device.type == "cpu" else None):
            torch.manual_seed(generation.seed)
            while left > 0 and rows.active:
                context, choice = self._adapters(names)
                with context:
                    made = self.model.generate(
                        input_ids=ids,
                        attention_mask=mask,
                        **choice,
                        **({} if cache is None else {"past_key_values": cache}),
                        do_sample=False,  # Sampling has drawn already
                        logits_processor=LogitsProcessorList(choosing),
                        max_new_tokens=left if len(names) == 1 else min(left, TOGETHER),
                        eos_token_id=sorted(ends),
                        pad_token_id=self.tokenizer.pad_token_id,
                        streamer=rows,
                        stopping_criteria=StoppingCriteriaList([stopped]),
                        return_dict_in_generate=True,
                    )
                came = made.sequences.shape[1] - ids.shape[1]
                left, cache, keep = left - came, made.past_key_values, rows.narrow()
                if len(keep) < len(names):
                    cache.batch_select_indices(torch.tensor(keep, device=self.device))
                ids = made.sequences[keep]
                mask = torch.nn.functional.pad(mask[keep], (0, came), value=1)
                names = [names[place] for place in keep]
                if stopped.now():
                    break
        rows.close("stopped" if stopped.now() else "length")

    def _choosing(
        self, requests: Sequence[Request], generation: GenerationConfig, rows: Rows
    ) -> list[Calculator | Sampling]:
        """What shapes the choice of each token, in order."""
        on = [request.candidate.calculator for request in requests]
        chain: list[Calculator | Sampling] = [Calculator(rows, on, self.tokenizer, self.digits)] if any(on) else []
        return [*chain, Sampling(generation.temperature, generation.top_k)] if generation.temperature > 0 else chain

    def _read_repeats_once(
        self, ids: torch.Tensor, mask: torch.Tensor, rows: Sequence[tuple[str, str]]
    ) -> DynamicCache | None:
        """A cache in which equal rows (prompt, adapter), as several samples of one response are, were read in once."""
        first = [rows.index(row) for row in rows]
        once = sorted(set(first))
        if len(once) == len(rows) or ids.shape[1] < 2:
            return None
        cache = DynamicCache(config=self.model.config)
        mask = mask[once, :-1]
        context, choice = self._adapters([rows[row][1] for row in once])
        with context:
            self.model(
                input_ids=ids[once, :-1],
                attention_mask=mask,
                position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0),
                past_key_values=cache,
                logits_to_keep=1,
                **choice,
            )
        cache.batch_select_indices(torch.tensor([once.index(row) for row in first], device=self.device))
        return cache

    def _adapters(self, names: Sequence[str]) -> tuple[AbstractContextManager[Any], dict[str, Any]]:
        """The cheapest way to run these rows: no adapter, one adapter for all, or one named for each row."""
        if not self.adapters:
            return nullcontext(), {}
        if set(names) == {NO_ADAPTER}:
            return self.model.disable_adapter(), {}
        if len(set(names)) == 1:
            self.model.set_adapter(names[0], inference_mode=True)
            return nullcontext(), {}
        return nullcontext(), {"adapter_names": list(names)}

    def _prompt(self, request: Request) -> str:
        messages = [{"role": message.role, "content": self._plain(message.content)} for message in request.messages]
        begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
        template = request.candidate.prompt_template
        if template is not None:
            query = next(m["content"] for m in reversed(messages) if m["role"] == "user")
            return template.replace("{query}", query) + begun
        try:
            made: str = self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=not begun, continue_final_message=bool(begun), tokenize=False
            )
        except ValueError as problem:
            raise WorkError(
                f"a chat template in the tokenizer of {request.candidate.model}",
                "none",
                'Give the candidate a prompt_template, for instance "Q: {query}\\nA:".',
            ) from problem
        return made

    def _plain(self, text: str) -> str:
        """A text in which nothing is a special token: what a person types must not end or begin a turn."""
        for token in self.tokenizer.all_special_tokens:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def _ends(model: Any, tokenizer: Any) -> set[int]:
    """Token ids that end a turn, as the model's generation settings and its tokenizer name them."""
    named = model.generation_config.eos_token_id
    ids = set(named) if isinstance(named, list) else {named}
    return {token for token in (*ids, tokenizer.eos_token_id) if token is not None}
