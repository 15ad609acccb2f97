"""Sums that a text works out, recomputed: false ones are found, and nothing else is taken for one."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from zooter_core.arithmetic.false_sums import false_sums
from zooter_core.arithmetic.sums import work_out

FALSE = [
    *("5 * 5 = 24", "5*5=24.", "So 36 - 7 = 31.", "$6 * $4 = $25", "10 / 3 = 3.34", "2 + 2 * 3 = 12"),
    *("(2 + 3) * 4 = 24", "25% of 40 is 40 * 25 / 100 = 11", "17 x 23 = 390", "2^3 = 9", "3 × 4 = 13"),
    *("1,000 + 1 = 1,002", "50 * 20% = 11", "0.1 + 0.2 = 0.4", "x = 3 * 4 = 13", "12 * 12 = 146 square feet"),
    *("**3 + 4 = 8**", "3 + 4 = **8**", "\n* 3 * 4 = 13", "5x5 = 26", "12 * 3 = 35 hours", "7 - 3 = -4"),
    *("5 * 3 = 150 apples", "8 + 4 = 3 children"),
]
TRUE_OR_NONE = [
    *("5 * 5 = 25", "x + 2 * 3 = 11", "3 * 4 feet = 12 feet", "7 / 2 = 3 remainder 1", "`7 % 2 = 1`", "1/2 = 40"),
    *("```\ni = 5 * 5 = 24\n```", "2 * 3 = 5 + 1", "5 * 1000 = 5k", "100 / 4 = 25%", "10 / 3 = 3.33", "10/3 = 3"),
    *("n - 1 = 5", "3/4 = 75%", "1/2 = .5", "2 + 2 = 4.", "50 * 20% = 10", "2 * (3 + 4) = 14", "f(2) * 3 = 18"),
    *(
        "80 + 15% = 92",
        "1 + 1 = 10 in binary",
        "5 plus 3 * 4 = 17",
        "2x + 3 = 7",
        "3 - 5 = -2",
        "8 / 4 = 2 * 1",
        "9 - 4 = 5x",
    ),
    *("√16 + 2 = 6", "1 000 + 500 = 1 500", "10:00 + 2 = 12:00", "1000 * 10 ^ 9 = 1 trillion", "Step 2 - 3 + 4 = 7"),
    *("80-89 = 3", "3 / 1/4 = 12", "600 * 30 = 18 000", "$2.50 - $2.24 = 26 cents", "100 pens x (10 / 100) = 10"),
    *('"2 + 2 = 5" is from a novel', "x = (-5 ± 3 / 2 = 1", "In binary, 1 + 1 = 10"),
    *("2 / 3 = 0.6666", "100 / 7 = 14.28", "0.1 + 0.2 = 0.30000000000000004", "twice 3 + 4 = 10"),
    *(
        "(-3) * 2 = -6",
        "10 mod 3 = 1",
        "4 / 3 = 1 1/3",
        "1 1/2 + 1/2 = 2",
        "9 ** 9999 = 1",
        "1 / 0 = 0",
        "5 * 5 = 25.0",
    ),
    *("30 + 30 = 1 hour", "45 + 30 = 1 hour 15 minutes", "45 + 30 = 1:15", "9 + 4 = 1 pm", "12 + 12 = 2 dozen eggs"),
    *(
        "$1 / 2 = 50 cents",
        "5 x 1/2 = 10 halves",
        "50,000/0.002 = 25 million",
        "500 + 500 = 1 kW",
        "3 + 3 = 1 pair",
    ),
    *("500 + 500 = 1 kilogram of it", "12 * 12 = 1 square foot", "7 + 7 = 2 weeks"),
    *("25 * 4 = $1.00", "5 * 3 = $15,000", "1.500 + 500 = 2.000", "2 * 500 = 1.000", "500 + 600 = 1'100"),
    *("10 − (2 + 3) = 10 − 5 = 5", "On day 1 * 2 = 20", "14, 400 / 80 = 180", "about 19 * 21 = 400", "12 : 4 + 1 = 4"),
    *("16^1/2 = 4", "sin 30 + 1 = 1.5", "3 more than 4 + 2 = 9", "8 + 7 = 5, carry 1", "7 + 1 = 10 in octal"),
]


def test_false_sums_are_found_and_what_is_true_or_no_sum_is_none() -> None:
    assert [text for text in FALSE if len(false_sums(f"Well. {text}")) != 1] == []
    assert [text for text in TRUE_OR_NONE if false_sums(f"Well. {text}")] == []


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.sampled_from("+-*"), st.integers(-3, 3))
def test_a_result_is_false_if_it_is_another(left: int, right: int, sign: str, off: int) -> None:
    result = {"+": left + right, "-": left - right, "*": left * right}[sign] + off
    assert bool(false_sums(f"{left} {sign} {right} = {result}")) is bool(off)


@given(st.text("0123456789+-*/^x().,%= $`\n", max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert len(false_sums(text)) <= len(text)


def test_the_value_of_an_expression() -> None:
    values = {"(2 + 3) * 4": 20, "2 ^ 3 ^ 2": 512, "10 - 4 - 3 * 1": 3, "7 / 2": Fraction(7, 2), "2 +": None}
    values |= {"3/4 ÷ 1/2": Fraction(3, 2), "1/2 / 1/4": 2, "12/4/3": 1, "1,000/8": 125, "3 / 1/2": None, "0^0": None}
    assert {text: work_out(text) for text in values} == values


def test_what_is_too_large_to_write_has_no_value() -> None:
    """Each would take minutes, or be no float."""
    powers = [f"{'(' * 30}9{f'^{sign}20)' * 30}" for sign in ("", "-")]
    assert [text for text in (*powers, "*".join(["9^20"] * 100)) if work_out(text) is not None] == []
    assert work_out("9^20 * 9^20") == 9**40
