"""The fields of requests that the endpoint reads, checks and describes in /openapi.json, and what routing needs to know
about a chat completion (`ChatRequest`).

Other fields are passed on to the candidate's server, which refuses those that it does not support.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from zooter_core.backends.endpoint.connection import CHAT
from zooter_core.base.strict_json import dump_json, objects
from zooter_core.config.candidates import Thinking
from zooter_core.config.tables import Count, NotNegative, WholeNumber
from zooter_core.learn.chores import is_chore
from zooter_core.serve.errors import ApiError, bad_request

MOST_MESSAGES = 2000  # of one request
MOST_CONVERSATIONS = 100
MOST_STOPS = 16  # stop sequences per request; OpenAI allows four, but code editors send more
MOST_DOCUMENTS = 100  # a comparing reward model reads all pairs
LONGEST_NAME = 512  # characters of a model's name and of a session's
LONGEST_ID, LONGEST_COMMENT = 200, 10_000
SYSTEM = ("developer", "system")  # roles
WITH_CONTENT = (*SYSTEM, "user")  # roles whose messages must have content; others need none if they call tools
ROUTING_FIELDS = ("models", "willingness_to_pay", "session_id")  # for the router; they are not sent to servers
BYTES_A_TOKEN = 4  # an estimate; its error is smaller than the differences between tokenizers
REMINDER, REMINDER_END = "<system-reminder>", "</system-reminder>"

RESPONSES, EMBEDDINGS = "/responses", "/embeddings"  # paths of candidates' servers, besides CHAT

Object = dict[str, Any]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Session = Annotated[str, Field(max_length=LONGEST_NAME)]


class Body(BaseModel):
    """A body, or a part of one. Nothing is converted: "1" is not a number."""

    model_config = ConfigDict(strict=True)


Kind = TypeVar("Kind", bound=Body)


class Message(Body):
    """A message of a chat completion."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[Object] | None = Field(None, validate_default=True)

    @field_validator("content")
    @classmethod
    def _check_role(cls, content: object, info: ValidationInfo) -> object:
        if content is None and info.data.get("role") in WITH_CONTENT:
            raise PydanticCustomError("missing", "A message of this role needs it")
        return content


Messages = Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)]


class RoutedBody(Body):
    """What the router reads, in each API."""

    models: list[str] | None = Field(None, description="The candidates that may answer.")
    willingness_to_pay: float | None = Field(None, ge=0, le=1e9, description="Dollars for a 10% better answer.")
    session_id: Session | None = None
    prompt_cache_key: Session | None = None


class ChatBody(RoutedBody):
    """A chat completion request."""

    messages: Messages
    model: Name
    stream: bool | None = None
    stream_options: Object | None = None
    tools: list[Any] | None = None


class LocalBody(Body):
    """The settings that a local candidate takes from a chat completion request. The fleet has the defaults, except for
    the seed: a client that asks again wants another answer."""

    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: NotNegative | None = None
    seed: WholeNumber | None = None
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: WholeNumber | None = Field(None, ge=-1)  # vLLM's -1 means all
    stop: str | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MOST_STOPS)] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of `[generation]` that the request overrides."""
        settings = {"temperature": self.temperature, "seed": self.seed, "top_k": self.top_k and max(self.top_k, 0)}
        settings["max_new_tokens"] = self.max_completion_tokens or self.max_tokens
        return {name: value for name, value in settings.items() if value is not None}

    @property
    def stops(self) -> tuple[str, ...]:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(filter(None, stops))


class RouteBody(RoutedBody):
    """One or several conversations to route."""

    model: Name | None = None
    messages: Messages | None = None
    conversations: list[Messages] | None = Field(None, min_length=1, max_length=MOST_CONVERSATIONS)

    @model_validator(mode="after")
    def _check_messages(self) -> Self:
        if self.messages is None and self.conversations is None:
            raise PydanticCustomError("nothing", "Give `messages` or `conversations`")
        return self


class ResponsesBody(RoutedBody):
    """A request of OpenAI's Responses API."""

    model: Name
    input: str | Annotated[list[Object], Field(min_length=1, max_length=MOST_MESSAGES)]
    instructions: str | None = None
    stream: bool | None = None


class EmbeddingsBody(Body):
    """An embeddings request."""

    model: Name
    input: Any


class Document(Body):
    """A text to rank, with further fields."""

    text: str


