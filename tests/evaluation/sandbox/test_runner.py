"""What passes and what fails, and code that goes wrong in every way that a model's code does: all within its limits."""

from __future__ import annotations

import os
import re
import threading
import time

import pytest

from zooter_core.evaluation.sandbox.runner import Limits, run

LIMITS = Limits(seconds=1)
LONGEST = 60  # seconds, on a busy machine, for what may last 1


def test_a_check_calls_the_code_s_function():
    assert run("import math\ndef area(r):\n    return math.pi * r**2", "assert 3.1 < area(1) < 3.2", "area").passed


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def f(): return 1", "AssertionError"),
        ("def g(): return 2", "NameError: name 'f' is not defined"),
        ("f = 2", "TypeError: 'int' object is not callable"),
        ("def f(x): return 2", "TypeError: f\\(\\) missing 1"),
        ("def f(: return 2", "SyntaxError"),
        ("def f():\n    return f()", "RecursionError"),
        ("raise SystemExit", "SystemExit"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("import os\nos._exit(0)", "it ended before its check did"),
        ("import os\ndef f(): os._exit(143)", "it ended before its check did"),
        ("import signal\nsignal.raise_signal(15)", "ended by signal 15"),
        ("import os\nos.abort()", "ended by signal 6"),
        ("import ctypes\nctypes.string_at(0)", "ended by signal 11"),
        ("input()", "EOFError"),
        ("\ud800", "UnicodeEncodeError"),
        ("x = '\0'", "SyntaxError|ValueError"),
        ("class Odd(Exception): pass\ndef f(): raise Odd('so')", "Odd: so"),
        ("def f(): raise UnicodeDecodeError('utf-8', b'x', 0, 1, 'because')", "UnicodeDecodeError: .*because"),
        ("def f(): raise ExceptionGroup('g', [ValueError()])", "ExceptionGroup"),
        ("class Box: pass\ndef f(): return Box()", "TypeError: a value of type Box cannot leave the sandbox"),
        ("def f(): return print", "TypeError: a value of type builtin_function_or_method cannot leave"),
        ("x = []\nx.append(x)\ndef f(): return x", "RecursionError"),
        ("def f():\n    x = []\n    for _ in range(900): x = [x]\n    return x", "RecursionError"),
        (
            "import itertools\ndef f(): return itertools.count()",
            "ValueError: an iterator gives more than 524,288 items",
        ),
        ("def f(): return 'x' * 2_000_000", "more than 1,048,576 bytes returned"),
        ("def f(): return range(10**30)", "AssertionError"),
        ("def f(): return 10**100_000", "AssertionError"),
    ],
)
def test_wrong_code_fails_and_says_why(code, reason):
    verdict = run(code, "assert f() == 2", "f", limits=Limits(seconds=10))
    assert not verdict.passed
    assert re.match(reason, verdict.reason), verdict.reason


@pytest.mark.parametrize("sandboxed", [True, False])
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time\ntime.sleep(1000)", "not done in 1 s"),
        ("def f():\n    while True: pass", "not done in 1 s"),
        ("import os\nos.close(1)\nos.close(2)\nwhile True: pass", "not done in 1 s|ended by signal"),
        ("items = []\nwhile True: items.append(bytearray(10_000_000))", "out of memory"),
        ("x = [0] * 10**10", "out of memory"),
        ("print('x' * 100_000_000)", "more than 1,048,576 bytes printed"),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", "more than 1,048,576 bytes printed"),
        ("f = open('f', 'w')\nwhile True: f.write('x' * 100_000)", "OSError"),
        ("import random\nwhile True: x = '(' * random.randrange(99)", "not done in 1 s"),
    ],
)
def test_code_without_end_or_bounds_is_ended(code, reason, sandboxed):
    limits = LIMITS if reason.startswith("not done") else Limits(seconds=LONGEST)
    begun = time.monotonic()
    verdict = run(code, "f()", "f", limits=limits, sandboxed=sandboxed)
    assert not verdict.passed
    assert re.match(reason, verdict.reason), verdict.reason
    assert time.monotonic() - begun < LONGEST


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("for n in range(10**9): open(f'f{n}', 'w').write('x')", "OSError: .*No space left"),
        ("for n in range(10**9): open(f'f{n}', 'w').write('x' * 10**6)", "OSError: .*No space left"),
        ("import os\nfor n in range(10**9): os.mkdir(f'f{n}')", "OSError: .*No space left"),
        ("import os\nopen('f', 'w').truncate(10**12)", "OSError: .*File too large"),
        ("import os\nwhile True: os.fork()", "PermissionError"),
        ("import subprocess\nsubprocess.run(['true'])", "PermissionError"),
        ("import os\nassert os.system('true') == 0", "AssertionError"),
        ("import os\nos.kill(1, 9)\nos.kill(os.getppid(), 9)\nassert False", "AssertionError"),
        ("import os\nwhile True: os.pipe()", "OSError: .*Too many open files"),
        ("import mmap\nx = [mmap.mmap(-1, 1 << 26) for _ in range(99)]", "OSError: .*Cannot allocate memory"),
    ],
)
def test_the_sandbox_bounds_what_limits_of_a_process_do_not(account, code, reason):
    verdict = account.run(code, "f()", seconds=10)
    assert not verdict.passed
    assert re.match(reason, verdict.reason), verdict.reason


