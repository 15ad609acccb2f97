"""Families of a few listed functions, each of which is either trained on or held back."""

from __future__ import annotations

import itertools
import math

from recipes.embedded.functions.inputs import INTS, LISTS, PAIRS, TEXT_N, TWO_LISTS
from recipes.embedded.functions.spec import Spec

# fmt: off
LISTED: dict[str, dict[str, Spec]] = {
    "convert": {
        f"{a}_to_{b}": Spec(f"{a}_to_{b}|convert_{a}_to_{b}|{a}_in_{b}", "int",
                            f"the number of {b.replace('_', ' ')} in $0 {a}, where one {one} is {k} {b}|"
                            f"$0 {a} converted to {b}, with {k} {b} to one {one}",
                            f"return $0 * {k}", lambda v, k=k: k * v, ((0,), (1,), (10,), (2.5,)))
        for a, one, b, k in (
            ("miles", "mile", "kilometers", 1.609), ("feet", "foot", "inches", 12), ("hours", "hour", "minutes", 60),
            ("minutes", "minute", "seconds", 60), ("days", "day", "hours", 24), ("weeks", "week", "days", 7),
            ("meters", "meter", "centimeters", 100), ("kilograms", "kilogram", "grams", 1000),
            ("inches", "inch", "centimeters", 2.54), ("pounds", "pound", "kilograms", 0.4536),
            ("hours", "hour", "seconds", 3600), ("years", "year", "months", 12), ("yards", "yard", "feet", 3),
            ("kilometers", "kilometer", "meters", 1000), ("gallons", "gallon", "liters", 3.785))
    },
    "shapes": {
        name: Spec(f"{name}|compute_{name}|get_{name}", args, goal, f"return {body}", truth, inputs)
        for name, args, goal, body, truth, inputs in (
            ("area_of_rectangle", "width height", "the area of a rectangle with the sides $0 and $1", "$0 * $1",
             lambda w, h: w * h, PAIRS),
            ("perimeter_of_rectangle", "width height", "the perimeter of a rectangle with the sides $0 and $1",
             "2 * ($0 + $1)", lambda w, h: w + w + h + h, PAIRS),
            ("area_of_triangle", "base height", "the area of a triangle with the base $0 and the height $1",
             "$0 * $1 / 2", lambda b, h: 0.5 * b * h, PAIRS),
            ("area_of_square", "side", "the area of a square with the side $0", "$0 ** 2", lambda s: s * s, INTS),
            ("perimeter_of_square", "side", "the perimeter of a square with the side $0", "4 * $0",
             lambda s: s * 4, INTS),
            ("area_of_circle", "radius", "the area of a circle with the radius $0, using 3.14159 for pi",
             "3.14159 * $0 ** 2", lambda r: r * r * 3.14159, INTS),
            ("circumference", "radius", "the circumference of a circle with the radius $0, using 3.14159 for pi",
             "2 * 3.14159 * $0", lambda r: r * 6.28318, INTS),
            ("volume_of_cube", "side", "the volume of a cube with the side $0", "$0 ** 3", lambda s: s * s * s, INTS),
            ("volume_of_box", "length width height", "the volume of a box with the sides $0, $1 and $2",
             "$0 * $1 * $2", lambda a, b, c: math.prod((a, b, c)), ((1, 2, 3), (4, 5, 6), (0, 1, 2))),
            ("surface_of_cube", "side", "the surface area of a cube with the side $0", "6 * $0 ** 2",
             lambda s: 6 * s * s, INTS),
            ("area_of_trapezoid", "a b height",
             "the area of a trapezoid with the parallel sides $0 and $1 and the height $2", "($0 + $1) * $2 / 2",
             lambda a, b, h: (a + b) / 2 * h, ((1, 2, 3), (4, 5, 6), (0, 1, 2))))
    },
    "two_numbers": {
        name: Spec(f"{name}|get_{name}|compute_{name}", "a b", goal, f"return {body}", truth, PAIRS)
        for name, goal, body, truth in (
            ("add", "the sum of $0 and $1", "$0 + $1", lambda a, b: sum((a, b))),
            ("subtract", "the difference $0 minus $1", "$0 - $1", lambda a, b: -(b - a)),
            ("multiply", "the product of $0 and $1", "$0 * $1", lambda a, b: math.prod((a, b))),
            ("average", "the average of the two numbers $0 and $1", "($0 + $1) / 2", lambda a, b: a / 2 + b / 2),
            ("larger", "the larger of $0 and $1", "max($0, $1)", lambda a, b: a if a > b else b),
            ("smaller", "the smaller of $0 and $1", "min($0, $1)", lambda a, b: b if a > b else a),
            ("distance", "the absolute difference of $0 and $1", "abs($0 - $1)", lambda a, b: max(a, b) - min(a, b)),
            ("sum_of_squares", "the sum of the squares of $0 and $1", "$0 ** 2 + $1 ** 2", lambda a, b: a * a + b * b),
            ("divide", "$0 divided by $1", "$0 / $1", lambda a, b: a * (1 / b)),
            ("remainder", "the remainder when $0 is divided by $1", "$0 % $1", lambda a, b: a - a // b * b),
            ("both_even", "True if both $0 and $1 are even, and False otherwise", "$0 % 2 == 0 and $1 % 2 == 0",
             lambda a, b: (a % 2, b % 2) == (0, 0)))
    },
    "pairwise": {
        name: Spec(f"pairwise_{name}|{name}_lists|{name}_elements", "as bs",
                   f"a list of the {goal} of the elements at the same positions in the lists $0 and $1",
                   f"return [{code} for x, y in zip($0, $1)]",
                   lambda a, b, f=f: [f(a[i], b[i]) for i in range(len(a))], TWO_LISTS)
        for name, goal, code, f in (
            ("sums", "sums", "x + y", lambda x, y: x + y), ("products", "products", "x * y", lambda x, y: x * y),
            ("distances", "absolute differences", "abs(x - y)", lambda x, y: abs(y - x)),
            ("larger", "maximums", "max(x, y)", lambda x, y: x if x > y else y),
            ("smaller", "minimums", "min(x, y)", lambda x, y: y if x > y else x))
    },
    "sort": {
        f"{kind}_{way}": Spec(f"sort_{kind}_{way}|{kind}_{way}|sorted_by_{kind}_{way}", arg,
                              f"the list $0 sorted by {words} in {way} order",
                              f"return sorted($0{code}{', reverse=True' if way == 'descending' else ''})",
                              lambda xs, f=f, down=way == "descending": sorted(xs, key=f, reverse=down), inputs)
        for way, (kind, arg, words, code, f, inputs) in itertools.product(("ascending", "descending"), (
            ("value", "nums", "value", "", lambda x: x, LISTS),
            ("absolute", "nums", "absolute value", ", key=abs", lambda x: max(x, -x), LISTS),
            ("length", "words", "length", ", key=len", lambda x: sum(1 for _ in x),
             ((["ccc", "a", "bb"],), ([],), (["xy", "z"],))),
            ("alphabet", "words", "letters", "", lambda x: x, ((["pear", "fig", "apple"],), ([],), (["b", "a"],))),
            ("last_letter", "words", "last letter", ", key=lambda x: x[-1]", lambda x: x[len(x) - 1],
             ((["abc", "cba", "acb"],), ([],), (["toe", "top"],))),
            ("second", "items", "the second element of each pair", ", key=lambda x: x[1]", lambda x: (x[1],),
             (([(1, 9), (2, 3), (5, 4)],), ([],), ([("a", 2), ("b", 1)],)))))
    },
    "slices": {
        name: Spec(f"{name}|get_{name}|text_{name}", "text n", f"{goal} the string $0", f"return {code}", f, TEXT_N)
        for name, goal, code, f in (
            ("first_n", "the first $1 characters of", "$0[:$1]", lambda s, n: "".join(list(s)[:n])),
            ("last_n", "the last $1 characters (where $1 is at least 1) of", "$0[-$1:]",
             lambda s, n: s[max(0, len(s) - n):]),
            ("drop_first_n", "all but the first $1 characters of", "$0[$1:]", lambda s, n: "".join(list(s)[n:])),
            ("drop_last_n", "all but the last $1 characters (where $1 is at least 1) of", "$0[:-$1]",
             lambda s, n: s[:max(0, len(s) - n)]),
            ("every_nth", "every $1-th character, starting with the first, of", "$0[::$1]",
             lambda s, n: "".join(s[i] for i in range(0, len(s), n))))
    },
}
# fmt: on
