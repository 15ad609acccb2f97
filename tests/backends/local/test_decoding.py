from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from zooter_core.backends import Request
from zooter_core.backends.local.decoding import Calculator, Repetition, Row, Rows, Sampling, find_digits
from zooter_core.base.records import Message
from zooter_core.config.candidates import CandidateConfig


def test_sampling_draws_in_proportion_among_the_likeliest():
    torch.manual_seed(0)
    logits = torch.log(torch.tensor([0.5, 0.1, 0.3, 0.1])).repeat(20_000, 1)
    rows = SimpleNamespace(active=[row()] * 20_000)
    drawn = Sampling(1.0, 2, 0, rows)(None, logits).argmax(dim=-1)
    shares = torch.bincount(drawn, minlength=4) / len(drawn)
    assert shares.tolist() == pytest.approx([0.625, 0.0, 0.375, 0.0], abs=0.015)
    cold = torch.bincount(Sampling(0.5, 0, 0, rows)(None, logits).argmax(dim=-1), minlength=4) / len(drawn)
    assert cold.tolist() == pytest.approx([25 / 36, 1 / 36, 9 / 36, 1 / 36], abs=0.015)


def test_a_request_with_top_p_draws_among_the_likeliest_tokens_with_that_probability():
    """At temperature 1: the smallest share of the tokens whose probabilities reach 0.85, in every second row."""
    rows = SimpleNamespace(active=[row(top_p=share) for share in (0.85, 1.0)] * 20_000)
    logits = torch.log(torch.tensor([0.5, 0.1, 0.3, 0.1])).repeat(40_000, 1)
    drawn = Sampling(1.0, 0, 0, rows)(None, logits).argmax(dim=-1)
    counts = torch.stack([torch.bincount(half, minlength=4) for half in (drawn[::2], drawn[1::2])]) / 20_000
    nucleus, plain = counts.tolist()
    assert sorted(nucleus) == pytest.approx([0.0, 1 / 9, 3 / 9, 5 / 9], abs=0.015)
    assert plain == pytest.approx([0.5, 0.1, 0.3, 0.1], abs=0.015)


@pytest.fixture(scope="module")
def tokenizer(tiny_fleet):
    return AutoTokenizer.from_pretrained(tiny_fleet / "base")


def row(text: str = "", written: Sequence[int] = (), top_p: float = 1.0, **keys: Any) -> Row:
    """A row that has written something."""
    begun = Row(Request(CandidateConfig("a", "transformers", "a", **keys), (Message("user", "Why?"),), top_p=top_p))
    begun.text, begun.written = text, list(written)
    return begun


def active(tokenizer, *rows: Row) -> Rows:
    """Rows that are generated now."""
    batch = Rows(tokenizer, set(), queue.Queue().put, threading.Event())
    batch.begin(rows)
    return batch


def written(tokenizer, text: str, likes: str, on: bool = True, most: int = 12) -> str:
    """What comes after `text` from a model that always finds the first token of `likes` the likeliest."""
    only = row(text, calculator=on)
    calculator = Calculator(active(tokenizer, only), tokenizer, find_digits(tokenizer))
    liked = tokenizer.encode(likes, add_special_tokens=False)[0]
    for _ in range(most):
        scores = torch.zeros(1, len(tokenizer))
        scores[0, tokenizer.encode(".", add_special_tokens=False)[0]] = 1.0
        scores[0, liked] = 2.0
        only.text += tokenizer.decode([int(calculator(None, scores).argmax())])
        if only.text.endswith("."):
            break
    return only.text.removeprefix(text)


def test_a_sum_is_finished_and_no_digit_is_added(tokenizer):
    assert written(tokenizer, "The cost is 3 * 11 = ", "7") == "33."
    assert written(tokenizer, "47 * 38 = 1", "9") == "786."


def test_a_result_that_has_begun_is_finished_whatever_comes_to_mind_and_nothing_else(tokenizer):
    assert written(tokenizer, "758 * 25 / 100 = 189", "a", most=1) == "."
    assert written(tokenizer, "758 * 25 / 100 = 189.", "a", most=1) == "5"
    assert written(tokenizer, "3 * 11 = ", "a", most=1) != "3"  # words after a sum
    assert written(tokenizer, "The cost is 3 * 11 = ", "7", on=False, most=3) == "777"


def test_only_the_rows_that_go_on_are_finished(tokenizer):
    """The second of three rows has ended and left the batch; the third has a calculator, the first has none."""
    first, ended, third = row("2 + 2 = "), row("3 + 3 = ", calculator=True), row("4 + 5 = ", calculator=True)
    rows, ended.open = active(tokenizer, first, ended, third), False
    assert rows.narrow() == [0, 2]
    seven, nine = (tokenizer.encode(digit, add_special_tokens=False)[0] for digit in "79")
    scores = torch.zeros(2, len(tokenizer))
    scores[:, seven] = 1.0
    calculator = Calculator(rows, tokenizer, find_digits(tokenizer))
    assert calculator(None, scores).argmax(dim=-1).tolist() == [seven, nine]


def test_what_a_row_has_written_gets_less_likely_for_it_alone(tokenizer):
    """Logits by hand: 3 / 1.5, and -2 * 1.5."""
    rows = active(tokenizer, row(written=[1, 3, 1], repetition_penalty=1.5), row(written=[0, 2]))
    scores = torch.tensor([[0.0, 3.0, 1.0, -2.0], [4.0, 3.0, 1.0, -2.0]])
    penalised = Repetition(rows)(None, scores)
    assert penalised.tolist() == [[0.0, 2.0, 1.0, -3.0], [4.0, 3.0, 1.0, -2.0]]
    fresh = active(tokenizer, row(repetition_penalty=1.5), row(repetition_penalty=1.5))
    assert Repetition(fresh)(None, penalised.clone()).equal(penalised)