def test_a_folder_of_its_own_that_is_new_every_time(account):
    code = """
import os

def f():
    before = os.listdir()
    with open("a", "w") as file:
        file.write("hi")
    os.mkdir("b")
    return before, open("a").read(), os.getcwd()
"""
    for _ in range(2):
        verdict = account.run(code, "assert f() == ([], 'hi', '/sandbox')")
        assert verdict.passed, verdict.reason


def test_without_a_sandbox_its_folder_goes_away(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = "import os\ndef f():\n    open('a', 'w')\n    return os.listdir(), os.getcwd()"
    check = f"files, folder = f()\nassert files == ['a'] and folder.startswith({str(tmp_path)!r})"
    assert run(code, check, "f", sandboxed=False).passed
    assert not list(tmp_path.iterdir())


def test_the_environment_is_empty(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    code = "import os\ndef f():\n    return set(os.environ) - {'LC_CTYPE'}"
    for sandboxed in (True, False):
        assert run(code, "assert f() == set()", "f", sandboxed=sandboxed).passed


def test_what_is_not_python_s_own_is_not_there():
    assert run("import numpy", "", "f", limits=Limits(seconds=LONGEST)).reason.startswith("ModuleNotFoundError")


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


def test_a_list_inside_a_list_is_sorted_in_place():
    check = (
        "inner = [2, 1]\nouter = [inner, {'k': {3}}]\nf(outer)\nassert inner == [1, 2] and outer == [inner, {'k': {4}}]"
    )
    code = "def f(x):\n    x[0].sort()\n    x[1]['k'].clear()\n    x[1]['k'].add(4)"
    verdict = run(code, check, "f")
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize(
    ("code", "check"),
    [
        ("def f(n):\n    for i in range(n): yield i",
         "g = f(3)\nassert g != [0, 1, 2] and next(g) == 0 and list(g) == [1, 2]"),
        ("def f(n): return map(str, range(n))", "assert list(f(2)) == ['0', '1']"),
        ("def f(n): return zip('ab', range(n))", "assert sorted(f(2)) == [('a', 0), ('b', 1)]"),
        ("def f(n): return {n: 1}.keys()", "assert f(5) == {5} and len(f(5)) == 1"),
        ("def f(n): return {1: n}.values()", "assert list(f(5)) == [5]"),
        ("def f(n): return range(n)", "assert f(5) == range(5) and f(5)[2:] == range(2, 5)"),
        ("from collections import Counter\ndef f(s): return Counter(s)", "assert f('aab') == {'a': 2, 'b': 1}"),
        ("from collections import deque\ndef f(s): return deque(s)",
         "assert f('ab') != ['a', 'b'] and list(f('ab')) == ['a', 'b']"),
        ("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(n): return P(n, 2)",
         "assert f(1) == (1, 2)"),
        ("from fractions import Fraction\ndef f(n): return Fraction(n, 2)", "assert f(1) == 0.5 and f(1) * 2 == 1"),
        ("from decimal import Decimal\ndef f(n): return Decimal(n)", "assert f('0.5') == 0.5"),
        ("from enum import IntEnum\nE = IntEnum('E', 'A B')\ndef f(): return E.B", "assert f() == 2"),
        ("def f(x): return x", "assert f(float('inf')) == float('inf') and f(float('nan')) != f(float('nan'))"),
        ("def f(x): return x", "assert f(-0.0).hex() == '-0x0.0p+0' and f(0.1 + 0.2) == 0.1 + 0.2"),
        ("def f(x): return x", "assert f(True) is True and f(None) is None and type(f(1)) is not type(f(1.0))"),
        ("def f(x): return x", "assert f(2**64) == 2**64 and f(-(10**5000)) == -(10**5000)"),
        ("def f(x): return x", "assert f('\\ud800\\0\\n') == '\\ud800\\0\\n' and f('😀é') == '😀é'"),
        ("def f(x): return x", "assert f(b'\\0\\xff') == b'\\0\\xff' and f(1j) == 1j and f(bytearray(3)).pop() == 0"),
        ("def f(x): return x", "x = {(1, 'a'): [{2}, frozenset({3})], None: (), 1.5: {}}\nassert f(x) == x"),
        ("def f(x=1, *, y=2): return x + y", "assert f() == 3 and f(2, y=3) == 5 and f(y=1) == 2"),
        ("def f(x):\n    if x < 0: raise ValueError('negative')\n    return x",
         "try:\n    f(-1)\nexcept ValueError as problem:\n"
         "    assert str(problem) == 'negative'\nelse:\n    assert False\nassert f(4) == 4"),
        ("def f(x): return {}[x]", "try:\n    f('k')\nexcept KeyError as problem:\n    assert problem.args == ('k',)"),
        ("class E(ValueError): pass\ndef f(): raise E",
         "try:\n    f()\nexcept Exception as e:\n    assert type(e).__name__ == 'E'"),
        ("count = 0\ndef f():\n    global count\n    count += 1\n    return count",
         "assert [f(), f(), f()] == [1, 2, 3]"),
        ("def f():\n    print('to nobody')\n    return 1", "assert f() == 1"),
        ("def f(): pass", "assert f.__name__ == 'f' and callable(f)"),
        ("def g(): return 3\nf = lambda: g()", "assert f() == 3"),
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


def test_no_descriptor_is_left():
    run("x = 1", "", "f")
    before = len(os.listdir("/dev/fd"))
    for sandboxed in (True, False, True):
        run("x = 1", "", "f", sandboxed=sandboxed)
    assert len(os.listdir("/dev/fd")) == before
