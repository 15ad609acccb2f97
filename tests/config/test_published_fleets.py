"""Fleets of published models: the prompts of paper-13b must be the published ones letter by letter."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from zooter_core.backends import Request
from zooter_core.backends.conversation import prompt as text_of
from zooter_core.base.records import Message
from zooter_core.config.fleet import load_fleet

MODELS = Path(__file__).resolve().parents[2] / "models"
# FastChat's template vicuna_v1.1, and WizardLM's own inference script for 13B.
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
    "USER: Hello ASSISTANT:"
)
# Alpaca's form without input, as the training scripts of WizardCoder and WizardMath have it.
ALPACA = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nHello\n\n### Response:"
)
PUBLISHED = {
    "wizardlm": VICUNA,
    "wizardcoder": ALPACA,
    "wizardmath": ALPACA,
    "vicuna": VICUNA,
    "openchat": "GPT4 User: Hello<|end_of_turn|>GPT4 Assistant:",  # OpenChat's README, single-turn V3.2
    "llama-2-chat": "[INST] Hello [/INST]",  # Meta's model card, without a system text
}
QUERIES = (
    "Hello",
    "{query} and {query}\n\n### Response: 杯子 ☕",
    'a {b} {{c}} {0} f"{x!r}" % s $HOME \\n',
)


@pytest.fixture(scope="module")
def paper():
    return load_fleet(MODELS / "paper-13b")


@pytest.fixture
def prompt(tiny_fleet):
    """What a tokenizer is given for a query to a candidate with some template."""
    tiny = load_fleet(tiny_fleet).candidates[0]
    tokenizer = AutoTokenizer.from_pretrained(tiny.model)

    def build(template: str, query: str) -> str:
        return text_of(Request(replace(tiny, prompt_template=template), (Message("user", query),)), tokenizer)

    return build


@pytest.mark.parametrize("query", QUERIES)
def test_prompts_are_the_published_ones_and_a_query_with_braces_stays_as_it_is(paper, prompt, query):
    assert paper.pool == tuple(PUBLISHED)
    for name, published in PUBLISHED.items():
        before, after = published.split("Hello")
        assert prompt(paper.candidate(name).prompt_template, query) == before + query + after


@pytest.mark.parametrize("name", ["paper-13b", "qwen", "gguf", "endpoints"])
def test_a_fleet_works_when_copied_anywhere_and_its_router_is_two_lines_away(name, tmp_path):
    shutil.copytree(MODELS / name, tmp_path / "fleet")
    assert load_fleet(tmp_path / "fleet").router is None
    file = tmp_path / "fleet" / "fleet.toml"
    file.write_text(file.read_text().replace("# [router]\n# path", "[router]\npath"))
    assert load_fleet(tmp_path / "fleet").router.path == str(tmp_path / "fleet" / "router")


def test_the_embedded_fleet_names_no_path_outside_its_folder():
    fleet = load_fleet(MODELS / "embedded")
    paths = [candidate.adapter for candidate in fleet.candidates]
    paths += [fleet.router.path, fleet.reward.adapter, fleet.tagger.vocabulary]
    assert all(Path(path).is_relative_to(MODELS / "embedded") for path in paths)
