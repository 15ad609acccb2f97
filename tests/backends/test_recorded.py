from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from zooter_core.backends import Request
from zooter_core.backends.recorded import RecordedBackend
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

SCORES = {"a": 1, "b": 0}
LINES = [
    {"id": "1", "query": "What is  the\nsea?", "responses": {"a": " Salt.\n\nWide. ", "b": "杯子 ☕"}},
    {"id": "2", "query": "Count to three.", "responses": {"a": "1 2 3 4 5 6 7 8 9", "b": ""}},
    {"id": "3", "query": "Unanswered?"},
    {"id": "4", "query": "Only a?", "responses": {"a": "yes"}},
]


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(json.dumps(line | {"scores": SCORES}) + "\n" for line in LINES), encoding="utf-8")
    return path


def replay(path, name, query, seed=0, texts=()):
    request = Request(CandidateConfig(name, "recorded", str(path)), (Message("user", query),), stop=texts)
    (piece,) = RecordedBackend().stream([request], GenerationConfig(seed=seed), threading.Event())
    assert piece.text == piece.response.text
    return piece.response


def test_a_response_comes_as_it_is_recorded(file):
    response = replay(file, "a", "What is the sea?")
    assert (response.text, response.tokens) == (" Salt.\n\nWide. ", 2)
    assert (response.finish, response.error, response.candidate) == ("stop", None, "a")
    assert replay(file, "b", " What is the sea? \n").text == "杯子 ☕"
    empty = replay(file, "b", "Count to three.")
    assert (empty.text, empty.error, empty.first_token_seconds) == ("", None, None)


def test_a_stop_text_ends_it(file):
    response = replay(file, "a", "Count to three.", texts=("7", "4 5"))
    assert (response.text, response.finish) == ("1 2 3 ", "stop")


def test_an_unknown_query_is_told_with_one_that_is_known(file):
    response = replay(file, "a", "Unanswered?")
    assert (response.text, response.finish) == ("", "refused")
    expected = 'a recorded response of a (3 in scores.jsonl), but found no response to "Unanswered?"'
    assert expected in str(response.error)
    assert 'The first query is "What is the sea?"' in str(response.error)


def test_what_has_no_response_of_a_candidate_is_refused(file, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"query": "q", "scores": {"a": 1}}\n')
    for name, path, words in (
        ("c", file, r"responses of c in .*responses of a, b only"),
        ("a", tmp_path / "a.jsonl", r"responses in .*a\.jsonl, but found none"),
        ("a", tmp_path / "none.jsonl", "no file at"),
    ):
        with pytest.raises(ZooterError, match=words):
            RecordedBackend().load(CandidateConfig(name, "recorded", str(path)))


def test_a_run_folder_with_several_samples_gives_them_by_turns(tmp_path):
    (tmp_path / "queries.jsonl").write_text('{"id": "q1", "text": "Why?", "dataset": null, "tags": []}\n')
    lines = [{"id": "q1", "sample": n, "candidate": "a", "text": f"because {n}", "error": None} for n in range(3)]
    (tmp_path / "responses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    texts = [replay(tmp_path, "a", "Why?", seed=seed).text for seed in range(4)]
    assert texts == [f"because {n}" for n in (0, 1, 2, 0)]


def test_the_trial_query_is_one_that_is_known(file):
    candidate = CandidateConfig("b", "recorded", str(file))
    assert replay(file, "b", RecordedBackend().trial(candidate)).error is None


def test_thoughts_in_a_recorded_response_are_apart(tmp_path):
    responses = {"a": "<think>\nSalt?\n</think>\n\nWater.", "b": "<think>\nSalt or"}
    path = tmp_path / "thoughts.jsonl"
    path.write_text(json.dumps({"id": "1", "query": "What?", "scores": {"a": 1, "b": 0}, "responses": responses}))
    response = replay(path, "a", "What?")
    assert (response.text, response.thoughts) == ("Water.", "Salt?")
    cut = replay(path, "b", "What?")
    assert (cut.text, cut.finish, cut.thoughts) == ("", "refused", "Salt or")
