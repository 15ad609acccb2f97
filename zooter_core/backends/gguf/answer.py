"""Generates a response with llama.cpp in steps. Each step is a request that continues from the cached tokens.

Two features need several steps. The calculator completes arithmetic: a step ends at every `=`, the result is written,
and the next step continues after it. And `repetition_penalty` must apply to tokens of the answer only, but llama.cpp
applies its penalty to the last n tokens of prompt and answer together. Therefore each step sets n to the number of
tokens that the answer has at the beginning of the step, and may at most double the answer. A step takes about as long
as a tenth of a token.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from zooter_core.backends import Piece, Request, calculator
from zooter_core.backends.calculator import DIGITS, NUMERIC
from zooter_core.backends.conversation import from_template, no_chat_template, too_long, without_tokens
from zooter_core.backends.gguf.engine import Engine, EngineError, RejectedError, Slot
from zooter_core.backends.growing_answer import GrowingAnswer
from zooter_core.backends.thoughts import Splitter, most_tokens, opens
from zooter_core.base.errors import Failure, WorkError
from zooter_core.base.records import Finish
from zooter_core.config.fleet import GenerationConfig

FIRST = 8  # tokens of the first step with repetition penalty, which has no effect in this step
CHARACTER = 4  # the most tokens of a character
Result = TypeVar("Result")
Pieces = Generator[Piece, None, Result]


@dataclass(frozen=True)
class StepEnd:
    """How a step ended."""

    finish: Finish | None = None  # how the answer ended; None if it continues
    cut: bool = False  # whether the step ended inside a character, which the next step generates again


class Answer(GrowingAnswer):
    """The answer to one request. Setting `stop` ends it."""

    def __init__(self, engine: Engine, request: Request, generation: GenerationConfig, stop: threading.Event) -> None:
        super().__init__(request)
        self.engine, self.stop, self.generation = engine, stop, generation
        self.adapter = engine.adapters[request.candidate.adapter] if request.candidate.adapter else None  # a number
        self.prompt: list[int] = []
        self.written: list[int | str] = []  # tokens of the answer, and texts of the calculator

    def run(self) -> Pieces[None]:
        """Generate the answer. If the process ends, the response has the text so far.

        Raises:
            WorkError: the model needs a prompt_template.
        """
        name = self.request.candidate.name
        try:
            yield from self._run()
        except EngineError as problem:
            yield self.end("error", Failure(f"an answer of {name}", str(problem), "The next query restarts it."))
        except RejectedError as problem:
            error = WorkError(f"llama.cpp to accept a prompt of {name}", str(problem), "Change the query.")
            yield Piece.failed(self.request, error, "refused")

    def _run(self) -> Pieces[None]:
        self.prompt = self._read()
        room = self.engine.context - len(self.prompt)
        if room < 1:
            more = f" Or raise `context_tokens` in fleet.toml, up to {self.engine.header.positions:,} for this model."
            hint = more if self.engine.context < self.engine.header.positions else ""
            failure = too_long(self.request.candidate.name, len(self.prompt), self.engine.context - 1, hint)
            yield Piece.failed(self.request, failure, "refused")
            return
        candidate = self.request.candidate
        thinks = candidate.thinking not in (None, False) or self.splitter.thinking or self.engine.thinks
        most = min(most_tokens(candidate, self.generation, thinks), room)
        slot = self.engine.slots.take(self.adapter, self.prompt, len(self.prompt) + most, self.stop)
        if slot is None:
            yield self.end("stopped")
            return
        self.start()
        if self.opening:
            yield from self._write(self.opening)
        try:
            finish = yield from self._generate(slot, most)
        finally:
            slot.tokens = [*self.prompt, *(token for token in self.written if isinstance(token, int))]
            self.engine.slots.give_back(slot)
        if finish == "length" and self.splitter.thinking and not thinks:
            self.engine.thinks = True  # so that the next attempt has room for thoughts
            yield from Answer(self.engine, self.request, self.generation, self.stop).run()
        else:
            last = self.end(finish)
            self.engine.thinks = self.engine.thinks or bool(last.response and last.response.thoughts)
            yield last

    def _read(self) -> list[int]:
        """The tokens of the prompt."""
        candidate = self.request.candidate
        header = self.engine.header
        messages = [without_tokens(message, header.special_tokens) for message in self.request.messages]
        if candidate.prompt_template is not None:
            text = from_template(candidate.prompt_template, messages)
        elif "tokenizer.chat_template" not in header.values:
            raise no_chat_template(self.engine.name)
        else:
            turns: dict[str, Any] = {"messages": [message.to_json() for message in messages]}
            if candidate.thinking is not None:  # llama.cpp turns thinking off by default
                turns["chat_template_kwargs"] = {"enable_thinking": bool(candidate.thinking)}
            text = self.engine.ask("/apply-template", turns)["prompt"]
        self.splitter = Splitter(opens(text))
        body = {"content": text, "add_special": True, "parse_special": True}
        tokens: list[int] = self.engine.ask("/tokenize", body)["tokens"]
        first = header.values.get("tokenizer.ggml.bos_token_id")
        return tokens[1:] if tokens[:2] == [first, first] else tokens  # both template and tokenizer may add BOS

    def _generate(self, slot: Slot, most: int) -> Pieces[Finish]:
        """Generate up to `most` tokens. Return how the answer ended."""
        candidate, least = self.request.candidate, 1
        while self.tokens < most and not self.at_stop:
            if self.stop.is_set():
                return "stopped"
            length = most - self.tokens
            if candidate.repetition_penalty != 1:
                length = min(length, max(least, FIRST, self.tokens))
            due = calculator.due(self.text) if candidate.calculator else None
            if due and self.text[-1] in NUMERIC:
                yield from self._write(due)
                continue
            if due is not None:
                length = 1
            options: dict[str, Any] = {}
            if due == "":  # the result is complete
                options = {"logit_bias": [[digit, False] for digit in DIGITS]}
            elif due is None and candidate.calculator:
                options = {"stop": ["="]}
            end = yield from self._step(slot, length, options, due)
            if end.finish:
                return end.finish
            least = 1 + CHARACTER if end.cut else 1
            if end.cut and self.tokens + least > most:
                break
        return "stop" if self.at_stop else "length"

    def _step(self, slot: Slot, length: int, options: dict[str, Any], due: str | None) -> Pieces[StepEnd]:
        """Generate up to `length` tokens.

        Args:
            due: the result of an expression, which replaces the number that the model begins to write.
        """
        body = self._body(slot, length) | options
        ids, content, gap, end = 0, "", None, None
        for event in self.engine.stream(body, self.stop):
            if event.get("stop"):
                end = event
                break
            if "prompt_progress" in event:
                continue
            content = event["content"]
            if due and content.lstrip()[:1] in NUMERIC:
                gap = content[: len(content) - len(content.lstrip())]
                continue
            ids += len(event["tokens"])
            self.count(len(event["tokens"]))
            self.written += event["tokens"]
            yield from self._emit(content)
            if self.at_stop or self.repeats:
                return StepEnd("stop" if self.at_stop else "repeated")
        if end is None:
            return StepEnd("stopped")
        if gap is not None:
            yield from self._write(f"{gap}{due}")
            return StepEnd()
        cut = end["stop_type"] == "limit" and ids < end["tokens_predicted"]
        self.tokens = end["tokens_evaluated"] - len(self.prompt) + (ids if cut else end["tokens_predicted"])
        if end.get("stopping_word"):
            self.written[-1] = content + end["stopping_word"]  # as text, since the last token may contain more
            yield from self._emit(end["stopping_word"])
        return StepEnd("stop" if end["stop_type"] == "eos" else None, cut)

    def _body(self, slot: Slot, length: int) -> dict[str, Any]:
        """The body of a request to llama.cpp. All settings that are not listed here have llama.cpp's defaults."""
        generation, penalty = self.generation, self.request.candidate.repetition_penalty
        nucleus = ["top_p"] if self.request.top_p < 1 else []
        return {
            "prompt": [*self.prompt, *self.written],
            "id_slot": slot.number,
            # Without this list, llama.cpp would apply all adapters.
            "lora": [{"id": n, "scale": float(n == self.adapter)} for n in self.engine.adapters.values()],
            "n_predict": length,
            "temperature": generation.temperature,
            "top_k": generation.top_k,
            "top_p": self.request.top_p,
            "seed": (generation.seed + self.tokens) % 2**32,  # another one for each step
            "samplers": ["penalties", "top_k", "temperature", *nucleus],
            "repeat_penalty": penalty if self.tokens else 1.0,
            "repeat_last_n": self.tokens,
            "cache_prompt": True,
            "return_tokens": True,
        }

    def _write(self, text: str) -> Pieces[None]:
        """Append a text of the calculator to the answer."""
        self.written.append(text)
        self.count(len(text.strip()))  # an estimate until llama.cpp counts the tokens
        yield from self._emit(text)

    def _emit(self, text: str) -> Pieces[None]:
        piece = self.add(text)
        if piece.thoughts or piece.text:
            yield piece
