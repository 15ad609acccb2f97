"""The bodies in the OpenAPI description: what Zooter reads of them. Further fields go on to the candidate's server."""

from __future__ import annotations

from typing import Any

from zooter_core.serve.chat_request import LONGEST_NAME, ROLES
from zooter_core.serve.feedback import LONGEST_COMMENT, LONGEST_ID, VERDICTS
from zooter_core.serve.gateway import RMR
from zooter_core.serve.rerank import MOST_DOCUMENTS
from zooter_core.serve.route_api import MOST_CONVERSATIONS

Schema = dict[str, Any]


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items, **limits}


def _optional(kind: str, **limits: Any) -> Schema:
    return {"type": [kind, "null"], **limits}


def _either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


TEXT: Schema = {"type": "string"}
NAME = TEXT | {"minLength": 1, "maxLength": LONGEST_NAME}
MODEL = NAME | {"examples": ["auto"]}
CONTENT = _either(TEXT, {"type": "null"}, _list({"type": "object"}))
MESSAGES = _list(_object("role", role={"enum": list(ROLES)}, content=CONTENT), minItems=1)
ROUTING = {
    "models": _optional("array", items=TEXT, description="The candidates that may answer."),
    "willingness_to_pay": _optional("number", minimum=0, description="Dollars for a 10% better answer."),
    "session_id": _optional("string", maxLength=LONGEST_NAME),
    "prompt_cache_key": _optional("string", maxLength=LONGEST_NAME),
}
CHAT = _object(
    "model",
    "messages",
    model=MODEL,
    messages=MESSAGES,
    stream=_optional("boolean"),
    stream_options=_optional("object"),
    tools=_optional("array"),
    **ROUTING,
)
INPUT = _either(TEXT, _list({"type": "object"}, minItems=1))
RESPONSES = _object("model", "input", model=MODEL, input=INPUT, stream=_optional("boolean"), **ROUTING)
EMBEDDINGS = _object("model", "input", model=NAME)
RERANK = _object(
    "query",
    "documents",
    model={"enum": [RMR, None]},
    query=TEXT | {"pattern": r"\S"},
    documents=_list(_either(TEXT, _object("text", text=TEXT)), minItems=1, maxItems=MOST_DOCUMENTS),
    top_n=_optional("integer", minimum=1),
    return_documents=_optional("boolean"),
)
CONVERSATIONS = _list(MESSAGES, minItems=1, maxItems=MOST_CONVERSATIONS)
ROUTE = _object(
    model=_either(MODEL, {"type": "null"}), messages=MESSAGES, conversations=CONVERSATIONS, **ROUTING
) | _either({"required": ["messages"]}, {"required": ["conversations"]})
FEEDBACK = _object(
    "request_id",
    request_id=TEXT | {"minLength": 1, "maxLength": LONGEST_ID},
    verdict={"enum": [*VERDICTS, None]},
    score=_optional("number", minimum=-1e30, maximum=1e30),
    comment=_optional("string", maxLength=LONGEST_COMMENT),
)
FAULT = _object(
    "message",
    "type",
    message=TEXT,
    type=_optional("string"),
    param=_optional("string"),
    code={"type": ["string", "integer", "null"]},
)
ERROR = _object("error", error=FAULT)


def body(schema: Schema) -> dict[str, Any]:
    """A route's request body for `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's errors for `responses`."""
    error = {"content": {"application/json": {"schema": ERROR}}}
    return {status: {"description": "An error in the API's shape.", **error} for status in statuses}
