"""Files beside a query, on the embedded fleet's real models."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from zooter_core.backends.attachments import estimated_tokens
from zooter_core.base.records import Attachment, Message
from zooter_core.config.fleet import GenerationConfig
from zooter_core.fleet.ensemble import Ensemble

pytestmark = pytest.mark.models
ROOT = Path(__file__).resolve().parents[2]
GREEDY = GenerationConfig(max_new_tokens=32, temperature=0.0)


def test_an_answer_is_taken_from_the_file(embedded: Ensemble) -> None:
    file = Attachment("sales.csv", "month,loaves\nMay,412\nJune,380")
    query = Message("user", "How many loaves were sold in May?", (file,))
    pieces = list(embedded.run_candidates(["chat"], [query], threading.Event(), GREEDY))
    assert pieces[-1].response is not None
    assert "412" in pieces[-1].response.text


def test_the_estimate_of_tokens_is_near_what_the_model_counts(embedded: Ensemble, figures: list[str]) -> None:
    candidate = embedded.fleet.candidate("chat")
    list(embedded.stream("Hello", candidate="chat"))  # the model counts once it is loaded
    backend, ratios = embedded.backend_of(candidate.backend), {}
    for name in ("README.md", "docs/serve.md", "zooter_core/method/labels.py", "models/prices.toml", "LICENSE"):
        text = (ROOT / name).read_text()
        ratios[name] = estimated_tokens(text) / backend.count_tokens(candidate, text)
    figures.append("estimated / counted tokens: " + ", ".join(f"{name} {x:.2f}" for name, x in ratios.items()))
    assert min(ratios.values()) > 0.9
    assert max(ratios.values()) < 1.4
