"""The bodies of requests, as far as the endpoint reads them: this is checked, and /openapi.json describes it.

Further fields pass. They belong to the candidate's server, which refuses what it does not take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from zooter_core.serve.errors import ApiError, bad_request

MOST_MESSAGES = 2000  # of one request
MOST_CONVERSATIONS = 100
MOST_DOCUMENTS = 100  # a reward model that compares reads each pair of them
LONGEST_NAME = 512  # characters of a model's name and of a session's
LONGEST_ID, LONGEST_COMMENT = 200, 10_000
WITH_CONTENT = ("developer", "system", "user")  # roles; a message of another one may have none, as where it calls tools

Object = dict[str, Any]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Session = Annotated[str, Field(max_length=LONGEST_NAME)]
Positive = Annotated[int, Field(ge=1)]


class Body(BaseModel):
    """A body, or a part of one. Nothing is converted: "1" is no number."""

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


class Conversation(Body):
    """The messages of a chat completion request."""

    messages: Messages


class RoutedBody(Body):
    """What the router reads, in each API."""

    models: list[str] | None = Field(None, description="The candidates that may answer.")
    willingness_to_pay: float | None = Field(None, ge=0, le=1e9, description="Dollars for a 10% better answer.")
    session_id: Session | None = None
    prompt_cache_key: Session | None = None


class ChatBody(RoutedBody, Conversation):
    """A chat completion request."""

    model: Name
    stream: bool | None = None
    stream_options: Object | None = None
    tools: list[Any] | None = None


class RouteBody(RoutedBody):
    """One conversation to decide on, or several."""

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
    top_n: Positive | None = None
    return_documents: bool | None = None


class FeedbackBody(Body):
    """Feedback on an answer: a verdict, a score or a comment, or several of them."""

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
    """What Anthropic's clients say about a request."""

    user_id: str | None = None


class OutputConfig(Body):
    """What Anthropic's clients want an answer to be like."""

    format: Object | None = None
    effort: str | None = None


class CountBody(RoutedBody):
    """What is counted of a request of Anthropic's Messages API."""

    model: Name
    messages: list[Turn] = Field(min_length=1)
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

    max_tokens: Positive


class Fault(BaseModel):
    """What went wrong. Anthropic's API has the message and the type alone."""

    message: str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class ErrorBody(BaseModel):
    """An error."""

    error: Fault


def check(kind: type[Kind], body: Mapping[str, Any]) -> Kind:
    """The fields of a body that the endpoint reads.

    Raises:
        ApiError: one of them is missing or wrong.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as problem:
        raise _api_error(problem.errors(), body) from None


def _api_error(errors: list[ErrorDetails], body: Mapping[str, Any]) -> ApiError:
    """The deepest one of pydantic's errors: for a value that may be of several kinds, that of the kind it resembles."""
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
    """Where an error is in a body: pydantic's place without the names of the kinds that it tried there."""
    place: list[str | int] = []
    for part in error["loc"]:
        with suppress(LookupError, TypeError):
            body = body[part]
            place.append(part)
    return [*place, error["loc"][-1]] if error["type"] == "missing" else place
