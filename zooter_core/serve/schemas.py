"""The bodies in the OpenAPI description: what Zooter reads of them. Further fields go on to the candidate's server."""

from __future__ import annotations

from typing import Any

from zooter_core.serve.chat_request import LONGEST_NAME, ROLES
from zooter_core.serve.feedback import LONGEST_COMMENT, LONGEST_ID, VERDICTS
from zooter_core.serve.gateway import RMR
from zooter_core.serve.rerank import MOST_DOCUMENTS

NAME = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
CONTENT = {
    "anyOf": [
        {"type": "string"},
        {"type": "null"},
        {"type": "array", "items": {"type": "object"}},
    ]
}
MESSAGES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {"role": {"enum": list(ROLES)}, "content": CONTENT},
    },
}
ROUTING = {
    "models": {
        "type": ["array", "null"],
        "items": {"type": "string"},
        "description": "The candidates that may answer.",
    },
    "willingness_to_pay": {"type": ["number", "null"], "minimum": 0, "description": "Dollars for a 10% better answer."},
    "session_id": {"type": ["string", "null"], "maxLength": LONGEST_NAME},
    "prompt_cache_key": {"type": ["string", "null"], "maxLength": LONGEST_NAME},
}
CHAT = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {
        "model": {**NAME, "examples": ["auto"]},
        "messages": MESSAGES,
        "stream": {"type": ["boolean", "null"]},
        "stream_options": {"type": ["object", "null"]},
        "tools": {"type": ["array", "null"]},
        **ROUTING,
    },
}
RESPONSES = {
    "type": "object",
    "required": ["model", "input"],
    "properties": {
        "model": {**NAME, "examples": ["auto"]},
        "input": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}]},
        "stream": {"type": ["boolean", "null"]},
        **ROUTING,
    },
}
EMBEDDINGS = {"type": "object", "required": ["model", "input"], "properties": {"model": NAME}}
RERANK = {
    "type": "object",
    "required": ["query", "documents"],
    "properties": {
        "model": {"enum": [RMR, None]},
        "query": {"type": "string", "pattern": r"\S"},
        "documents": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_DOCUMENTS,
            "items": {
                "anyOf": [
                    {"type": "string"},
                    {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
                ]
            },
        },
        "top_n": {"type": ["integer", "null"], "minimum": 1},
        "return_documents": {"type": ["boolean", "null"]},
    },
}
ROUTE = {
    "type": "object",
    "properties": {
        "messages": MESSAGES,
        "conversations": {"type": "array", "minItems": 1, "items": MESSAGES},
        **ROUTING,
    },
    "anyOf": [{"required": ["messages"]}, {"required": ["conversations"]}],
}
FEEDBACK = {
    "type": "object",
    "required": ["request_id"],
    "properties": {
        "request_id": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
        "verdict": {"enum": [*VERDICTS, None]},
        "score": {"type": ["number", "null"], "minimum": -1e30, "maximum": 1e30},
        "comment": {"type": ["string", "null"], "maxLength": LONGEST_COMMENT},
    },
}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": ["string", "null"]},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "integer", "null"]},
            },
        }
    },
}


def body(schema: dict[str, Any]) -> dict[str, Any]:
    """A route's request body for `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's errors for `responses`."""
    error = {"content": {"application/json": {"schema": ERROR}}}
    return {status: {"description": "An error in the API's shape.", **error} for status in statuses}
