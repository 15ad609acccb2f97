"""Errors in the shape of OpenAI's API, which its clients turn into exceptions of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

INVALID = "invalid_request_error"
SERVER = "server_error"


@dataclass(eq=False)
class ApiError(Exception):
    """An error for a client.

    Attributes:
        status: of HTTP.
        code: a word for programs, such as `model_not_found`.
        param: the field of the body that is at fault.
        kind: the API's `type`; by default, by the status.
        headers: further ones, such as Retry-After.
        body: a server's own error, which is passed on as it came.
    """

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    kind: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    @property
    def shape(self) -> Mapping[str, Any]:
        """The body of the answer."""
        if self.body is not None:
            return self.body
        kind = self.kind or (SERVER if self.status >= 500 else INVALID)
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """The error for a request that can never succeed."""
    return ApiError(400, message, code, param)


def model_not_found(model: str, suggestion: str) -> ApiError:
    """The error for a model that is not served."""
    message = f"The model {model!r} does not exist here. {suggestion}"
    return ApiError(404, message, "model_not_found", "model")
