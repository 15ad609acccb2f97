"""Anthropic's Messages API: a request becomes a chat completion as it comes in, and its answer becomes a message as it
goes out. Everything in between, from the choice of a candidate to the logs, sees a chat completion.

Fields without a counterpart are left out, such as `cache_control`, and refused where they would change the answer.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from zooter_core.backends.endpoint.answer import content_text, extract_thoughts
from zooter_core.backends.endpoint.faults import CUT_OFF, ENDED, FILTERED, finish_name
from zooter_core.backends.thoughts import Parts, Splitter, split
from zooter_core.base.strict_json import dump_json, objects, parse_json
from zooter_core.config.candidates import Thinking
from zooter_core.config.serve import AUTO_MODEL
from zooter_core.serve.bodies import (
    REMINDER,
    REMINDER_END,
    ROUTING_FIELDS,
    CountBody,
    MessagesBody,
    Object,
    OutputConfig,
    Sender,
    Turn,
    check,
    read_text,
)
from zooter_core.serve.errors import MESSAGES, ApiError, bad_request
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.targets import make_event

SAME = ("model", "stream", "max_tokens", "temperature", "top_p", "top_k", *ROUTING_FIELDS, "prompt_cache_key")
CLAUDE = "claude-"  # how the names begin that coding agents ask for by themselves
BILLING = re.compile(r"\Ax-anthropic-billing-header:[^\n]*\n?")  # Claude Code's, another one in each request
LONGEST_USER = 64  # characters that OpenAI takes
# Of thinking, by the tokens below which a budget means it; more is high.
EFFORTS: Sequence[tuple[int, Thinking]] = ((4096, "low"), (16_384, "medium"))
WORDS: Mapping[str, Thinking] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
THINKING, TEXT, TOOL = "thinking", "text", "tool_use"
SUPPORTED = (
    "texts; of users also images (base64, url), documents that are text (not PDF) and tool_result; of models tool_use"
)


def read_messages(
    body: Mapping[str, Any], path: str, sender: Sender, models: Container[str]
) -> tuple[dict[str, Any], Sender]:
    """The body of a chat completion request that asks for the same, and what of it has no place there.

    Args:
        models: those that are served. A model of Anthropic's that is not means the router's choice.

    Raises:
        ApiError: a field has the wrong type, or has no counterpart.
    """
    message = check(MessagesBody if path == MESSAGES else CountBody, body)
    chat = {name: body[name] for name in SAME if body.get(name) is not None}
    if message.model.startswith(CLAUDE) and message.model not in models:
        chat["model"] = AUTO_MODEL
    chat["messages"] = [*_system(message.system or ""), *_turns(message.messages)]
    if message.stop_sequences:
        chat["stop"] = message.stop_sequences
    if message.tools:
        tools = [_tool(tool, f"tools[{number}]") for number, tool in enumerate(message.tools)]
        chat |= {"tools": tools, **_tool_choice(message.tool_choice)}
    if message.metadata and (user := message.metadata.user_id):
        sender, digest = replace(sender, user=user), hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()
        chat["user"] = user if len(user) <= LONGEST_USER else digest
    output = message.output_config or OutputConfig()
    match output.format or None:
        case {"type": "json_schema", "schema": dict(schema)}:
            form = {"name": "answer", "schema": schema}
            chat["response_format"] = {"type": "json_schema", "json_schema": form}
        case dict():
            raise _wrong("output_config.format", 'an object with `"type": "json_schema"` and a `schema`')
    return chat, replace(sender, thinking=_thinking(message.thinking or None, output.effort))


def _wrong(where: str, expected: str) -> ApiError:
    return bad_request(f"`{where}` must be {expected}.", where)


def _thinking(config: Object | None, effort: str | None) -> Thinking | None:
    """How much a model is to think, in the words of fleet.toml."""
    match config:
        case None:
            return None
        case {"type": "adaptive"}:
            return WORDS.get(effort or "")
        case {"type": "disabled"}:
            return False
        case {"type": "enabled", "budget_tokens": int(budget)} if budget > 0:
            return next((word for most, word in EFFORTS if budget < most), "high")
        case {"type": "enabled"}:
            raise _wrong("thinking.budget_tokens", "a whole number above 0")
    raise _wrong("thinking.type", "enabled, disabled or adaptive")


def _system(system: str | list[Object]) -> Iterator[Object]:
    texts = [BILLING.sub("", _text(block, where)) for where, block in _blocks(system, "system")]
    if text := "\n".join(filter(None, texts)):
        yield {"role": "system", "content": text}


def _turns(turns: Sequence[Turn]) -> Iterator[Object]:
    """Turns of one side in a row are one message, as at Anthropic, and what the system says between turns is a part of
    the user's: chat templates such as Qwen's refuse a system message there, and Mistral's two of the user in a row."""
    for by_assistant, side in groupby(enumerate(turns), key=lambda entry: entry[1].role == "assistant"):
        blocks: list[tuple[str, Object]] = []
        for number, turn in side:
            for where, block in _blocks(turn.content, f"messages[{number}].content"):
                if turn.role == "system":
                    block = {"type": TEXT, "text": f"{REMINDER}\n{_text(block, where)}\n{REMINDER_END}"}
                blocks.append((where, block))
        yield from _assistant(blocks) if by_assistant else _user(blocks)


