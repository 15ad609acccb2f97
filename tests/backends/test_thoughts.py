"""Thoughts and text, wherever the pieces of an answer are cut."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.backends.thoughts import ENDS, Parts, Splitter, opens, split

ANSWER = "The answer is 42."
CODE = "```html\n</think>\n```\n"
CASES: Sequence[tuple[str, bool, Parts]] = [
    (ANSWER, False, Parts("", ANSWER)),
    ("", False, Parts("", "")),
    *((f"{tag}\nHm.\n{end}\n\n{ANSWER}", False, Parts("Hm.", ANSWER)) for tag, end in ENDS.items()),
    (f"\n <think>Hm.</think>{ANSWER}", False, Parts("Hm.", ANSWER)),
    (f"<think>\n\n</think>\n\n{ANSWER}", False, Parts("", ANSWER)),  # thinking is switched off
    (f"<think>a</think> <think>b</think>{ANSWER}", False, Parts("ab", ANSWER)),
    ("<think>Hm. It", False, Parts("Hm. It", "", True)),
    ("<think>Hm.</thi", False, Parts("Hm.</thi", "", True)),
    (f"Hm.</think>\n\n{ANSWER}", True, Parts("Hm.", ANSWER, opened=True)),
    (f"<think>\nHm.</think>{ANSWER}", True, Parts("Hm.", ANSWER, opened=True)),
    (f"</think>\n\n{ANSWER}", True, Parts("", ANSWER, opened=True)),
    ("Hm. It", True, Parts("Hm. It", "", True)),
    (f"Hm.\n</think>\n\n{ANSWER}", False, Parts("Hm.", ANSWER, opened=True)),
    (f"<think>The tag <think> opens.</think>{ANSWER}", False, Parts("The tag <think> opens.", ANSWER)),
    (f"<think>Write\n```\nx</think>{ANSWER}", False, Parts("Write\n```\nx", ANSWER)),
    ("Write `<think>` and `</think>`.", False, Parts("", "Write `<think>` and `</think>`.")),
    (f"So:\n{CODE}Done.", False, Parts("", f"So:\n{CODE}Done.")),
    (f"{CODE}{ANSWER}", False, Parts("", CODE + ANSWER)),
    ("<thin ice>", False, Parts("", "<thin ice>")),
    ("<", False, Parts("", "<")),
    (
        f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
        False,
        Parts("Hm.", ANSWER),
    ),
]


@pytest.mark.parametrize(("answer", "opened", "parts"), CASES)
def test_the_parts_of_a_whole_answer(answer: str, opened: bool, parts: Parts) -> None:
    assert split(answer, opened) == parts
    letter_by_letter = Splitter(opened)
    texts = [letter_by_letter.feed(letter)[1] for letter in answer]
    assert letter_by_letter.end() == parts
    assert "".join(texts) == Splitter(opened).feed(answer)[1]
    assert parts.text.startswith("".join(texts)) or not opened


@given(st.text(alphabet="<>/think[]THINK`|~ \na", max_size=60), st.booleans())
def test_nothing_of_an_answer_is_lost(answer: str, opened: bool) -> None:
    parts = split(answer, opened)
    rest = answer
    for tag in (*ENDS, *ENDS.values()):
        rest = rest.replace(tag, "")
    parted = parts.thoughts + parts.text
    for tag in (*ENDS, *ENDS.values()):
        parted = parted.replace(tag, "")
    assert "".join(parted.split()) == "".join(rest.split())


@pytest.mark.parametrize(("prompt", "opened"), [("<|im_start|>assistant\n<think>\n", True), ("assistant\n", False)])
def test_whether_a_prompt_opens_thoughts(prompt: str, opened: bool) -> None:
    assert opens(prompt) is opened
