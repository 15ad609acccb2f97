"""Single functions on numbers."""

from __future__ import annotations

import math

from recipes.embedded.functions.inputs import INTS
from recipes.embedded.functions.spec import YES, Spec

# fmt: off
NUMBER_FUNCTIONS: dict[str, Spec] = {
    "factorial": Spec("factorial|fact|compute_factorial", "int", "the factorial of $0",
                      "result = 1\nfor i in range(1, $0 + 1):\n    result *= i\nreturn result", math.factorial, INTS),
    "fibonacci": Spec("fibonacci|fib|nth_fibonacci", "int",
                      "the Fibonacci number at position $0, where position 0 is 0 and position 1 is 1",
                      "a, b = 0, 1\nfor _ in range($0):\n    a, b = b, a + b\nreturn a",
                      lambda n: round(((1 + 5 ** 0.5) / 2) ** n / 5 ** 0.5), INTS),
    "fibonacci_list": Spec("fibonacci_list|first_fibonacci|fib_sequence", "int",
                           "a list of the first $0 Fibonacci numbers, starting with 0 and 1",
                           "result = []\na, b = 0, 1\nfor _ in range($0):\n    result.append(a)\n    a, b = b, a + b\n"
                           "return result", lambda n: [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89][:n], INTS),
    "prime": Spec("is_prime|prime|check_prime", "int", f"True if $0 is a prime number{YES}",
                  "if $0 < 2:\n    return False\nfor i in range(2, $0):\n    if $0 % i == 0:\n        return False\n"
                  "return True", lambda n: n in (2, 3, 5, 7, 11, 13), ((0,), (1,), (2,), (9,), (13,))),
    "divisors": Spec("divisors|factors|all_divisors", "int", "a list of all divisors of the positive number $0",
                     "return [i for i in range(1, $0 + 1) if $0 % i == 0]",
                     {1: [1], 5: [1, 5], 12: [1, 2, 3, 4, 6, 12], 7: [1, 7]}.__getitem__, INTS[1:]),
    "gcd": Spec("gcd|greatest_common_divisor|common_divisor", "a b",
                "the greatest common divisor of the positive numbers $0 and $1",
                "while $1:\n    $0, $1 = $1, $0 % $1\nreturn $0", math.gcd, ((12, 18), (7, 5), (9, 3), (4, 4))),
    "reverse_digits": Spec("reverse_digits|reverse_number|flip_digits", "int",
                           "the number made of the digits of the non-negative number $0 in reverse order",
                           "return int(str($0)[::-1])", lambda n: int("".join(reversed(str(n)))),
                           ((123,), (0,), (50,), (9081,))),
    "digit_count": Spec("count_digits|number_of_digits|digit_count", "int",
                        "how many digits the non-negative number $0 has", "return len(str($0))",
                        lambda n: 1 if n < 10 else math.floor(math.log10(n)) + 1, ((0,), (7,), (42,), (12345,))),
    "power": Spec("power|raise_to|exponentiate", "base exponent", "$0 raised to the power $1", "return $0 ** $1", pow,
                  ((2, 3), (5, 0), (3, 4), (-2, 3))),
    "leap_year": Spec("is_leap_year|leap_year|is_leap", "year", f"True if $0 is a leap year{YES}",
                      "return $0 % 4 == 0 and ($0 % 100 != 0 or $0 % 400 == 0)", lambda y: y in (2000, 2024),
                      ((2000,), (1900,), (2024,), (2023,))),
    "clamp": Spec("clamp|limit_value|keep_in_range", "value low high",
                  "$0 limited to the range from $1 to $2", "return max($1, min($0, $2))",
                  lambda v, a, b: a if v < a else b if v > b else v, ((5, 1, 10), (-3, 0, 4), (9, 2, 6), (2, 2, 2))),
    "in_range": Spec("in_range|is_between|between", "value low high",
                     f"True if $0 is between $1 and $2, both included{YES}", "return $1 <= $0 <= $2",
                     lambda v, a, b: not (v < a or v > b), ((5, 1, 10), (-3, 0, 4), (9, 2, 6), (2, 2, 2))),
    "sign": Spec("sign|get_sign|sign_of", "int", "1 if $0 is positive, -1 if $0 is negative and 0 if $0 is zero",
                 "if $0 > 0:\n    return 1\nif $0 < 0:\n    return -1\nreturn 0", lambda x: (x > 0) - (x < 0),
                 ((5,), (-2,), (0,))),
    "max_of_three": Spec("max_of_three|largest_of_three|biggest", "a b c", "the largest of $0, $1 and $2",
                         "return max($0, $1, $2)", lambda *v: sorted(v)[2], ((1, 2, 3), (9, 4, 9), (-1, -5, -3))),
    "middle_of_three": Spec("middle_of_three|median_of_three|middle", "a b c",
                            "the middle one by size of the numbers $0, $1 and $2", "return sorted([$0, $1, $2])[1]",
                            lambda *v: sum(v) - max(v) - min(v), ((1, 2, 3), (9, 4, 9), (-1, -5, -3))),
    "to_fahrenheit": Spec("celsius_to_fahrenheit|to_fahrenheit|c_to_f", "celsius",
                          "the temperature $0 converted from Celsius to Fahrenheit", "return $0 * 9 / 5 + 32",
                          lambda c: 1.8 * c + 32, ((0,), (100,), (-40,), (37,))),
    "to_celsius": Spec("fahrenheit_to_celsius|to_celsius|f_to_c", "fahrenheit",
                       "the temperature $0 converted from Fahrenheit to Celsius", "return ($0 - 32) * 5 / 9",
                       lambda f: (f - 32) / 1.8, ((32,), (212,), (-40,), (98.6,))),
    "interest": Spec("simple_interest|interest|compute_interest", "principal rate years",
                     "the simple interest on $0 at $1 percent per year for $2 years", "return $0 * $1 * $2 / 100",
                     lambda p, r, y: p * (r / 100) * y, ((100, 5, 2), (1000, 3, 1), (0, 4, 3), (200, 2.5, 4))),
    "percentage": Spec("percentage|percent_of|to_percent", "part whole", "what percentage of $1 the number $0 is",
                       "return $0 / $1 * 100", lambda a, b: 100 * a / b, ((1, 4), (0, 5), (3, 3), (30, 20))),
    "discount": Spec("discount|discounted_price|apply_discount", "price percent",
                     "the price $0 after a discount of $1 percent", "return $0 * (100 - $1) / 100",
                     lambda p, d: p - p * d / 100, ((100, 20), (50, 0), (80, 50), (0, 10))),
    "fizzbuzz": Spec("fizzbuzz|fizz_buzz|fizzbuzz_value", "int",
                     "'FizzBuzz' if $0 is divisible by 15, 'Fizz' if only by 3, 'Buzz' if only by 5, and otherwise $0 "
                     "as a string", "if $0 % 15 == 0:\n    return 'FizzBuzz'\nif $0 % 3 == 0:\n    return 'Fizz'\n"
                     "if $0 % 5 == 0:\n    return 'Buzz'\nreturn str($0)",
                     lambda n: ("Fizz" * (n % 3 == 0) + "Buzz" * (n % 5 == 0)) or str(n), ((3,), (5,), (15,), (7,))),
    "countdown": Spec("countdown|count_down|descending", "int", "a list of the numbers from $0 down to 1",
                      "return list(range($0, 0, -1))", lambda n: sorted(range(1, n + 1), reverse=True), INTS),
    "multiples": Spec("times_table|multiples|multiplication_table", "int n",
                      "a list of the first $1 multiples of $0, starting with $0 itself",
                      "return [$0 * i for i in range(1, $1 + 1)]", lambda x, n: [x + x * i for i in range(n)],
                      ((3, 4), (5, 0), (7, 2))),
    "binary": Spec("to_binary|binary_string|as_binary", "int",
                   "the non-negative number $0 as a string of binary digits, without a prefix", "return bin($0)[2:]",
                   lambda n: f"{n:b}", INTS),
}
# fmt: on