def _blocks(content: str | list[Any], where: str) -> list[tuple[str, Object]]:
    """The blocks of a content, each with its place."""
    if isinstance(content, str):
        return [(where, {"type": TEXT, "text": content})]
    return [(f"{where}[{number}]", block) for number, block in enumerate(content)]


def _text(block: object, where: str) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": kind}:
            problem = f"a block of the type {kind!r:.80} that is not supported there, or lacks a field"
        case _:
            problem = "no block with a `type`"
    raise bad_request(f"`{where}` is {problem}. Supported are {SUPPORTED}.", where)


def _assistant(blocks: Sequence[tuple[str, Object]]) -> Iterator[Object]:
    texts, calls = [], []
    for where, block in blocks:
        match {"input": {}, **block}:
            case {"type": "thinking" | "redacted_thinking"}:  # no model of another conversation can use them
                pass
            case {"type": "tool_use", "id": str(id), "name": str(name), "input": dict(input)}:
                function = {"name": name, "arguments": dump_json(input, ensure_ascii=False)}
                calls.append({"id": id, "type": "function", "function": function})
            case _:
                texts.append(_text(block, where))
    text = "\n".join(texts)
    yield {"role": "assistant", "content": text or (None if calls else "")} | ({"tool_calls": calls} if calls else {})


def _user(blocks: Sequence[tuple[str, Object]]) -> Iterator[Object]:
    """The results of tools first, as an answer to calls must follow them, then the rest as one message."""
    parts: list[Object] = []
    for where, block in blocks:
        match {"content": None, **block}:
            case {"type": "tool_result", "tool_use_id": str(id), "content": str() | list() | None as content}:
                inner = [_part(part, place) for place, part in _blocks(content or "", f"{where}.content")]
                text = "\n".join(part["text"] for part in inner if part["type"] == TEXT)
                text = f"Error: {text}" if block.get("is_error") else text
                yield {"role": "tool", "tool_call_id": id, "content": text}
                parts += [part for part in inner if part["type"] != TEXT]  # a tool's message takes no images
            case _:
                parts.append(_part(block, where))
    if parts:
        only_text = all(part["type"] == TEXT for part in parts)
        yield {"role": "user", "content": "\n".join(part["text"] for part in parts) if only_text else parts}


def _part(block: object, where: str) -> Object:
    """A block as a part of a message: a text, an image, or a document that is text."""
    match block:
        case {"type": "image", "source": {"type": "url", "url": str(url)}}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "image", "source": {"type": "base64", "media_type": str(media), "data": str(data)}}:
            return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}
        case {"type": "document", "source": {"type": "text", "data": str(text)}}:
            return {"type": TEXT, "text": text}
    return {"type": TEXT, "text": _text(block, where)}


def _tool(tool: Object, where: str) -> Object:
    match tool:
        case {"name": str(), "input_schema": dict(schema)}:
            function = {name: tool[name] for name in ("name", "description", "strict") if tool.get(name) is not None}
            return {"type": "function", "function": {**function, "parameters": schema}}
    raise _wrong(where, "a tool with a `name` and an `input_schema`; tools that a server runs are not supported")


