"""What the embedded fleet's real models answer, and what its rewards and its documents say."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from recipes.embedded.checks import number_key
from recipes.embedded.functions import tasks
from recipes.embedded.problems import problems
from zooter_core.backends import Request, iter_responses
from zooter_core.backends.attachments import estimated_tokens
from zooter_core.base.records import Attachment, Message
from zooter_core.config.fleet import GenerationConfig
from zooter_core.evaluation.verified import verify
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.reward_graph import open_reward
from zooter_core.labelling.rewards import reward_model

ROOT = Path(__file__).resolve().parents[2]
POOL = ("chat", "math", "code", "writer")


def greedy(ensemble: Ensemble, name: str, messages: list[Message], tokens: int) -> list[str]:
    """A candidate's responses to several queries at once."""
    candidate = ensemble.fleet.candidate(name)
    requests = [Request(candidate, (message,)) for message in messages]
    generation = GenerationConfig(max_new_tokens=tokens, temperature=0.0)
    responses = dict(iter_responses(ensemble.run_requests(requests, threading.Event(), generation)))
    assert [response.error for response in responses.values()] == [None] * len(messages)
    return [responses[request].text for request in requests]


def test_the_documents_have_the_figures_of_the_report() -> None:
    """The router's regret and the best single candidate's, which change with every round."""
    report = json.loads((ROOT / "models" / "embedded" / "report.json").read_text(encoding="utf-8"))
    mean = report["held_back"]["mean"]
    pages = (
        "models/embedded/README.md",
        "docs/results.md",
        "docs/embedded-fleet.md",
        "docs/notebook/embedded-fleet.md",
    )
    for page, digits in {"README.md": 2, **dict.fromkeys(pages, 3)}.items():
        text = (ROOT / page).read_text(encoding="utf-8")
        assert f"{mean['regret']:.{digits}f}" in text, page
        assert f"{mean['regret_best_single']:.{digits}f}" in text, page


def test_experts_can_do_what_the_others_cannot(embedded: Ensemble, figures: list[str]) -> None:
    """Held-back items of the generators, whose outcome can be verified. Slow: it alone tells what adapters learned."""
    right = {}
    for expert, items in (
        ("math", [(query, number_key(answer)) for query, answer in problems(8, 11, held_back=True)]),
        ("code", [(task.query, task.key) for task in tasks(4, 11, held_back=True)]),
    ):
        for name in (expert, "chat"):
            texts = greedy(embedded, name, [Message("user", query) for query, _ in items], 72)
            right[expert, name] = sum(verify(text, key).right for text, (_, key) in zip(texts, items, strict=True))
        figures.append(f"right of {len(items)} held-back items for {expert}: {right[expert, expert]}, "
                       f"of chat {right[expert, 'chat']}")  # fmt: skip
        assert right[expert, expert] > right[expert, "chat"]


def test_the_reward_model_prefers_a_sensible_response_on_onnx_runtime_as_on_pytorch(
    embedded: Ensemble, figures: list[str]
) -> None:
    text = (ROOT / "tests" / "data" / "sensible_responses.jsonl").read_text(encoding="utf-8")
    cases = [json.loads(line) for line in text.splitlines()]
    assert len(cases) == 40
    config = embedded.fleet.reward
    assert config is not None
    model = open_reward(config)
    assert model is not None
    pairs = [(case["query"], case[kind]) for case in cases for kind in ("sensible", "mismatched")]
    rewards = model.score(pairs)
    right = sum(sensible > mismatched for sensible, mismatched in zip(rewards[::2], rewards[1::2], strict=True))
    figures.append(f"the reward model prefers the sensible response in {right} of {len(cases)} cases")
    assert right >= 0.95 * len(cases)
    assert rewards[:12] == pytest.approx(reward_model(config).score(pairs[:12]), abs=1e-4)


def test_an_answer_is_taken_from_the_file(embedded: Ensemble) -> None:
    file = Attachment("sales.csv", "month,loaves\nMay,412\nJune,380")
    query = Message("user", "How many loaves were sold in May?", (file,))
    generation = GenerationConfig(max_new_tokens=32, temperature=0.0)
    pieces = list(embedded.run_candidates(["chat"], [query], threading.Event(), generation))
    assert pieces[-1].response is not None
    assert "412" in pieces[-1].response.text


def test_the_estimate_of_tokens_is_near_what_the_model_counts(embedded: Ensemble, figures: list[str]) -> None:
    candidate = embedded.fleet.candidate("chat")
    greedy(embedded, "chat", [Message("user", "Hello")], 1)  # the model counts once it is loaded
    backend, ratios = embedded.backend_for(candidate), {}
    for name in ("README.md", "docs/serve.md", "zooter_core/method/labels.py", "models/prices.toml", "LICENSE"):
        text = (ROOT / name).read_text()
        ratios[name] = estimated_tokens(text) / backend.count_tokens(candidate, text)
    figures.append("estimated / counted tokens: " + ", ".join(f"{name} {x:.2f}" for name, x in ratios.items()))
    assert min(ratios.values()) > 0.9
    assert max(ratios.values()) < 1.4


def test_the_weights_that_ship_are_small_and_named(embedded: Ensemble) -> None:
    files = [file for file in (ROOT / "models").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 40_000_000
    assert embedded.router.candidates == POOL
    readme = (ROOT / "models" / "embedded" / "README.md").read_text(encoding="utf-8")
    for word in ("GSM8K", "CodeAlpaca", "AlpacaEval", "CC BY-NC 4.0"):
        assert word in readme