class RerankBody(Body):
    """Texts to rank by a query."""

    model: Name | None = None
    query: str = Field(pattern=r"\S")
    documents: list[str | Document] = Field(min_length=1, max_length=MOST_DOCUMENTS)
    top_n: Count | None = None
    return_documents: bool | None = None


class FeedbackBody(Body):
    """Feedback on an answer: at least one of a verdict, a score and a comment."""

    request_id: str = Field(min_length=1, max_length=LONGEST_ID, description="The x-request-id of the answer.")
    verdict: Literal["good", "bad"] | None = None
    score: float | None = Field(None, ge=-1e30, le=1e30)
    comment: str | None = Field(None, max_length=LONGEST_COMMENT)

    @model_validator(mode="after")
    def _check_verdict(self) -> Self:
        if self.verdict is None and self.score is None and self.comment is None:
            raise PydanticCustomError("nothing", "Give a `verdict`, a `score` or a `comment`")
        return self


class Turn(Body):
    """A turn of a conversation with Anthropic's API. `messages` checks its blocks."""

    role: Literal["user", "assistant", "system"]
    content: str | Annotated[list[Object], Field(min_length=1)]


class Metadata(Body):
    """The metadata of a request to Anthropic's API."""

    user_id: str | None = None


class OutputConfig(Body):
    """The format and the effort that a request to Anthropic's API asks for."""

    format: Object | None = None
    effort: str | None = None


class CountBody(RoutedBody):
    """The part of a request to Anthropic's Messages API whose tokens are counted."""

    model: Name
    messages: list[Turn] = Field(min_length=1, max_length=MOST_MESSAGES)
    system: str | list[Object] | None = None
    tools: list[Object] | None = None
    tool_choice: Object | None = None
    thinking: Object | None = None
    metadata: Metadata | None = None
    output_config: OutputConfig | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None


class MessagesBody(CountBody):
    """A request of Anthropic's Messages API."""

    max_tokens: Count


class Fault(BaseModel):
    """The details of an error. Anthropic's API has only the message and the type."""

    message: str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class ErrorBody(BaseModel):
    """An error."""

    error: Fault


def check(kind: type[Kind], body: Mapping[str, Any]) -> Kind:
    """Validate the fields of a body that the endpoint reads.

    Raises:
        ApiError: a field is missing or invalid.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as problem:
        raise _api_error(problem.errors(), body) from None


def _api_error(errors: list[ErrorDetails], body: Mapping[str, Any]) -> ApiError:
    """The deepest of pydantic's errors: for a union, the error of the member that fits best."""
    places = [_place(error, body) for error in errors]
    deepest = max(places, key=len)
    reasons = dict.fromkeys(error["msg"] for error, place in zip(errors, places, strict=True) if place == deepest)
    message = re.sub(r"(Input|List|String) should", "it should", f"{', or '.join(reasons)}.")
    message = message.replace(" after validation", "").replace("Field required", "it is missing")
    message = message.replace(r"match pattern '\S'", "not be blank")
    if not deepest:
        return bad_request(message)
    first, *others = map(str, deepest)
    param = first + "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in others)
    return bad_request(f"`{param}` is wrong: {message}", param)


def _place(error: ErrorDetails, body: Any) -> list[str | int]:
    """The location of an error in a body: pydantic's, without the names of the union members that it tried."""
    place: list[str | int] = []
    for part in error["loc"]:
        with suppress(LookupError, TypeError):
            body = body[part]
            place.append(part)
    missing = [*error["loc"][-1:]] if error["type"] == "missing" else []
    return place if place[-1:] == missing else [*place, *missing]  # a null counts as missing


@dataclass(frozen=True)
class Sender:
    """What is known about a request in addition to the body of its chat completion."""

    # The name of its API key; a request continues only conversations of its own key. None if no keys are required.
    key: str | None = None
    session: str | None = None  # the value of `x-session-id`
    # How much a model should think, in fleet.toml's terms. A setting in fleet.toml takes precedence.
    thinking: Thinking | None = None
    user: str | None = None  # its own user id, if the body has another one


