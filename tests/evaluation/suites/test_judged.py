"""The suites that a judge scores, over a real connection to a scripted one."""

from __future__ import annotations

import pytest

from support.command_files import write_lines
from support.scripted_server import serving
from zooter_core.backends.endpoint.backend import OpenAIBackend
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.labelling import JudgeConfig
from zooter_core.evaluation.suites import suite
from zooter_core.evaluation.suites.judged import mean_score
from zooter_core.labelling.rewards import Unscored
from zooter_core.labelling.rewards.judge import Judge


@pytest.fixture
def judged():
    """A suite with a judge whose texts a function of the prompt writes; `prompts` are what it was sent."""
    with serving() as server:

        def make(name, reply, **more):
            server.replies["judge"] = reply
            endpoint = EndpointConfig(base_url=server.url)
            candidate = CandidateConfig("judge", "openai", "judge", endpoint=endpoint)
            benchmark = suite(name)
            benchmark.judge = Judge(JudgeConfig(judge=candidate, **more), lambda kind: OpenAIBackend())
            return benchmark

        make.prompts = lambda: [body["messages"][-1]["content"] for body in server.bodies]
        yield make


def read(benchmark, tmp_path, *lines):
    return benchmark.read([write_lines(tmp_path / "x.jsonl", lines)])


ALPACA = {"instruction": "Name a fruit.", "output": "A plum.", "generator": "g", "dataset": "helpful_base"}


def shown(text: str) -> list[str]:
    """What stands between the fences of a prompt, in order."""
    return text.split("\n=====\n")[1::2]


def test_alpaca_eval_counts_wins_in_both_orders(judged, tmp_path):
    def reply(text):
        _, first, second = shown(text)
        better = "ref" if "worse" in first + second else "other"
        if "same" in first + second:
            return "[[0]]"
        if "place" in first + second:
            return "[[1]]"
        return f"[[{1 + ((first == 'A plum.') != (better == 'ref'))}]]"

    benchmark = judged("alpaca-eval", reply)
    (problem,) = read(benchmark, tmp_path, ALPACA)
    assert (problem.turns, problem.tags) == (("Name a fruit.",), ("helpful_base",))
    answered = [(problem, (text,)) for text in ("An apple.", "worse", "same", "place")]
    assert benchmark.score(answered) == [1, 0, 0.5, 0.5]
    assert len(judged.prompts()) == 8


FLASK = {
    "question_id": 7,
    "text": "Why is the sky blue?",
    "answer": "Rayleigh scattering.",
    "metrics": ["Readability", "Logical Correctness"],
}


def test_flask_is_the_mean_over_the_skills_of_a_record(judged, tmp_path):
    benchmark = judged("flask", lambda text: "Fine.\n{'Readability': 5, 'Logical_Correctness': 2}")
    one, other = read(benchmark, tmp_path, FLASK, {**FLASK, "question_id": 8, "answer": None})
    assert (one.id, one.tags) == ("7", ("Readability", "Logical Correctness"))
    assert benchmark.score([(one, ("Because.",)), (other, ("Because.",))]) == [3.5, 3.5]
    with_reference, without = sorted(judged.prompts(), key=len, reverse=True)
    assert shown(with_reference) == ["Why is the sky blue?", "Rayleigh scattering.", "Because."]
    assert shown(without) == ["Why is the sky blue?", "Because."]
    assert '{"Readability": 3, "Logical Correctness": 3}' in without


@pytest.mark.parametrize(
    ("text", "mean"),
    [
        ('{"Readability": 4, "Logical Correctness": 2}', 3),
        ("{'readability': '4', 'logical_correctness': N/A}", 4),
        ("{Readability: 5, Logical Correctness: not applicable}", 5),
        ("First {'a': 1}, then\n{'Readability': 1,\n 'Logical Correctness': 2, 'Harmlessness': 5}", 1.5),
        ("{'Readability': 4}", None),
        ("{'Readability': 6, 'Logical Correctness': 2}", None),
        ("{'Readability': 44, 'Logical Correctness': 2}", None),
        ("{'Readability': 'N/A', 'Logical Correctness': 'NA'}", None),
        ("Readability: 4, Logical Correctness: 2", None),
        ("{" + "a " * 20_000 + "Readability:" + " " * 20_000 + "}", None),  # this took hours
        ("", None),
    ],
)
def test_flask_s_dictionary_is_read(text, mean):
    assert mean_score(text, ["Readability", "Logical Correctness"]) == mean


MT = {"question_id": 81, "category": "math", "turns": ["What is 2 + 3?", "Double it."], "reference": ["5", "10"]}


def test_mt_bench_s_references_may_be_of_one_turn_alone(judged, tmp_path):
    benchmark = judged("mt-bench", lambda text: "[[4]]")
    (problem,) = read(benchmark, tmp_path, {**MT, "reference": ["5", ""]})
    assert benchmark.score([(problem, ("6", "12"))]) == [4]
    first, second = sorted(judged.prompts(), key=lambda text: len(shown(text)))
    assert shown(second) == ["What is 2 + 3?", "5", "6", "Double it.", "12"]
    assert ["reference answer, and" in text for text in (first, second)] == [True, False]


def test_mt_bench_rates_each_turn(judged, tmp_path):
    benchmark = judged("mt-bench", lambda text: f"Rating: [[{8 if 'Double' in text else 3}]]")
    one, other = read(benchmark, tmp_path, MT, {**MT, "question_id": 82, "reference": None})
    assert benchmark.score([(one, ("6", "12")), (other, ("6", "12"))]) == [5.5, 5.5]
    prompts = sorted(map(tuple, map(shown, judged.prompts())), key=len)
    assert prompts == [
        ("What is 2 + 3?", "6"),
        ("What is 2 + 3?", "5", "6"),
        ("What is 2 + 3?", "6", "Double it.", "12"),
        ("What is 2 + 3?", "5", "6", "Double it.", "10", "12"),
    ]


@pytest.mark.parametrize(("name", "line"), [("alpaca-eval", ALPACA), ("flask", FLASK), ("mt-bench", MT)])
def test_without_a_verdict_there_is_no_score(judged, tmp_path, name, line):
    benchmark = judged(
        name, lambda text: "Hm." if "muddy" in text else "[[1]] {'Readability': 1, 'Logical Correctness': 1}"
    )
    (problem,) = read(benchmark, tmp_path, line)
    clear, muddy = benchmark.score([(problem, ("clear",) * 2), (problem, ("clear", "muddy")[-len(problem.turns) :])])
    assert clear == clear
    assert isinstance(muddy, Unscored)
    assert muddy.reason == "no verdict in the judge's text in 3 tries"
