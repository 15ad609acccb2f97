from __future__ import annotations

import base64
import zlib

import pytest

from zooter_core.ui.chat.share import LONGEST, MOST, SharedAnswer

ANSWER = SharedAnswer(
    query="Write about the sea.",
    text="The sea — calm.\n" * 40,
    model="writer",
    probabilities={"chat": 0.25, "writer": 0.75},
)


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).decode()


def test_an_answer_comes_back_from_a_short_text() -> None:
    text = ANSWER.packed()
    assert len(text) < len(ANSWER.text) < LONGEST
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert SharedAnswer.unpacked(text) == ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%",
        "abc",
        ANSWER.packed()[:-9],
        packed(b"[]"),
        packed(ANSWER.model_dump_json().replace("0.75", "1e999").encode()),
        packed(ANSWER.model_dump_json().replace('"writer",', '"writer","run":1,', 1).encode()),
        packed(b" " * (MOST * 50) + ANSWER.model_dump_json().encode()),  # 10 MB from 10 kB
    ],
)
def test_what_is_not_an_answer_is_none(text: str) -> None:
    assert SharedAnswer.unpacked(text) is None
