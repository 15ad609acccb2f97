"""Final answers: numbers, letters, texts and regular expressions, each by hand and from any text."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.verified import Verification, answers, verify
from zooter_core.evaluation.verified.answers import final_number, letter


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 18", "18"), ("3 + 4 = 7\n#### 7\nSo that was 2 steps.", "7"), ("It costs $1,234.50", "1234.5"),
        ("The answer is 18 dollars, for 3 days.", "18"), ("the final answer: **$18**", "18"),
        ("The answer is 3 + 4 = 7 apples.", "7"), ("The answer is x = -5.", "-5"), ("The answer is -$5", "-5"),
        ("The answer is 5.\nWait: the answer is 6.", "6"), (r"Thus \boxed{42}, in 3 steps.", "42"),
        ("First 12, then 10-5", "5"), ("It fell to −4", "-4"), ("- 18", "18"), ("(-3)", "-3"),
        ("a range of 3 -5", "5"), ("step-2", "2"), ("1,2,3", "3"), ("12,345,678 people", "12345678"),
        (".5 of it", "0.5"), ("She has 18.00 left", "18"), ("about 1.5e-7 of it", "0.00000015"),
        ("The answer is -6.02E+23.", "-602000000000000000000000"), ("the commit 12e5f", "12"),
        ("The answer is not clear. There are 9.", "9"), ("The answer is:\n\n18", "18"), ("None at all.", None),
        ("1/2 + 1/3 = 5/6", "5/6"), (r"\boxed{-\frac{5}{6}}", "-5/6"),
        ("Das sind 2,5 Liter.", "2.5"), ("12,50 €", "12.5"),
        ("It takes 2 1/2 hours.", "5/2"), (r"$2\dfrac{1}{2}$", "5/2"), ("on 12/05/2024", "2024"), ("5/0", "0"),
        ("Two plus two is four.", "4"), ("The letter s comes twice.", "2"), ("a two-step, phone one-off", None),
        ("forty-two", "42"), ("A hundred and five.", "105"), ("two thousand five hundred", "2500"), ("½", "1/2"),
        ("2½ cups", "5/2"), (r"\tfrac34", "3/4"), ("3 × 10^8 m/s", "300000000"), (r"$6.02 \times 10^{23}$", "6.02e23"),
        ("2·10⁻³", "0.002"), ("10^3", "1000"), ("$100 000", "100000"), ("100'000", "100000"), ("1,00,000", "100000"),
        ("1.234,50 €", "1234.5"), ("1.000.000", "1000000"), ("minus 5", "-5"), ("It fell to –4", "-4"), ("5:00", "5"),
        ("9.8 m/s^2", "9.8"), ("78.5 m2", "78.5"), ("44 g of CO2", "44"), ("12 200-page books", "200"),
        ("37 °C (98.6 °F)", "37"), ("6 apples [source 1]", "6"), ("It's 6, not 7.", "6"),
        ("He spends $5 because 10 x .5 = 5.00", "5"), ("It is 12. Do you want to see the 3 steps?", "12"),
        ("Will it be 12?", "12"), ("Of the 9 that are not red, 3 are big.", "3"),
        ("The next number is 32 (16 * 2).", "32"), ("8.05 km (5 x 1.609)", "8.05"), ("So 9 + 9 = (18)", "18"),
    ],
)  # fmt: skip
def test_the_final_number(text, number):
    assert final_number(text) == (None if number is None else Fraction(number))


def test_an_answer_may_begin_with_its_number():
    for text in (
        "12 is 15% of 80.",
        "**12**, because 0.15 * 80 = 12.0, or 80 less 68",
        "$12: 15% of $80",
        "12. It is 15% of 80.",
        "**12**\n\nDo you have 2 more?",
        "There are **twelve** of them, and not 80.",
        "12 remainder 1",
        "12 grams, or 0.42 ounces",
        "12 out of 80",
        "12 = 3 * 4",
    ):
        assert verify(text, {"answer": {"number": "12"}}).right
    for text in ("12 eggs less 5 are 7", "12 is a dozen.\nSo it is 80."):
        assert not verify(text, {"answer": {"number": "12"}}).right


def test_the_last_line_may_go_on_behind_its_result():
    assert verify("She works 5 hours.\nSo it is 5 * 8 = 40 hours in 8 weeks.", {"answer": 40}).right
    for text in ("3 * 4 = 12.\nShe has 5 left.", "The answer is 9, since 3 * 4 = 12."):
        assert not verify(text, {"answer": 12}).right


def test_a_sentence_may_go_on_behind_its_number():
    for text in (
        "7 * 5 = 35.\nShe will have 35 pills left after 2 weeks.",
        "So it takes 35 minutes to groom 5 dogs and 3 cats.",
        "There are 35 ounces in those 3 boxes.",
        "So **35** pills are left after 2 weeks.",
        "The price is $35, saving you $16.",
        "71 divided by 2 is 35 with a remainder of 1.",
    ):
        assert verify(text, {"answer": {"number": 35}}).right
    for text in (
        "The 35 pills in the box become 5.",
        "She had 35 pills and ate 5.",
        "Of the 35 pills 5 are left.",
        "It fell from 35 to 5.",
        "5 packs of 35 pills are 175 pills.",
    ):
        assert not verify(text, {"answer": {"number": 35}}).right


NUMBERS = st.decimals(-(10**9), 10**9, allow_nan=False, places=2) | st.integers(-(10**12), 10**12).map(Decimal)
NUMBER_WAYS = (
    "#### {}", "The answer is {}.", "So that makes {}", "Answer: {} dollars", "**{}**", "12 - 5 = {}",
    "\\boxed{{{}}}",
)  # fmt: skip


@settings(max_examples=30)
@given(NUMBERS, st.sampled_from(NUMBER_WAYS), st.booleans(), st.text(alphabet="abc \n.,;:!?()", max_size=30))
def test_a_number_is_read_however_it_is_said(number, way, separated, before):
    written = f"{number:,}" if separated else f"{number:f}"
    assert final_number(f"{before}\n{way.format(written)}") == number


CHOICES = ["red", "green", "blue", "light blue"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", "B"), (" b.", "B"), ("**B**", "B"), ("B. green", "B"), ("(C) blue, I think", "C"), ("Answer: B", "B"),
        ("answer is (c)", "C"), ("The answer is B because A is wrong.", "B"),
        ("The correct answer is option D.", "D"), ("The answer is **C**, not option B.", "C"),
        ("I first thought the answer is A. But the answer is B.", "B"), ("The answer is:\n\nD", "D"),
        ("A is wrong, and so the answer must be C!", "C"), ("I think it is C.", "C"),
        ("A good question. It is (D)", "D"), ("The answer is a little odd: green.", "B"),
        ("The answer is not clear.", None), ("It is green.", "B"), ("Either red or green.", None), ("B or C", None),
        ("Answer: E", None), ("Because.", None),
    ],
)  # fmt: skip
def test_the_letter(text, expected):
    assert letter(text, CHOICES) == expected


def right(text, answer):
    return verify(text, {"answer": answer}).right


@pytest.mark.parametrize(
    ("text", "answer", "expected"),
    [
        # numbers
        ("It is 18.0 in all.", 18, True), ("It is 0.1", 0.1, True),
        ("The answer is $1,200.", "1200", True), ("The answer is 1200 dollars.", "$1,200", True),
        ("The answer is 5%.", "5%", True), ("The answer is -5.", "−5", True), ("The answer is 5.", "-5", False),
        ("It costs 12.5", {"number": "12.50"}, True), ("It costs 0.0000001", {"number": "1E-7"}, True),
        ("No number.", {"number": 3}, False), ("a half: 1/2", 0.5, True), ("0.83", "5/6", True), ("0.84", "5/6", False),
        ("33.3%", "1/3", True), ("25 cents", 0.25, True), ("25 cents", 25, True), ("$0.25", 25, True),
        ("80%", 0.8, True), ("1.5 million", 1_500_000, True), ("2.500", 2500, True),
        ("2.5", 2500, False), ("25 centuries", 0.25, False),
        ("0.8", "80%", True), ("4/5", "80%", True), ("80", "80%", True), ("0.8%", "80%", False), ("0.8", "85%", False),
        ("That is half a dozen.", 6, True), ("Two dozen.", 24, True), ("Two dozen.", 2, True),
        ("a million", 10**6, True),
        ("$1.5M", 1_500_000, True), ("20k a year", 20_000, True), ("5 m", 5_000_000, False), ("5kg", 5000, False),
        ("3bn", 3 * 10**9, True), ("300 K", 300, True), ("a dozen", 13, False),
        ("10/12", "5/6", True), ("0.666...", "2/3", True), ("5", "5/6", False),
        ("We get 4.", [3, 4], True), ("We get 5.", [3, "4"], False),
        # letters, with and without choices
        ("It is green.", {"choice": "B", "choices": CHOICES}, True), ("The answer is (b).", {"choice": "b"}, True),
        ("The answer is C", {"choice": "B"}, False), ("Who knows?", {"choice": "B"}, False),
        # regular expressions
        ("on 2024-03-15,", {"regex": r"\d{4}-\d\d-\d\d"}, True),
        ("on 15 March", {"regex": r"\d{4}-\d\d-\d\d"}, False),
        # texts
        ("Paris", "paris", True), ("The Eiffel Tower!", "eiffel tower", True),
        ("It lies in France. The answer is: **Paris**.", "Paris", True),
        ("The answer is Lyon. No, the answer is Paris.", "Paris", True),
        ("The answer is Paris. No, the answer is Lyon.", "Paris", False),
        ("Answer:\nParis\nIt is in France.", "Paris", True), (r"So \boxed{\text{Paris}}, as asked.", "Paris", True),
        ("Let me think.\n#### Paris\nThat is all.", "Paris", True), ("Let me think.\n\nParis\n\n", "Paris", True),
        ("The capital of France is **Paris**.", "Paris", True), ("That's Paris!", "Paris", True),
        ("It was a dark night.\nThey are Ann and Bob.", "Ann and Bob", True), ("It is not Paris.", "Paris", False),
        ("It is Paris or Rome.", "Paris", False), ("Paris is in France.", "Paris", False),
        ("I like Paris and Rome.", "Paris", False), ("Rome", ["Paris", "Rome"], True),
        ("Oslo", {"text": ["Paris", "Rome"]}, False), ("Rome", {"text": "Rome"}, True),
        ("The answer is 1984.", {"text": "1984"}, True), ("fourteen", [14, "fourteen"], True),
        ("14", [14, "fourteen"], True), ("+", "+", True), ("-", "+", False), ("The answer is A.", "a", True),
        ("की", "कि", False),
    ],
)  # fmt: skip
def test_an_answer_is_right_or_wrong(text, answer, expected):
    assert right(text, answer) is expected


def test_a_regular_expression_that_is_none_is_refused():
    with pytest.raises(ZooterError, match="regular expression"):
        right("a", {"regex": "("})


def test_a_regular_expression_that_takes_too_long_is_wrong(monkeypatch):
    monkeypatch.setattr(answers, "REGEX_SECONDS", 0.1)
    outcome = verify("a" * 3000, {"answer": {"regex": "(a+)+b$"}})
    assert outcome == Verification(False, "Searching (a+)+b$ took longer than 0.1 s.")


@pytest.mark.parametrize(
    ("text", "answer", "reason"),
    [
        ("So 18.", 18, "The final number is 18."), ("So 17.", 18, "The final number is 17, not 18."),
        ("So 17.", [18, "19"], "The final number is 17, not 18 or 19."), ("So.", 18, "The response has no number."),
        ("The answer is Lyon.", "Paris", 'The answer is "Lyon.", not "Paris".'),
        ("Paris!", "Paris", 'The answer is "paris".'), ("C", {"choice": "B"}, "The choice is C, not B."),
        ("B", {"choice": "B"}, "The choice is B."), ("abc", {"regex": "b+"}, '"b" matches b+.'),
    ],
)  # fmt: skip
def test_reasons_are_sentences(text, answer, reason):
    assert verify(text, {"answer": answer}).reason == reason


def test_huge_numbers():
    digits = "9" * 100_000
    assert right(f"-{digits}", f"-{digits}")
    assert not right(digits, 9)


@pytest.mark.parametrize("text", ["C", "C++", "C#"])
def test_symbols_tell_answers_apart(text):
    assert [name for name in ("C", "C++", "C#") if verify(text, {"answer": {"text": name}}).right] == [text]
