"""What the embedded fleet learns from: true, varied and split."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from typing import Any

import pytest

from recipes.embedded import data, functions, verify
from recipes.embedded.problems import problems
from recipes.embedded.writing import FORMS, VERSE, pieces


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
    queries = [line["query"].lower() for side in (False, True) for line in lines(side)]
    assert len(set(queries)) == len(queries)
    assert {data.in_pipeline(query) for query in queries} == {False, True}
    assert all(line["answer"].strip() for side in (False, True) for line in lines(side))


def test_snippets_are_code_in_one_fence():
    for line in data.snippets(False) + data.snippets(True):
        assert line["answer"].count("```") == 2
        assert line["kind"] != "python_script" or verify.parses(line["answer"])
        if "```regex" in line["answer"]:
            re.compile(verify.code_in(line["answer"]))


def test_texts_are_those_that_the_fleet_learned_from():
    """Byte for byte, or nobody can make its weights again."""
    for held_back, digest in ((False, "10cf09a561a1985f"), (True, "fc481862f539d933")):
        texts = [
            problems(600, 0, held_back),
            pieces(150, 0, held_back),
            pieces(100, 0, held_back, VERSE),
            [(task.query, task.solution) for task in functions.tasks(300, 0, held_back)],
        ]
        assert hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16] == digest


def test_every_function_task_passes_its_own_tests():
    train, held_out = functions.tasks(1200, 0, False), functions.tasks(200, 1, True)
    for task in train + held_out:
        space: dict[str, Any] = {}
        exec(verify.SAME + task.solution, space)
        for arguments, expected in task.cases:
            assert space["_same"](space[task.name](*copy.deepcopy(arguments)), expected), (task.query, arguments)
    assert not {task.query for task in train} & {task.query for task in held_out}
    assert not {(t.family, t.combination) for t in train} & {(t.family, t.combination) for t in held_out}
    assert all(task.name in task.query for task in train + held_out)


@pytest.mark.parametrize("forms", [FORMS, VERSE])
def test_pieces_are_split_and_plain_text(forms):
    train, held_out = pieces(1500, 0, False, forms), pieces(120, 1, True, forms)
    assert len({query for query, _ in train}) == 1500
    assert not {query for query, _ in train} & {query for query, _ in held_out}
    assert forms is VERSE or not {piece for _, piece in train} & {piece for _, piece in held_out}
    for query, piece in train + held_out:
        assert piece == piece.strip()
        assert (query + piece).isascii()
        assert not re.search(r"[{}]|\[[A-Z]|  | / ", query + piece), (query, piece)


def test_no_question_is_one_by_which_the_router_is_tested(request):
    evident = request.config.rootpath / "tests" / "data" / "evident_queries.jsonl"
    evident_texts = {plain(json.loads(line)["query"]) for line in evident.read_text(encoding="utf-8").splitlines()}
    assert not evident_texts & {plain(line["query"]) for line in data.questions(False) + data.questions(True)}


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
