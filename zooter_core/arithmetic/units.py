"""Amounts in other units: "Convert 5 miles to km", "How many feet are in a mile?", "100 F in Celsius"."""

from __future__ import annotations

import re
from fractions import Fraction

from zooter_core.arithmetic.sums import AMOUNT, equals, in_decimals, number_in

KINDS: tuple[dict[str, str], ...] = (  # kinds of units: pattern of names -> size, in the first unit of the kind
    {
        "m|met(?:er|re)s?": "1",
        "mm|millimet(?:er|re)s?": "0.001",
        "cm|centimet(?:er|re)s?": "0.01",
        "km|kms|kilomet(?:er|re)s?": "1000",
        'in|inch(?:es)?|"|″': "0.0254",
        "ft|foot|feet|'|′": "0.3048",
        "yd|yards?": "0.9144",
        "mi|miles?": "1609.344",
        "nautical miles?": "1852",
    },
    {
        "kg|kgs|kilos?|kilograms?": "1",
        "mg|milligrams?": "0.000001",
        "g|grams?": "0.001",
        "t|tonnes?|metric tons?": "1000",
        "oz|ounces?": "0.028349523125",
        "lbs?|pounds?": "0.45359237",
        "st|stones?": "6.35029318",
    },
    {
        "l|lit(?:er|re)s?": "1",
        "ml|millilit(?:er|re)s?": "0.001",
        "cl|centilit(?:er|re)s?": "0.01",
        "dl|decilit(?:er|re)s?": "0.1",
        "gal|gallons?": "3.785411784",
        "qt|quarts?": "0.946352946",
        "pt|pints?": "0.473176473",
        "cups?": "0.2365882365",
        "oz|ounces?|fl(?:uid|\\.)? ?(?:oz|ounces?)": "0.0295735295625",
        "tbsp|tablespoons?": "0.01478676478125",
        "tsp|teaspoons?": "0.00492892159375",
    },
    {
        "s|secs?|seconds?": "1",
        "ms|milliseconds?": "0.001",
        "min|mins|minutes?": "60",
        "h|hrs?|hours?": "3600",
        "d|days?": "86400",
        "weeks?|wks?": "604800",
        "fortnights?": "1209600",
        "years?|yrs?": "31536000",
    },
    {"months?": "1", "years?": "12", "decades?": "120", "century|centuries": "1200", "millenni(?:um|a)": "12000"},
    {
        "m/s|mps|met(?:er|re)s? per second": "1",
        "km/h|kmh|kph|kilomet(?:er|re)s? per hour": "5/18",
        "mph|miles? per hour": "0.44704",
        "knots?": "463/900",
    },
    {
        "hectares?|ha": "1",
        "acres?": "0.40468564224",
        "square kilomet(?:er|re)s?": "100",
        "square miles?": "258.9988110336",
    },
)
DEGREES = {"celsius": "°C", "c": "°C", "centigrade": "°C", "fahrenheit": "°F", "f": "°F", "kelvin": "K", "k": "K"}
UNIT = r"(?:(?:degrees? |deg |° ?)?[a-z/.]+(?: per [a-z]+| miles?| tons?| ounces?| oz| kilomet(?:er|re)s?)?|[\"'″′])"
ASK = r"(?:what(?:'s| is| are)|how (?:much|long|tall|far|heavy|fast|hot|cold|big) (?:is|are)|convert|change|turn) "
TO = re.compile(
    rf"(?:{ASK})?(?P<amount>{AMOUNT}) ?(?P<unit>{UNIT})"
    rf"(?: ?(?:and )?(?P<rest>{AMOUNT}) ?(?P<smaller>{UNIT}))? (?:to|in|into|as) (?P<other>{UNIT})",
    re.IGNORECASE,
)
IN = re.compile(
    rf"how many (?P<other>{UNIT}) (?!an? )(?:(?:are|is|go|do(?:es)?) )?(?:there )?"
    rf"(?:(?:in|into|make|make up|to|equal|per) )?(?P<amount>{AMOUNT}|an?|the)? ?(?P<unit>{UNIT})(?: have)?",
    re.IGNORECASE,
)


def converted(question: str) -> tuple[str, str] | None:
    """A sentence about an amount in another unit, and that amount; None if the question asks for something else.

    For example, "5 miles ≈ 8.0467 km." and "8.0467 km". Cups, pints and gallons are American; a year has 365 days.
    """
    match = TO.fullmatch(question) or IN.fullmatch(question)
    if not match:
        return None
    parts = {name: part or "" for name, part in match.groupdict().items()}
    unit, other, smaller = parts["unit"], parts["other"], parts.get("smaller") or parts["unit"]
    amount, rest = number_in(parts["amount"] or "a"), number_in(parts.get("rest") or "0")
    if amount is None or rest is None:
        return None
    source = question[match.start("amount") : match.end("smaller" if parts.get("rest") else "unit")]
    source = source if parts["amount"] else f"one {unit}"
    if (name := _degrees(unit)) and (wanted := _degrees(other)):
        value, source, other = _temperature(amount, name, wanted), f"{in_decimals(amount)} {name}", wanted
    elif (factor := _factor(unit, other)) and (second := _factor(smaller, other)):
        value = amount * factor + rest * second
    else:
        return None
    shown = f"{in_decimals(value)} {other}"
    verb = "≈" if equals(value) == "≈" else "is" if amount == 1 and not rest else "are"
    return f"{source[0].upper()}{source[1:]} {verb} {shown}.", shown


def _degrees(name: str) -> str | None:
    return DEGREES.get(re.sub(r"^(?:degrees?|deg|°) ?", "", name.lower()).strip(" .°"))


def _temperature(amount: Fraction, unit: str, other: str) -> Fraction:
    zero = Fraction("273.15")
    kelvin = {"K": amount, "°C": amount + zero, "°F": (amount - 32) * 5 / 9 + zero}[unit]
    return {"K": kelvin, "°C": kelvin - zero, "°F": (kelvin - zero) * 9 / 5 + 32}[other]


def _factor(unit: str, other: str) -> Fraction | None:
    """The size of a unit in another unit; None if they measure different quantities."""
    for kind in KINDS:
        sizes = [
            Fraction(size)
            for name in (unit, other)
            for pattern, size in kind.items()
            if re.fullmatch(pattern, name.strip("."), re.IGNORECASE)
        ]
        if len(sizes) == 2:
            return sizes[0] / sizes[1]
    return None
