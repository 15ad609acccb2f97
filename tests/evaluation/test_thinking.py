"""Which candidates are twins, and the sentences on thinking."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.scripted_server import at
from zooter_core.evaluation.thinking import sentences, twins
from zooter_core.method.thinking import EVERY, Thinking
from zooter_core.method.worth import Estimate

URL = "http://localhost:1/v1"


def of(mean: float, half: float = 0.1, n: int = 400) -> Estimate:
    return Estimate(mean, mean - half, mean + half, half / 2, n)


def row(kind: str, reward: float, clear: bool, twin: bool = True) -> Thinking:
    return Thinking(kind, "deep", "fast", twin, clear, of(reward), of(310), of(4.2), of(0.0000312))


def test_twins_are_one_model_of_one_server() -> None:
    deep, fast = (replace(at(URL, "qwen3"), name=name, thinking=value) for name, value in (("d", True), ("f", False)))
    other = replace(at(URL, "gemma"), name="g", thinking=True)
    elsewhere = replace(at("http://localhost:2/v1", "qwen3"), name="e", thinking="low")
    again = replace(fast, name="again")  # the same with the same setting is no other way to think
    assert twins([deep, other, fast, elsewhere, again]) == [["d", "f"]]


def test_what_thinking_earns_and_costs_is_said_by_kind() -> None:
    first, second = sentences([row(EVERY, 0.12, True), row("math", 0.21, True), row("chit-chat", 0.01, False)])
    assert first == (
        "Thinking earned 0.12 more reward per answer for 310 more tokens (4.2 s, 0.031 dollars per 1,000): "
        "deep beside fast (95% CI 0.02 to 0.22, 400 queries)."
    )
    assert second == (
        "On math, thinking earned 0.21 more reward per answer for 310 more tokens (4.2 s); "
        "on chit-chat, nothing significant for 310 more (4.2 s)."
    )


@pytest.mark.parametrize(
    ("shown", "parts"),
    [
        (row(EVERY, -0.3, True), ("earned 0.30 less", "95% CI 0.20 to 0.40")),
        (row(EVERY, 0.01, False), ("earned nothing significant", "+0.01, 95% CI -0.09 to 0.11")),
        (row(EVERY, 0.3, True, twin=False), ("deep, which thinks, earned", "compared with fast, which does not")),
        (replace(row(EVERY, 0.3, True), tokens=of(-20), seconds=None, dollars=None), ("for 20 fewer tokens: deep",)),
        (replace(row(EVERY, 0.3, True), tokens=None), ("per answer: deep beside fast",)),
    ],
)
def test_other_sentences(shown: Thinking, parts: tuple[str, ...]) -> None:
    (sentence,) = sentences([shown])
    assert [part for part in parts if part not in sentence] == []
