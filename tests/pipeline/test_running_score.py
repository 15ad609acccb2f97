"""The running score: answers are checked as they come, each once, and those without a key not at all."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from zooter_core.base.records import Query
from zooter_core.pipeline.running_score import Right, RunningScore

QUERIES = [
    Query("a", "What is 2 + 2?", "sums", key={"answer": 4}),
    Query("b", "What is 2 + 3?", "sums", key={"answer": 5}),
    Query("c", "A poem, please", "verse"),
    Query("d", "Say yes", "facts", key={"answer": "yes"}),
]
GOES_ON = threading.Event()


def line(id: str, candidate: str, text: str, **more: object) -> str:
    return json.dumps({"id": id, "sample": 0, "candidate": candidate, "text": text, "tokens": 1} | more) + "\n"


def test_answers_count_as_they_come(tmp_path: Path) -> None:
    file = tmp_path / "responses.jsonl"
    score = RunningScore(QUERIES, file)
    score.update(GOES_ON)  # before the first answer there is no file
    assert score.datasets == ("sums", "facts")
    file.write_text(line("a", "one", "It is 4.") + line("a", "two", "It is 5.") + line("c", "one", "Roses"))
    score.update(GOES_ON)
    assert (score.of("one", "sums"), score.of("two", "sums")) == (Right(1, 1), Right(0, 1))
    assert score.of("one", "verse") == Right()
    later = line("b", "one", "6", error=None)
    with file.open("a") as out:
        out.write(line("d", "one", "", error="it refuses") + later[:20])  # a line that is being written
    score.update(GOES_ON)
    assert score.of("one") == Right(1, 1)
    with file.open("a") as out:
        out.write(later[20:])
    for _ in range(2):
        score.update(GOES_ON)
    assert score.of("one") == Right(1, 2)
    assert score.of("one").share == 0.5
