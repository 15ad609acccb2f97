"""Recognises queries that ask only for a sum ("What's 3 times 4?") or for a solution of equations ("Solve 3x = 15")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from zooter_core.arithmetic.sums import NAME, number_in, work_out

LONGEST = 600  # characters of a query that is examined; longer queries quote texts
LONGEST_SUM = 150
NUMBER = r"(\d[\d.]*(?:/\d+)?)"
SOLE = r"\b(?! ?[-+*×÷−] ?\d| / ?\d)"  # a number without an operator after it
RADICAND = rf"(?:\({NUMBER}\)|{NUMBER}{SOLE})"  # not "√9/16", which is ambiguous
ALONE = r"\b(?! ?(?:times|divided|multiplied|squared|cubed|to the|percent|[*/x×÷%^²³]))"  # also without one in words
TASKS = (  # patterns, and the sums for them
    (rf"add {NUMBER} (?:and|to) {NUMBER}", r"\1 + \2"),
    (rf"{NUMBER} times itself", r"\1 * \1"),
    (rf"subtract {NUMBER} from {NUMBER}", r"\2 - \1"),
    (rf"multiply {NUMBER} (?:by|and|with) {NUMBER}", r"\1 * \2"),
    (rf"divide {NUMBER} by {NUMBER}", r"\1 ÷ \2"),
    (rf"(?:increase|raise) {NUMBER} by {NUMBER}(?:%| percent)", r"\1 + \2%"),
    (rf"(?:decrease|reduce|lower) {NUMBER} by {NUMBER}(?:%| percent)", r"\1 - \2%"),
)
WORDS = (  # words of a sum, and the signs for them
    (r"\*\*", "^"),
    (NAME, lambda name: str(number_in(name[0]))),
    (r"\b(?:plus|más|più)\b", "+"),
    (r"\b(?:minus|moins|menos|meno)\b", "-"),
    (r"\\?\b(?:times|cdot|multiplied by|mal|fois|por)\b", "*"),
    (r"\\div\b|\bdivided by\b", "÷"),
    (r"[$€£](?=\d)(?!\d+\.\d{3}\b)|(?<=\d)(?<!\.\d{3}) ?[$€£]|(?<=\d) (?:dollars|euros)\b", ""),  # not "1.000€"
    (r" ?(?:%|\bpercent)(?= of|$)", "%"),
    (rf"{NUMBER}(?:%| percent) off (?:of )?{NUMBER}", r"\2 * (1 - \1/100)"),
    ("% of\\b", " / 100 *"),
    (r"\ba (?=third|quarter)", "1 "),
    (r"(?:\b1 )?\bhalf of\b", "1/2 *"),
    (r"\b(\d) thirds? of\b", r"\1/3 *"),
    (r"\b(\d) quarters? of\b", r"\1/4 *"),
    (r"\b(?:double|twice)\b", "2 *"),
    (r"\btriple\b", "3 *"),
    (rf"(?:\bthe )?\bdifference (?:between|of) {NUMBER} and {NUMBER}{ALONE}", r"sqrt((\1 - \2)^2)"),  # never negative
    (rf"(?:\bthe )?\bquotient of {NUMBER} and {NUMBER}", r"\1 / \2"),
    (rf"^{NUMBER} (?:more than|added to) (.+)", r"\2 + \1"),
    (rf"^{NUMBER} (?:less|fewer) than (.+)", r"\2 - \1"),
    (rf"(?:\bthe )?\b(square|cube) of {NUMBER}{SOLE}", r"(\2) \1d"),
    (r"(\d/\d+) of\b", r"\1 *"),
    (r"(?<![\d)])(?<![\d)] )[-−] ?(\d[\d.]*)(?= (?:squared|cubed|to the)\b)", r"(-\1)"),  # but not "-5^2"
    (r"\b(\d+/\d+)(?= (?:squared|cubed|to the)\b)", r"(\1)"),
    (r"\s*\bsquared\b|²", "^2"),
    (r"\s*\bcubed\b|³", "^3"),
    (r"\s*\bto the (?:power (?:of )?)?(\d+)(?:(?:st|nd|rd|th)(?: power)?)?\b(?!/)", r"^\1"),
    (rf"(?:\bthe )?(?:\bcube root (?:of )?|\bcbrt(?: of)? ?|∛(?!\d+/)){RADICAND}", r"cbrt(\1\2)"),
    (rf"(?:\bthe )?(?:\b(?:square )?root (?:of )?|\bsqrt(?: of)? ?|√(?!\d+/)){RADICAND}", r"sqrt(\1\2)"),
    (r"(?<=[\d\s)])(?<!\b0)x(?=[\d\s(])(?! ?[-−])", "*"),  # but "0x10", "2x - 3"
)
ITEM = r"\d[\d.]*\b(?:/\d+)?"
LIST = re.compile(  # "the average of 4, 8 and 15", or "4,8,15"; but "1,500 and 2" and "2,5 and 3" may be other numbers
    r"(?:\bthe )?\b(?P<name>average|mean|sum|total|product) of (?:(?:the|these) (?:following )?numbers:? )?"
    rf"(?P<numbers>{ITEM}(?!,\d)(?:(?:, (?:and )?| and ){ITEM}(?!,\d))+|{ITEM}(?:,(?!\d{{3}}\b){ITEM})+){ALONE}",
    re.IGNORECASE,
)
QUESTION = re.compile(
    r"(?:(?:hey|hi|hello|ok|okay|so|and|please|can you|could you|tell me),? )*"
    r"(?:(?:what(?:'s| is|s| does)?|how much is|calculate|compute|evaluate|work out|solve|find"
    r"|was (?:ist|ergibt)|wie ?viel (?:ist|macht)|berechne|rechne|combien font|calcule"
    r"|¿?cu[aá]nto (?:es|son)|calcula|quanto (?:fa|é)|calcola) )?(?:the (?:value|result) of |the answer to )?"
    r"(?P<sum>.+?)(?: is| aus| as a fraction)?(?:\s*(?:=|\bequals?(?: what)?\b))?"
    r"(?:[\s?]*\?|\.|(?<![\d)])!)?(?: please[.!?]?)?",
    re.IGNORECASE,
)
EXPRESSION = re.compile(r"\s*(?:sqrt|cbrt|[-−\d(.])(?:sqrt|cbrt|[-–\d\s()+*/^×÷·−.,%])*")
YEAR = r"(?:1[5-9]|20)\d\d"
DATE = re.compile(  # or "50/50", a blood pressure, or a telephone number
    rf"\d+[/-]\d+[/-]\d+|24[/-]7|[79][/-]11|(\d\d+)[/-]\1|1\d\d/[5-9]\d|\d{{3}}[- ]\d{{4}}|{YEAR}[-–/]{YEAR}"
)
RANGE = re.compile(  # the whole text is a range, a score, a date, or shares such as "80/20"
    r"[$€£]?\d[\d.,]*(?:(?:-| ?– ?)[$€£]?\d[\d.,]*)+(?:%| dollars| euros)?[?!]?|\d\d?/\d\d?[?!]?"
)
UNCLEAR = re.compile(  # two currencies; is "10% + 5%" 15% or 0.15?
    r"([$€£]).*(?!\1)[$€£]|dollars.*euros|euros.*dollars|^\D*[\d.]+% ?[-+/÷]|% ?[*x×] ?[\d.]+%"
)
OPERATOR = re.compile(r"(?<=[\d)\s%])[-–+*/^×÷·−]|sqrt|cbrt")

SOLVE = re.compile(
    r"^\W*(?:please |can you |could you |how (?:do|can) (?:I|you|we) )*"
    r"(?:solve|find|what (?:is|are)|determine|work out|for which|which|quadratic"
    r"|(?:the )?(?:roots?|zeros?|solutions?) of)\b",
    re.IGNORECASE,
)
EQUATION = re.compile(r"[-−\d.a-z(][-\d.,a-z()+*/^×÷·−\s]*?=[-\d.,a-z()+*/^×÷·−\s]*[\d.a-z)]", re.IGNORECASE)
# An equation within quotes or the marks of a formula only: a part of "10% x = 5" or "√x = 3" would be another equation.
QUOTED = re.compile(rf"(?:[\s$€\"'`*]|\\[(\[])*({EQUATION.pattern})(?:[\s$€\"'`*.?]|\\[)\]])*", re.IGNORECASE)
VARIABLE = re.compile(r"(?<![a-z])[a-z](?![a-z])", re.IGNORECASE)
WORDING = (  # words that may occur around equations to solve
    "the|values?|of|to|for|is|are|solves?|which|such|that|makes|satisfies|both|if|when|where|and|given|let|following|this|these"
    "|linear|quadratic|simultaneous|system|equations?|variables?|numbers|solutions?|(?:real )?roots?"
)
BETWEEN = re.compile(rf",(?!\d)|[;:]|\b(?:{WORDING})\b", re.IGNORECASE)
OTHER = re.compile(rf"\b(?!(?:{WORDING})\b)[a-z]{{2,}}", re.IGNORECASE)  # solve a bug, determine a program's output
# Text beside an equation that changes the question: another term ("2x + 3 if x = 4"), or a kind of number.
TERM = re.compile(r"[-\d+*/^×÷·−=]|\b(?:integer|natural|rational|whole|prime)", re.IGNORECASE)
DIVIDED = re.compile(r"/[\d.]+[a-z(]", re.IGNORECASE)  # "1/2x" may be x / 2 or 1 / (2x)
FACTOR = re.compile(r"\d[a-z]\b|\b[a-z]\^2", re.IGNORECASE)  # "2x + 3 = 7" cannot be a line of a program
ONE_STEP = re.compile(r"[a-z] ?[-+*/] ?[\d.]+ ?= ?-?[\d.]+ ?\??", re.IGNORECASE)  # nor can "x + 5 = 12"
SOME_ROOTS = re.compile(r"\b(?:positive|negative|larg|bigg|great|small|less)|[<>]", re.IGNORECASE)  # one of two


def sum_in(text: str) -> tuple[str, str] | None:
    """The sum that a text asks for, in its words and in signs; None if the text asks for anything else.

    For example, "What's 3 times 4?" gives "3 times 4" and "3 * 4".
    """
    text = " ".join(text.split()).replace("’", "'")
    match = QUESTION.fullmatch(text) if len(text) <= LONGEST_SUM else None
    if not match or DATE.fullmatch(match["sum"]) or RANGE.fullmatch(text) or UNCLEAR.search(text):
        return None
    wording = LIST.sub(_written_out, match["sum"])
    for pattern, task in TASKS:
        wording = re.sub(rf"^{pattern}$", task, wording, flags=re.IGNORECASE)
    signs = wording
    for pattern, sign in WORDS:
        signs = re.sub(pattern, sign, signs, flags=re.IGNORECASE)
    return (wording, signs.strip()) if EXPRESSION.fullmatch(signs) and OPERATOR.search(signs) else None


def _written_out(match: re.Match[str]) -> str:
    numbers = re.findall(r"[\d./]+", match["numbers"])
    total = (" * " if match["name"].lower() == "product" else " + ").join(numbers)
    return f"({total}) / {len(numbers)}" if match["name"].lower() in ("average", "mean") else total


@dataclass(frozen=True)
class Equations:
    """One linear equation, or two with two variables, that have one solution."""

    # For each equation, the coefficients of the variables in alphabetical order, then the constant on the right side.
    rows: list[list[Fraction]]
    solution: dict[str, Fraction]  # the values of the variables that are asked for


def equations_in(text: str) -> Equations | None:
    """The linear equations that a text asks to solve, if they have exactly one solution; otherwise None."""
    equations, names, wanted = _to_solve(text)
    if not 1 <= len(names) == len(equations) <= 2:
        return None
    rows = [row for equation in equations if (row := _row(equation, names))]
    if len(rows) < len(equations) or not (values := _solved(rows)):
        return None
    return Equations(rows, {name: value for name, value in zip(names, values, strict=True) if name in wanted})


def roots_in(text: str) -> tuple[str, list[Fraction]] | None:
    """The variable and the real roots of the quadratic equation that a text asks to solve; None if there is none.

    Irrational roots are rounded.
    """
    equations, names, _ = _to_solve(text)
    if len(equations) != 1 or len(names) != 1 or SOME_ROOTS.search(text):
        return None
    values = [value for x in (0, 1, -1, 3) if (value := _difference(equations[0], names, [x])) is not None]
    if len(values) < 4:
        return None
    zero, plus, minus, further = values
    square, factor = (plus + minus) / 2 - zero, (plus - minus) / 2
    if not square or further != 9 * square + 3 * factor + zero:
        return None
    discriminant = factor**2 - 4 * square * zero
    if discriminant < 0:
        return names[0], []
    root = work_out(f"sqrt({discriminant})")
    if root is None:  # too large
        return None
    return names[0], sorted({(sign * root - factor) / (2 * square) for sign in (1, -1)})


def _to_solve(text: str) -> tuple[list[str], list[str], set[str]]:
    """The equations that a text asks to solve, the names of their variables, and the names that it asks for."""
    text = text.replace("²", "^2").replace("**", "^")
    task = SOLVE.sub("", text)
    if task != text and not OTHER.search(task.partition("=")[0]):
        parts = BETWEEN.split(task)
    elif (FACTOR.search(text) or ONE_STEP.fullmatch(text)) and EQUATION.fullmatch(text.rstrip(" ?.")):
        parts = [text]
    else:
        return [], [], set()
    equations = [match[1] for part in parts if (match := QUOTED.fullmatch(part))]
    others = " ".join(part for part in parts if not QUOTED.fullmatch(part))
    names = sorted({name for equation in equations for name in VARIABLE.findall(equation)})
    wanted = {name for name in VARIABLE.findall(others) if name in names or name not in "aI"} or set(names)
    unclear = TERM.search(others) or any(map(DIVIDED.search, equations))
    return ([], [], set()) if unclear or not wanted <= set(names) else (equations, names, wanted)


def _difference(equation: str, names: list[str], values: list[int]) -> Fraction | None:
    """The left side of an equation minus its right side, for these values of the variables; None if unreadable."""
    sides = []
    for side in equation.partition("=")[::2]:
        side = re.sub(r"(?<=[\d)])\s?\(", "*(", side)
        for name, value in zip(names, values, strict=True):
            side = re.sub(rf"(?<=[\d)])\s?{name}(?![a-z])", f"*({value})", side)
            side = re.sub(rf"(?<![a-z]){name}(?=\s?\()", f"({value})*", side)
            side = re.sub(rf"(?<![a-z]){name}(?![a-z])", f"({value})", side)
        sides.append(work_out(side) if not re.search(r"[a-z]", side, re.IGNORECASE) else None)
    return None if sides[0] is None or sides[1] is None else sides[0] - sides[1]


def _row(equation: str, names: list[str]) -> list[Fraction] | None:
    """The coefficients of an equation, then the constant on the right side; None if it is not linear."""
    places = range(len(names))
    points = [
        [0 for _ in places],
        *([int(place == number) for place in places] for number in places),
        [3 for _ in places],
    ]
    values = [value for point in points if (value := _difference(equation, names, point)) is not None]
    if len(values) < len(points):
        return None
    zero, *ones, further = values
    factors = [one - zero for one in ones]
    return [*factors, -zero] if further == zero + 3 * sum(factors) and any(factors) else None


def _solved(rows: list[list[Fraction]]) -> list[Fraction] | None:
    if len(rows) == 1:
        return [rows[0][1] / rows[0][0]] if rows[0][0] else None
    (a, b, e), (c, d, f) = rows
    determinant = a * d - b * c
    return [(e * d - b * f) / determinant, (a * f - e * c) / determinant] if determinant else None