@dataclass(frozen=True)
class ChatRequest:
    """A chat completion request. The fields that Zooter reads are valid; `body` also has those it does not know."""

    body: Mapping[str, Any]
    sender: Sender = Sender()
    path: str = CHAT  # on the candidate's server. For other APIs, `messages` are only for routing, and not sent

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the count of tokens."""
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        return self.body["messages"]

    @cached_property
    def user_texts(self) -> list[str]:
        """The texts of the user's turns, oldest first, without a coding agent's additions."""
        texts = [read_text(message.get("content")) for message in self.messages if message["role"] == "user"]
        return [typed for text in texts if (typed := _without_reminders(text)) or REMINDER not in text] or texts

    @property
    def in_tool_loop(self) -> bool:
        """Whether the candidate is in a tool loop: a tool's result is unanswered, or the last message is its own."""
        since = takewhile(lambda role: role != "assistant", (message["role"] for message in reversed(self.messages)))
        roles = set(since)
        return not roles or not roles.isdisjoint(("tool", "function"))

    @cached_property
    def chore(self) -> bool:
        """Whether a chat UI or an agent sent it for its own purposes, e.g. to get a title."""
        system = [read_text(message.get("content")) for message in self.messages if message["role"] in SYSTEM]
        return is_chore(self.user_texts, self.body.get("metadata"), system)

    @cached_property
    def session(self) -> str:
        """The conversation's key: a hash of the client's session id, or else of what stays the same in a conversation.

        The latter includes `prompt_cache_key`, which clients share among conversations with the same beginning.
        Requests with `models` count as a separate conversation: they must not decide who answers requests without it.
        """
        names = self.body.get("models")
        models = f" {sorted(map(str, names))}" if names and isinstance(names, list) else ""
        if value := self.sender.session or self.body.get("session_id"):
            return hashlib.sha256(f"given {value}{models}".encode()).hexdigest()
        system = [message for message in self.messages if message["role"] in SYSTEM]
        parts = [system, *map(self.body.get, ("tools", "functions", "prompt_cache_key")), self.user_texts[:1]]
        return hashlib.sha256((dump_json(parts, sort_keys=True) + models).encode()).hexdigest()

    @cached_property
    def prompt_tokens(self) -> int:
        """An estimate of the prompt's tokens, without images."""
        texts = [read_text(message.get("content")) for message in self.messages]
        parts = [*(message.get("tool_calls") for message in self.messages), self.body.get("tools")]
        return estimate_tokens("".join([*texts, *(dump_json(part) for part in parts if part)]))

    @property
    def answer_tokens(self) -> int:
        """The client's limit for the answer, in tokens; 0 if there is none."""
        values = [self.body.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens")]
        return next((value for value in values if type(value) is int and value > 0), 0)

    @property
    def tokens(self) -> int:
        """An estimate for prompt and answer together."""
        return self.prompt_tokens + self.answer_tokens

    @cached_property
    def needs(self) -> set[str]:
        """Which of `images`, `tools`, `json_mode` and `responses` a candidate must support to answer it."""
        body = self.body
        text = body.get("text")  # of the Responses API
        form = body.get("response_format") or (text.get("format") if isinstance(text, Mapping) else None)
        parts = [part for message in self.messages for part in objects(message.get("content"))]
        tool_roles = any(message["role"] in ("tool", "function") for message in self.messages)
        needs = {
            "images": any(part.get("type") in ("image_url", "input_image") for part in parts),
            "tools": tool_roles or any(body.get(name) for name in ("tools", "functions")),
            "json_mode": isinstance(form, Mapping) and form.get("type") in ("json_object", "json_schema"),
            "responses": self.path == RESPONSES,
        }
        return {name for name, needed in needs.items() if needed}

    def for_candidate(self, model: str, routed: bool) -> dict[str, Any]:
        """The body for a candidate: unchanged, except for the model's name on its server.

        Args:
            routed: whether the router has chosen the candidate; the router's fields are then left out.
        """
        dropped = list(ROUTING_FIELDS) if routed else []
        if self.path != CHAT:
            dropped.append("messages")
        return {key: value for key, value in self.body.items() if key not in dropped} | {"model": model}


def read_chat(body: Mapping[str, Any], sender: Sender = Sender()) -> ChatRequest:
    """The request in a body.

    Raises:
        ApiError: a field that Zooter reads has the wrong type.
    """
    check(ChatBody, body)
    return ChatRequest(body, sender)


def read_text(content: object) -> str:
    """The text of a message's content: a string, or the text parts of an array."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in objects(content) if isinstance(part.get("text"), str))


def _without_reminders(text: str) -> str:
    """A user's text without the parts that Claude Code adds for the model."""
    first, *others = text.split(REMINDER)
    parts = [part.partition(REMINDER_END) for part in others]
    typed = [after.lstrip() if end else REMINDER + before for before, end, after in parts]
    return "".join([first, *typed]).rstrip() if others else text


def estimate_tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN)
