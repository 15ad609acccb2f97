from __future__ import annotations

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from zooter_core.backends.calculator import due, opening, result
from zooter_core.base.records import Message

VALUES = {
    **{"3 * 11": "33", "12 / 60": "0.2", "1 / 3": "0.3333", "5 - 9": "-4", "2 + 3 * 4 - 6 / 2": "11", "-5 + 2": "-3"},
    **{"(2 + 3) x 4": "20", "4 × 5 ÷ 2": "10", "$1,200 / 3": "400", "0.1 + 0.2": "0.3", "1.10 + 0.90": "2"},
    "246879 / 51 - 810669 * 855011": "-693130907518.2353",  # more digits than a float has
}
NONE = ["7", "-7", "", "3 4 * 2", "5 / 0", "5 / (3 - 3)", "2 ** 3", "1000000 * 1000000", "a + 2", "007 + 1"]


def test_value_of_a_sum():
    assert {text: result(text) for text in VALUES} == VALUES
    assert [text for text in (*NONE, "__import__('os')") if result(text) is not None] == []


DUE = {
    **dict.fromkeys(("The cost is 3 * 11 = ", "The cost is 3 * 11 =", "The cost is 3 * 11 = $"), "33"),
    **{"The cost is 3 * 11 = 3": "3", "The cost is 3 * 11 = 33": "", "12 / 60 = 0.": "2", "5 - 9 = ": "-4"},
    **dict.fromkeys(("The cost is 3 * 11 = 33.", "51 / 2 = 25.5. 51 / 3 = 17.", "51 / 2 = 25.5."), ""),  # no decimals
    **{
        "5 - 9 = -": "4",
        "7x = 77, so x = 77 / 7 = ": "11",
        "In 2020, 5 * 2 = ": "10",
        "Step 1. 5 + 3 = ": "8",
        "It is -6 / 2 = ": "-3",
    },
    "9 * 40 + 9 * 2 = 360 + 18 = ": "378",
    **dict.fromkeys(("The cost is 3 * 11 = 4", "51 / 3 = 17.6", "11 + 4 = 15.\n", "The cost is 3 * 11", "7x = ")),
    **dict.fromkeys(("x + 5 - 2 = ", "x = ", "", "= ", "2x - 3 = ", "w-20+10 = ", "B - 12 - 19 = ", "2^3 + 1 = ")),
    **dict.fromkeys(("sqrt(16) + 3 = ", "f(2) - 3 = ", "It is 10:30 + 2 = ", "1'000 + 500 = ", "log 10 + 2 = ")),
}


def test_what_is_due():
    assert {text: due(text) for text in DUE} == DUE


OPENINGS = {
    "What is 2*3*4?": "2*3*4 = 24.",
    "3/4 + 2/3": "3/4 + 2/3 = 17/12 ≈ 1.4167.",
    "What is 15% of 81?": "15% of 81 = 12.15.",
    "What is 2**10?": "2**10 = 1024.",
    "100 / 7": "100 / 7 ≈ 14.2857.",
    "the square root of 144": "The square root of 144 = 12.",
    "square root of 2": "Square root of 2 ≈ 1.4142.",
    "What is the cube root of 27?": "The cube root of 27 = 3.",
    "What is 2 to the 10th power?": "2 to the 10th power = 1024.",
    "What is the average of 4, 8 and 15?": "(4 + 8 + 15) / 3 = 9.",
    "Add 3 and 4": "3 + 4 = 7.",
    "hey, what's the square of 12?": "The square of 12 = 144.",
    "Tell me what 8 times 7 is": "8 times 7 = 56.",
    "8 times 7 equals what?": "8 times 7 = 56.",
    "What is fifteen more than a quarter of 48?": "Fifteen more than a quarter of 48 = 27.",
    "What is the square of 3/4?": "The square of 3/4 = 0.5625.",
    "25 times itself": "25 * 25 = 625.",
    "root of 81": "Root of 81 = 9.",
    "Was ergibt 24 mal 3?": "24 mal 3 = 72.",
    "sum of 3/5 and 1/10": "3/5 + 1/10 = 7/10 = 0.7.",
    "increase 85 by 12 percent": "85 + 12% = 95.2.",
    "the difference between 5 and 9": "The difference between 5 and 9 = 4.",
    "What is 100-37?": "100-37 = 63.",
    "30% off 80 dollars": "30% off 80 dollars = 56.",
    "¿Cuánto es 7 por 8?": "7 por 8 = 56.",
    "1,200 € minus 15 %": "1,200 € minus 15 % = 1020.",
    r"What is $3 \times 4 \div 2$?": r"$3 \times 4 \div 2$ = 6.",
    "2² + 3³ = ??": "2² + 3³ = 31.",
    "sqrt(9 + 16)": "sqrt(9 + 16) = 5.",
    "the square root of 1/4": "The square root of 1/4 = 0.5.",
    "2/5 squared": "2/5 squared = 0.16.",
    "divide 6 by 1/2": "6 ÷ 1/2 = 12.",
    "What is forty-two plus three?": "Forty-two plus three = 45.",
    "a hundred and five divided by five": "A hundred and five divided by five = 21.",
    "two thousand, five hundred minus 1": "Two thousand, five hundred minus 1 = 2499.",
    "two thirds of 90": "Two thirds of 90 = 60.",
    "−7 + 2": "−7 + 2 = -5.",
    "what is 10-4": "10-4 = 6.",
    "x + 5 = 12": "x = 7.",
    "Solve 3x - 4 = 11": "3x = 15, so x = 15 / 3 = 5.",
    "10 - 2x = x + 4": "3x = 6, so x = 6 / 3 = 2.",
    "Solve x/4 = 5": "x = 20.",
    "Find x if 2x = 5": "2x = 5, so x = 5/2.",
    "solve −3x = 9": "3x = -9, so x = -9 / 3 = -3.",
    r"Solve \(2x = 9\)": "2x = 9, so x = 9/2.",
}


