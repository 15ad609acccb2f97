"""Small questions that have one exact answer, and are neither sums nor equations.

Letters of a word, the next number of a sequence, units, factors, remainders, fractions, percentages, rounding, binary
numbers, and which of two numbers is larger.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from zooter_core.arithmetic.sequences import next_number
from zooter_core.arithmetic.sums import AMOUNT, equals, in_decimals, number_in, rounded
from zooter_core.arithmetic.units import converted

Worked = tuple[str, str]  # a sentence with the calculation, and the answer alone
LARGEST = 10**10  # the largest number that is factorised
MOST_FACTORIAL = 20
TIMES = {1: "once", 2: "twice"}
KINDS = {"vowels": "aeiou", "consonants": "bcdfghjklmnpqrstvwxyz"}  # other letters count as neither
DECIMALS = {
    **{"one": 1, "two": 2, "three": 3, "four": 4, "tenth": 1, "hundredth": 2, "thousandth": 3},
    **{"whole number": 0, "integer": 0, "ten": -1, "hundred": -2, "thousand": -3},
}


def exact_answer(text: str) -> Worked | None:
    """A sentence that works out the answer to a question, and the answer alone; None for any other text.

    For example, "How many r's are in strawberry?" gives "s-t-r-a-w-b-e-r-r-y: the letter r comes 3 times." and "3".
    """
    question = re.sub(r"(?:,? please)?(?: |\?|\.|(?<![\d!])!+)*$", "", " ".join(text.split()).replace("’", "'"))
    if worked := converted(question) or next_number(text):
        return worked
    for pattern, answer in QUESTIONS:
        if match := pattern.fullmatch(question):
            return answer(**{name: part.lower() for name, part in match.groupdict().items() if part})
    return None


def _letter(word: str, letter: str) -> Worked:
    count = word.count(letter)
    return f"{'-'.join(word)}: the letter {letter} comes {TIMES.get(count, f'{count} times')}.", str(count)


def _letters(word: str, kind: str) -> Worked:
    count = sum(letter in KINDS.get(kind, letter) for letter in word)
    return f"{'-'.join(word)} has {count} {kind if count != 1 else kind[:-1]}.", str(count)


def _backwards(word: str) -> Worked:
    return f"{'-'.join(word)} backwards is {'-'.join(word[::-1])}.", word[::-1]


def _prime_factors(number: int) -> list[int]:
    factors, divisor = [], 2
    while divisor * divisor <= number:
        if number % divisor:
            divisor += 1
        else:
            factors.append(divisor)
            number //= divisor
    return [*factors, number]


def _prime(n: str, factors: str = "") -> Worked | None:
    if not 1 < int(n) <= LARGEST:
        return None
    product = " * ".join(map(str, _prime_factors(int(n))))
    if "*" in product:
        return (f"{n} = {product}.", product) if factors else (f"{n} = {product}, so it is not prime.", "no")
    return (f"{n} is prime.", n) if factors else (f"No number between 1 and {n} divides it, so {n} is prime.", "yes")


def _divisors(n: str) -> Worked | None:
    if not 0 < int(n) <= LARGEST:
        return None
    divisors = {1}
    for prime in _prime_factors(int(n)):
        divisors |= {divisor * prime for divisor in divisors}
    shown = ", ".join(map(str, sorted(divisors)))
    return f"{n} can be divided by {shown}.", shown


def _common(n: str, m: str, multiple: str = "") -> Worked | None:
    one, other = int(n), int(m)
    if not one or not other:
        return None
    value = math.lcm(one, other) if multiple else math.gcd(one, other)
    if multiple:
        return f"{value} = {n} * {value // one} and {value} = {m} * {value // other}.", str(value)
    return f"{n} = {value} * {one // value} and {m} = {value} * {other // value}.", str(value)


def _factorial(n: str) -> Worked | None:
    if not 1 < int(n) <= MOST_FACTORIAL:
        return None
    value = str(math.factorial(int(n)))
    return f"{' * '.join(str(factor) for factor in range(int(n), 0, -1))} = {value}.", value


def _remainder(n: str, m: str) -> Worked | None:
    if not int(m):
        return None
    quotient, rest = divmod(int(n), int(m))
    return f"{n} = {m} * {quotient}{f' + {rest}' if rest else ''}.", str(rest)


def _divisible(n: str, m: str) -> Worked | None:
    divided = _remainder(n, m)
    return (divided[0], "no" if int(divided[1]) else "yes") if divided else None


def _in_base(n: str, base: str) -> Worked:
    digits = format(int(n), {"b": "b", "o": "o"}.get(base[0], "X"))
    return f"{n} is {digits} in {base}.", digits


def _from_binary(bits: str) -> Worked:
    powers = [1 << place for place, bit in enumerate(reversed(bits)) if bit == "1"] or [0]
    return f"{' + '.join(map(str, reversed(powers)))} = {sum(powers)}.", str(sum(powers))


def _rounded(a: str, places: str) -> Worked | None:
    digits, value = int(places) if places.isdigit() else DECIMALS[places], number_in(a)
    if value is None:
        return None
    shown = rounded(value, digits)
    return f"{a} is about {shown}.", shown


def _as_fraction(a: str) -> Worked | None:
    value = number_in(a)
    return None if value is None or str(value) == a else (f"{a} = {value}.", str(value))


def _as_decimal(a: str) -> Worked | None:
    value = number_in(a)
    return None if value is None else (f"{a} {equals(value)} {in_decimals(value)}.", in_decimals(value))


def _as_percentage(a: str, b: str = "") -> Worked | None:
    part, total = number_in(a), number_in(b or "1")
    if part is None or not total:
        return None
    percent = part / total * 100
    shown = f"{in_decimals(percent)}%"
    return f"{a}{f' / {b}' if b else ''} {equals(percent)} {shown}.", shown


def _compared(a: str, b: str, larger: str = "", than: str = "") -> Worked | None:
    one, other = number_in(a), number_in(b)
    if one is None or other is None:
        return None
    if one == other:
        return f"{a} = {b}.", "no" if than else "that they are equal"
    above, below = (a, b) if one > other else (b, a)
    answer = above if larger else below
    difference = f"{above} - {below} = {in_decimals(abs(one - other))}"
    if "%" in below:  # "80 - 10%" is 72
        difference = f"{below} = {in_decimals(min(one, other))}"
    sentence = f"{difference}, so {answer} is {'larger' if larger else 'smaller'}."
    return sentence, answer if not than else "yes" if answer == a else "no"


QUOTE = "[\"'“”‘*`]?"
WORD = rf"(?:the (?:word|name|string) |(?!(?:it|this|that|them|these|my|your)\b)){QUOTE}(?P<word>[^\W\d_]{{2,}}){QUOTE}"
LETTER = rf"(?:the )?(?:letters? )?{QUOTE}(?P<letter>[^\W\d_]){QUOTE}(?:'?s)?"
LANGUAGES = (
    r"\w+(?:ish|ese|ian)|french|german|korean|dutch|latin|greek|arabic|hebrew|hindi|thai|welsh|swahili|esperanto"
)
LETTERS = rf"(?P<kind>letters|vowels|consonants)(?!.*(?<!word) (?:alphabet|total|{LANGUAGES})\b)"  # not an alphabet's
COUNT = r"(?:(?:tell me|find|what is|count) )*(?:how many (?:times )?|(?:the )?number of |(?<=count ))(?:the |does )?"
VERB = r"(?: are| is)?(?: there)?(?: (?:appear|occur|come|show)s?(?: up)?)?"
ASK = (
    r"(?:(?:please|can|could|you|what(?:'s| is| are)|calculate|compute|find|determine|give|tell|me|list|write|express"
    r"|convert|turn|change|all|the|number(?! of)|fraction|decimal|value|of) )*"
)
IF = "(?:is|check (?:if|whether)|tell me (?:if|whether))"
N, M = r"(?P<n>\d{1,15})", r"(?P<m>\d{1,15})"
PAIR = rf"(?: of)? ?\(?{N}(?:,| and) ?{M}\)?"
A, B = rf"(?P<a>{AMOUNT}%?)", rf"(?P<b>{AMOUNT}%?)"
LARGER = "(?:(?P<larger>bigger|larger|greater|higher|more)|smaller|less|lower)"
PLACES = rf"(?:nearest (?![\do]))?(?P<places>\d|{'|'.join(DECIMALS)})"
AS = "(?:as|to|into|in)"
QUESTIONS: Sequence[tuple[re.Pattern[str], Callable[..., Worked | None]]] = [
    (re.compile(pattern, re.IGNORECASE), answer)
    for pattern, answer in (
        (rf"{COUNT}{LETTER}{VERB} in {WORD}", _letter),
        (rf"{COUNT}{LETTER} does {WORD} (?:have|contain)", _letter),
        (rf"{COUNT}{LETTERS}{VERB} (?:in|of) {WORD}", _letters),
        (rf"{COUNT}{LETTERS} does {WORD} (?:have|contain)", _letters),
        (rf"{ASK}(?:spell|write|say) {WORD} (?:backwards?|in reverse)", _backwards),
        (rf"{ASK}{WORD} (?:spelled|written) (?:backwards?|in reverse)", _backwards),
        (rf"(?:{IF} )?(?:the number )?{N} (?:is )?(?:an? )?prime(?: number)?(?: or not)?", _prime),
        (rf"{ASK}prime (?P<factors>factors|factori[sz]ation) of {N}", _prime),
        (rf"{ASK}(?:factors|divisors) of {N}", _divisors),
        (rf"{ASK}(?:(?:greatest|highest) common (?:divisor|factor)|gcd|gcf|hcf){PAIR}", _common),
        (rf"{ASK}(?P<multiple>(?:least|lowest) common multiple|lcm){PAIR}", _common),
        (rf"{ASK}{N}(?:!| factorial)", _factorial),
        (rf"{ASK}factorial (?:of )?{N}", _factorial),
        (rf"{ASK}{N} mod(?:ulo)? {M}", _remainder),
        (rf"{ASK}remainder (?:of|when|if) {N} (?:is )?(?:divided by|/) {M}", _remainder),
        (rf"(?:{IF} )?{N} (?:is )?(?:evenly )?divisible by {M}", _divisible),
        (rf"{ASK}{N} {AS} (?P<base>binary|hexadecimal|hex|octal)", _in_base),
        (rf"{ASK}(?=.*binary)(?:binary )?(?P<bits>[01]{{2,40}})(?: in| from)?(?: binary)? {AS} decimal", _from_binary),
        (rf"round (?P<a>{AMOUNT}) (?:off )?to (?:the )?{PLACES}(?: decimals?(?: places?)?)?", _rounded),
        (rf"{ASK}{A} {AS} an? fraction", _as_fraction),
        (r"(?:simplify|reduce) (?:the fraction )?(?P<a>\d+/\d+)", _as_fraction),
        (rf"{ASK}{A} {AS} an? decimal", _as_decimal),
        (rf"{ASK}{A} {AS} an? percent(?:age)?(?: of {B})?", _as_percentage),
        (rf"what percent(?:age)? of {B} is {A}", _as_percentage),
        (rf"{A} is what percent(?:age)? of {B}", _as_percentage),
        (rf"(?:which|what)(?: one| number)? is (?:the )?{LARGER}(?: number)?[:,]? {A},? (?:or|and) {B}", _compared),
        (rf"{A} or {B}[:,]? which(?: one| number)? is {LARGER}", _compared),
        (rf"is {A} {LARGER} (?P<than>than) {B}", _compared),
    )
]
