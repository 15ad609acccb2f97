"""The capability gate: which candidates cannot answer a request, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zooter_core.backends.endpoint.health import Refusals
from zooter_core.config.candidates import ENDPOINT, CandidateConfig
from zooter_core.serve.chat_request import Needs, text_of

NEEDS = {"images": "takes no images", "tools": "calls no tools", "json_mode": "has no JSON mode"}
# Fields of the API that a local candidate cannot honour, with the values that ask for nothing.
UNSUPPORTED: Mapping[str, Sequence[Any]] = {
    "tools": (None, []),
    "functions": (None, []),
    "n": (None, 1),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "stop": (None, [], ""),
    "top_p": (None, 1),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "audio": (None,),
    "modalities": (None, ["text"]),
    "prediction": (None,),
    "web_search_options": (None,),
}


def unable(candidate: CandidateConfig, needs: Needs, refusals: Refusals | None = None) -> str | None:
    """Why a candidate cannot answer a request; None if it can.

    Args:
        refusals: what its server has refused lately, which decides where the table says nothing.
    """
    context = candidate.context_tokens or (refusals.context_tokens if refusals else None)
    if context is not None and needs.tokens > context:
        return f"the request has about {needs.tokens:,} tokens, its context {context:,}"
    for name, reason in NEEDS.items():
        able = getattr(candidate, name)
        if not getattr(needs, name) or able:
            continue
        if able is False or candidate.backend != ENDPOINT:
            return reason
        if refusals and name in refusals:
            return f"{reason}, as its server has said lately"
    return None


def unsupported(candidate: CandidateConfig, body: Mapping[str, Any]) -> str | None:
    """The first field of a request that a local candidate cannot honour; None for one behind a server."""
    if candidate.backend == ENDPOINT:
        return None
    for name, neutral in UNSUPPORTED.items():
        if body.get(name) not in neutral:
            return name
    if isinstance(form := body.get("response_format"), Mapping) and form.get("type") not in (None, "text"):
        return "response_format"
    for number, message in enumerate(body["messages"]):
        content = message.get("content")
        other = isinstance(content, list) and any(part.get("type") not in ("text", "input_text") for part in content)
        if other or message["role"] in ("tool", "function") or message.get("tool_calls"):
            return f"messages[{number}]"
    return None if text_of(body["messages"][-1].get("content")).strip() else "messages"