def test_the_answer_to_a_sum_or_an_equation_begins_with_its_result():
    begun = {query: opening([Message("user", query)]) for query in OPENINGS}
    assert begun == {query: f"{text}\nThe answer is" for query, text in OPENINGS.items()}
    two = opening([Message("user", "Solve x + y = 10 and x - y = 4")])
    assert two == "x = 7 and y = 3.\nThe answer is x = 7 and y ="
    assert (
        opening([Message("user", "How many r in berry?")]) == "b-e-r-r-y: the letter r comes twice.\nThe answer is 2."
    )
    others = (
        "n = n * 2",
        "Solve x^3 = 8",
        "y = x^2",
        "Solve 1/x^2 = 4",
        "What is 24/7?",
        "10-20",
        "$10-$20",
        "3-2!",
        "5-10%",
        *("120/80", "what is 120/80?", "12/25", "80/20", "what is 7-11", "10 – 4", "9^1/2", "twenty twenty"),
        "4 per 100",
        "the sum of 5, 6 and 7 divided by 3",
        "difference between 10 and 14 times 2",
        "subtract 5 from 3 times 4",
        "Solve 2x = 7 for an integer x",
        *("Solve x^2 - 11x + 18 = 0 and give the larger root.", "Solve x^2 - 39 = 105 for positive x"),
        *("Solve 10% x = 5", "Solve √x = 3", "Solve ½x = 3", "Solve 2x = 50%", "Solve 2x = 8³", "Solve 2x = 3 = 4"),
        *("2 + 3!", "(sqrt(16 + 9)", "√9/16", "€1.000 + €500", "1.000€ + 500€", "$3 + €4"),
        "Tom has 3 * 4 pens. How many?",
        "1 / 0",
        "10^20 * 10^20",
        "Hello",
    )
    assert [query for query in others if opening([Message("user", query)])] == []
    assert opening([Message("user", "2 * 3"), Message("assistant", "2 * 3 = ")]) == ""  # an answer to be continued


ROOTS = {
    "Solve x^2 - 5x + 6 = 0": "x = 2 or x = 3.\nThe answer is 2 and 3",
    "x² = 16": "x = -4 or x = 4.\nThe answer is -4 and 4",
    "How do I solve 2t**2 + 3t = 2?": "t = -2 or t = 0.5.\nThe answer is -2 and 0.5",
    "What are the roots of (x - 3)(x - 3) = 0?": "x = 3.\nThe answer is 3",
    "What are the solutions to x^2 - 2x = 1?": "x = -0.4142 or x = 2.4142.\nThe answer is -0.4142 and 2.4142",
    "Solve the quadratic equation x^2 + 2x + 5 = 0": "No real number x solves this.\nThe answer is none",
}


def test_the_answer_to_a_quadratic_equation_is_its_roots():
    assert {query: opening([Message("user", query)]) for query in ROOTS} == ROOTS


@given(st.integers(0, 9999), st.integers(0, 9999), st.sampled_from("+-*"), st.text(max_size=30))
@example(3, 4, "+", "7 + ")
def test_a_sum_after_a_line_end_is_finished_whatever_stands_before(a, b, sign, before):
    value = str({"+": a + b, "-": a - b, "*": a * b}[sign])
    text = f"{before}\n{a} {sign} {b} = "
    assert due(text) == value
    assert all(due(text + value[:part]) == value[part:] for part in range(len(value) + 1))


@given(st.text(alphabet="0123456789.,$()+-*/x =", max_size=60))
def test_no_text_is_too_wild(text):
    rest = due(text)
    value = result(text)
    assert rest is None or set(rest) <= set("0123456789.-")
    assert value is None or Fraction(value) == Fraction(value)
