"""`POST /v1/rerank`: the fleet's reward model ranks texts by a query, in the shape that Cohere, Jina and vLLM share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zooter_core.serve.chat_request import ChatRequest
from zooter_core.serve.errors import ApiError, bad_request, model_not_found
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.gateway import RMR, Gateway
from zooter_core.serve.reply import Out

MOST_DOCUMENTS = 100  # a reward model that compares reads each pair of them


async def answer_rerank(gateway: Gateway, body: Mapping[str, Any], exchange: Exchange, out: Out) -> None:
    """Send the documents' places and rewards, best first. A document without a reward has no result.

    `relevance_score` is the reward on the scale of the fleet's reward model.

    Raises:
        ApiError: the body is wrong, the fleet has no reward model, or that fails.
    """
    if gateway.fleet.reward is None:
        raise ApiError(404, "This fleet has no reward model, so it ranks nothing.", "not_found")
    query, documents, most = _query(body), _documents(body.get("documents")), _most(body)
    if (model := body.get("model") or RMR) != RMR:
        raise model_not_found(str(model), f"The reward model is {RMR}.")
    turns = [{"role": "user", "content": query}, *({"role": "assistant", "content": text} for text in documents)]
    request = ChatRequest({**body, "model": RMR, "messages": turns})
    exchange.asks(gateway.fleet, request)
    (rewards,) = await gateway.with_rewards(
        lambda ensemble, stop: ensemble.score_responses([(query, documents)], stop=stop)
    )
    scored = [(reward, place) for place, reward in enumerate(rewards.rewards) if reward is not None]
    best = sorted(scored, key=lambda entry: -entry[0])[:most]  # ties keep their order
    results: list[dict[str, Any]] = [{"index": place, "relevance_score": reward} for reward, place in best]
    if body.get("return_documents"):
        for result in results:
            result["document"] = {"text": documents[result["index"]]}
    usage = {"total_tokens": request.prompt_tokens}
    await out.json({"id": exchange.request_id, "model": RMR, "usage": usage, "results": results})


def _query(body: Mapping[str, Any]) -> str:
    query = body.get("query")
    if not isinstance(query, str) or not query.strip():
        raise bad_request("`query` must be a text.", "query")
    return query


def _documents(documents: object) -> list[str]:
    """The documents' texts: strings, or objects with a `text`."""
    texts = documents if isinstance(documents, list) else []
    texts = [entry.get("text") if isinstance(entry, dict) else entry for entry in texts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise bad_request("`documents` must be an array of texts, or of objects with a `text`.", "documents")
    if len(texts) > MOST_DOCUMENTS:
        raise bad_request(f"{len(texts):,} documents are too many; the limit is {MOST_DOCUMENTS}.", "documents")
    return texts


def _most(body: Mapping[str, Any]) -> int | None:
    """How many results are wanted; None for all."""
    most = body.get("top_n")
    if most is not None and (type(most) is not int or most < 1):
        raise bad_request("`top_n` must be an integer of 1 or more.", "top_n")
    return most
