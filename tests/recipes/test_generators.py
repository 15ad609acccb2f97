"""What the embedded fleet learns from: true, varied and split."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from recipes.embedded import data, functions, verify
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