def _tool_choice(choice: Object | None) -> Object:
    match choice:
        case None:
            return {}
        case {"type": "auto" | "any" | "none" as kind}:
            wanted: object = CHOICES[kind]
        case {"type": "tool", "name": str(name)}:
            wanted = {"type": "function", "function": {"name": name}}
        case _:
            raise _wrong("tool_choice", "auto, any or none as its `type`, or tool with a `name`")
    alone = choice.get("disable_parallel_tool_use") is True
    return {"tool_choice": wanted} | ({"parallel_tool_calls": False} if alone else {})


@dataclass
class Block:
    """A block of an answer while it comes."""

    kind: str
    id: str | None = None
    name: str = ""
    parts: list[str] = field(default_factory=list)  # of its text, or of its arguments
    sent: int | None = None  # how many of them the client has; None before it knows of the block

    @property
    def input(self) -> dict[str, Any] | None:
        """The arguments of a call; None if they are no JSON object, as before they have all come."""
        try:
            value = parse_json("".join(self.parts).strip() or "{}")
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def shape(self, full: bool = False) -> dict[str, Any]:
        """The block as a message has it, or as a stream begins it."""
        text = "".join(self.parts) if full else ""
        if self.kind == TOOL:
            shape = {"id": self.id or f"toolu_{uuid.uuid4().hex}", "name": self.name}
            return {"type": TOOL, **shape, "input": (full and self.input) or {}}
        return {"type": self.kind, self.kind: text} | ({"signature": ""} if self.kind == THINKING else {})

    def events(self, place: int) -> Iterator[dict[str, Any]]:
        """The events of what has come and is not sent."""
        if self.sent is None:
            yield {"type": "content_block_start", "index": place, "content_block": self.shape()}
        if text := "".join(self.parts[self.sent or 0 :]):
            kind, field = ("input_json", "partial_json") if self.kind == TOOL else (self.kind, self.kind)
            yield {"type": "content_block_delta", "index": place, "delta": {"type": f"{kind}_delta", field: text}}
        self.sent = len(self.parts)


