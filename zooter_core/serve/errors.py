"""Errors in the shape of the client's API, so that clients raise their own exceptions: OpenAI's, or Anthropic's under
`/v1/messages`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse

INVALID = "invalid_request_error"
SERVER = "server_error"
MESSAGES = "/v1/messages"  # Anthropic's API
KINDS = {  # status -> Anthropic's `type` of the error; other statuses below 500 are invalid requests
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
# Anthropic's words, by which LiteLLM and coding agents know that a conversation has to be shortened.
TOO_LONG = ("prompt is too long", "input length and `max_tokens` exceed context limit")


@dataclass(eq=False)
class ApiError(Exception):
    """An error for a client."""

    status: int  # HTTP's
    message: str
    code: str | None = None  # a word for programs, such as `model_not_found`
    param: str | None = None  # the field of the body that is at fault
    kind: str | None = None  # the API's `type`; by default, it depends on the status
    headers: Mapping[str, str] = field(default_factory=dict)  # additional headers, e.g. Retry-After
    body: Mapping[str, Any] | None = None  # a server's own error, which is passed on unchanged

    @property
    def shape(self) -> Mapping[str, Any]:
        """The body of the error in OpenAI's API."""
        if self.body is not None:
            return self.body
        kind = self.kind or (SERVER if self.status >= 500 else INVALID)
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def is_messages(path: str) -> bool:
    """Whether a path belongs to Anthropic's API."""
    return path == MESSAGES or path.startswith(f"{MESSAGES}/")


def shape_at(path: str, error: ApiError) -> Mapping[str, Any]:
    """The body of an error in the shape of the API at a path."""
    if not is_messages(path):
        return error.shape
    kind = KINDS.get(error.status, "api_error" if error.status > 500 else INVALID)
    return {"type": "error", "error": {"type": kind, "message": error.message}}


def error_reply(path: str, error: ApiError) -> JSONResponse:
    return JSONResponse(shape_at(path, error), error.status, dict(error.headers))


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """The error for a request that can never succeed."""
    return ApiError(400, message, code, param)


def model_not_found(model: str, suggestion: str) -> ApiError:
    message = f"The model {model!r} does not exist here. {suggestion}"
    return ApiError(404, message, "model_not_found", "model")
