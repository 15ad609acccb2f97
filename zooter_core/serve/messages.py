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

from zooter_core.backends.endpoint.answer import content_text, thoughts_of
from zooter_core.backends.endpoint.faults import CUT_OFF, ENDED, FILTERED, finish_name
from zooter_core.backends.thoughts import Splitter, split
from zooter_core.base.strict_json import Joiner, dump_json, objects, parse_json
from zooter_core.config.candidates import Thinking
from zooter_core.config.serve import AUTO
from zooter_core.serve.bodies import (
    REMINDER,
    REMINDER_END,
    ROUTING_FIELDS,
    CountBody,
    MessagesBody,
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
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
THINKING, TEXT, TOOL = "thinking", "text", "tool_use"
DROPPED = (THINKING, "redacted_thinking")  # blocks that no model of another conversation can use


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
        chat["model"] = AUTO
    chat["messages"] = [*_system(message.system or []), *_turns(message.messages)]
    if message.stop_sequences:
        chat["stop"] = message.stop_sequences
    if message.tools:
        chat |= {"tools": _tools(message.tools), **_tool_choice(message.tool_choice)}
    if message.metadata and (user := message.metadata.user_id):
        sender, digest = replace(sender, user=user), hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()
        chat["user"] = user if len(user) <= LONGEST_USER else digest
    output = message.output_config or OutputConfig()
    if form := output.format:
        if form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
            raise _wrong("output_config.format", 'an object with `"type": "json_schema"` and a `schema`')
        schema = {"name": "answer", "schema": form["schema"]}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    return chat, replace(sender, thinking=_thinking(message.thinking or {}, output.effort))


def _wrong(where: str, expected: str) -> ApiError:
    return bad_request(f"`{where}` must be {expected}.", where)


def _thinking(config: Mapping[str, Any], effort: str | None) -> Thinking | None:
    """How much a model is to think, in the words of fleet.toml."""
    kind, budget = config.get("type"), config.get("budget_tokens")
    if kind == "enabled":
        if type(budget) is not int or budget < 1:
            raise _wrong("thinking.budget_tokens", "a whole number above 0")
        return next((word for most, word in EFFORTS if budget < most), "high")
    if kind == "disabled":
        return False
    if config and kind != "adaptive":
        raise _wrong("thinking.type", "enabled, disabled or adaptive")
    words: Mapping[str, Thinking] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
    return words.get(effort or "") if config else None


def _system(system: str | list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    texts = [_text(block, where) for where, block in _blocks(system, "system")]
    if text := "\n".join(text for text in (BILLING.sub("", text) for text in texts) if text):
        yield {"role": "system", "content": text}


def _turns(turns: Sequence[Turn]) -> Iterator[dict[str, Any]]:
    """Turns of one side in a row are one message, as at Anthropic, and what the system says between turns is a part of
    the user's: chat templates such as Qwen's refuse a system message there, and Mistral's two of the user in a row."""
    for by_assistant, side in groupby(enumerate(turns), key=lambda entry: entry[1].role == "assistant"):
        blocks = [block for number, turn in side for block in _turn(turn, f"messages[{number}].content")]
        yield from _assistant(blocks) if by_assistant else _user(blocks)


def _turn(turn: Turn, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, block in _blocks(turn.content, where):
        if turn.role == "system":
            block = {"type": TEXT, "text": f"{REMINDER}\n{_text(block, place)}\n{REMINDER_END}"}
        yield place, block


def _blocks(content: object, where: str) -> list[tuple[str, dict[str, Any]]]:
    """The blocks of a content, each with its place."""
    if isinstance(content, str):
        return [(where, {"type": TEXT, "text": content})]
    if not isinstance(content, list) or len(objects(content)) < len(content):
        raise _wrong(where, "a string, or an array of blocks")
    return [(f"{where}[{number}]", block) for number, block in enumerate(content)]


def _text(block: Mapping[str, Any], where: str) -> str:
    text = block.get("text")
    if block.get("type") != TEXT:
        raise _unsupported(block, where)
    if not isinstance(text, str):
        raise _wrong(f"{where}.text", "a string")
    return text


def _unsupported(block: Mapping[str, Any], where: str) -> ApiError:
    kind = block.get("type")
    return bad_request(f"`{where}` is a block of the type {kind!r:.80}, which is not supported there.", f"{where}.type")


def _assistant(blocks: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    texts, calls = [], []
    for where, block in blocks:
        if block.get("type") == TOOL:
            name, input = block.get("name"), block.get("input", {})
            if not isinstance(block.get("id"), str) or not isinstance(name, str) or not isinstance(input, dict):
                raise _wrong(where, "a tool_use with an `id`, a `name` and an `input`")
            function = {"name": name, "arguments": dump_json(input, ensure_ascii=False)}
            calls.append({"id": block["id"], "type": "function", "function": function})
        elif block.get("type") not in DROPPED:
            texts.append(_text(block, where))
    text = "\n".join(texts)
    yield {"role": "assistant", "content": text or (None if calls else "")} | ({"tool_calls": calls} if calls else {})


def _user(blocks: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The results of tools first, as an answer to calls must follow them, then the rest as one message."""
    parts: list[dict[str, Any]] = []
    for where, block in blocks:
        if block.get("type") != "tool_result":
            parts.append(_part(block, where))
            continue
        if not isinstance(block.get("tool_use_id"), str):
            raise _wrong(f"{where}.tool_use_id", "the id of a tool_use")
        inner = [_part(part, place) for place, part in _blocks(block.get("content") or "", f"{where}.content")]
        text = "\n".join(part["text"] for part in inner if part["type"] == TEXT)
        text = f"Error: {text}" if block.get("is_error") else text
        yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}
        parts += [part for part in inner if part["type"] != TEXT]  # a tool's message takes no images
    if parts:
        only_text = all(part["type"] == TEXT for part in parts)
        yield {"role": "user", "content": "\n".join(part["text"] for part in parts) if only_text else parts}


def _part(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A block as a part of a message: a text, an image, or a document that is text."""
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    kind, url, data, media = (source.get(name) for name in ("type", "url", "data", "media_type"))
    if block.get("type") == "document":
        if kind != TEXT or not isinstance(data, str):
            raise _wrong(f"{where}.source", f'of the type "{TEXT}": other documents, such as PDF, are not supported')
        return {"type": TEXT, "text": data}
    if block.get("type") != "image":
        return {"type": TEXT, "text": _text(block, where)}
    if kind == "url" and isinstance(url, str):
        return {"type": "image_url", "image_url": {"url": url}}
    if kind == "base64" and isinstance(data, str) and isinstance(media, str):
        return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}
    raise _wrong(f"{where}.source", "an image's base64 with a `media_type`, or its url")


def _tools(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    functions = []
    for number, tool in enumerate(tools):
        schema = tool.get("input_schema")
        if not isinstance(schema, dict) or not isinstance(tool.get("name"), str):
            raise _wrong(
                f"tools[{number}]",
                "a tool with a `name` and an `input_schema`; tools that a server runs are not supported",
            )
        function = {name: tool[name] for name in ("name", "description", "strict") if tool.get(name) is not None}
        functions.append({"type": "function", "function": {**function, "parameters": schema}})
    return functions


def _tool_choice(choice: Mapping[str, Any] | None) -> dict[str, Any]:
    if choice is None:
        return {}
    kind, name = choice.get("type"), choice.get("name")
    if kind not in (*CHOICES, "tool") or (kind == "tool" and not isinstance(name, str)):
        raise _wrong("tool_choice", "auto, any or none as its `type`, or tool with a `name`")
    wanted = CHOICES.get(kind) or {"type": "function", "function": {"name": name}}
    alone = choice.get("disable_parallel_tool_use") is True
    return {"tool_choice": wanted} | ({"parallel_tool_calls": False} if alone else {})


@dataclass
class Block:
    """A block of an answer while it comes.

    Attributes:
        parts: of its text, or of its arguments; `sent` counts those that the client has.
    """

    kind: str
    id: str | None = None
    name: str = ""
    parts: list[str] = field(default_factory=list)
    sent: int = 0
    begun: bool = False

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

    def delta(self) -> dict[str, Any]:
        """What has come and is not sent."""
        text, self.sent = "".join(self.parts[self.sent :]), len(self.parts)
        if self.kind == TOOL:
            return {"type": "input_json_delta", "partial_json": text}
        return {"type": f"{self.kind}_delta", self.kind: text}


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
        self._splitter, self._joiner, self._text = Splitter(), Joiner(), ""

    def message(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """A whole answer.

        Raises:
            ApiError: it calls a tool with what is no JSON object.
        """
        choice = next(iter(objects(answer.get("choices"))), {})
        message = choice.get("message")
        message = message if isinstance(message, dict) else {}
        thoughts, text = thoughts_of(message), content_text(message.get("content"))
        parts = split(text)
        self._add(THINKING, thoughts + parts.thoughts)
        self._add(TEXT, parts.text)
        self._add(TEXT, read_text(message.get("refusal")))
        for number, call in enumerate(objects(message.get("tool_calls"))):
            self._call({"index": number, **call})
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
        self._write(self._joiner.close())
        text = self._splitter.end().text
        if text.startswith(self._text):  # what may have been part of a tag
            self._add(TEXT, text[len(self._text) :])
        last = b"".join(map(_event, self._new(ended=True)))
        end = self._end(self._choice)
        delta = {"type": "message_delta", "delta": end, "usage": self._usage(), **self._metadata}
        return last + _event(delta) + _event({"type": "message_stop"})

    def _chunk(self, chunk: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if not self._begun:
            self._begun = True
            message = self._head(chunk, [], stop_reason=None, stop_sequence=None)
            yield {"type": "message_start", "message": message}
            yield {"type": "ping"}
        if "zooter" in chunk:
            self._metadata = {"zooter": chunk["zooter"]}
        for choice in objects(chunk.get("choices"))[:1]:
            delta = choice.get("delta")
            delta = delta if isinstance(delta, dict) else {}
            thoughts, text = thoughts_of(delta), content_text(delta.get("content"))
            self._add(THINKING, thoughts)
            self._write(self._joiner.add(text))
            self._add(TEXT, read_text(delta.get("refusal")))
            for call in objects(delta.get("tool_calls")):
                self._call(call)
            if choice.get("finish_reason"):
                self._choice = choice
        yield from self._new()

    def _write(self, content: str) -> None:
        """Add a piece of a text that may begin with thoughts."""
        thoughts, text = self._splitter.feed(content)
        self._text += text
        self._add(THINKING, thoughts)
        self._add(TEXT, text)

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
            if not block.begun:
                block.begun = True
                yield {"type": "content_block_start", "index": place, "content_block": block.shape()}
            if (delta := block.delta())[[*delta][-1]]:
                yield {"type": "content_block_delta", "index": place, "delta": delta}
            if not ended and (block.kind == TOOL or place == len(self._blocks) - 1):
                return
            yield {"type": "content_block_stop", "index": place}
            self._at = place + 1

    def _end(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        """Why the answer ends, as `stop_reason` and `stop_sequence`."""
        finish = choice.get("finish_reason")
        name = finish_name(finish) if isinstance(finish, str) and finish else ENDED[0]
        calls = [block for block in self._blocks if block.kind == TOOL]
        request = self._exchange.request
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
