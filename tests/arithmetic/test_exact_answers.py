from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.arithmetic.exact_answers import exact_answer
from zooter_core.arithmetic.false_sums import false_sums

ANSWERS = {
    "How many r's are in strawberry?": "3",
    'how many Rs are there in the word "Strawberry"': "3",
    "How many times does the letter z appear in banana?": "0",
    "Count the letter e in 'nevertheless', please.": "4",
    "How many letters does the word Mississippi have?": "11",
    "what is the number of vowels in education": "5",
    "Can you spell banana backwards?": "ananab",
    "Spell stressed backwards": "desserts",
    "What is 'silver' spelled backwards?": "revlis",
    "how many r does strawberry have": "3",
    "How many m's does the word mammoth contain?": "3",
    'count the letters of the word "sunshine"': "8",
    "What comes next: 2, 4, 8, 16?": "32",
    "100, 90, 80, 70, ...": "60",
    "What is the next number in the sequence 1 4 9 16 25?": "36",
    "1, 8, 27, 64, 125, what comes next?": "216",
    "Continue: 1, 1, 2, 3, 5, 8": "13",
    "next number: 3, 7, 15, 31, ?": "63",
    "80, 40, 20, 10, ?": "5",
    "0.5, 1, 1.5, what's next?": "2",
    "Convert 5 miles to km": "8.0467 km",
    "How many feet are in a mile?": "5280 feet",
    "what's 98.6 degrees Fahrenheit in celsius": "37 °C",
    "6 feet 2 inches in cm": "187.96 cm",
    "How many ounces are there in a pound?": "16 ounces",
    "How many ounces are there in a cup?": "8 ounces",
    "how many minutes do three hours have": "180 minutes",
    "how many minutes do forty-two hours have": "2520 minutes",
    "5, 5, 5, ?": "5",
    "How many years are in a century?": "100 years",
    "60 mph in km/h": "96.5606 km/h",
    "How many kilometers are in 1 mm?": "0.000001 kilometers",
    "Is 97 a prime number?": "yes",
    "is 91 prime": "no",
    "What is the prime factorization of 360?": "2 * 2 * 2 * 3 * 3 * 5",
    "List all the factors of 12": "1, 2, 3, 4, 6, 12",
    "gcd of 84 and 126": "42",
    "What is the least common multiple of 18 and 42?": "126",
    "What is 10!?": "3628800",
    "What is the factorial of 5": "120",
    "17 mod 5": "2",
    "What is the remainder when 17 is divided by 5?": "2",
    "Is 48 divisible by 6?": "yes",
    "Convert 45 to binary": "101101",
    "What is 255 in hex?": "FF",
    "convert 1011 from binary to decimal": "11",
    "Round 3.14159 to two decimal places": "3.14",
    "Round 2.5 to the nearest whole number": "3",
    "Round 1,250 to the nearest hundred": "1300",
    "What is 0.75 as a fraction?": "3/4",
    "Simplify 12/18": "2/3",
    "What is 3/8 as a decimal?": "0.375",
    "What is 45 as a percentage of 60?": "75%",
    "what percent of 60 is 45": "75%",
    "Which is bigger, 9.11 or 9.9?": "9.9",
    "Which number is smaller: 3/7 or 4/9?": "3/7",
    "Is 0.9 bigger than 0.11?": "yes",
    "Is 10% more than 5?": "no",
}
OTHERS = (
    "How many people are in Germany?",
    "How many letters are in the alphabet?",
    "How many letters are there in Russian?",
    "How many letters does it have?",
    "Say that backwards",
    "How do I walk backwards?",
    "why is it written backwards",
    "3!!",
    "How many meters are in a kilogram?",
    "How many days are in a month?",
    "How many hours a day?",
    "Convert 100 dollars to euros",
    "Convert 5 miles to km in Python",
    "Count the vowels of a string in Python",
    "What does 1, 2, 4, 8 mean?",
    "the sequence 3, 1, 4, 1, 5",
    "My scores are 2, 4, 8. What comes next in my life?",
    "1, 2, 3",
    "Is 7 a lucky number?",
    "Is it bigger than 5?",
    "What is 5 mod 0?",
    "0.5, 1.000, 1.5, 2.000, 2.5, ?",
    "What is 5 in French?",
    "Round 5 to seven places",
    "Round 12.5% to the nearest whole number",
    "Hello!",
    "",
)


@pytest.mark.parametrize(("question", "answer"), ANSWERS.items())
def test_small_questions_have_exact_answers(question, answer):
    worked = exact_answer(question)
    assert worked
    assert worked[1] == answer
    assert not false_sums(worked[0])


def test_the_answer_is_worked_out_in_a_sentence():
    def sentence(question: str) -> str:
        worked = exact_answer(question)
        return worked[0] if worked else ""

    assert sentence("How many r in strawberry?") == "s-t-r-a-w-b-e-r-r-y: the letter r comes 3 times."
    assert sentence("1, 4, 9, 16, ?") == "The steps are 3, 5, 7, and next 9: 16 + 9 = 25."
    assert sentence("What comes next: 3, 7, 15, 31?") == "Each number is 2 times the one before + 1: 31 * 2 + 1 = 63."
    assert sentence("What comes next: 7, 7, 7?") == "Each number is the same as the one before: 7 = 7."
    assert sentence("-40 F to C") == "-40 °F are -40 °C."
    assert sentence("100 F to C") == "100 °F ≈ 37.7778 °C."
    assert sentence("6'2\" in cm") == "6'2\" are 187.96 cm."
    assert sentence("Is 91 prime?") == "91 = 7 * 13, so it is not prime."


def test_other_questions_have_none():
    assert [question for question in OTHERS if exact_answer(question)] == []


@given(st.text(alphabet="0123456789abcdin .,?!/%°'\"-", max_size=80) | st.text(max_size=80))
def test_no_text_is_too_wild(text):
    for question in (text, f"What is {text} in cm?", f"What comes next: {text}?", f"How many e in {text}"):
        worked = exact_answer(question)
        assert worked is None or all(worked)
