"""POST /v1/rerank behind scripted servers: the fleet's reward model ranks texts, and each mistake is a 4xx."""

from __future__ import annotations

import pytest

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.serve.bodies import MOST_DOCUMENTS

QUERY = "What is 2 + 3?"
DOCUMENTS = ["five", "", "2 + 3 = 5", "I like cats."]


def rerank(endpoint, **body):
    return endpoint.client.post("/v1/rerank", json={"query": QUERY, "documents": DOCUMENTS, **body})


def test_results_are_the_rewards_best_first(module_endpoint, module_server):
    answer = rerank(module_endpoint, model="rmr")
    shape = answer.json()
    (rewards,) = Ensemble(module_endpoint.server.settings.fleet).score_responses([(QUERY, DOCUMENTS)])
    scores = {result["index"]: result["relevance_score"] for result in shape["results"]}
    assert scores == pytest.approx(
        {place: reward for place, reward in enumerate(rewards.rewards) if reward is not None}
    )
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert all(set(result) == {"index", "relevance_score"} for result in shape["results"])
    assert (shape["id"], shape["model"]) == (answer.headers["x-request-id"], "rmr")
    assert shape["usage"]["total_tokens"] > 0
    assert module_server.bodies == []  # no candidate is asked
    again = module_endpoint.client.post("/v2/rerank", json={"model": "rmr", "query": QUERY, "documents": DOCUMENTS})
    assert again.json()["results"] == shape["results"]  # as Cohere's ClientV2 asks


def test_the_best_few_with_their_documents(module_endpoint):
    every = rerank(module_endpoint).json()["results"]
    objects = [{"text": text, "title": "x"} for text in DOCUMENTS]
    few = rerank(module_endpoint, documents=objects, top_n=2, return_documents=True).json()["results"]
    assert few == [result | {"document": {"text": DOCUMENTS[result["index"]]}} for result in every[:2]]


WRONG = (
    *(("query", query) for query in (None, " ")),
    *(("documents", texts) for texts in ([], ["five", 5], [{"title": "five"}], ["x"] * (MOST_DOCUMENTS + 1))),
    ("top_n", 0),
)


def test_a_wrong_field_is_named(module_endpoint):
    for name, value in WRONG:
        response = rerank(module_endpoint, **{name: value})
        assert response.status_code == 400, value
        assert response.json()["error"]["param"].startswith(name), value
    blank = rerank(module_endpoint, query=" ").json()["error"]["message"]
    assert blank == "`query` is wrong: it should not be blank."
    response = rerank(module_endpoint, model="auto")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


def test_a_fleet_without_a_reward_model_ranks_nothing(serve):
    endpoint = serve("good", "good", reward=False)
    response = rerank(endpoint)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert "no reward model" in response.json()["error"]["message"]
    assert "rmr" not in [entry["id"] for entry in endpoint.client.get("/v1/models").json()["data"]]
