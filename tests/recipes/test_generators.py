"""What the embedded fleet learns from: true, varied and split."""

from __future__ import annotations

import json
import re

import pytest

from recipes.embedded import data, functions, verify
from recipes.embedded.problems import TEMPLATES, Dice, problems, step
from recipes.embedded.problems.dice import PHRASINGS
from recipes.embedded.writing import pieces
from zooter_core.backends.local.calculator import due


@pytest.mark.parametrize("held_back", [False, True])
def test_every_step_of_a_worked_problem_is_what_the_calculator_writes(held_back):
    for query, answer in problems(len(TEMPLATES) * 12, 5, held_back):
        assert not set("{}") & set(query + answer)
        sums = list(re.finditer(r"(?<!\^)\d = (-?[\d.]*\d)", answer))  # `6^3 = 6 * 6 * 6` is left to the model
        assert sums, (query, answer)
        for match in sums:
            assert due(answer[: match.start(1)]) == match[1], (query, answer)
        last = re.findall(r"(?:(?<!\S)-)?\d[\d.]*", answer.rsplit("\nThe answer is", 1)[0])[-1]
        assert verify.final_number(answer) == verify.final_number(last), (query, answer)


def test_a_step_is_a_sum():
    assert step("3 * 11") == "3 * 11 = 33"
    with pytest.raises(ValueError, match="not a sum: 33"):
        step("33")


def test_held_back_problems_share_neither_phrasings_nor_numbers_with_training():
    train, held_out = dict(problems(3000, 0)), dict(problems(300, 0, held_back=True))
    assert not set(train) & set(held_out)
    assert not any(set(table["train"]) & set(table["held_back"]) for table in PHRASINGS.values())
    assert set(PHRASINGS) == {template.__name__ for template in TEMPLATES}
    assert len({template(Dice(0, True))[0] for template in TEMPLATES}) == len(TEMPLATES)
    assert problems(50, 1) == problems(50, 1) != problems(50, 2)


def test_marked_sums_of_a_solution_stand_in_full():
    marked = (
        "Sam sold 48/2 = <<48/2=24>>24 clips.\nThat is 12/60 = $<<12/60=0.2>>0.2 each, 20% of 50 = <<50*.2=10>>10 and"
        " <<5*2=10>>10 apples, or 3*4=<<3*4=12>>12.\nA wrong <<1+1=3>>3 stays.\n#### 1,234"
    )
    assert data.calculated(marked) == (
        "Sam sold 48 / 2 = 24 clips.\nThat is 12 / 60 = $0.2 each, 20% of 50 = 50 * .2 = 10 and 5 * 2 = 10 apples,"
        " or 3 * 4 = 12.\nA wrong 3 stays.\nThe answer is 1,234."
    )


@pytest.mark.parametrize("lines", [data.questions, data.snippets, data.short_pieces])
def test_what_was_written_is_split_and_plain(lines):
    train, held_out = lines(False), lines(True)
    assert len(held_out) > 100
    queries = [line["query"].lower() for line in train + held_out]
    assert len(set(queries)) == len(queries)
    texts = [line["query"] + line["answer"] for line in train + held_out]
    assert not set("".join(texts)) & set(
        "“”‘’–—…"
    )  # as keyboards type them; the accents of other languages may be there
    assert all(line["answer"].strip() for line in train + held_out)


def test_snippets_are_code_in_one_fence():
    for line in data.snippets(False) + data.snippets(True):
        assert line["answer"].count("```") == 2
        code = verify.code_in(line["answer"])
        if line["kind"] == "python_script":
            assert verify.parses(line["answer"])
        if "```regex" in line["answer"]:
            re.compile(code)


def test_short_pieces_end_within_what_is_collected():
    for line in data.short_pieces(False) + data.short_pieces(True):
        assert len(line["answer"]) <= 400
        lines = [text for text in line["answer"].split("\n") if text]
        assert len(set(lines)) == len(lines), line["query"]


def test_every_function_task_passes_its_own_tests():
    train, held_out = functions.tasks(1200, 0, False), functions.tasks(200, 1, True)
    assert all(functions.check(task) for task in train + held_out)
    assert not {task.query for task in train} & {task.query for task in held_out}
    assert not {(t.family, t.combination) for t in train} & {(t.family, t.combination) for t in held_out}
    assert all(task.name in task.query for task in train + held_out)


def test_pieces_are_split_and_plain_text():
    train, held_out = pieces(800, 0, False), pieces(120, 1, True)
    assert len({query for query, _ in train}) == 800
    assert not {query for query, _ in train} & {query for query, _ in held_out}
    assert not {piece for _, piece in train} & {piece for _, piece in held_out}
    for query, piece in train + held_out:
        assert piece == piece.strip()
        assert (query + piece).isascii()
        assert not re.search(r"[{}]|\[[A-Z]|  ", query + piece), (query, piece)


def test_questions_have_answers_and_none_is_an_evident_query(request):
    lines = data.questions(False) + data.questions(True)
    assert len({line["query"] for line in lines}) == len(lines) > 400
    assert all(line["answer"] and line["kind"] in {"fact", "advice", "howto", "talk"} for line in lines)
    evident = request.config.rootpath / "tests" / "data" / "evident_queries.jsonl"
    evident_texts = {plain(json.loads(line)["query"]) for line in evident.read_text(encoding="utf-8").splitlines()}
    assert not evident_texts & {plain(line["query"]) for line in lines}


def plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def f(x):\n    return x", "python"),
        ("print('a')", "python"),
        ("SELECT name FROM users;", "sql"),
        ("<div>\n</div>", "html"),
        ("const a = 1;", "javascript"),
        ("public static void main(String[] args) { System.out.println(1); }", "java"),
        ("#include <stdio.h>", "cpp"),
        ("The code prints a list.", ""),
        ("Paris", ""),
    ],
)
def test_the_language_of_code(code, name):
    assert data.language(code) == name
    assert data.fenced(code) == (f"```{name}\n{code}\n```" if name else code)
