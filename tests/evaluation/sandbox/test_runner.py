"""What passes and what fails, and code that goes wrong in every way that a model's code does: all within its limits."""

from __future__ import annotations

import re
import threading
import time

import pytest

from support.patience import PATIENCE
from zooter_core.evaluation.sandbox.runner import Limits, run

LIMITS = Limits(seconds=0.3)


def test_a_check_calls_the_code_s_function():
    assert run("import math\ndef area(r):\n    return math.pi * r**2", "assert 3.1 < area(1) < 3.2", "area").passed


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def f(): return 1", "AssertionError"),
        ("def g(): return 2", "NameError: name 'f' is not defined"),
        ("def f(: return 2", "SyntaxError"),
        ("def f():\n    return f()", "RecursionError"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("import os\ndef f(): os._exit(3)", "it ended before its check did"),
        ("import os\nos.abort()", "ended by signal 6"),
        ("import ctypes\nctypes.string_at(0)", "ended by signal 11"),
        ("\ud800", "UnicodeEncodeError"),
        ("x = '\0'", "SyntaxError|ValueError"),
        ("class Odd(Exception): pass\ndef f(): raise Odd('so')", "Odd: so"),
        ("def f(): raise UnicodeDecodeError('utf-8', b'x', 0, 1, 'because')", "UnicodeDecodeError: .*because"),
        ("class Box: pass\ndef f(): return Box()", "TypeError: a value of type Box cannot leave the sandbox"),
        ("def f():\n    x = []\n    for _ in range(5000): x = [x]\n    return x", "RecursionError"),
        (
            "import itertools\ndef f(): return itertools.count()",
            "ValueError: an iterator gives more than 524,288 items",
        ),
        ("def f(): return 'x' * 2_000_000", "more than 1,048,576 bytes returned"),
        ("def f(): return 10**100_000", "AssertionError"),
    ],
)
def test_wrong_code_fails_and_says_why(code, reason):
    verdict = run(code, "assert f() == 2", "f", limits=Limits(seconds=10))
    assert not verdict.passed
    assert re.match(reason, verdict.reason), verdict.reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time\ntime.sleep(1000)", "not done in 0.3 s"),
        ("def f():\n    while True: pass", "not done in 0.3 s"),
        ("import os\nos.close(1)\nos.close(2)\nwhile True: pass", "not done in 0.3 s|ended by signal"),
        ("items = []\nwhile True: items.append(bytearray(10_000_000))", "out of memory"),
        ("f = open('f', 'w')\nwhile True: f.write('x' * 100_000)", "OSError"),
        ("import random\nwhile True: x = '(' * random.randrange(99)", "not done in 0.3 s"),
    ],
)
def test_code_without_end_or_bounds_is_ended(code, reason):
    limits = LIMITS if reason.startswith("not done") else Limits(seconds=PATIENCE)
    begun = time.monotonic()
    verdict = run(code, "f()", "f", limits=limits)
    assert not verdict.passed
    assert re.match(reason, verdict.reason), verdict.reason
    assert time.monotonic() - begun < PATIENCE


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("for n in range(10**9):\n    with open(f'f{n}', 'w') as f: f.write('x')", "OSError: .*No space left"),
        ("import os\nfor n in range(10**9): os.mkdir(f'f{n}')", "OSError: .*No space left|not done in 1 s"),
        ("import os\nopen('f', 'w').truncate(10**12)", "OSError: .*File too large"),
        ("import os\nos.kill(os.getppid(), 9)", "the check ended before its end"),
        ("import os\nwhile True: os.pipe()", "OSError: .*Too many open files"),
        ("import mmap\nx = [mmap.mmap(-1, 1 << 26) for _ in range(99)]", "OSError: .*Cannot allocate memory"),
    ],
)
def test_the_sandbox_bounds_what_limits_of_a_process_do_not(account, code, reason):
    verdict = account.run(code, "f()", seconds=1 if "mkdir" in code else PATIENCE)
    assert not verdict.passed
    assert re.match(reason, verdict.reason), verdict.reason


def test_arguments_that_the_function_changes_change():
    code = "def f(a, *, b):\n    a[0].append(3)\n    a.append(4)\n    b['k'] = a.pop(0)\n    return a"
    check = """
inner, outer, keyword = [1], [], {}
outer.append(inner)
assert f(outer, b=keyword) == [4]
assert outer == [4]
"""
    verdict = run(code, check, "f")
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize(
    ("code", "check"),
    [
        ("def f(n):\n    for i in range(n): yield i",
         "g = f(3)\nassert g != [0, 1, 2] and next(g) == 0 and list(g) == [1, 2]"),
        ("def f(x): return x",
         "inf, x = float('inf'), {(1, 'a'): [{2}, -(10**5000)], None: (1j, b'\\xff'), 1.5: '\\ud800\\0\\n😀'}\n"
         "assert f(inf) == inf and f(True) is True and type(f(1)) is not type(f(1.0)) and f(x) == x"),
        ("def f(x=1, *, y=2): return x + y", "assert f() == 3 and f(2, y=3) == 5 and f(y=1) == 2"),
        ("def f(x):\n    if x < 0: raise ValueError('negative')\n    return {}[x]",
         "try:\n    f(-1)\nexcept ValueError as problem:\n    assert str(problem) == 'negative'\n"
         "else:\n    assert False\n"
         "try:\n    f(4)\nexcept KeyError as problem:\n    assert problem.args == (4,)\nelse:\n    assert False"),
        ("count = 0\ndef g(): return count\ndef f():\n    global count\n    count += 1\n    print('to nobody')\n"
         "    return g()", "assert [f(), f(), f()] == [1, 2, 3] and f.__name__ == 'f' and callable(f)"),
    ],
)  # fmt: skip
def test_values_arrive_as_they_left(code, check):
    verdict = run(code, check, "f")
    assert verdict.passed, verdict.reason


def test_what_the_setup_defines_is_there_for_the_check():
    setup = "import math\ndef double(x):\n    return 2 * x\ndef f(x):\n    pass\n"
    check = "def check(candidate):\n    assert candidate(3) == f(3) == double(3) == 6 and math.pi > 3\ncheck(f)"
    assert run("def f(x): return x + x", check, "f", setup=setup).passed
    assert run("def f(x): return x", check, "f", setup=setup).reason == "AssertionError: "


def test_many_at_the_same_time_keep_to_themselves():
    verdicts: dict[int, bool] = {}

    def judge(number: int) -> None:
        check = f"assert f() % 2 == 0 and f() == {number}"
        verdicts[number] = run(f"def f(): return {number}", check, "f", limits=Limits()).passed

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {number: number % 2 == 0 for number in range(8)}
