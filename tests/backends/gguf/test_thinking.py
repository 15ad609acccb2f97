"""Models whose chat template opens thoughts, on llama.cpp itself."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from support.gguf_models import candidate, write_model
from support.tiny_models import CHATML
from zooter_core.backends import Piece, Request, backend, thoughts
from zooter_core.base.records import Message
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
CHAIN = ("<think>", " Two", " and", " two", " make", "</think>", "The", " answer", " is", " four")
SHORT = GenerationConfig(max_new_tokens=8, temperature=0.0)
OPENS = (
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its answers never end."""
    file = tmp_path_factory.mktemp("thinks") / "thinks.gguf"
    return write_model(file, chat_template=CHATML + OPENS, context_length=8192)


def pieces(entry: CandidateConfig, *stops: str) -> list[Piece]:
    runner = backend(entry.backend)
    try:
        request = Request(entry, (Message("user", "Why?"),), stop=stops)
        return list(runner.stream([request], SHORT, threading.Event()))
    finally:
        runner.spare()


def test_thoughts_that_do_not_end_are_no_answer(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thoughts, "ROOM", 40)
    *shown, last = pieces(candidate(model, thinking=True))
    response = last.response
    assert (response.text, response.finish) == ("", "refused")
    assert "it was still thinking when its answer ended, after 48 tokens" in str(response.error)
    assert response.tokens == response.thought_tokens == 48
    assert "".join(piece.thoughts for piece in shown).strip() == response.thoughts
    assert not any(piece.text for piece in shown)


@pytest.mark.parametrize("thinking", [False, None])
def test_thinking_is_switched_off_in_the_prompt(model: Path, thinking: bool | None) -> None:
    response = pieces(candidate(model, thinking=thinking))[-1].response
    assert (response.finish, response.tokens, response.thoughts, response.error) == ("length", 8, "", None)
    assert response.text


@pytest.mark.parametrize("thinking", [True, False])
def test_a_model_that_ends_its_thoughts_answers(tmp_path: Path, thinking: bool) -> None:
    template = CHATML + OPENS.replace("\n", "")
    file = write_model(tmp_path / "a.gguf", 128, chain=CHAIN, chat_template=template, context_length=8192)
    *shown, last = pieces(candidate(file, thinking=thinking))
    response = last.response
    assert (response.text, response.finish, response.error) == ("The answer is four", "stop", None)
    assert "".join(piece.text for piece in shown) == response.text
    assert response.thoughts == ("Two and two make" if thinking else "")
    last = pieces(candidate(file, thinking=thinking), " and", "answer is")[-1]
    assert (last.response.text, last.response.thoughts, last.stop_text) == ("The", response.thoughts, "answer is")
    assert response.thought_tokens == 5 * thinking
