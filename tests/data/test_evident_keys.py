"""Answer keys that a query's own text holds, and texts that hold none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.base.records import Query
from zooter_core.data.answer_keys import read_key
from zooter_core.data.evident_keys import derive_key, key_in
from zooter_core.evaluation.verified import verify

NUMBERS = {
    "What is 17 * 23?": "391",
    "What's 6 times 7?": "42",
    "3 plus 3": "6",
    "12 + 30": "42",
    "Calculate 25% of 40": "10",
    "Compute (2+3)*4 please": "20",
    "5 * 5 =": "25",
    "What is 12 + 30 = ?": "42",
    "-3 + 5": "2",
    "What is 2^10?": "1024",
    "How many r are in strawberry?": "3",
    "What comes next: 2, 4, 8, 16?": "32",
    "What is 100 - 45.5?": "54.5",
    "what is 9 divided by 4": "2.25",
    "1.5 x 4": "6",
    "average of 4, 8, 15, 16, 23, 42": "18",
    "What is the mean of 4,8,15?": "9",
    "What's the sum of 3, 4, and 5?": "12",
    "product of 6 and 7": "42",
    "What is the square root of 144?": "12",
    "sqrt(81)": "9",
    "sqrt(2) * sqrt(2)": "2",
    "What is 7 squared?": "49",
    "2 to the power of 10": "1024",
    "What is 20% off $50?": "40",
    "What is half of 80?": "40",
    "What is 1/4 of 100?": "25",
    "six times seven": "42",
    "What does 2 + 2 equal?": "4",
    "Was ist 12 * 12?": "144",
    "Combien font 7 x 8 ?": "56",
    "¿Cuánto es 15 + 27?": "42",
    "Was ist 3,5 * 2?": "7",
    "12,50 + 1,200": "1212.5",
    "80 + 15%": "92",
    "What is -5 squared?": "25",
    "What is minus 5 squared?": "25",
    "10 - 3 squared": "1",
    "200 + 10% + 5%": "231",
    "5 + 10% * 50": "10",
    "What is 200 minus 25%?": "150",
}
CHECKS: dict[str, dict[str, Any]] = {
    "Solve 3x - 4 = 11": {"solution": {"x": "5"}},
    "Solve for x: 2(x + 3) = 14": {"solution": {"x": "4"}},
    "Find x if 2x + 1 = 9": {"solution": {"x": "4"}},
    "2x + 3 = 7": {"solution": {"x": "2"}},
    "Solve 1,5x = 3": {"solution": {"x": "2"}},
    "Find the value of x that satisfies 2x + 3 = 11": {"solution": {"x": "4"}},
    "Solve x + y = 10 and x - y = 4": {"solution": {"x": "7", "y": "3"}},
    "What is the value of y when y = 2x and x = 3?": {"solution": {"y": "6"}},
    "Write a haiku about rain": {"lines": 3},
    "Write a three-line poem about the sea": {"lines": 3},
    "Write a poem about cats in four lines.": {"lines": 4},
    "Write a poem about cats in one line.": {"lines": 1},
    "haiku about autumn": {"lines": 3},
    "Write me a short, funny poem about my dog": {"lines": [2, None]},
    "limerick on a fox": {"lines": [2, None]},
    "Give me five bullet points on tea": {"items": 5},
    "Describe tea in under 50 words": {"words": [None, 50]},
    "Describe tea in twenty words or fewer": {"words": [None, 20]},
    "What is tea? Keep your answer under 30 words.": {"words": [None, 30]},
    "Write a short summary of at most 20 words": {"words": [None, 20]},
    "Explain the 3 laws in three bullet points": {"items": 3},
    "Return the list of colours as JSON": {"json": True},
    "Respond in JSON: what is the capital of France?": {"json": True},
}
NONE = [
    *("What is 24/7?", "what is 2026-11-28?", "What is 2 + 2? Explain.", "Solve x^2 = 4", "What is a haiku?"),
    *("How do I parse JSON?", "555-1234", "What is 7?", "Is 3 + 3 = 7?", "Solve x + y = 10", "Solve 0x = 5", "1 / 0"),
    *("Write a summary of the poem 'Daffodils'", "Write three haiku", "haiku rules", "Write a prose poem"),
    *(
        "1914-1918",
        "What is 7-Eleven?",
        "0x10 + 1",
        "1,2,3 + 4",
        "1,00,000 + 5",
        "10 + 5,",
        "Solve x + 5 = 20 percent of 50",
    ),
    *("Find the bug: x = 5", "What is the output of this code: x = 5; y = x + 2; print(y)"),
    *("at most 5 bullet points on tea", "3 to 5 bullet points on tea", "What is a 5-line poem called?"),
    *("How do I return JSON in Flask?", "Write a function to output JSON", "I type at least 60 words per minute"),
    *("Write a haiku and explain it", "A story in four lines or less", "A text in 2 stanzas of 4 lines"),
    *("Rewrite these 5 bullet points as a text", "I have 5 bullet points, sort them", "The five-line poem on tea"),
    *(
        "How do I write a three-line poem?",
        "Is a tweet under 50 words?",
        "My essay has exactly 500 words, is that enough?",
        "Write a haiku for each season",
    ),
    *("sum of 1,000 and 2,000,000", "sum of 1,500 and 2", "average of 2,5 and 3", "50 + 20% + 30", "square root of -2"),
    *(
        "20 - 5 more than 3",
        "average of 10 and 20 percent",
        "difference between 8 and 3 squared",
        "(2 + 3)!",
        "10% + 5%",
    ),
    *("square root of 16 plus 9", "8 to the power of 1/3", "What is 3x - 5?", "20/20", "2023/2024", "What is 9-11?"),
    *("Was ist 1.500 + 2.500?", "What is y if x = 5?", "Solve 1/2x = 4", "What is the number of factors of 12?"),
    *("Round 17 to the nearest 5", "__, 4, 6, 8, what is the missing number?", "What is the pattern in 2, 4, 6, 8?"),
    *(
        "How many vowels are in Danish?",
        "What is 10 in decimal?",
        "Write 50 stories under ten words",
        "no less than 9 words",
    ),
    *("How many languages have fewer than 1000 words?", "Should emails be under 100 words?", "about 5 bullet points"),
    *(
        'What does "in exactly ten words" mean?',
        "Don't respond with JSON",
        "not 3 bullet points",
        "5 bullet points or less",
    ),
    *("Write 5 tips, each at most 10 words", "Give me a poem title", "My poem of 14 lines is bad", "a poem generator"),
    *("the average of 4", "poem analysis: The Raven", "Find the value of 2x + 3 when x = 4", "What is x^2 if x = 5?"),
    *(
        "Tom has 3 boxes with 12 pens. How many pens?",
        "",
        "Solve a mystery = 5",
        "i = i * 2",
        "E = mc^2",
        "2 + 2 = 5 " * 100,
    ),
]


def test_a_sum_has_its_result() -> None:
    assert {text: key_in(text) for text in NUMBERS} == {t: {"answer": {"number": n}} for t, n in NUMBERS.items()}


def test_a_result_without_an_end_may_be_rounded() -> None:
    key = key_in("What is 10 / 3?")
    assert key is not None
    outcomes = [verify(text, key).right for text in ("3.33", "The answer is 3.3333.", "10/3", "3 1/3", "3.4", "3")]
    assert outcomes == [True, True, True, True, False, False]
    root = key_in("square root of 2")
    assert root is not None
    assert [verify(text, root).right for text in ("1.414", "1.42")] == [True, False]
    assert verify("1.42", root).reason == "The final number is 1.42, not 1.41421."


@pytest.mark.parametrize("text", CHECKS)
def test_equations_and_forms(text: str) -> None:
    assert key_in(text) == {"check": CHECKS[text]}
    assert read_key("a line", {"check": CHECKS[text]})  # as somebody could write it


def test_what_leaves_a_doubt_has_no_key() -> None:
    assert [text for text in NONE if key_in(text) is not None] == []


@settings(max_examples=40)
@given(st.text("0123456789+-*/^x=().,% yab", max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    for query in (text, f"Solve {text}"):
        assert key_in(query) is None or len(key_in(query) or {}) == 1


def test_the_key_to_learn_from_is_that_of_the_query_or_else_in_its_text() -> None:
    assert derive_key(Query("1", "3 plus 3", None, (), {"answer": {"number": "7"}})) == {"answer": {"number": "7"}}
    assert derive_key(Query("1", "3 plus 3", None, ())) == {"answer": {"number": "6"}}
    assert derive_key(Query("1", "Write a haiku about rain", None, ())) == {"check": {"lines": 3}}
    assert derive_key(Query("1", "Write a poem about rain", None, ())) is None  # its lines make no poem right


POEM = "Rain on the roof\nsoft as a drum\nthe cat sleeps"


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (
            {"solution": {"x": "5"}},
            [
                "x = 5",
                "**x = 5**",
                "x = 15 / 3\nx = 5",
                "3x = 15, so x = 15/3 = 5. Check: 3 * 5 - 4 = 11.",
                "The answer is 5.",
            ],
            ["x = 7.5", "x = 4", "x is unknown"],
        ),
        (
            {"solution": {"x": "7", "y": "3"}},
            ["x = 7 and y = 3", "y = 3, x = 7."],
            ["x = 7", "x = 7.5, y = 2.5"],
        ),
        ({"lines": 3}, [POEM, f"Here is one:\n\n{POEM}\n"], ["Rain / drum / cat", f"{POEM}\nx"]),
        ({"json": True}, ['["red"]', "```json\n{}\n```"], ["red, blue"]),
    ],
    ids=["a variable", "all variables", "lines", "json"],
)
def test_what_such_a_key_accepts(check: dict[str, Any], right: list[str], wrong: list[str]) -> None:
    assert [text for text in right + wrong if verify(text, {"check": check}).right] == right
