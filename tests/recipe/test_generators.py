"""What the embedded fleet learns from: true, varied and split."""

from __future__ import annotations

import json
import re

import pytest

from recipes.embedded import data, functions, verify
from recipes.embedded.problems import TEMPLATES, Dice, difference, drills, problems, product, quotient, total
from recipes.embedded.writing import pieces


@pytest.mark.parametrize("held_back", [False, True])
def test_every_step_of_a_worked_problem_is_true(held_back):
    made = problems(len(TEMPLATES) * 12, 5, held_back)
    for query, answer in made if held_back else made + drills(60, 5):
        for left, right in re.findall(r"(\d[\d +*/^-]*\d) = (\d[\d +*/-]*)", answer):
            assert eval(left.replace("^", "**")) == pytest.approx(eval(right)), (query, answer)
        if "The answer is" not in answer:  # a drill
            continue
        last = re.findall(r"\d+", answer.rsplit("\nThe answer is", 1)[0])[-1]
        assert verify.final_number(answer) == last, (query, answer)


def test_sums_products_and_quotients_are_worked_in_parts():
    assert product(7, 8) == "7 * 8 = 56"
    assert product(23, 4) == "23 * 4 = 4 * 20 + 4 * 3 = 80 + 12 = 92"
    assert quotient(84, 7) == "84 / 7 = 12"
    assert total(47, 38) == "47 + 38 = 47 + 30 + 8 = 77 + 8 = 85"
    assert (total(5, 8), total(47, 30)) == ("5 + 8 = 13", "47 + 30 = 77")
    assert difference(109, 17) == "109 - 17 = 109 - 10 - 7 = 99 - 7 = 92"
    assert quotient(91, 7) == "91 / 7 = 70 / 7 + 21 / 7 = 10 + 3 = 13"


def test_held_back_problems_share_neither_text_nor_numbers_with_training():
    train, kept = dict(problems(3000, 0)), dict(problems(300, 0, held_back=True))
    assert not set(train) & set(kept)
    asks = {template.__name__: template(Dice(0, True))[0] for template in TEMPLATES}
    assert len(asks) == len(TEMPLATES)
    assert problems(50, 1) == problems(50, 1) != problems(50, 2)


def test_every_function_task_passes_its_own_tests():
    train, kept = functions.tasks(1200, 0, False), functions.tasks(200, 1, True)
    assert all(functions.check(task) for task in train + kept)
    assert not {task.query for task in train} & {task.query for task in kept}
    assert not {(t.family, t.combination) for t in train} & {(t.family, t.combination) for t in kept}
    assert all(task.name in task.query for task in train + kept)


def test_pieces_are_split_and_plain_text():
    train, kept = pieces(800, 0, False), pieces(120, 1, True)
    assert len({query for query, _ in train}) == 800
    assert not {query for query, _ in train} & {query for query, _ in kept}
    assert not {piece for _, piece in train} & {piece for _, piece in kept}
    for query, piece in train + kept:
        assert piece == piece.strip()
        assert (query + piece).isascii()
        assert not re.search(r"[{}]|\[[A-Z]|  ", query + piece), (query, piece)


def test_questions_have_answers_and_none_is_an_evident_query(request):
    lines = data.questions(False) + data.questions(True)
    assert len({line["query"] for line in lines}) == len(lines) > 400
    assert all(line["answer"] and line["kind"] in {"fact", "advice", "howto", "talk"} for line in lines)
    evident = request.config.rootpath / "tests" / "data" / "evident_queries.jsonl"
    asked = {plain(json.loads(line)["query"]) for line in evident.read_text(encoding="utf-8").splitlines()}
    assert not asked & {plain(line["query"]) for line in lines}


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