class Translation:
    """A chat completion as Anthropic's message, whole or as events.

    Args:
        exchange: of the answer, which counts its tokens.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._metadata, self._begun = exchange, dict[str, Any](), False
        self._blocks: list[Block] = []
        self._calls: dict[int | None, Block] = {}  # the latest with a number
        self._at = 0  # the block that the client gets now; those before it are complete
        self._choice: Mapping[str, Any] = {}  # with the finish reason
        self._splitter = Splitter()
        self._unsure = False  # whether text is held back, since it may turn out to be thoughts

    def message(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """A whole answer.

        Raises:
            ApiError: it calls a tool with what is no JSON object.
        """
        choice = next(iter(objects(answer.get("choices"))), {})
        message = next(iter(objects([choice.get("message")])), {})
        progress = self._exchange.outcome.progress
        parts = split(content_text(message.get("content")), progress.opened, progress.complete)
        self._read(message, parts.thoughts, parts.text)
        end = self._end(choice)
        content = [block.shape(full=True) for block in self._blocks]
        more = {"zooter": answer["zooter"]} if "zooter" in answer else {}
        return self._head(answer, content, **end) | more

    def events(self, chunk: Mapping[str, Any]) -> bytes:
        return b"".join(map(_event, self._chunk(chunk)))

    def end(self) -> bytes:
        """The last events of a stream.

        Raises:
            ApiError: a tool is called with what is no JSON object.
        """
        shown, parts = self._splitter.text, self._splitter.end(self._exchange.outcome.progress.complete)
        if self._unsure:
            shown = ""
            self._add(THINKING, parts.thoughts)
        if parts.text.startswith(shown):
            self._add(TEXT, parts.text[len(shown) :])  # what was held back
        last = b"".join(map(_event, self._new(ended=True)))
        end = self._end(self._choice)
        delta = {"type": "message_delta", "delta": end, "usage": self._usage(), **self._metadata}
        return last + _event(delta) + _event({"type": "message_stop"})

    def _chunk(self, chunk: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if not self._begun:
            progress = self._exchange.outcome.progress
            self._begun, self._splitter, self._unsure = True, Splitter(progress.opened), progress.unsure
            message = self._head(chunk, [], stop_reason=None, stop_sequence=None)
            yield {"type": "message_start", "message": message}
            yield {"type": "ping"}
        if "zooter" in chunk:
            self._metadata = {"zooter": chunk["zooter"]}
        for choice in objects(chunk.get("choices"))[:1]:
            delta = next(iter(objects([choice.get("delta")])), {})
            thoughts, text = self._splitter.feed(content_text(delta.get("content")))
            if self._unsure:
                self._unsure = not (thoughts or extract_thoughts(delta) or delta.get("tool_calls"))
                parts = Parts("", "") if self._unsure else split(self._splitter.text, complete=True)
                thoughts, text = thoughts + parts.thoughts, parts.text
            self._read(delta, thoughts, text)
            if choice.get("finish_reason"):
                self._choice = choice
        yield from self._new()

    def _read(self, message: Mapping[str, Any], thoughts: str, text: str) -> None:
        """Add what a message or a delta has, with the thoughts and the text in its content."""
        self._add(THINKING, extract_thoughts(message) + thoughts)
        self._add(TEXT, text)
        self._add(TEXT, read_text(message.get("refusal")))
        for number, call in enumerate(objects(message.get("tool_calls"))):
            self._call({"index": number, **call})

    def _add(self, kind: str, text: str) -> None:
        last = self._blocks[-1].kind if self._blocks else None
        if (kind, last) == (TEXT, THINKING):
            text = text.lstrip()
        if text and kind != last:
            self._blocks.append(Block(kind))
        if text:
            self._blocks[-1].parts.append(text)

    def _call(self, call: Mapping[str, Any]) -> None:
        """Add what a delta has of a tool's call."""
        function, id, index = call.get("function"), call.get("id"), call.get("index")
        function, place = function if isinstance(function, dict) else {}, index if isinstance(index, int) else None
        name, arguments = function.get("name") or "", function.get("arguments")
        latest = self._calls.get(place)
        if latest is None or (name and id != latest.id):  # some servers number all of them alike
            latest = self._calls[place] = Block(TOOL, id if isinstance(id, str) else None)
            self._blocks.append(latest)
        latest.name = latest.name or str(name)
        latest.parts.append(dump_json(arguments) if isinstance(arguments, dict) else str(arguments or ""))

    def _new(self, ended: bool = False) -> Iterator[dict[str, Any]]:
        """The events of what is new, one block after the other. More may come of a call until the answer has ended."""
        for place in range(self._at, len(self._blocks)):
            block = self._blocks[place]
            yield from block.events(place)
            if not ended and (block.kind == TOOL or place == len(self._blocks) - 1):
                return
            yield {"type": "content_block_stop", "index": place}
            self._at = place + 1

    def _end(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        """Why the answer ends, as `stop_reason` and `stop_sequence`."""
        finish = choice.get("finish_reason")
        name = finish_name(finish) if isinstance(finish, str) and finish else ENDED[0]
        calls = [block for block in self._blocks if block.kind == TOOL]
        request = self._exchange.outcome.request
        stops = (request.body.get("stop") if request else None) or ()
        matched = (choice.get(key) for key in ("stop_reason", "matched_stop"))  # vLLM and SGLang
        stop = next((word for word in matched if isinstance(word, str) and word in stops), None)
        reason = "end_turn"
        if name in FILTERED:
            reason = "refusal"
        elif name in CUT_OFF:
            reason = "max_tokens"
        elif calls:
            reason = TOOL
            if broken := next((call for call in calls if call.input is None), None):
                caller = self._exchange.outcome.candidate
                message = f"{caller} called the tool {broken.name!r:.80} with what is no JSON object."
                raise ApiError(502, message, "upstream_error")
        elif stop is not None or name == "stop_sequence":
            reason = "stop_sequence"
        return {"stop_reason": reason, "stop_sequence": stop}

    def _head(self, answer: Mapping[str, Any], content: list[dict[str, Any]], **end: Any) -> dict[str, Any]:
        id = f"msg_{self._exchange.request_id.removeprefix('req-')}"
        shape = {"id": id, "type": "message", "role": "assistant", "model": answer.get("model"), "content": content}
        return {**shape, **end, "usage": self._usage()}

    def _usage(self) -> dict[str, int]:
        """The tokens as the candidate's server has counted them, or an estimate."""
        usage = self._exchange.usages[self._exchange.outcome.candidate or ""]
        cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": usage.cached}
        return {"input_tokens": usage.prompt - usage.cached, "output_tokens": usage.answer, **cached}


def _event(shape: Mapping[str, Any]) -> bytes:
    return f"event: {shape['type']}\n".encode() + make_event(shape).encode()
