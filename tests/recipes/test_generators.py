"""What the embedded fleet learns from: always the same texts, sums that the calculator writes, tasks that are right."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from recipes.embedded import data, experts, functions, queries
from recipes.embedded.apart import first_clicks, resembles_a_test
from recipes.embedded.generate import Dice, Family, step
from recipes.embedded.problems import FIRST, TEMPLATES, problems
from recipes.embedded.queries import FURTHER, OF_PROJECT, SOURCES, sample
from recipes.embedded.writing import VERSE, pieces, talk
from zooter_core.backends.calculator import due
from zooter_core.evaluation.verified.answers import final_number

DATA_SETS = Path(__file__).resolve().parents[3] / "shared" / "data"


def test_marked_sums_of_a_solution_stand_in_full():
    marked = (
        "Sam sold 48/2 = <<48/2=24>>24 clips.\nThat is 12/60 = $<<12/60=0.2>>0.2 each, 20% of 50 = <<50*.2=10>>10 and"
        " <<5*2=10>>10 apples, or 3*4=<<3*4=12>>12.\nA wrong <<1+1=3>>3 stays.\n#### 1,234"
    )
    assert data.calculated(marked) == (
        "Sam sold 48 / 2 = 24 clips.\nThat is 12 / 60 = $0.2 each, 20% of 50 = 50 * .2 = 10 and 5 * 2 = 10 apples,"
        " or 3 * 4 = 12.\nA wrong 3 stays.\nThe answer is 1,234."
    )


def test_texts_are_those_that_the_fleet_learned_from():
    """Byte for byte, or nobody can make its weights again."""
    for held_back, digest in ((False, "3b46e3f9989d022d"), (True, "053f3c50ea6adba1")):
        texts = [
            problems(600, 0, held_back),
            pieces(150, 0, held_back),
            pieces(100, 0, held_back, VERSE),
            [(task.query, task.solution) for task in functions.tasks(300, 0, held_back)],
            talk(400, 0, held_back),
        ]
        assert hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16] == digest


def test_every_function_task_passes_its_own_tests():
    train, held_out = functions.tasks(1200, 0, False), functions.tasks(200, 1, True)
    for task in train + held_out:
        space: dict[str, Any] = {}
        exec(functions.SAME_VALUES + task.solution, space)
        for arguments, expected in task.cases:
            assert space["_same"](space[task.name](*copy.deepcopy(arguments)), expected), (task.query, arguments)
    assert not {task.query for task in train} & {task.query for task in held_out}
    assert not {(t.family, t.combination) for t in train} & {(t.family, t.combination) for t in held_out}
    assert all(task.name in task.query for task in train + held_out)


def test_no_question_is_one_by_which_the_router_is_tested(request):
    evident = request.config.rootpath / "tests" / "data" / "evident_queries.jsonl"
    evident_texts = {plain(json.loads(line)["query"]) for line in evident.read_text(encoding="utf-8").splitlines()}
    assert not evident_texts & {plain(line["query"]) for line in data.questions(False) + data.questions(True)}


def test_what_visitors_type_first_is_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "alpaca_eval", lambda folder, writing: [])
    monkeypatch.setattr(data, "gsm8k", lambda folder: [])
    monkeypatch.setattr(experts, "talk", lambda count, *more: talk(count // 10, *more))
    monkeypatch.setattr(experts, "problems", lambda count, *more, **options: problems(count // 10, *more, **options))
    tests = first_clicks()
    assert resembles_a_test("solve this: 3/4 + 1/8", tests)
    learned = [*experts.sources("chat", tmp_path, 0)[2], *experts.sources("math", tmp_path, 0)[6]]
    assert len(learned) > 1000
    assert not [query for query, _ in learned if resembles_a_test(query, tests)]


def test_a_source_with_too_few_examples_is_read_again(tiny_fleet: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_fleet / "base")
    source = [(f"{number} + 1?", f"{number + 1}") for number in range(20)]
    once, held_back = experts.take(tokenizer, [source], experts.Turn(10**9, [1.0]), 0)
    three, apart = experts.take(tokenizer, [source], experts.Turn(10**9, [1.0], passes=3), 0)
    assert len(once) == 20 - len(held_back)
    assert (len(three), apart) == (3 * len(once), held_back)
    tokens = 5 * len(once[0]["input_ids"])
    assert 5 <= len(experts.take(tokenizer, [source], experts.Turn(tokens, [1.0], passes=3), 0)[0]) <= 6


def plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def check_sums(query: str, answer: str) -> None:
    """The calculator writes every sum of the answer, and nothing else."""
    assert not re.search("[{}]|<<", query + answer)
    sums = list(re.finditer(r"(?<!\^)\d = (-?[\d.]*\d)", answer))  # `6^3 = 6 * 6 * 6` is left to the model
    assert sums, (query, answer)
    for match in sums:
        assert due(answer[: match.start(1)]) == match[1], (query, answer)
    for end in range(1, len(answer)):
        if answer[end - 1] != "=" and (rest := due(answer[:end])) is not None:
            assert answer[end:].startswith(rest) if rest else not answer[end].isdigit(), answer


@pytest.mark.parametrize("held_back", [False, True])
def test_every_step_is_what_the_calculator_writes_and_it_writes_nothing_else(held_back: bool) -> None:
    for query, answer in problems(len(FIRST) * 4, 5, held_back, FIRST):
        check_sums(query, answer)
    for query, answer in problems(len(TEMPLATES) * 4, 5, held_back):
        check_sums(query, answer)
        last = re.findall(r"(?:(?<!\S)-)?\d[\d.]*", answer.rsplit("\nThe answer is", 1)[0])[-1]
        assert final_number(answer) == final_number(last), (query, answer)


def test_held_back_problems_share_no_phrasing_and_no_query_with_training() -> None:
    train, held_out = dict(problems(1500, 0)), dict(problems(300, 0, held_back=True))
    assert not set(train) & set(held_out)
    assert len({template.name for template in TEMPLATES}) == len(TEMPLATES)
    assert problems(50, 1) == problems(50, 1) != problems(50, 2)


def test_a_step_is_a_sum_and_a_draw_assigns() -> None:
    assert step("3 * 11") == "3 * 11 = 33"
    with pytest.raises(ValueError, match="not a sum: 33"):
        step("33")
    family = Family("bad", {"draw": "import os", "text": "", "train": [""]}, {})
    with pytest.raises(ValueError, match=r"\[bad\] draw must hold assignments only"):
        family.example(Dice(0, False))


def of_others(folder: Path) -> dict[str, list[str]]:
    return {name: [f"{name} {n}" for n in range(200)] for name in SOURCES if name not in OF_PROJECT}


def test_further_queries_leave_the_others_what_they_were(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(queries, "of_data_sets", of_others)
    lines = sample(tmp_path, 1.0, 0)
    monkeypatch.setattr(queries, "FURTHER", {})
    without = sample(tmp_path, 1.0, 0)
    assert [line for line in lines if line in without] == without
    assert len(without) == sum(SOURCES.values())
    assert len(lines) == len(without) + sum(FURTHER.values())
    assert len({line["query"] for line in lines}) == len({line["id"] for line in lines}) == len(lines)


@pytest.mark.skipif(not DATA_SETS.is_dir(), reason="the data sets are not here")
def test_the_rewards_that_the_router_keeps_belong_to_queries_of_the_recipe() -> None:
    rows = list(queries.learned_scores(data.FLEET, sample(DATA_SETS, 1.0, 0)))
    sums = [row["scores"] for row in rows if row["dataset"] == "gsm8k"]
    assert sum(max(scores, key=scores.__getitem__) == "math" for scores in sums) > 0.9 * len(sums) > 20


def test_the_rewards_of_other_queries_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(queries, "of_data_sets", of_others)
    with pytest.raises(SystemExit, match="other queries"):
        list(queries.learned_scores(data.FLEET, sample(tmp_path, 1.0, 0)))
